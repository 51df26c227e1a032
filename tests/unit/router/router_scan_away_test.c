/*
 * router_scan_away_test.c - scans of partitions that other nodes lead. The other nodes are the same partitions, asked by the questions of
 * the scan: this test decides who leads what, and when an answer comes, is lost, or is another.
 */
#include "router/ask.h"
#include "router/inner.h"
#include "router/later.h"
#include "router/scan_serve.h"
#include "router/scan_wire.h"
#include "scan_fixture.h"

enum { PARTS_MAX = 300, HELD = 2 };

enum place { HERE, THERE, NOBODY };

/* A question that a scan asked, until it is answered. */
struct question {
    struct aff_list link;
    struct aff_ask *ask;
    aff_bytes body;
};

static struct net {
    struct fixture *f;
    enum place led[PARTS_MAX];
    struct aff_list questions;
    struct aff_timer turn;
    struct aff_buf answer; /* of the one that is being served */
    bool answered, elsewhere;
    unsigned asked, forgotten, served, told_here;
    unsigned lost;                           /* of 100 answers so many are lost, and asked for again */
    unsigned moves;                          /* of 100 turns so many move a partition */
    size_t held[PARTS_MAX][HELD], most_held; /* bytes of the last answers of each partition; of all together */
    unsigned char *damage;                   /* NULL, or what an answer is replaced by */
    size_t damage_len;
} * net;

/* ---- the other nodes ---- */

void __wrap_aff_serve_answer(const struct aff_serving *s, const aff_bytes *parts, size_t count);
void __wrap_aff_serve_answer(const struct aff_serving *s, const aff_bytes *parts, size_t count)
{
    (void)s;
    assert_false(net->answered || net->elsewhere);
    net->answered = true;
    for (size_t i = 0; i < count; i++)
        assert_true(aff_buf_add(&net->answer, parts[i].data, parts[i].len));
}

void __wrap_aff_serve_elsewhere(const struct aff_serving *s);
void __wrap_aff_serve_elsewhere(const struct aff_serving *s)
{
    (void)s;
    assert_false(net->answered || net->elsewhere);
    net->elsewhere = true;
}

void __wrap_aff_peer_refuse(struct aff_peer_question *q);
void __wrap_aff_peer_refuse(struct aff_peer_question *q)
{
    (void)q;
    fail_msg("a question was refused");
}

static void set_serves(uint32_t partition, bool serves)
{
    atomic_store(&aff_partition_shared(net->f->parts[partition])->serves, serves);
}

static void lead(uint32_t partition, enum place place)
{
    net->led[partition] = place;
    set_serves(partition, place == HERE);
}

static void serve(uint32_t partition, aff_bytes body)
{
    struct aff_serving s = { .port = net->f->port, .space = net->f->space, .partition = partition, .body = body };

    aff_buf_clear(&net->answer);
    net->answered = net->elsewhere = false;
    aff_scan_serve(&s);
}

static void note_held(uint32_t partition, size_t bytes)
{
    size_t sum = 0;

    net->held[partition][1] = net->held[partition][0];
    net->held[partition][0] = bytes;
    for (uint32_t i = 0; i < net->f->count; i++)
        sum += net->held[i][0] + net->held[i][1];
    if (sum > net->most_held)
        net->most_held = sum;
}

static void end_question(struct question *q, int code, aff_bytes answer)
{
    struct aff_ask *ask = q->ask;

    aff_list_remove(&q->link);
    free((void *)(uintptr_t)q->body.data);
    free(q);
    ask->answered(ask, code, answer);
}

static void answer_by_leader(struct question *q)
{
    struct aff_scan_question asked;

    set_serves(q->ask->partition, true);
    serve(q->ask->partition, q->body);
    set_serves(q->ask->partition, false);
    assert_true(net->answered);
    if (below(net->f, 100) < net->lost)
        return; /* it is asked again: reads may be */
    net->served++;
    assert_true(aff_scan_question_take(q->body, &asked));
    if (!asked.key.data)
        note_held(q->ask->partition, net->answer.len);
    if (net->damage)
        end_question(q, 0, aff_bytes_of(net->damage, net->damage_len));
    else
        end_question(q, 0, aff_buf_view(&net->answer));
}

static struct question *some_question(void)
{
    struct aff_list *link = net->questions.next;
    uint64_t count = 0;

    for (; link != &net->questions; link = link->next)
        count++;
    link = net->questions.next;
    for (uint64_t at = below(net->f, count); at > 0; at--)
        link = link->next;
    return aff_container_of(link, struct question, link);
}

static void move_some(void)
{
    if (below(net->f, 100) < net->moves)
        lead((uint32_t)below(net->f, net->f->count), below(net->f, 10) < 6 ? THERE : HERE);
}

static void take_turn(struct aff_timer *timer)
{
    struct question *q;

    (void)timer;
    move_some();
    if (aff_list_empty(&net->questions))
        return;
    q = some_question();
    switch (net->led[q->ask->partition]) {
    case THERE:
        answer_by_leader(q);
        break;
    case HERE:
        net->told_here++;
        end_question(q, AFF_ASK_HERE, aff_str(""));
        break;
    case NOBODY:
        end_question(q, AFF_ENOMASTER, aff_str(""));
    }
    if (!aff_list_empty(&net->questions))
        aff_loop_timer_set(net->f->loops[0], &net->turn, aff_loop_now(net->f->loops[0]));
}

void __wrap_aff_port_ask(struct aff_port *port, const struct aff_space *space, struct aff_ask *ask,
                         const aff_bytes *parts, size_t count);
void __wrap_aff_port_ask(struct aff_port *port, const struct aff_space *space, struct aff_ask *ask,
                         const aff_bytes *parts, size_t count)
{
    struct question *q = calloc(1, sizeof *q);

    assert_ptr_equal(port, net->f->port);
    assert_ptr_equal(space, net->f->space);
    assert_int_equal(count, 1);
    assert_int_equal(ask->kind, AFF_WIRE_SCAN);
    q->ask = ask;
    q->body = aff_bytes_of(memcpy(malloc(parts->len), parts->data, parts->len), parts->len);
    aff_list_append(&net->questions, &q->link);
    net->asked++;
    aff_loop_timer_set(net->f->loops[0], &net->turn, aff_loop_now(net->f->loops[0]));
}

void __wrap_aff_port_ask_forget(struct aff_port *port, struct aff_ask *ask);
void __wrap_aff_port_ask_forget(struct aff_port *port, struct aff_ask *ask)
{
    (void)port;
    for (struct aff_list *link = net->questions.next; link != &net->questions; link = link->next) {
        struct question *q = aff_container_of(link, struct question, link);

        if (q->ask != ask)
            continue;
        aff_list_remove(&q->link);
        free((void *)(uintptr_t)q->body.data);
        free(q);
        net->forgotten++;
        return;
    }
    fail_msg("a question was forgotten that is not under way");
}

/* ---- fixture ---- */

static struct fixture *cluster_of(struct fixture *f)
{
    net = calloc(1, sizeof *net);
    net->f = f;
    aff_list_init(&net->questions);
    aff_buf_init(&net->answer);
    net->turn.fire = take_turn;
    f->router->cluster.coordinator = f->coordinator;
    return f;
}

static struct fixture *cluster_new(uint32_t partitions)
{
    return cluster_of(fixture_new(partitions));
}

static void cluster_free(struct fixture *f)
{
    assert_true(aff_list_empty(&net->questions)); /* nobody waits any more */
    for (uint32_t i = 0; i < f->count; i++)
        lead(i, HERE);
    aff_loop_timer_cancel(f->loops[0], &net->turn);
    aff_buf_fini(&net->answer);
    fixture_free(f);
    free(net);
    net = NULL;
}

static void lead_all(enum place place)
{
    for (uint32_t i = 0; i < net->f->count; i++)
        lead(i, place);
}

static void lead_by_chance(void)
{
    for (uint32_t i = 0; i < net->f->count; i++)
        lead(i, below(net->f, 3) ? THERE : HERE);
}

/* ---- the main way ---- */

static aff_bytes some_key(struct fixture *f)
{
    return below(f, 4) ? key_of(&f->records[below(f, KEYS)]) : aff_bytes_of(NULL, 0);
}

static void expect_some_ranges(struct fixture *f)
{
    for (int i = 0; i < 10; i++)
        expect_scan(f, (struct aff_scan_opts){ .range = { some_key(f), some_key(f) },
                                               .after = below(f, 2) ? some_key(f) : aff_bytes_of(NULL, 0),
                                               .reverse = below(f, 2),
                                               .keys_only = below(f, 2) });
}

static void what_others_lead_is_told_like_what_is_led_here(void **state)
{
    static const uint32_t counts[] = { 1, 3, 8 };

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct fixture *f = cluster_new(counts[i]);

        fill(f, 100000);
        lead_all(THERE);
        assert_int_equal(expect_scan(f, (struct aff_scan_opts){ .reverse = false }), KEYS);
        assert_int_equal(expect_scan(f, (struct aff_scan_opts){ .reverse = true, .keys_only = true }), KEYS);
        assert_int_equal(net->told_here, 0);
        lead_by_chance();
        assert_int_equal(expect_scan(f, (struct aff_scan_opts){ .reverse = true }), KEYS);
        expect_some_ranges(f);
        cluster_free(f);
    }
}

/* Its shares are too small for a chunk ahead, and most values are over them. */
static void many_partitions_of_others_are_merged_as_few(void **state)
{
    struct fixture *f = cluster_new(270);

    (void)state;
    fill(f, 3000);
    lead_all(THERE);
    assert_int_equal(expect_scan(f, (struct aff_scan_opts){ .reverse = false }), KEYS);
    cluster_free(f);
}

static void nothing_is_asked_of_others_that_is_led_here(void **state)
{
    struct fixture *f = cluster_new(4);

    (void)state;
    fill(f, 90000);
    assert_int_equal(expect_scan(f, (struct aff_scan_opts){ .reverse = false }), KEYS);
    assert_int_equal(net->asked, 0);
    cluster_free(f);
}

static void a_mebibyte_and_nothing_come_from_others_too(void **state)
{
    struct fixture *f = cluster_new(3);

    (void)state;
    fill(f, 10);
    for (int i = 0; i < 6; i++) {
        struct record *r = &f->records[i * 7];

        r->size = i % 2 ? VALUE_MAX : 0;
        write_one(f, r, true);
    }
    lead_all(THERE);
    expect_scan(f, (struct aff_scan_opts){ .keys_only = false });
    expect_scan(f, (struct aff_scan_opts){ .reverse = true, .keys_only = true });
    cluster_free(f);
}

/* ---- an index ---- */

static uint64_t digest_of_scan(struct fixture *f, const struct aff_index_range *terms, bool reverse)
{
    struct walk w;
    struct aff_scan_entry e;
    uint64_t sum = 1469598103934665603ULL;
    int code, n = 0;

    walk_begin(&w, f, (struct aff_scan_opts){ .index = terms, .reverse = reverse });
    while ((code = walk_next(&w, &e)) == 1) {
        const aff_bytes told[] = { e.key, e.place, e.item.value, e.item.content_type };
        struct aff_digest digest = aff_digest_of(told, 4);

        sum = (sum ^ aff_get_u64(digest.b)) * 1099511628211ULL;
        n++;
    }
    assert_int_equal(code, 0);
    assert_int_equal(n, KEYS);
    aff_scan_free(w.scan);
    return sum;
}

static void queries_by_an_index_are_asked_of_others(void **state)
{
    struct fixture *f = cluster_of(fixture_indexed(5));
    struct aff_index_range all = { 0, { NULL, 0 }, { NULL, 0 } };
    uint64_t here[2];

    (void)state;
    fill(f, 90000);
    for (int reverse = 0; reverse < 2; reverse++)
        here[reverse] = digest_of_scan(f, &all, reverse);
    assert_true(here[0] != here[1]);
    lead_by_chance();
    lead(0, THERE);
    for (int reverse = 0; reverse < 2; reverse++)
        assert_true(digest_of_scan(f, &all, reverse) == here[reverse]);
    assert_true(net->served > 0);
    cluster_free(f);
}

/* ---- faults ---- */

static void leaders_that_change_in_the_middle_leave_no_gap_and_no_repetition(void **state)
{
    struct fixture *f = cluster_new(6);

    (void)state;
    fill(f, 30000);
    net->moves = 30;
    net->lost = 20;
    for (int i = 0; i < 10; i++) {
        lead_by_chance();
        assert_int_equal(expect_scan(f, (struct aff_scan_opts){ .reverse = i % 2, .keys_only = i % 3 == 0 }), KEYS);
    }
    assert_true(net->told_here > 0 && net->served > 0);
    cluster_free(f);
}

static void a_partition_that_nobody_leads_ends_a_scan(void **state)
{
    struct fixture *f = cluster_new(4);
    struct walk w;
    struct aff_scan_entry e;
    int code, n = 0;

    (void)state;
    fill(f, 10000);
    lead_all(THERE);
    lead(2, NOBODY);
    walk_begin(&w, f, (struct aff_scan_opts){ .reverse = false });
    assert_int_equal(walk_next(&w, &e), AFF_ENOMASTER); /* before anything is told */
    assert_int_equal(w.partition, 2);
    aff_scan_free(w.scan);
    lead(2, THERE);
    walk_begin(&w, f, (struct aff_scan_opts){ .reverse = false });
    assert_int_equal(walk_next(&w, &e), 1);
    lead(1, NOBODY);
    for (n = 1; (code = walk_next(&w, &e)) == 1; n++)
        expect_entry(&w, &f->records[n], &e);
    assert_int_equal(code, AFF_ENOMASTER);
    assert_int_equal(w.partition, 1);
    assert_in_range(n, 2, KEYS - 1);
    aff_scan_free(w.scan);
    cluster_free(f);
}

/* While the one that was read ahead is told, its leader is away for a moment. */
static void a_leader_that_is_back_in_time_was_not_missed(void **state)
{
    struct fixture *f = cluster_new(2);
    struct walk w;
    struct aff_scan_entry e;
    int code, n = 0;

    (void)state;
    fill(f, 200);
    lead_all(THERE);
    walk_begin(&w, f, (struct aff_scan_opts){ .reverse = false });
    while ((code = walk_next(&w, &e)) == 1) {
        unsigned asked = net->asked;

        expect_entry(&w, &f->records[n++], &e);
        if (aff_list_empty(&net->questions))
            continue;
        lead_all(NOBODY);
        while (!aff_list_empty(&net->questions))
            pass(f);
        assert_int_equal(net->asked, asked);
        lead_all(THERE);
    }
    assert_int_equal(code, 0);
    assert_int_equal(n, KEYS);
    aff_scan_free(w.scan);
    cluster_free(f);
}

/* The router says that this node leads, and its partition says that it does not. */
static void a_partition_that_nobody_owns_to_lead_is_given_up(void **state)
{
    struct fixture *f = cluster_new(2);
    struct walk w;
    struct aff_scan_entry e;

    (void)state;
    lead(1, HERE);
    set_serves(1, false);
    walk_begin(&w, f, (struct aff_scan_opts){ .reverse = false });
    assert_int_equal(walk_next(&w, &e), AFF_ENOMASTER);
    assert_int_equal(w.partition, 1);
    assert_in_range(net->asked, 1, 10);
    aff_scan_free(w.scan);
    cluster_free(f);
}

static void what_is_read_ahead_is_bounded(void **state)
{
    static const uint32_t counts[] = { 1, 7, 40, 200 };

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct fixture *f = cluster_new(counts[i]);

        fill(f, 2000);
        lead_all(THERE);
        expect_scan(f, (struct aff_scan_opts){ .reverse = false });
        assert_in_range(net->most_held, 1, AFF_SCAN_AHEAD + counts[i] * 2 * (AFF_KEY_MAX + 32));
        cluster_free(f);
    }
}

static void a_scan_is_freed_while_others_are_asked(void **state)
{
    struct fixture *f = cluster_new(4);
    struct walk w;
    struct aff_scan_entry e;

    (void)state;
    fill(f, 2000);
    lead_all(THERE);
    for (int told = 0; told < 40; told++) {
        walk_begin(&w, f, (struct aff_scan_opts){ .reverse = false });
        for (int i = 0; i < told * 20; i++)
            assert_int_equal(walk_next(&w, &e), 1);
        (void)aff_scan_next(w.scan, &e, NULL);
        w.scan = aff_scan_free(w.scan);
        assert_true(aff_list_empty(&net->questions));
        w.ready = 0;
        for (int i = 0; i < 3; i++)
            pass(f);
        assert_int_equal(w.ready, 0);
    }
    assert_true(net->forgotten > 0);
    cluster_free(f);
}

/* ---- eventual ---- */

static void any_copy_will_do_for_an_eventual_scan(void **state)
{
    struct fixture *f = cluster_new(3);
    struct walk w;
    struct aff_scan_entry e;
    atomic_int *role;
    int before;

    (void)state;
    fill(f, 100);
    lead_all(THERE); /* this node follows */
    assert_int_equal(expect_scan(f, (struct aff_scan_opts){ .local = true }), KEYS);
    assert_int_equal(net->asked, 0);
    role = &aff_partition_shared(f->parts[1])->role;
    before = atomic_exchange(role, AFF_ROLE_AWAY); /* and holds no replica of this one */
    lead(1, NOBODY);
    walk_begin(&w, f, (struct aff_scan_opts){ .local = true });
    assert_int_equal(walk_next(&w, &e), AFF_ENOMASTER);
    assert_int_equal(w.partition, 1);
    aff_scan_free(w.scan);
    atomic_store(role, before);
    cluster_free(f);
}

/* ---- the answering side ---- */

static aff_bytes question_of(struct aff_buf *room, const struct aff_scan_question *q)
{
    aff_buf_clear(room);
    assert_true(aff_scan_question_put(room, q));
    return aff_buf_view(room);
}

static void await_answer(struct fixture *f)
{
    while (!net->answered && !net->elsewhere)
        pass(f);
}

static void an_answer_is_proven(void **state)
{
    struct fixture *f = cluster_new(1);
    struct aff_scan_question q = { .bytes = 10000 };
    struct aff_scan_reply reply;
    struct aff_buf room;

    (void)state;
    aff_buf_init(&room);
    fill(f, 100);
    serve(0, question_of(&room, &q));
    assert_true(net->answered); /* by the lease */
    leased = false;
    serve(0, question_of(&room, &q));
    assert_false(net->answered); /* a barrier first */
    await_answer(f);
    assert_true(net->answered);
    assert_true(aff_scan_reply_take(aff_buf_view(&net->answer), &q, &reply));
    assert_int_equal(reply.code, 0);
    assert_true(reply.more && reply.entries.len > 0);
    serve(0, question_of(&room, &q));
    set_serves(0, false); /* deposed, while the barrier is under way */
    await_answer(f);
    assert_true(net->elsewhere);
    serve(0, question_of(&room, &q));
    assert_true(net->elsewhere); /* at once */
    q.local = true;
    serve(0, question_of(&room, &q));
    assert_true(net->answered);
    set_serves(0, true);
    aff_buf_fini(&room);
    cluster_free(f);
}

static void an_index_that_is_declared_otherwise_there_is_not_asked(void **state)
{
    struct fixture *f = cluster_of(fixture_indexed(1));
    struct aff_scan_question q = { .bytes = 10000, .indexed = true, .index = aff_str("last") };
    struct aff_scan_reply reply;
    struct aff_buf room;

    (void)state;
    aff_buf_init(&room);
    q.declared = f->finder.base.items[0].digest;
    serve(0, question_of(&room, &q));
    assert_true(net->answered && aff_scan_reply_take(aff_buf_view(&net->answer), &q, &reply));
    assert_int_equal(reply.code, 0);
    q.declared.b[3] ^= 1;
    serve(0, question_of(&room, &q));
    assert_true(net->answered && aff_scan_reply_take(aff_buf_view(&net->answer), &q, &reply));
    assert_int_equal(reply.code, AFF_EBUILDING);
    q.index = aff_str("first");
    serve(0, question_of(&room, &q));
    assert_true(net->answered && aff_scan_reply_take(aff_buf_view(&net->answer), &q, &reply));
    assert_int_equal(reply.code, AFF_EBUILDING);
    aff_buf_fini(&room);
    cluster_free(f);
}

/* ---- what was damaged on the way, or is of a node that does not know better ---- */

static void questions_and_answers_are_not_trusted(void **state)
{
    struct fixture *f = cluster_new(1);
    struct aff_scan_question q = { .bytes = 3000, .step = { .from = aff_str("a"), .until = aff_str("q") } }, taken;
    struct aff_scan_reply reply;
    struct aff_buf room;
    size_t len;

    (void)state;
    aff_buf_init(&room);
    fill(f, 100);
    len = question_of(&room, &q).len;
    for (size_t cut = 0; cut < len; cut++)
        assert_false(aff_scan_question_take(aff_bytes_of(room.data, cut), &taken));
    serve(0, aff_buf_view(&room));
    assert_true(aff_scan_reply_take(aff_buf_view(&net->answer), &q, &reply));
    for (size_t at = 0; at < net->answer.len; at++) {
        net->answer.data[at] ^= 0xff;
        (void)aff_scan_reply_take(aff_buf_view(&net->answer), &q, &reply);
        net->answer.data[at] ^= 0xff;
    }
    q.step.until = aff_str("b"); /* it tells more than was asked for */
    assert_false(aff_scan_reply_take(aff_buf_view(&net->answer), &q, &reply));
    q.step.until = aff_str("q");
    q.step.from = aff_str("pq"); /* or what was told before */
    assert_false(aff_scan_reply_take(aff_buf_view(&net->answer), &q, &reply));
    q.step = (struct aff_store_step){ .reverse = true };
    assert_false(aff_scan_reply_take(aff_buf_view(&net->answer), &q, &reply));
    serve(0, aff_str("\x40")); /* a question that is none is answered */
    assert_true(net->answered && aff_scan_reply_take(aff_buf_view(&net->answer), &q, &reply));
    assert_int_equal(reply.code, AFF_EINVAL);
    aff_buf_fini(&room);
    cluster_free(f);
}

static void a_damaged_answer_ends_a_scan(void **state)
{
    struct fixture *f = cluster_new(2);
    struct walk w;
    struct aff_scan_entry e;
    unsigned char nonsense[40];

    (void)state;
    memset(nonsense, 0, sizeof nonsense);
    fill(f, 100);
    lead_all(THERE);
    net->damage = nonsense;
    for (net->damage_len = 0; net->damage_len < sizeof nonsense; net->damage_len += 13) {
        nonsense[8] = (unsigned char)net->damage_len;
        walk_begin(&w, f, (struct aff_scan_opts){ .reverse = false });
        assert_int_equal(walk_next(&w, &e), AFF_EIO);
        aff_scan_free(w.scan);
    }
    cluster_free(f);
}

/* ---- a query to every partition (affinity/ask.h) ---- */

static struct scattered {
    aff_scatter_query query;
    int64_t deadline_ns;
    bool only_one;      /* of each partition */
    int code;           /* of aff_scatter() */
    bool five;          /* are asked, one more than there may be: */
    int fifth;          /* what the last was told */
    unsigned told[256]; /* by partition */
    int last[256];      /* the record that it told last */
    unsigned gathered, replied;
    uint32_t missing_count;
    aff_missing missing[256];
    uint64_t entries;
} scattered;

static int record_of(aff_bytes key)
{
    for (int i = 0; i < KEYS; i++)
        if (aff_bytes_equal(key_of(&net->f->records[i]), key))
            return i;
    return -1;
}

static bool take_entry(aff_later *later, const aff_scattered *entry, void *arg)
{
    uint32_t partition = entry->value->partition;
    int record = record_of(entry->key);

    (void)later;
    assert_ptr_equal(arg, &scattered);
    assert_int_equal(aff_space_partition(net->f->space, entry->key), partition);
    assert_true(record >= 0 && net->f->records[record].there);
    assert_true(scattered.told[partition]++ == 0 || scattered.last[partition] < record);
    scattered.last[partition] = record;
    return !scattered.only_one;
}

static void take_result(aff_later *later, const aff_gathered *result, void *arg)
{
    (void)arg;
    assert_int_equal(result->partitions, net->f->count);
    scattered.gathered++;
    scattered.missing_count = result->missing_count;
    memcpy(scattered.missing, result->missing, result->missing_count * sizeof *result->missing);
    scattered.entries = result->entries;
    assert_int_equal(aff_later_reply(later, 200, aff_str("1"), NULL), 0);
}

static int scatter(aff_later *later)
{
    scattered.code = aff_scatter(later, &scattered.query, take_entry, take_result, &scattered);
    for (int i = 0; i < 4 && scattered.five; i++)
        scattered.fifth = aff_scatter(later, &scattered.query, take_entry, take_result, &scattered);
    return scattered.code;
}

static void note_reply(void *self, const struct aff_result *result)
{
    (void)self;
    assert_int_equal(result->code, scattered.code);
    scattered.replied++;
}

static void run_scatter(aff_scatter_query query)
{
    static const aff_command command = { .size = sizeof command, .name = "scatter", .later = scatter };
    struct aff_later_opts opts = { .port = net->f->port,
                                   .space = net->f->space,
                                   .command = &command,
                                   .key = aff_str("k"),
                                   .deadline_ns = scattered.deadline_ns,
                                   .replied = note_reply };

    query.size = sizeof query;
    if (!query.keyspace)
        query.keyspace = net->f->space->name;
    scattered.query = query;
    assert_int_equal(aff_later_begin(&opts), 0);
    while (scattered.replied == 0 || scattered.gathered < (scattered.code == 0) + 3U * scattered.five)
        pass(net->f);
    pass(net->f);
    assert_int_equal(scattered.replied, 1);
}

static void every_partition_tells_all_of_its_entries(void **state)
{
    struct fixture *f = cluster_new(40);

    (void)state;
    fill(f, 3000);
    lead_by_chance();
    net->moves = 20;
    net->lost = 10;
    scattered = (struct scattered){ .five = false };
    run_scatter((aff_scatter_query){ .keys_only = false });
    assert_int_equal(scattered.missing_count, 0);
    assert_int_equal(scattered.entries, KEYS);
    scattered = (struct scattered){ .only_one = true };
    run_scatter((aff_scatter_query){ .keys_only = true });
    assert_int_equal(scattered.entries, f->count);
    cluster_free(f);
}

static void a_partition_that_nobody_leads_is_missing_and_no_other(void **state)
{
    struct fixture *f = cluster_new(30);

    (void)state;
    fill(f, 300);
    lead_by_chance();
    lead(22, NOBODY);
    lead(5, NOBODY);
    scattered = (struct scattered){ .five = false };
    run_scatter((aff_scatter_query){ .keys_only = false });
    assert_int_equal(scattered.missing_count, 2);
    assert_int_equal(scattered.missing[0].partition, 5);
    assert_int_equal(scattered.missing[1].partition, 22);
    assert_int_equal(scattered.missing[0].code, AFF_ENOMASTER);
    for (uint32_t p = 0; p < f->count; p++)
        assert_true((scattered.told[p] > 0) == (p != 5 && p != 22));
    cluster_free(f);
}

static void who_does_not_answer_in_time_is_missing(void **state)
{
    struct fixture *f = cluster_new(30);

    (void)state;
    fill(f, 300);
    lead_all(THERE);
    lead(7, HERE);
    net->lost = 100;
    scattered = (struct scattered){ .deadline_ns = aff_loop_now(f->loops[0]) + 30 * AFF_NS_PER_MS };
    run_scatter((aff_scatter_query){ .keys_only = false });
    assert_int_equal(scattered.gathered, 1);
    assert_int_equal(scattered.missing_count, f->count - 1);
    for (uint32_t i = 0; i < scattered.missing_count; i++) {
        assert_int_equal(scattered.missing[i].partition, i + (i >= 7));
        assert_int_equal(scattered.missing[i].code, AFF_ETIMEDOUT);
    }
    assert_int_equal(scattered.entries, scattered.told[7]);
    cluster_free(f);
}

static void only_keys_with_the_prefix_are_told(void **state)
{
    struct fixture *f = cluster_new(5);
    aff_bytes prefix;
    uint64_t wanted = 0;

    (void)state;
    fill(f, 300);
    lead_by_chance();
    prefix = aff_bytes_of(f->records[KEYS / 2].key, 1);
    for (int i = 0; i < KEYS; i++)
        wanted += f->records[i].key_len > 0 && f->records[i].key[0] == f->records[KEYS / 2].key[0];
    scattered = (struct scattered){ .five = false };
    run_scatter((aff_scatter_query){ .prefix = prefix });
    assert_int_equal(scattered.entries, wanted);
    cluster_free(f);
}

static void what_cannot_be_scattered_is_said(void **state)
{
    static const char long_prefix[AFF_KEY_MAX + 1] = "x";
    struct fixture *f = cluster_new(3);

    (void)state;
    scattered = (struct scattered){ .five = false };
    run_scatter((aff_scatter_query){ .keyspace = "nobody" });
    assert_int_equal(scattered.code, AFF_ENOTFOUND);
    scattered = (struct scattered){ .five = false };
    run_scatter((aff_scatter_query){ .prefix = aff_bytes_of(long_prefix, sizeof long_prefix) });
    assert_int_equal(scattered.code, AFF_EINVAL);
    scattered = (struct scattered){ .five = true };
    run_scatter((aff_scatter_query){ .keys_only = true });
    assert_int_equal(scattered.fifth, AFF_EQUEUEFULL);
    assert_int_equal(scattered.gathered, 4);
    cluster_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_partition_tells_all_of_its_entries),
        cmocka_unit_test(a_partition_that_nobody_leads_is_missing_and_no_other),
        cmocka_unit_test(who_does_not_answer_in_time_is_missing),
        cmocka_unit_test(only_keys_with_the_prefix_are_told),
        cmocka_unit_test(what_cannot_be_scattered_is_said),
        cmocka_unit_test(what_others_lead_is_told_like_what_is_led_here),
        cmocka_unit_test(many_partitions_of_others_are_merged_as_few),
        cmocka_unit_test(nothing_is_asked_of_others_that_is_led_here),
        cmocka_unit_test(a_mebibyte_and_nothing_come_from_others_too),
        cmocka_unit_test(queries_by_an_index_are_asked_of_others),
        cmocka_unit_test(leaders_that_change_in_the_middle_leave_no_gap_and_no_repetition),
        cmocka_unit_test(a_partition_that_nobody_leads_ends_a_scan),
        cmocka_unit_test(a_leader_that_is_back_in_time_was_not_missed),
        cmocka_unit_test(a_partition_that_nobody_owns_to_lead_is_given_up),
        cmocka_unit_test(what_is_read_ahead_is_bounded),
        cmocka_unit_test(a_scan_is_freed_while_others_are_asked),
        cmocka_unit_test(any_copy_will_do_for_an_eventual_scan),
        cmocka_unit_test(an_answer_is_proven),
        cmocka_unit_test(an_index_that_is_declared_otherwise_there_is_not_asked),
        cmocka_unit_test(questions_and_answers_are_not_trusted),
        cmocka_unit_test(a_damaged_answer_ends_a_scan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
