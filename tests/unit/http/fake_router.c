/*
 * fake_router.c - see fake_router.h.
 */
#include "fake_router.h"

#include "base/alloc.h"
#include "router/patch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { IDENTITY8 = 0x0badcafe };

static struct fake_router *fake_of(const void *port_or_router)
{
    return (struct fake_router *)(uintptr_t)port_or_router;
}

/* ---- the store ---- */

static struct fake_value *find_value(struct fake_router *fake, aff_bytes key)
{
    for (int i = 0; i < FAKE_VALUES_MAX; i++) {
        struct fake_value *v = &fake->values[i];
        if (v->used && aff_bytes_equal(aff_bytes_of(v->key, v->key_len), key))
            return v;
    }
    return NULL;
}

static struct fake_value *new_value(struct fake_router *fake, aff_bytes key)
{
    for (int i = 0; i < FAKE_VALUES_MAX; i++) {
        struct fake_value *v = &fake->values[i];
        if (!v->used) {
            v->used = true;
            memcpy(v->key, key.data, key.len);
            v->key_len = key.len;
            return v;
        }
    }
    abort();
}

static void drop_value(struct fake_value *v)
{
    free(v->bytes);
    memset(v, 0, sizeof *v);
}

/* ---- spaces ---- */

const struct aff_space *aff_router_space(const struct aff_router *router, aff_bytes name)
{
    for (const struct aff_space *s = fake_of(router)->spaces; s->name; s++)
        if (aff_bytes_equal(aff_str(s->name), name))
            return s;
    return NULL;
}

const struct aff_space *aff_router_space_at(const struct aff_router *router, size_t index)
{
    const struct aff_space *s = fake_of(router)->spaces;
    for (; s->name; s++)
        if (index-- == 0)
            return s;
    return NULL;
}

const aff_command *aff_space_command(const struct aff_space *space, aff_bytes name)
{
    for (const aff_command *c = space->commands; c && c->name; c++)
        if (aff_bytes_equal(aff_str(c->name), name))
            return c;
    return NULL;
}

/* ---- reads ---- */

static int get(struct fake_router *fake, aff_bytes key, struct aff_found *ret_found)
{
    struct fake_value *v = find_value(fake, key);
    fake->reads++;
    if (fake->script.read_code)
        return fake->script.read_code;
    assert(fake->snapshots == 0); /* one at a time, and done within its handler */
    fake->snapshots++;
    *ret_found = (struct aff_found){ .exists = v != NULL, .partition = 3, .identity8 = IDENTITY8 };
    if (v) {
        ret_found->item.version = v->version;
        ret_found->item.value = aff_bytes_of(v->bytes, v->len);
        ret_found->item.content_type = aff_bytes_of(v->type, v->type_len);
    }
    return 0;
}

int aff_port_get(struct aff_port *port, const struct aff_space *space, aff_bytes key, struct aff_found *ret_found)
{
    (void)space;
    return fake_of(port)->script.no_lease ? AFF_EAGAIN : get(fake_of(port), key, ret_found);
}

int aff_port_get_local(struct aff_port *port, const struct aff_space *space, aff_bytes key, struct aff_found *ret_found)
{
    (void)space;
    return get(fake_of(port), key, ret_found);
}

int aff_port_get_bounded(struct aff_port *port, const struct aff_space *space, aff_bytes key,
                         const struct aff_bound *bound, struct aff_found *ret_found)
{
    (void)space;
    fake_of(port)->bound = *bound;
    return fake_of(port)->script.behind ? AFF_EAGAIN : get(fake_of(port), key, ret_found);
}

uint32_t aff_space_partition(const struct aff_space *space, aff_bytes key)
{
    (void)space;
    (void)key;
    return 3;
}

void aff_port_done(struct aff_port *port)
{
    assert(fake_of(port)->snapshots == 1);
    fake_of(port)->snapshots--;
}

/* ---- carrying out ---- */

static void put(struct fake_router *fake, struct aff_op *op)
{
    struct fake_value *v = find_value(fake, op->key);
    op->result.created = v == NULL;
    if (!v)
        v = new_value(fake, op->key);
    free(v->bytes);
    v->bytes = op->value.len ? aff_xmemdup(op->value.data, op->value.len) : aff_xmalloc(1);
    v->len = op->value.len;
    v->type_len = op->content_type.len;
    memcpy(v->type, op->content_type.data, op->content_type.len);
    v->version = (struct aff_version){ fake->next_offset++, INT64_C(784111777000),
                                       op->ttl_ms ? INT64_C(784111777000) + op->ttl_ms : AFF_NO_TIME, op->event_ms };
    op->result.version = v->version;
}

static void del(struct fake_router *fake, struct aff_op *op)
{
    struct fake_value *v = find_value(fake, op->key);
    if (v)
        drop_value(v);
    else
        op->result.code = AFF_ENOTFOUND;
    op->result.version.offset = fake->next_offset++;
}

/* A command without a script answers with its own body. */
static void run(struct aff_op *op)
{
    struct aff_call *call = aff_container_of(op, struct aff_call, op);
    struct aff_command_op *command = aff_container_of(call, struct aff_command_op, call);
    op->result.reply = command->command.body;
    op->result.reply_type = command->command.body_type;
    op->result.status = command->command.body.len ? 200 : 204;
}

static void apply_script(const struct fake_script *script, struct aff_result *r)
{
    r->replayed = script->replayed;
    r->replay_cut = script->replay_cut;
    if (script->status)
        r->status = script->status;
    if (script->reply) {
        r->reply = aff_str(script->reply);
        r->reply_type = aff_str(script->reply_type);
    }
    if (script->problem)
        (void)snprintf(r->problem, sizeof r->problem, "%s", script->problem);
    if (script->detail)
        (void)snprintf(r->detail, sizeof r->detail, "%s", script->detail);
    r->title = script->title;
}

static void carry_out(struct fake_router *fake, struct aff_call *call)
{
    struct aff_op *op = &call->op;
    struct aff_result *r = &op->result;
    const struct fake_script *script = &fake->script;
    memset(r, 0, sizeof *r);
    call->partition = 3;
    call->identity8 = IDENTITY8;
    r->code = script->code;
    if (r->code == 0) {
        r->outcome = AFF_OUTCOME_COMMITTED;
        if (op->kind == AFF_OP_PUT)
            put(fake, op);
        else if (op->kind == AFF_OP_DELETE)
            del(fake, op);
        else if (op->kind == AFF_OP_COMMAND)
            run(op);
    }
    if (op->kind == AFF_OP_BARRIER)
        return;
    apply_script(script, r);
    if (script->outcome)
        r->outcome = script->outcome;
    r->versioned = r->code == 0 && !script->unversioned;
    r->stamped = (r->code == 0 || r->outcome == AFF_OUTCOME_UNKNOWN) && !script->unstamped;
    r->stamp = (struct aff_stamp){ aff_epoch_of(1, 0), 0xabc, 42 };
}

static void answer(struct fake_router *fake, struct aff_call *call)
{
    bool late = fake->script.late_release, found = false;
    carry_out(fake, call);
    if (call->reads && call->op.result.code == 0) {
        call->op.result.code = get(fake, call->op.key, &call->found);
        found = call->op.result.code == 0;
    }
    if (late)
        aff_list_append(&fake->answered, &call->op.link);
    call->answered(call);
    fake->snapshots -= found;
    if (late)
        return;
    fake->released++;
    if (call->op.result.replayed) { /* the real one frees the reply of a replay now */
        call->op.result.reply = aff_bytes_of((const void *)(uintptr_t)16, call->op.result.reply.len);
    }
    call->released(call);
}

static struct aff_call *call_of(struct aff_list *link)
{
    struct aff_op *op = aff_container_of(link, struct aff_op, link);
    return aff_container_of(op, struct aff_call, op);
}

static bool run_stage(struct aff_hook *hook)
{
    struct fake_router *fake = aff_container_of(hook, struct fake_router, hook);
    struct aff_list *link;
    while ((link = aff_list_take(&fake->queue)) != NULL)
        answer(fake, call_of(link));
    if (!fake->script.scan_held)
        fake_wake_scans(fake);
    return false;
}

static void note(struct fake_router *fake, const struct aff_call *call)
{
    struct fake_seen *seen = &fake->seen;
    const struct aff_op *op = &call->op;
    memset(seen, 0, sizeof *seen);
    seen->kind = op->kind;
    seen->key_len = op->key.len;
    seen->value_len = op->value.len;
    memcpy(seen->key, op->key.data, op->key.len);
    if (op->content_type.data)
        memcpy(seen->content_type, op->content_type.data, op->content_type.len);
    if (op->traceparent.data)
        memcpy(seen->traceparent, op->traceparent.data, op->traceparent.len);
    seen->ttl_ms = op->ttl_ms;
    seen->event_ms = op->event_ms;
    seen->conditions = op->conditions;
    for (size_t i = 0; i < op->conditions.match_count && i < 4; i++)
        seen->match[i] = op->conditions.match[i];
    for (size_t i = 0; i < op->conditions.none_match_count && i < 4; i++)
        seen->none_match[i] = op->conditions.none_match[i];
    seen->identified = op->identified;
    seen->id = op->id;
    seen->request = op->request;
    seen->has_deadline = op->deadline_ns != 0;
    if (op->kind == AFF_OP_COMMAND) {
        const struct aff_command_op *command = aff_container_of(call, struct aff_command_op, call);
        memcpy(seen->body_type, command->command.body_type.data, command->command.body_type.len);
    }
}

static void begin(struct aff_port *port, const struct aff_space *space, struct aff_call *call)
{
    struct fake_router *fake = fake_of(port);
    assert(aff_loop_here(fake->loop) && space);
    (void)space;
    aff_list_init(&call->op.link);
    if (call->op.kind == AFF_OP_BARRIER)
        fake->barriers++;
    else
        fake->calls++;
    note(fake, call);
    if (fake->script.when == FAKE_AT_ONCE)
        answer(fake, call);
    else
        aff_list_append(fake->script.when == FAKE_HELD ? &fake->held : &fake->queue, &call->op.link);
}

void aff_port_call(struct aff_port *port, const struct aff_space *space, struct aff_call *call)
{
    call->reads = false;
    begin(port, space, call);
}

void aff_port_read(struct aff_port *port, const struct aff_space *space, struct aff_call *call)
{
    const aff_bytes key = call->op.key;
    const int64_t deadline_ns = call->op.deadline_ns;
    aff_op_init(&call->op, AFF_OP_BARRIER);
    call->op.key = key;
    call->op.deadline_ns = deadline_ns;
    call->reads = true;
    begin(port, space, call);
}

void aff_port_read_bounded(struct aff_port *port, const struct aff_space *space, struct aff_call *call,
                           const struct aff_bound *bound)
{
    fake_of(port)->bound = *bound;
    aff_port_read(port, space, call);
}

void fake_answer_held(struct fake_router *fake)
{
    struct aff_list *link;
    while ((link = aff_list_take(&fake->held)) != NULL)
        answer(fake, call_of(link));
}

void fake_release_all(struct fake_router *fake)
{
    struct aff_list *link;
    while ((link = aff_list_take(&fake->answered)) != NULL) {
        fake->released++;
        call_of(link)->released(call_of(link));
    }
}

/* ---- scans: each looks for the next key when it is asked ---- */

struct aff_scan {
    struct aff_list link;
    struct aff_scan_opts opts;
    unsigned char start[AFF_KEY_MAX + 1], end[AFF_KEY_MAX + 1], after[AFF_KEY_MAX];
    unsigned told;
    bool waits, waited;
};

static aff_bytes copied(aff_bytes bytes, unsigned char *to)
{
    if (bytes.data)
        memcpy(to, bytes.data, bytes.len);
    return aff_bytes_of(bytes.data ? to : NULL, bytes.len);
}

struct aff_range aff_range_of_prefix(struct aff_range range, aff_bytes prefix, unsigned char *room)
{
    memcpy(room, prefix.data, prefix.len);
    room[prefix.len - 1]++; /* tests have no prefix that ends in 0xff */
    if (!range.start.data || aff_bytes_compare(range.start, prefix) < 0)
        range.start = prefix;
    if (!range.end.data || aff_bytes_compare(aff_bytes_of(room, prefix.len), range.end) < 0)
        range.end = aff_bytes_of(room, prefix.len);
    return range;
}

struct aff_scan *aff_scan_new(const struct aff_scan_opts *opts)
{
    struct fake_router *fake = fake_of(opts->port);
    struct aff_scan *scan = aff_xcalloc(1, sizeof *scan);
    scan->opts = *opts;
    scan->opts.range.start = copied(opts->range.start, scan->start);
    scan->opts.range.end = copied(opts->range.end, scan->end);
    scan->opts.after = copied(opts->after, scan->after);
    fake->scanned = *opts;
    fake->scans_alive++;
    aff_list_append(&fake->scans, &scan->link);
    return scan;
}

struct aff_scan *aff_scan_free(struct aff_scan *scan)
{
    if (!scan)
        return NULL;
    fake_of(scan->opts.port)->scans_alive--;
    fake_of(scan->opts.port)->scans_waiting -= scan->waits;
    aff_list_remove(&scan->link);
    free(scan);
    return NULL;
}

static bool is_wanted(const struct aff_scan *scan, aff_bytes key)
{
    const struct aff_scan_opts *o = &scan->opts;
    if ((o->range.start.data && aff_bytes_compare(key, o->range.start) < 0) ||
        (o->range.end.data && aff_bytes_compare(key, o->range.end) >= 0))
        return false;
    if (!o->after.data)
        return true;
    int order = aff_bytes_compare(key, o->after);
    return o->reverse ? order < 0 : order > 0;
}

static struct fake_value *next_value(const struct aff_scan *scan)
{
    struct fake_router *fake = fake_of(scan->opts.port);
    struct fake_value *best = NULL;
    for (int i = 0; i < FAKE_VALUES_MAX; i++) {
        struct fake_value *v = &fake->values[i];
        aff_bytes key = aff_bytes_of(v->key, v->key_len);
        if (!v->used || !is_wanted(scan, key))
            continue;
        int order = best ? aff_bytes_compare(key, aff_bytes_of(best->key, best->key_len)) : 0;
        if (!best || (scan->opts.reverse ? order > 0 : order < 0))
            best = v;
    }
    return best;
}

int aff_scan_next(struct aff_scan *scan, struct aff_scan_entry *ret_entry, uint32_t *ret_partition)
{
    struct fake_router *fake = fake_of(scan->opts.port);
    const struct fake_script *script = &fake->script;
    assert(aff_loop_here(fake->loop) && !scan->waits);
    if (script->scan_waits_at == scan->told + 1 && !scan->waited) {
        scan->waits = scan->waited = true;
        fake->scans_waiting++;
        return AFF_EAGAIN;
    }
    if (script->scan_fails_at == scan->told + 1) {
        *ret_partition = 5;
        return script->scan_code;
    }
    struct fake_value *v = next_value(scan);
    if (!v)
        return 0;
    *ret_entry = (struct aff_scan_entry){ .key = aff_bytes_of(v->key, v->key_len),
                                          .place = aff_bytes_of(v->key, v->key_len),
                                          .partition = 3,
                                          .identity8 = IDENTITY8 };
    ret_entry->item.version = v->version;
    ret_entry->item.content_type = aff_bytes_of(v->type, v->type_len);
    ret_entry->item.value = scan->opts.keys_only ? aff_str("") : aff_bytes_of(v->bytes, v->len);
    scan->opts.after = copied(ret_entry->key, scan->after);
    scan->told++;
    return 1;
}

void fake_wake_scans(struct fake_router *fake)
{
    aff_list_each(link, &fake->scans) {
        struct aff_scan *scan = aff_container_of(link, struct aff_scan, link);
        if (!scan->waits)
            continue;
        scan->waits = false;
        fake->scans_waiting--;
        scan->opts.ready(scan->opts.self);
    }
}

/* ---- outcomes ---- */

int aff_later_begin(const struct aff_later_opts *opts)
{
    (void)opts;
    return AFF_EBUG; /* no command of these tests asks others */
}

void aff_port_inquire(struct aff_port *port, const struct aff_space *space, struct aff_inquiry *inquiry)
{
    (void)space;
    inquiry->outcome = fake_of(port)->script.inquiry_outcome;
    inquiry->code = fake_of(port)->script.inquiry_code;
    inquiry->answered(inquiry);
}

size_t aff_request_id_print(const struct aff_space *space, uint32_t partition, struct aff_stamp stamp,
                            char out[AFF_REQUEST_ID_MAX])
{
    return (size_t)snprintf(out, AFF_REQUEST_ID_MAX, "%s-%u-%llu", space->name, partition,
                            (unsigned long long)stamp.seq);
}

bool aff_request_id_parse(const struct aff_router *router, aff_bytes text, const struct aff_space **ret_space,
                          uint32_t *ret_partition, struct aff_stamp *ret_stamp)
{
    const char *dash = memchr(text.data, '-', text.len);
    if (!dash)
        return false;
    *ret_space = aff_router_space(router, aff_bytes_of(text.data, (size_t)(dash - (const char *)text.data)));
    *ret_partition = 3;
    *ret_stamp = (struct aff_stamp){ aff_epoch_of(1, 0), 0xabc, 42 };
    return *ret_space != NULL;
}

/* ---- commands ---- */

void aff_command_prepare(struct aff_command_op *op, const struct aff_space *space, const aff_command *command,
                         aff_bytes body, aff_bytes body_type)
{
    op->command = (struct aff_command_call){ space, command, body, body_type, aff_xmalloc(1) };
}

void aff_command_fini(struct aff_command_op *op)
{
    free(op->command.state);
    op->command.state = NULL;
}

/* Every body is a patch; what it comes to is for the script to say. */
int aff_patch_prepare(struct aff_command_op *op, const struct aff_space *space, const struct aff_patch_opts *opts, char *detail,
                      size_t size)
{
    op->command = (struct aff_command_call){ .space = space, .body = opts->body, .body_type = aff_str("") };
    (void)detail;
    (void)size;
    return 0;
}

/* Answers with the value, or says that there is none. */
void aff_command_read(struct aff_command_op *op, const struct aff_found *found)
{
    struct aff_result *r = &op->call.op.result;
    memset(r, 0, sizeof *r);
    r->status = 200;
    r->reply = found->exists ? found->item.value : aff_str("\"nothing\"");
    r->reply_type = aff_str("application/json");
}

/* ---- life ---- */

struct fake_router *fake_router_new(struct aff_loop *loop, const struct aff_space *spaces)
{
    struct fake_router *fake = aff_xcalloc(1, sizeof *fake);
    fake->loop = loop;
    fake->spaces = spaces;
    fake->next_offset = 100;
    aff_list_init(&fake->queue);
    aff_list_init(&fake->held);
    aff_list_init(&fake->answered);
    aff_list_init(&fake->scans);
    fake->hook.run = run_stage;
    aff_loop_hook_add(loop, &fake->hook, AFF_STAGE_PARTITION);
    return fake;
}

void fake_router_free(struct fake_router *fake)
{
    aff_loop_hook_remove(&fake->hook);
    for (int i = 0; i < FAKE_VALUES_MAX; i++)
        free(fake->values[i].bytes);
    free(fake);
}
