/*
 * verify.c - see verify.h.
 *
 *   a client's loop   POST: makes the rows, sends the message
 *   row's loop        the message: an audit of the row's partition; at its end the message goes on to the next row's loop
 *   any loop          GET: a copy of the rows, as JSON
 *
 * There is one message and one audit, so neither takes a slot of a mailbox. The lock guards what pages show; nothing is
 * called under it.
 */
#include "node/verify.h"

#include "base/alloc.h"
#include "base/cleanup.h"
#include "node/inner.h"
#include "node/limits.h"
#include "partition/audit.h"

#include <jansson.h>
#include <stdio.h>
#include <sys/random.h>

enum { DEFAULT_TIMEOUT_MS = 600000, REASON_MAX = 320 };

enum row_state { ROW_WAITING, ROW_RUNNING, ROW_DONE };

/* One partition. */
struct row {
    const struct aff_node_space *space;
    uint32_t partition;
    enum row_state state;
    int64_t read, applied; /* while it runs */
    struct aff_audit_result result;
};

/* What pages show. */
struct run {
    uint64_t id; /* 0: there was none */
    bool running;
    int64_t begun_ns, ended_ns, deadline_ns; /* monotonic */
    struct row *rows;
    size_t count, at; /* rows[at] is next, or runs */
};

struct aff_verify {
    struct aff_node *node;
    struct aff_msg msg;      /* on its way to the loop of rows[at], while no audit runs */
    struct aff_audit *audit; /* that loop's */

    pthread_mutex_t lock;
    struct run run;
    const struct aff_loop *loop; /* of the audit; NULL: there is none */
    bool stopping;
};

static void deliver(struct aff_msg *msg);

/* Of the scratch store, to be freed. */
static char *folder_of(const struct aff_node *node)
{
    size_t size = strlen(node->config->node.data) + sizeof "/verify";
    char *folder = aff_xmalloc(size);
    (void)snprintf(folder, size, "%s/verify", node->config->node.data);
    return folder;
}

struct aff_verify *aff_verify_new(struct aff_node *node)
{
    AFF_CLEANUP(aff_freep) char *folder = folder_of(node);
    struct aff_verify *v = aff_xcalloc(1, sizeof *v);
    v->node = node;
    v->msg.deliver = deliver;
    pthread_mutex_init(&v->lock, NULL);
    aff_store_sweep(folder);
    return v;
}

struct aff_verify *aff_verify_free(struct aff_verify *v)
{
    if (!v)
        return NULL;
    pthread_mutex_destroy(&v->lock);
    free(v->run.rows);
    free(v);
    return NULL;
}

static int64_t now_of(const struct aff_verify *v)
{
    return aff_mono_ns(v->node->logger.clock);
}

/* ---- one partition after the other ---- */

static void give_up(struct row *row, const char *reason)
{
    row->state = ROW_DONE;
    row->result = (struct aff_audit_result){ .store = AFF_VERDICT_UNDECIDED, .last = AFF_VERDICT_UNDECIDED };
    (void)snprintf(row->result.reason, sizeof row->result.reason, "%.300s", reason);
}

/* Of both comparisons: one that differs is enough. */
static enum aff_verdict verdict_of(const struct aff_audit_result *r)
{
    return r->last == AFF_VERDICT_DIFFERS ? AFF_VERDICT_DIFFERS : r->store;
}

/* With the lock: what does not run any more will not. Counts what was found, by verdict. */
static void end_run(struct aff_verify *v, const char *reason, int64_t found[3])
{
    for (; v->run.at < v->run.count; v->run.at++)
        give_up(&v->run.rows[v->run.at], reason);
    v->run.running = false;
    v->run.ended_ns = now_of(v);
    for (size_t i = 0; i < v->run.count; i++)
        found[verdict_of(&v->run.rows[i].result)]++;
}

static void tell(const struct aff_verify *v, const int64_t found[3])
{
    aff_log(&v->node->logger, INFO, "verify.done", aff_f_int("equal", found[AFF_VERDICT_EQUAL]),
            aff_f_int("differs", found[AFF_VERDICT_DIFFERS]), aff_f_int("undecided", found[AFF_VERDICT_UNDECIDED]));
}

/* Sends the message on to rows[at], or ends the run. */
static void go_on(struct aff_verify *v)
{
    struct aff_loop *loop = NULL;
    int64_t found[3] = { 0 };
    pthread_mutex_lock(&v->lock);
    struct run *run = &v->run;
    if (v->stopping)
        end_run(v, "the node is being stopped", found);
    else if (run->at < run->count && now_of(v) >= run->deadline_ns)
        end_run(v, "the time was over before it was begun", found);
    else if (run->at == run->count)
        end_run(v, "", found);
    else
        loop = aff_partition_loop(run->rows[run->at].space->parts[run->rows[run->at].partition]);
    pthread_mutex_unlock(&v->lock);
    if (loop)
        aff_loop_call(loop, &v->msg);
    else
        tell(v, found);
}

/* The row that runs is done. */
static void end_row(struct aff_verify *v, const struct aff_audit_result *result)
{
    pthread_mutex_lock(&v->lock);
    struct row *row = &v->run.rows[v->run.at++];
    row->state = ROW_DONE;
    row->result = *result;
    v->loop = NULL;
    pthread_mutex_unlock(&v->lock);
}

static void audit_done(void *self, const struct aff_audit_result *result)
{
    struct aff_verify *v = self;
    end_row(v, result);
    v->audit = aff_audit_free(v->audit);
    go_on(v);
}

static void audit_moved(void *self, int64_t read, int64_t applied)
{
    struct aff_verify *v = self;
    pthread_mutex_lock(&v->lock);
    v->run.rows[v->run.at].read = read;
    v->run.rows[v->run.at].applied = applied;
    pthread_mutex_unlock(&v->lock);
}

static uint64_t count_partitions(const struct aff_node *node)
{
    uint64_t count = 0;
    for (size_t i = 0; i < node->served.count; i++)
        count += node->served.items[i].settings->partitions;
    return count;
}

static int begin_audit(struct aff_verify *v, const struct row *row, int64_t deadline_ns, aff_error *err)
{
    AFF_CLEANUP(aff_freep) char *folder = folder_of(v->node);
    struct aff_audit_opts opts = {
        .part = row->space->parts[row->partition],
        .changelog = v->node->changelog,
        .topic = row->space->topic,
        .index = row->partition,
        .folder = folder,
        .map_bytes = aff_map_bytes(count_partitions(v->node) + 1),
        .tombstone_retention_ms = row->space->served->settings->tombstone_retention_ms,
        .deadline_ns = deadline_ns,
        .done = audit_done,
        .moved = audit_moved,
        .self = v,
    };
    return aff_audit_new(&opts, &v->audit, err);
}

/* On the loop of rows[at]. */
static void deliver(struct aff_msg *msg)
{
    struct aff_verify *v = aff_container_of(msg, struct aff_verify, msg);
    struct row row = { .space = NULL };
    int64_t deadline_ns = 0;
    pthread_mutex_lock(&v->lock);
    if (!v->stopping) {
        row = v->run.rows[v->run.at];
        deadline_ns = v->run.deadline_ns;
        v->run.rows[v->run.at].state = ROW_RUNNING;
        v->loop = aff_partition_loop(row.space->parts[row.partition]);
    }
    pthread_mutex_unlock(&v->lock);
    aff_error err = { 0 };
    if (row.space && begin_audit(v, &row, deadline_ns, &err) == 0)
        return;
    if (row.space) {
        give_up(&row, err.text);
        end_row(v, &row.result);
    }
    go_on(v);
}

void aff_verify_leave(struct aff_verify *v, const struct aff_loop *loop)
{
    pthread_mutex_lock(&v->lock);
    v->stopping = true;
    bool here = v->loop == loop;
    pthread_mutex_unlock(&v->lock);
    if (!here)
        return;
    v->audit = aff_audit_free(v->audit);
    struct row none;
    give_up(&none, "the node is being stopped");
    end_row(v, &none.result);
    go_on(v);
}

/* ---- beginning ---- */

/* In a cluster other nodes hold the rest. */
static bool is_held(const struct aff_node *node, struct aff_partition *part)
{
    return !aff_node_in_cluster(node) || atomic_load(&aff_partition_shared(part)->role) != AFF_ROLE_AWAY;
}

/*
 * The rows that are asked for; NULL and a text when there are none such. They may be none in a cluster: what is asked for is not held
 * here.
 */
static struct row *make_rows(const struct aff_node *node, const struct aff_http_verify *ask, size_t *ret_count,
                             aff_error *err)
{
    struct row *rows = aff_xcalloc(count_partitions(node), sizeof *rows);
    size_t count = 0;
    uint32_t partitions = 0; /* of the keyspace that is asked for */
    for (size_t i = 0; i < node->served.count; i++) {
        const struct aff_node_space *space = &node->spaces[i];
        if (ask->keyspace.data && !aff_bytes_equal(ask->keyspace, aff_str(space->served->settings->name)))
            continue;
        partitions = space->served->settings->partitions;
        for (uint32_t p = 0; p < partitions; p++)
            if ((ask->partition < 0 || ask->partition == (int64_t)p) && is_held(node, space->parts[p]))
                rows[count++] = (struct row){ .space = space, .partition = p };
    }
    if (count > 0 || (partitions > 0 && ask->partition < (int64_t)partitions)) {
        *ret_count = count;
        return rows;
    }
    free(rows);
    int shown = ask->keyspace.len > 64 ? 64 : (int)ask->keyspace.len;
    if (partitions == 0)
        (void)aff_fail_with(err, AFF_ENOROUTE, "there is no keyspace `%.*s`", shown, (const char *)ask->keyspace.data);
    else
        (void)aff_fail_with(err, AFF_ENOROUTE, "the keyspace `%.*s` has the partitions 0 to %u", shown,
                            (const char *)ask->keyspace.data, partitions - 1);
    return NULL;
}

static uint64_t random_id(void)
{
    uint64_t id = 0;
    while (id == 0)
        if (getrandom(&id, sizeof id, 0) != (ssize_t)sizeof id)
            id = 0;
    return id;
}

/* Takes the run over when none is under way. What is left to free: the rows of the run before, or those of a refused one. */
static bool take_over(struct aff_verify *v, const struct run *run, struct row **ret_unused)
{
    pthread_mutex_lock(&v->lock);
    bool busy = v->run.running || v->stopping;
    *ret_unused = busy ? run->rows : v->run.rows;
    if (!busy)
        v->run = *run;
    pthread_mutex_unlock(&v->lock);
    return !busy;
}

static int begin(struct aff_verify *v, const struct aff_http_verify *ask, aff_error *err)
{
    int64_t now = now_of(v), timeout_ms = ask->timeout_ms ? ask->timeout_ms : DEFAULT_TIMEOUT_MS;
    struct run run = {
        .id = random_id(), .running = true, .begun_ns = now, .deadline_ns = now + timeout_ms * AFF_NS_PER_MS
    };
    if (atomic_load(&v->node->draining))
        return aff_fail_with(err, AFF_EDRAINING, "the node is being stopped");
    run.rows = make_rows(v->node, ask, &run.count, err);
    if (!run.rows)
        return AFF_ENOROUTE;
    struct row *unused;
    bool taken = take_over(v, &run, &unused);
    free(unused);
    if (!taken)
        return aff_fail_with(err, AFF_ECONFLICT, "a verification runs already: GET /verify tells how far it is");
    go_on(v);
    return 202;
}

/* ---- the page ---- */

struct hex {
    char text[33];
};

static struct hex hex_of(struct aff_digest digest)
{
    struct hex hex;
    for (size_t i = 0; i < sizeof digest.b; i++)
        (void)snprintf(hex.text + 2 * i, 3, "%02x", digest.b[i]);
    return hex;
}

static const char *verdict_name(enum aff_verdict verdict)
{
    static const char *const names[] = { "equal", "differs", "undecided" };
    return names[verdict];
}

/* Why it is not equal; what is not decided has its reason already. */
static void explain(const struct aff_audit_result *r, char *to, size_t size)
{
    if (r->store == AFF_VERDICT_DIFFERS && r->tally.count != r->log.state.count)
        (void)snprintf(to, size, "the store has %llu keys, the changelog %llu", (unsigned long long)r->tally.count,
                       (unsigned long long)r->log.state.count);
    else if (r->store == AFF_VERDICT_DIFFERS)
        (void)snprintf(to, size, "as many keys as the changelog has, but other %s",
                       aff_digest_equal(r->tally.plain, r->log.state.plain) ? "versions" : "values");
    else if (r->last == AFF_VERDICT_DIFFERS)
        (void)snprintf(to, size, "nothing is dirty, and yet plain last-writer-wins by offset is another state");
    else
        (void)snprintf(to, size, "%s", r->reason);
}

static json_t *found_json(const struct aff_audit_result *r)
{
    return json_pack("{s:I, s:I, s:s, s:s, s:s, s:{s:I, s:s, s:I, s:I, s:I}}", "offset", (json_int_t)r->offset, "keys",
                     (json_int_t)r->tally.count, "digest", hex_of(r->tally.full).text, "plain_digest",
                     hex_of(r->tally.plain).text, "last_writer_wins", verdict_name(r->last), "changelog", "keys",
                     (json_int_t)r->log.state.count, "digest", hex_of(r->log.state.full).text, "records",
                     (json_int_t)r->log.records, "void", (json_int_t)r->log.voids, "dirty", (json_int_t)r->log.dirty);
}

static json_t *row_json(const struct row *row)
{
    json_t *more, *json = json_pack("{s:s, s:I, s:s}", "keyspace", row->space->served->settings->name, "partition",
                                    (json_int_t)row->partition, "state", row->state == ROW_DONE ? "done" : "running");
    if (row->state == ROW_RUNNING) {
        more = json_pack("{s:I, s:I}", "read", (json_int_t)row->read, "applied", (json_int_t)row->applied);
    } else {
        char reason[REASON_MAX];
        explain(&row->result, reason, sizeof reason);
        more = row->result.compared ? found_json(&row->result) : json_object();
        if (more)
            (void)json_object_set_new(more, "result", json_string(verdict_name(verdict_of(&row->result))));
        if (more && reason[0])
            (void)json_object_set_new(more, "reason", json_string(reason));
    }
    if (json && more)
        (void)json_object_update(json, more);
    json_decref(more);
    return json;
}

static json_t *run_json(const struct run *run, int64_t now_ns)
{
    json_int_t verdicts[3] = { 0 };
    json_t *rows = json_array();
    for (size_t i = 0; run->rows && i < run->count; i++) {
        verdicts[verdict_of(&run->rows[i].result)] += run->rows[i].state == ROW_DONE;
        if (run->rows[i].state != ROW_WAITING)
            (void)json_array_append_new(rows, row_json(&run->rows[i]));
    }
    char id[17];
    (void)snprintf(id, sizeof id, "%016llx", (unsigned long long)run->id);
    int64_t took_ns = (run->running ? now_ns : run->ended_ns) - run->begun_ns;
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "run", id, "state", run->running ? "running" : "done",
                     "elapsed_ms", (json_int_t)(took_ns / AFF_NS_PER_MS), "asked", (json_int_t)run->count, "equal",
                     verdicts[AFF_VERDICT_EQUAL], "differs", verdicts[AFF_VERDICT_DIFFERS], "undecided",
                     verdicts[AFF_VERDICT_UNDECIDED], "partitions", rows);
}

/* A copy: JSON is made without the lock. */
static struct run look(struct aff_verify *v)
{
    pthread_mutex_lock(&v->lock);
    struct run run = v->run;
    run.rows = run.count && run.rows ? aff_xmemdup(run.rows, run.count * sizeof *run.rows) : NULL;
    pthread_mutex_unlock(&v->lock);
    return run;
}

int aff_verify_page(struct aff_verify *v, const struct aff_http_verify *ask, struct aff_buf *body, aff_error *err)
{
    int status = ask ? begin(v, ask, err) : 200;
    if (status < 0)
        return status;
    struct run run = look(v);
    json_t *json = run.id ? run_json(&run, now_of(v)) : json_pack("{s:s}", "state", "none");
    AFF_CLEANUP(aff_freep) char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    free(run.rows);
    return text && aff_buf_add(body, text, strlen(text)) && aff_buf_u8(body, '\n') ? status : AFF_ENOMEM;
}
