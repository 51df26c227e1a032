/*
 * cluster_fixture.c - see cluster_fixture.h.
 */
#include "cluster_fixture.h"

#include "base/alloc.h"
#include "router/inner.h"

static struct cluster *the_cluster; /* that the doubles of peers belong to: they have no struct of their own here */

/* ---- partitions ---- */

const char *aff_partition_keyspace(const struct aff_partition *p)
{
    (void)p;
    return "things";
}
uint32_t aff_partition_index(const struct aff_partition *p)
{
    return p->index;
}
bool aff_partition_leads(const struct aff_partition *p)
{
    return atomic_load(&p->shared.role) == AFF_ROLE_MASTER;
}
struct aff_loop *aff_partition_loop(const struct aff_partition *p)
{
    return p->c->loop;
}
struct aff_store *aff_partition_store(const struct aff_partition *p)
{
    return p->store;
}
const struct aff_finder *aff_partition_finder(const struct aff_partition *p)
{
    (void)p;
    return NULL;
}
struct aff_partition_shared *aff_partition_shared(struct aff_partition *p)
{
    return &p->shared;
}
uint32_t aff_partition_serving(struct aff_partition *p)
{
    return atomic_load(&p->shared.serves) ? 1 : 0;
}
int aff_partition_may_serve(struct aff_partition *p, uint32_t serving)
{
    return !serving || !atomic_load(&p->shared.serves) ? AFF_ENOMASTER : p->c->lease ? 0 : AFF_EAGAIN;
}
enum aff_outcome aff_partition_outcome(struct aff_partition *p, struct aff_stamp stamp)
{
    (void)p;
    (void)stamp;
    return AFF_OUTCOME_COMMITTED;
}
void aff_partition_went(struct aff_partition *p, uint32_t major, bool taken)
{
    assert_int_equal(major, 6); /* of the GO that the tests bring */
    p->went = taken;
}
void aff_partition_take(struct aff_partition *p, struct aff_take *take)
{
    p->take = take;
}

static void answer_op(struct aff_op *op, int code, enum aff_outcome outcome)
{
    op->result.code = code;
    op->result.outcome = outcome;
    op->done(op);
    op->release(op);
}

void aff_partition_submit(struct aff_partition *p, struct aff_op *op)
{
    assert_int_equal(op->state, AFF_OP_NEW);
    p->submitted++;
    if (p->at_once) {
        answer_op(op, p->at_once, AFF_OUTCOME_NOT_APPLIED);
        return;
    }
    op->state = AFF_OP_QUEUED;
    aff_list_append(&p->ops, &op->link);
}

struct aff_op *op_of(struct aff_partition *p)
{
    assert_false(aff_list_empty(&p->ops));
    return aff_container_of(aff_list_first(&p->ops), struct aff_op, link);
}

void op_answers(struct aff_partition *p, int code, enum aff_outcome outcome)
{
    struct aff_op *op = op_of(p);
    aff_list_remove(&op->link);
    answer_op(op, code, outcome);
}

/* ---- peers ---- */

static unsigned char *flatten(const aff_bytes *parts, size_t count, size_t *ret_len)
{
    struct aff_buf all;
    aff_buf_init(&all);
    assert_true(aff_buf_reserve(&all, 1));
    for (size_t i = 0; i < count; i++)
        assert_true(aff_buf_add(&all, parts[i].data, parts[i].len));
    *ret_len = all.len;
    return all.data;
}

void aff_peers_call(struct aff_peers *peers, const struct aff_peer_to *to, struct aff_peer_call *call, const aff_bytes *parts,
                    size_t parts_count)
{
    struct asked *q = &the_cluster->asked[the_cluster->asked_count++];
    assert_ptr_equal(peers, the_cluster);
    assert_true(the_cluster->asked_count < CALLS_MAX);
    q->call = call;
    (void)snprintf(q->member, sizeof q->member, "%s", to->member);
    (void)snprintf(q->address, sizeof q->address, "%s", to->address);
    q->body = flatten(parts, parts_count, &q->len);
}

void aff_peers_forget(struct aff_peers *peers, struct aff_peer_call *call)
{
    (void)peers;
    for (unsigned i = 0; i < the_cluster->asked_count; i++)
        if (the_cluster->asked[i].call == call)
            the_cluster->asked[i].call = NULL;
}

unsigned questions(struct cluster *c)
{
    unsigned count = 0;
    for (unsigned i = 0; i < c->asked_count; i++)
        count += c->asked[i].call != NULL;
    return count;
}

void forget_asked(struct cluster *c)
{
    for (unsigned i = 0; i < c->asked_count; i++)
        free(c->asked[i].body);
    c->asked_count = 0;
}

struct asked *question(struct cluster *c)
{
    for (unsigned i = c->asked_count; i-- > 0;)
        if (c->asked[i].call)
            return &c->asked[i];
    fail_msg("no question is under way");
    return NULL;
}

void peer_answers(struct asked *q, int code, aff_bytes answer)
{
    struct aff_peer_call *call = q->call;
    unsigned char *copy = answer.len ? aff_xmemdup(answer.data, answer.len) : aff_xmalloc(1);
    assert_non_null(call);
    q->call = NULL;
    call->answered(call, code, aff_bytes_of(copy, answer.len));
    free(copy); /* what is still looked at is found out by a sanitizer */
}

void peer_answers_result(struct asked *q, const struct aff_result *r)
{
    struct aff_buf b;
    aff_bytes tail;
    aff_buf_init(&b);
    assert_true(aff_buf_u8(&b, AFF_WIRE_ANSWERED) && aff_wire_put_result(&b, r, 0x1234, &tail) &&
                aff_buf_add(&b, tail.data, tail.len));
    peer_answers(q, 0, aff_buf_view(&b));
    aff_buf_fini(&b);
}

void peer_answers_code(struct asked *q, int code, enum aff_outcome outcome)
{
    peer_answers_result(q, &(struct aff_result){ .code = code, .outcome = outcome });
}

void peer_answers_elsewhere(struct asked *q, const char *name, uint32_t incarnation, uint32_t epoch)
{
    struct aff_wire_leader leader = { .epoch = epoch, .incarnation = incarnation };
    struct aff_buf b;
    (void)snprintf(leader.name, sizeof leader.name, "%s", name);
    aff_buf_init(&b);
    assert_true(aff_buf_u8(&b, AFF_WIRE_ELSEWHERE) && aff_wire_put_leader(&b, &leader));
    peer_answers(q, 0, aff_buf_view(&b));
    aff_buf_fini(&b);
}

/* ---- questions of others ---- */

void aff_peer_answer(struct aff_peer_question *question, const aff_bytes *parts, size_t parts_count)
{
    struct given *g = aff_container_of(question, struct given, question);
    assert_false(g->ended);
    g->ended = true;
    g->answer = flatten(parts, parts_count, &g->len);
    free((void *)(uintptr_t)question->body.data);
    question->body = aff_bytes_of(NULL, 0);
}

void aff_peer_refuse(struct aff_peer_question *question)
{
    struct given *g = aff_container_of(question, struct given, question);
    aff_peer_answer(question, NULL, 0);
    g->refused = true;
}

struct given *ask_us(struct cluster *c, uint8_t kind, uint32_t partition, aff_bytes fields)
{
    struct given *g = aff_xcalloc(1, sizeof *g);
    struct aff_buf b;
    aff_buf_init(&b);
    assert_true(aff_wire_put_about(&b, "things", partition) && aff_buf_add(&b, fields.data, fields.len));
    g->question.kind = kind;
    g->question.body = aff_buf_view(&b);
    g->question.deadline_ns = aff_loop_now(c->loop) + 5 * AFF_NS_PER_S;
    aff_port_serve(c->port, &g->question);
    return g;
}

void given_free(struct given *g)
{
    assert_true(g->ended);
    free(g->answer);
    free(g);
}

/* ---- the coordinator ---- */

static struct cluster *cluster_of(struct aff_coordinator *coordinator)
{
    return aff_container_of(coordinator, struct cluster, coordinator);
}

static struct aff_view *coordinator_view(struct aff_coordinator *coordinator)
{
    return aff_view_hold(cluster_of(coordinator)->view);
}

static void coordinator_watch(struct aff_coordinator *coordinator, struct aff_coordinator_watch *watch)
{
    cluster_of(coordinator)->watch = watch;
}

static const struct aff_coordinator_ops coordinator_ops = {
    .name = "double", .view = coordinator_view, .watch = coordinator_watch
};

static struct aff_view *new_view(const struct aff_view *before)
{
    const uint32_t partitions[] = { PARTS };
    struct aff_view *view = aff_view_new(NODES, 1, partitions);
    view->self = NODE_A;
    for (int i = 0; i < NODES; i++) {
        struct aff_view_node *node = &view->nodes[i];
        (void)snprintf(node->name, sizeof node->name, "%c", 'a' + i);
        (void)snprintf(node->peer, sizeof node->peer, "host-%c:1", 'a' + i);
        node->incarnation = (uint32_t)i + 1;
        node->live = true;
    }
    (void)snprintf(view->spaces[0].name, sizeof view->spaces[0].name, "things");
    if (before)
        memcpy(view->spaces[0].parts, before->spaces[0].parts, PARTS * sizeof *before->spaces[0].parts);
    return view;
}

void view_says(struct cluster *c, uint32_t partition, int node, uint32_t epoch)
{
    struct aff_view *view = new_view(c->view);
    view->spaces[0].parts[partition].leader = (int16_t)node;
    view->spaces[0].parts[partition].epoch = epoch;
    c->view = (aff_view_drop(c->view), view);
    c->watch->changed(c->watch);
    pass(c);
}

void leads(struct cluster *c, uint32_t partition, uint32_t epoch)
{
    struct aff_partition *p = &c->parts[partition];
    struct aff_partition_events *events = aff_router_events(c->router);
    atomic_store(&p->shared.epoch, aff_epoch_of(epoch, 0));
    atomic_store(&p->shared.role, epoch ? AFF_ROLE_MASTER : AFF_ROLE_FOLLOWING);
    atomic_store(&p->shared.serves, epoch != 0);
    events->turned(events, p);
    pass(c);
}

/* ---- time ---- */

void pass(struct cluster *c)
{
    (void)aff_loop_pass(c->loop, 0);
}

void wait_ms(struct cluster *c, int64_t ms)
{
    for (; ms > 0; ms--) {
        aff_virtual_clock_advance(&c->clock, AFF_NS_PER_MS);
        pass(c);
    }
}

/* ---- requests ---- */

const char *key_of(uint32_t partition)
{
    static char keys[PARTS][8];
    for (int i = 0; i < 1000 && !keys[partition][0]; i++) {
        char text[8];
        (void)snprintf(text, sizeof text, "k%d", i);
        if (aff_partition_of(aff_str(text), PARTS) == partition)
            memcpy(keys[partition], text, sizeof text);
    }
    return keys[partition];
}

static struct request *request_of(struct aff_call *call)
{
    return aff_container_of(aff_container_of(call, struct aff_command_op, call), struct request, op);
}

static void note_text(char to[64], aff_bytes text)
{
    (void)snprintf(to, 64, "%.*s", (int)text.len, text.len ? (const char *)text.data : "");
}

static void on_answered(struct aff_call *call)
{
    struct request *r = request_of(call);
    assert_int_equal(r->released, 0);
    r->answered++;
    r->result = call->op.result;
    note_text(r->reply, r->result.reply);
    note_text(r->title, aff_str(r->result.title ? r->result.title : ""));
    r->found = call->found;
    if (call->reads && r->result.code == 0 && r->found.exists)
        note_text(r->value, r->found.item.value);
}

static void on_released(struct aff_call *call)
{
    struct request *r = request_of(call);
    assert_int_equal(r->answered, 1);
    r->released++;
}

void request_init(struct request *r, enum aff_op_kind kind, uint32_t partition)
{
    memset(r, 0, sizeof *r);
    aff_op_init(&r->op.call.op, kind);
    r->op.call.partition = partition;
    if (kind != AFF_OP_BARRIER)
        r->op.call.op.key = aff_str(key_of(partition));
    r->op.call.op.value = aff_str("value");
    r->op.call.op.content_type = aff_str("text/plain");
    r->op.call.answered = on_answered;
    r->op.call.released = on_released;
}

void request_send(struct cluster *c, struct request *r)
{
    aff_port_call(c->port, c->space, &r->op.call);
}

void request_read(struct cluster *c, struct request *r)
{
    aff_port_read(c->port, c->space, &r->op.call);
}

void assert_waits(const struct request *r)
{
    assert_int_equal(r->answered, 0);
    assert_int_equal(r->released, 0);
}

void assert_answer(const struct request *r, int code, enum aff_outcome outcome)
{
    assert_int_equal(r->answered, 1);
    assert_int_equal(r->released, 1);
    assert_string_equal(aff_error_name(r->result.code), aff_error_name(code));
    assert_int_equal(r->result.outcome, outcome);
}

/* ---- life ---- */

static int echo(aff_cmd *cmd)
{
    return aff_cmd_reply(cmd, 200, aff_cmd_body(cmd), "text/plain");
}

static const aff_command commands[] = {
    { .size = sizeof(aff_command), .name = "echo", .run = echo },
    AFF_COMMAND_END,
};

static void open_store(struct cluster *c, struct aff_partition *p)
{
    char folder[80];
    struct aff_store_opts opts = { .folder = folder, .map_bytes = 1 << 20, .readers = 2, .boot_id = "b", .scratch = true };
    bool fresh;
    aff_error err = { 0 };
    (void)snprintf(folder, sizeof folder, "%s/%u", c->folder, p->index);
    if (aff_store_open(&opts, &p->store, &fresh, &err) != 0)
        fail_msg("store: %s", err.text);
}

static void make(struct cluster *c, bool clustered)
{
    struct aff_space settings = { .name = "things", .partitions = PARTS, .max_value = 3 << 20, .commands = commands };
    struct aff_partition *parts[PARTS];
    struct aff_loop_opts loop = { .name = "test", .clock = &c->clock.clock };
    aff_error err;
    assert_int_equal(aff_loop_new(&loop, &c->loop, &err), 0);
    (void)snprintf(c->folder, sizeof c->folder, "/tmp/router-cluster-XXXXXX");
    assert_non_null(mkdtemp(c->folder));
    for (uint32_t i = 0; i < PARTS; i++) {
        parts[i] = &c->parts[i];
        *parts[i] = (struct aff_partition){ .c = c, .index = i, .went = -1 };
        aff_list_init(&parts[i]->ops);
        atomic_store(&parts[i]->shared.role, AFF_ROLE_FOLLOWING);
    }
    open_store(c, &c->parts[0]);
    c->router = aff_router_new();
    aff_router_add(c->router, &settings, parts);
    c->space = aff_router_space(c->router, aff_str("things"));
    if (clustered)
        aff_router_cluster(c->router, &(struct aff_router_cluster_opts){ .coordinator = &c->coordinator,
                                                                         .master_wait_ms = MASTER_WAIT_MS,
                                                                         .waiting = WAITING,
                                                                         .waiting_bytes = WAITING_BYTES });
    assert_int_equal(aff_port_new(c->router, c->loop, &c->port, &err), 0);
    if (clustered)
        aff_port_connect(c->port, (struct aff_peers *)c);
    pass(c);
}

static int setup(void **state, bool clustered)
{
    struct cluster *c = aff_xcalloc(1, sizeof *c);
    the_cluster = c;
    aff_virtual_clock_init(&c->clock);
    c->coordinator.ops = &coordinator_ops;
    c->lease = true;
    c->view = new_view(NULL);
    make(c, clustered);
    *state = c;
    return 0;
}

int cluster_setup(void **state)
{
    return setup(state, true);
}

int cluster_setup_alone(void **state)
{
    return setup(state, false);
}

int cluster_teardown(void **state)
{
    struct cluster *c = *state;
    char command[128];
    aff_port_free(c->port);
    aff_store_close(c->parts[0].store);
    aff_router_free(c->router);
    aff_loop_free(c->loop);
    (void)aff_view_drop(c->view);
    forget_asked(c);
    (void)snprintf(command, sizeof command, "rm -rf %s", c->folder);
    assert_int_equal(system(command), 0);
    free(c);
    return 0;
}
