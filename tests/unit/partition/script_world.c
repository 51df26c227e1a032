/*
 * script_world.c - see script_world.h. The store is in script_store.c.
 */
#include "script_world.h"

#include "script_store.h"

enum { PASSES_MAX = 100, TICKS_MAX = 100000, FIRST_NONCE = 101 };

/* ---- the world as the core sees it: log ---- */

static aff_bytes keep(char **at, aff_bytes b)
{
    aff_bytes kept = { NULL, b.len };

    if (!b.data)
        return b;
    kept.data = *at;
    if (b.len)
        memcpy(*at, b.data, b.len);
    *at += b.len;
    return kept;
}

static struct script_entry entry_of(const struct aff_record *rec)
{
    struct script_entry e = { .stamp = rec->stamp, .kind = rec->kind };
    struct aff_buf header;
    char *at;

    aff_buf_init(&header);
    if (rec->kind != AFF_KIND_FOREIGN)
        assert_true(aff_record_encode(rec, &header));
    at = e.owned = malloc(rec->key.len + rec->value.len + header.len + rec->content_type.len + rec->traceparent.len +
                          1);
    e.view.key = keep(&at, rec->key);
    e.view.value = keep(&at, rec->value);
    if (rec->kind != AFF_KIND_FOREIGN)
        e.view.aff = keep(&at, aff_buf_view(&header));
    e.view.content_type = keep(&at, rec->content_type);
    e.view.traceparent = keep(&at, rec->traceparent);
    aff_buf_fini(&header);
    return e;
}

static int log_append(struct aff_world_log *w, const struct aff_record *rec)
{
    struct script *s = aff_container_of(w, struct script, log);

    if (s->append_code)
        return s->append_code;
    if ((s->sent_count & (s->sent_count - 1)) == 0) /* room for a power of two of them */
        s->sent = realloc(s->sent, (s->sent_count ? 2 * s->sent_count : 1) * sizeof *s->sent);
    s->sent[s->sent_count++] = (struct script_sent){ .entry = entry_of(rec), .producer = s->producer, .offset = -1 };
    return 0;
}

static void log_read(struct aff_world_log *w, int64_t from, bool wait, uint64_t ticket)
{
    struct script *s = aff_container_of(w, struct script, log);

    s->read_open = true;
    s->read_from = from;
    s->read_wait = wait;
    s->read_ticket = ticket;
}

static void log_reset(struct aff_world_log *w)
{
    aff_container_of(w, struct script, log)->producer++;
}

static void log_keep_from(struct aff_world_log *w, int64_t offset)
{
    aff_container_of(w, struct script, log)->keep_from = offset;
}

/* ---- coordinator, entropy, host ---- */

static void request_epoch(struct aff_world_coordinator *w, uint32_t above)
{
    struct script *s = aff_container_of(w, struct script, coordinator);

    s->asked_epoch = true;
    s->epoch_above = above;
}

static void deposed(struct aff_world_coordinator *w, aff_epoch newer)
{
    struct script *s = aff_container_of(w, struct script, coordinator);

    s->deposed++;
    s->deposed_by = newer;
}

static void heard(struct aff_world_coordinator *w)
{
    aff_container_of(w, struct script, coordinator)->heard++;
}

static int64_t lease_until(struct aff_world_coordinator *w, uint32_t major)
{
    (void)major;
    return aff_container_of(w, struct script, coordinator)->lease_until;
}

static void gave(struct aff_world_coordinator *w, bool taken)
{
    struct script *s = aff_container_of(w, struct script, coordinator);

    if (taken)
        s->gave_taken++;
    else
        s->gave_back++;
}

static void took(struct aff_world_coordinator *w, uint32_t major)
{
    struct script *s = aff_container_of(w, struct script, coordinator);

    s->took++;
    s->took_major = major;
}

static void net_go(struct aff_world_net *w, const struct aff_go *go, int64_t deadline_ns)
{
    struct script *s = aff_container_of(w, struct script, net);

    s->go = *go;
    s->go_deadline_ns = deadline_ns;
    s->goes++;
    s->served_at_go = s->standing.serves;
}

static void net_moved(struct aff_world_net *w)
{
    aff_container_of(w, struct script, net)->moved++;
}

static void net_taken(struct aff_world_net *w, uint32_t major, bool leads)
{
    struct script *s = aff_container_of(w, struct script, net);

    s->taken_major = major;
    if (leads)
        s->taken++;
    else
        s->refused++;
}

static uint64_t entropy_u64(struct aff_world_entropy *w)
{
    return ++aff_container_of(w, struct script, entropy)->drawn;
}

static void changed(struct aff_world_host *w, const struct aff_standing *standing)
{
    struct script *s = aff_container_of(w, struct script, host);

    if (standing->serves && !s->standing.serves && s->changed)
        fail_msg("readers may be served while what they must see is not committed (I5)");
    s->standing = *standing;
}

/* ---- life ---- */

void script_make(struct script *s)
{
    struct aff_world world = {
        .log = &s->log,
        .store = &s->store,
        .coordinator = &s->coordinator,
        .net = &s->net,
        .clock = &s->clock.clock,
        .entropy = &s->entropy,
        .host = &s->host,
    };

    assert_int_equal(aff_core_new(&s->opts, &world, &s->core), 0);
    aff_core_standing(s->core, &s->standing);
}

struct script *script_new(void)
{
    struct script *s = calloc(1, sizeof *s);

    s->opts = (struct aff_core_opts){ .keyspace = "things",
                                      .partitions = 4,
                                      .index = 2,
                                      .nonce = FIRST_NONCE,
                                      .compaction_lag_ms = 3600 * 1000,
                                      .tombstone_retention_ms = 7 * 24 * 3600 * INT64_C(1000) };
    s->log = (struct aff_world_log){ log_append, log_read, log_reset, log_keep_from };
    s->coordinator = (struct aff_world_coordinator){
        .request_epoch = request_epoch,
        .deposed = deposed,
        .heard = heard,
        .lease_until = lease_until,
        .gave = gave,
        .took = took,
    };
    s->net = (struct aff_world_net){ net_go, net_moved, net_taken };
    s->entropy.u64 = entropy_u64;
    s->host.changed = changed;
    s->log_time_ms = INT64_MIN;
    s->keep_from = -1;
    aff_list_init(&s->asks);
    aff_virtual_clock_init(&s->clock);
    script_store_init(s);
    return s;
}

static void free_asks(struct script *s)
{
    struct aff_list *node;

    while ((node = aff_list_take(&s->asks))) {
        struct ask *a = aff_container_of(node, struct ask, link);

        assert_int_equal(a->done, 1); /* I10: one answer, then one release */
        assert_int_equal(a->released, 1);
        free(a);
    }
}

void script_free(struct script *s)
{
    s->core = aff_core_free(s->core);
    free_asks(s);
    script_truncate(s, 0);
    for (size_t i = 0; i < s->sent_count; i++)
        free(s->sent[i].entry.owned);
    free(s->entries);
    free(s->sent);
    script_store_fini(s);
    free(s);
}

int script_setup(void **state)
{
    struct script *s = script_new();

    script_start(s);
    *state = s;
    return 0;
}

int script_setup_leading(void **state)
{
    script_setup(state);
    script_lead(*state);
    return 0;
}

int script_teardown(void **state)
{
    script_free(*state);
    return 0;
}

void script_pass(struct script *s)
{
    int passes = 0;

    while (aff_core_flush(s->core))
        if (++passes == PASSES_MAX)
            fail_msg("the core asks for another pass for ever");
}

void script_start(struct script *s)
{
    if (!s->core)
        script_make(s);
    aff_core_start(s->core);
    script_pass(s);
    script_read(s);
}

void script_grant(struct script *s, uint32_t major)
{
    assert_true(s->asked_epoch);
    s->asked_epoch = false;
    aff_core_granted(s->core, major);
    script_pass(s);
}

void script_lead(struct script *s)
{
    struct aff_standing standing;

    aff_core_lead(s->core);
    script_pass(s);
    script_read(s);
    script_grant(s, s->epoch_above + 1);
    script_ack(s);
    script_read(s);
    aff_core_standing(s->core, &standing);
    assert_int_equal(standing.role, AFF_ROLE_MASTER);
}

void script_resign(struct script *s)
{
    aff_core_resign(s->core);
    script_pass(s);
}

void script_restart(struct script *s)
{
    script_store_crash(s);
    s->faults[STORE_COMMIT] = AFF_EIO; /* a process that is gone commits nothing */
    aff_core_free(s->core);
    memset(s->faults, 0, sizeof s->faults);
    script_store_crash(s);
    s->producer++;
    s->read_open = s->asked_epoch = false;
    s->opts.nonce++;
    script_make(s);
    script_start(s);
}

void script_after(struct script *s, int64_t ms)
{
    int64_t until = s->clock.now_ns + ms * AFF_NS_PER_MS, next;
    int ticks = 0;

    while ((next = aff_core_next_tick(s->core)) <= until) {
        if (next > s->clock.now_ns)
            s->clock.now_ns = next;
        aff_core_tick(s->core);
        script_pass(s);
        if (++ticks == TICKS_MAX)
            fail_msg("the core asks for ticks for ever");
    }
    s->clock.now_ns = until;
}

/* ---- the log, by hand ---- */

/* At the end of the log; takes the entry over. */
static int64_t stand(struct script *s, struct script_entry e)
{
    int64_t time_ms = s->log_time_ms != INT64_MIN ? s->log_time_ms : aff_wall_ms(&s->clock.clock);

    if (s->end > 0 && s->entries[s->end - 1].view.time_ms > time_ms)
        time_ms = s->entries[s->end - 1].view.time_ms;
    e.view.offset = s->end;
    e.view.time_ms = time_ms;
    if (s->end == s->room) {
        s->room = s->room ? 2 * s->room : 16;
        s->entries = realloc(s->entries, (size_t)s->room * sizeof *s->entries);
    }
    s->entries[s->end] = e;
    return s->end++;
}

/* A copy with bytes of its own; its header is kept as it is. */
static struct script_entry copied(const struct script_entry *from)
{
    struct script_entry e = *from;
    const struct aff_entry *v = &from->view;
    char *at = e.owned = malloc(v->key.len + v->value.len + v->aff.len + v->content_type.len + v->traceparent.len + 1);

    e.view.key = keep(&at, v->key);
    e.view.value = keep(&at, v->value);
    e.view.aff = keep(&at, v->aff);
    e.view.content_type = keep(&at, v->content_type);
    e.view.traceparent = keep(&at, v->traceparent);
    return e;
}

/* The first at or behind `from` that has neither landed nor been dropped; sent_count: none. */
static size_t unlanded(const struct script *s, size_t from)
{
    while (from < s->sent_count && (s->sent[from].offset >= 0 || s->sent[from].dropped))
        from++;
    return from;
}

static struct script_sent *oldest_unlanded(struct script *s)
{
    s->settled = unlanded(s, s->settled);
    if (s->settled == s->sent_count)
        fail_msg("nothing was handed over that has not landed");
    return &s->sent[s->settled];
}

int64_t script_land(struct script *s)
{
    struct script_sent *sent = oldest_unlanded(s);

    return sent->offset = stand(s, copied(&sent->entry));
}

int64_t script_land_again(struct script *s)
{
    const struct script_sent *last = NULL;

    for (size_t i = 0; i < s->sent_count; i++)
        if (s->sent[i].offset >= 0)
            last = &s->sent[i];
    assert_non_null(last);
    return stand(s, copied(&last->entry));
}

void script_drop(struct script *s)
{
    oldest_unlanded(s)->dropped = true;
}

size_t script_handed_over(const struct script *s)
{
    size_t count = 0;

    for (size_t i = unlanded(s, s->settled); i < s->sent_count; i = unlanded(s, i + 1))
        count++;
    return count;
}

struct script_sent *script_last_sent(struct script *s)
{
    assert_true(s->sent_count > 0);
    return &s->sent[s->sent_count - 1];
}

static struct script_sent *oldest_unreported(struct script *s)
{
    for (; s->reported < s->sent_count; s->reported++)
        if (!s->sent[s->reported].reported && s->sent[s->reported].producer == s->producer)
            return &s->sent[s->reported];
    return NULL;
}

static void report(struct script *s, int status, int64_t offset)
{
    struct script_sent *sent = oldest_unreported(s);
    struct aff_delivery_report told = { .status = status, .offset = offset };

    assert_non_null(sent);
    sent->reported = true;
    told.seq = sent->entry.stamp.seq;
    if (offset >= 0 && offset < s->end)
        told.time_ms = s->entries[offset].view.time_ms;
    aff_core_report(s->core, &told);
}

void script_report_as(struct script *s, int status, int64_t offset)
{
    report(s, status, offset);
    script_pass(s);
}

void script_report_quietly(struct script *s)
{
    struct script_sent *sent = oldest_unreported(s);

    assert_non_null(sent);
    assert_true(sent->offset >= 0);
    report(s, 0, sent->offset);
}

void script_report(struct script *s)
{
    script_report_quietly(s);
    script_pass(s);
}

void script_ack(struct script *s)
{
    script_land(s);
    script_report(s);
}

void script_ack_all(struct script *s)
{
    while (script_handed_over(s) > 0)
        script_ack(s);
}

int64_t script_foreign_record(struct script *s, const struct aff_record *rec)
{
    return stand(s, entry_of(rec));
}

int64_t script_foreign(struct script *s, enum aff_kind kind, struct aff_stamp stamp, const char *key, const char *value)
{
    struct aff_record rec;

    aff_record_init(&rec);
    rec.kind = kind;
    rec.stamp = stamp;
    rec.key = aff_str(key);
    if (value)
        rec.value = aff_str(value);
    return script_foreign_record(s, &rec);
}

int64_t script_foreign_claim(struct script *s, struct aff_stamp stamp, const char *identity)
{
    struct aff_record rec;
    struct aff_buf value;
    char key[AFF_CONTROL_KEY_MAX];
    int64_t offset;

    aff_buf_init(&value);
    assert_true(aff_claim_encode(identity ? (const unsigned char *)identity : s->standing.identity, NULL, 0, &value));
    aff_record_init(&rec);
    rec.kind = AFF_KIND_CLAIM;
    rec.stamp = stamp;
    rec.key = aff_bytes_of(key, aff_claim_key(stamp, key));
    rec.value = aff_buf_view(&value);
    offset = script_foreign_record(s, &rec);
    aff_buf_fini(&value);
    return offset;
}

void script_compact(struct script *s, int64_t offset)
{
    s->entries[offset].gone = true;
}

void script_truncate(struct script *s, int64_t end)
{
    while (s->end > end)
        free(s->entries[--s->end].owned);
}

/* One record to the core, in memory that is gone afterwards. */
static bool deliver(struct script *s, uint64_t ticket, const struct script_entry *from)
{
    struct script_entry e = copied(from);
    bool go_on;

    aff_record_decode(&e.view, &s->decoded);
    go_on = aff_core_record(s->core, ticket, &s->decoded);
    free(e.owned);
    return go_on;
}

void script_read_some(struct script *s, size_t most)
{
    uint64_t ticket = s->read_ticket;
    int64_t at = s->read_from < s->start ? s->start : s->read_from, end = s->end;
    bool go_on = true;

    assert_true(s->read_open);
    s->read_open = false;
    for (; at < end && most > 0; at++) {
        if (s->entries[at].gone)
            continue;
        if (go_on)
            go_on = deliver(s, ticket, &s->entries[at]);
        most--;
    }
    while (at < end && s->entries[at].gone)
        at++;
    aff_core_read_done(s->core, ticket, 0, at > end ? end : at, s->start, end);
    script_pass(s);
}

void script_read(struct script *s)
{
    int reads = 0;

    while (s->read_open && !(s->read_wait && s->read_from >= s->end)) {
        script_read_some(s, SIZE_MAX);
        if (++reads == PASSES_MAX)
            fail_msg("the core reads for ever");
    }
}

void script_read_fails(struct script *s, int status)
{
    uint64_t ticket = s->read_ticket;

    assert_true(s->read_open);
    s->read_open = false;
    aff_core_read_done(s->core, ticket, status, s->read_from, s->start, s->end);
    script_pass(s);
}

/* ---- requests ---- */

static void on_done(struct aff_op *op)
{
    struct ask *a = aff_container_of(op, struct ask, op);

    assert_int_equal(a->done, 0);
    assert_int_equal(a->released, 0);
    a->done++;
    a->order = ++a->script->answers;
    snprintf(a->replied, sizeof a->replied, "%.*s", (int)op->result.reply.len, (const char *)op->result.reply.data);
    snprintf(a->replied_type, sizeof a->replied_type, "%.*s", (int)op->result.reply_type.len,
             (const char *)op->result.reply_type.data);
    if (op->result.outcome == AFF_OUTCOME_COMMITTED && a->script->changed)
        fail_msg("an answer left before the commit of what it says");
}

static void on_release(struct aff_op *op)
{
    struct ask *a = aff_container_of(op, struct ask, op);

    assert_int_equal(a->done, 1);
    assert_int_equal(a->released, 0);
    a->released++;
    free(a->key);
    free(a->value);
    a->key = a->value = NULL;
}

static void show(char *at, size_t size, const struct aff_item *item)
{
    snprintf(at, size, "%.*s", item ? (int)item->value.len : 1, item ? (const char *)item->value.data : "-");
}

static int run_verb(struct aff_op *op, const struct aff_item *current, struct aff_staged *staged)
{
    struct ask *a = aff_container_of(op, struct ask, op);

    a->runs++;
    show(a->seen, sizeof a->seen, current);
    op->result.status = 200;
    op->result.reply = aff_bytes_of(a->reply, (size_t)snprintf(a->reply, sizeof a->reply, "saw %s", a->seen));
    op->result.reply_type = aff_str("text/plain");
    if (strcmp(a->verb, "no") == 0) {
        snprintf(op->result.detail, sizeof op->result.detail, "not with %s", a->seen);
        return AFF_EREFUSED;
    }
    if (strcmp(a->verb, "none") == 0)
        return 0;
    staged->what = strcmp(a->verb, "del") == 0 ? AFF_STAGE_DELETE : AFF_STAGE_PUT;
    snprintf(a->staged, sizeof a->staged, "%s%s", a->verb[0] == '+' && current ? a->seen : "", a->verb + 1);
    staged->value = aff_str(a->staged);
    staged->content_type = aff_str("text/plain");
    staged->keeps_expiry = a->keeps_expiry;
    return 0;
}

static struct ask *ask(struct script *s, enum aff_op_kind kind, const char *key, const char *value)
{
    struct ask *a = calloc(1, sizeof *a);

    aff_op_init(&a->op, kind);
    a->script = s;
    a->key = strdup(key ? key : "");
    a->value = strdup(value ? value : "");
    a->op.key = aff_str(a->key);
    a->op.value = aff_str(a->value);
    a->op.content_type = aff_str("text/plain");
    a->op.run = run_verb;
    a->op.done = on_done;
    a->op.release = on_release;
    aff_list_append(&s->asks, &a->link);
    return a;
}

struct ask *ask_put(struct script *s, const char *key, const char *value)
{
    return ask(s, AFF_OP_PUT, key, value);
}

struct ask *ask_delete(struct script *s, const char *key)
{
    return ask(s, AFF_OP_DELETE, key, NULL);
}

struct ask *ask_command(struct script *s, const char *key, const char *verb)
{
    struct ask *a = ask(s, AFF_OP_COMMAND, key, NULL);

    a->verb = verb;
    return a;
}

struct ask *ask_barrier(struct script *s)
{
    return ask(s, AFF_OP_BARRIER, NULL, NULL);
}

void ask_id(struct ask *a, const char *id, const char *request)
{
    a->op.identified = true;
    snprintf((char *)a->op.id.b, sizeof a->op.id.b, "%s", id);
    snprintf((char *)a->op.request.b, sizeof a->op.request.b, "%s", request);
}

void ask_deadline(struct ask *a, int64_t ms)
{
    a->op.deadline_ns = a->script->clock.now_ns + ms * AFF_NS_PER_MS;
}

void ask_if_match(struct ask *a, int64_t offset)
{
    a->etag = (struct aff_etag){ aff_get_u32(a->script->standing.identity), a->script->opts.index, offset };
    a->op.conditions = (struct aff_conditions){ .has_match = true, .match = &a->etag, .match_count = 1 };
}

void script_submit_quietly(struct script *s, struct ask *a)
{
    aff_core_submit(s->core, &a->op);
}

void script_submit(struct script *s, struct ask *a)
{
    script_submit_quietly(s, a);
    script_pass(s);
}

static struct ask *submitted(struct ask *a)
{
    script_submit(a->script, a);
    return a;
}

struct ask *script_put(struct script *s, const char *key, const char *value)
{
    return submitted(ask_put(s, key, value));
}

struct ask *script_delete(struct script *s, const char *key)
{
    return submitted(ask_delete(s, key));
}

struct ask *script_command(struct script *s, const char *key, const char *verb)
{
    return submitted(ask_command(s, key, verb));
}

struct ask *script_barrier(struct script *s)
{
    return submitted(ask_barrier(s));
}

/* ---- what is there ---- */

struct aff_stamp script_stamp(uint32_t major, uint16_t minor, uint64_t nonce, uint64_t seq)
{
    return (struct aff_stamp){ aff_epoch_of(major, minor), nonce, seq };
}

static const struct script_pair *committed_value(struct script *s, const char *key)
{
    return script_table_find(&s->committed[SCRIPT_TABLE_VALUES], aff_str(key));
}

const char *script_value(struct script *s, const char *key)
{
    const struct script_pair *pair = committed_value(s, key);
    size_t head = sizeof(struct aff_version);

    return pair ? (const char *)pair->value + head + 1 + pair->value[head] : NULL;
}

int64_t script_version(struct script *s, const char *key)
{
    const struct script_pair *pair = committed_value(s, key);
    struct aff_version version;

    if (!pair)
        return -1;
    memcpy(&version, pair->value, sizeof version);
    return version.offset;
}

bool script_is_dirty(struct script *s, aff_bytes key)
{
    return script_table_find(&s->committed[AFF_TABLE_DIRTY], key) != NULL;
}

/* The last entry of the key that compaction left, NULL: none. */
static const struct script_entry *last_entry(struct script *s, aff_bytes key)
{
    for (int64_t i = s->end - 1; i >= 0; i--)
        if (!s->entries[i].gone && aff_bytes_equal(s->entries[i].view.key, key))
            return &s->entries[i];
    return NULL;
}

void script_expect_plain_equals(struct script *s)
{
    assert_int_equal(s->committed[AFF_TABLE_DIRTY].count, 0);
    for (int64_t i = 0; i < s->end; i++) {
        aff_bytes key = s->entries[i].view.key;
        char name[AFF_KEY_MAX + 1];
        const char *have;
        const struct script_entry *last = last_entry(s, key);

        if (!last || aff_key_is_control(key))
            continue;
        snprintf(name, sizeof name, "%.*s", (int)key.len, (const char *)key.data);
        have = script_value(s, name);
        if ((have != NULL) != (last->view.value.data != NULL) ||
            (have && !aff_bytes_equal(aff_str(have), last->view.value)))
            fail_msg("key %s: last writer at %lld wrote %.*s, the store has %s", name, (long long)last->view.offset,
                     (int)last->view.value.len, last->view.value.data ? (const char *)last->view.value.data : "",
                     have ? have : "nothing");
    }
}

void expect_role_at(struct script *s, enum aff_role expected, const char *file, int line)
{
    static const char *const names[] = { "opening", "following", "claiming", "master", "settling", "failed" };
    struct aff_standing standing;

    aff_core_standing(s->core, &standing);
    if (standing.role == expected && s->standing.role == expected)
        return;
    print_error("the core is %s (%s), its host was told %s, expected %s\n", names[standing.role],
                standing.failure ? standing.failure : "", names[s->standing.role], names[expected]);
    _fail(file, line);
}

void expect_answer_at(struct ask *a, int done, int code, enum aff_outcome outcome, const char *file, int line)
{
    static const char *const names[] = { "none", "committed", "not applied", "unknown" };
    const struct aff_result *r = &a->op.result;

    if (a->done == done && (!done || (r->code == code && r->outcome == outcome)))
        return;
    print_error("%.*s: %d answers, %s, outcome %s; expected %d, %s, %s\n", (int)a->op.key.len, a->key ? a->key : "",
                a->done, aff_error_name(r->code), names[r->outcome], done, aff_error_name(code), names[outcome]);
    _fail(file, line);
}

void expect_committed_at(struct ask *a, int64_t offset, const char *file, int line)
{
    expect_answer_at(a, 1, 0, AFF_OUTCOME_COMMITTED, file, line);
    if (a->op.result.versioned && a->op.result.version.offset == offset)
        return;
    print_error("committed at %lld (versioned: %d), expected %lld\n", (long long)a->op.result.version.offset,
                a->op.result.versioned, (long long)offset);
    _fail(file, line);
}

void expect_stored_at(struct script *s, const char *key, const char *value, const char *file, int line)
{
    const char *have = script_value(s, key);

    if ((have && value && strcmp(have, value) == 0) || (!have && !value))
        return;
    print_error("%s is %s, expected %s\n", key, have ? have : "absent", value ? value : "absent");
    _fail(file, line);
}
