/*
 * bulk_run.c - see bulk_run.h.
 *
 * Two timers drive it: `pump` sends and begins lines, in a pass of its own after answers came, so that all that came in one pass
 * leaves again in one; `end` is the deadline, and then the moment to give up what nobody answered.
 */
#include "http/bulk_run.h"

#include "http/bulk_line.h"
#include "http/inner.h"
#include "serde/json.h"

#include "base/alloc.h"
#include "base/map.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BLOCK = 1024,       /* results that are allocated together */
    STEP = 1024 * 1024, /* bytes of lines that are taken apart in one pass of the loop */
    AGAIN_MS = 5,       /* after a queue was full */
    OVERDUE_MS = 1000,  /* how much later than the partitions' deadline what they did not answer is given up */
    BLOCKS = AFF_BULK_LINES / BLOCK + 1,
};

/* A line that was begun and not told. */
struct result {
    uint32_t at, len; /* of the key's text in the body; of the whole line when it has a fault */
    uint32_t line;
    int8_t code;
    bool settled : 1, malformed : 1, key64 : 1, replayed : 1, tagged : 1, stamped : 1;
    uint16_t status;
    uint32_t partition, identity8;
    int64_t offset; /* of the value's version; of the stamp in run->stamps when it is stamped and failed */
};

struct block {
    bool charged;
    struct result results[BLOCK];
};

/* A line between parsed and kept. */
struct slot {
    struct aff_call call;
    struct aff_bulk_run *run;
    struct aff_list link;     /* on run->idle, run->due, or `behind` of the slot that has its key */
    struct aff_list behind;   /* lines of the same key, in their order */
    struct aff_map_node node; /* of the slot that has its key, in run->keys */
    unsigned index;           /* of its result */
    bool flying;              /* the router has it */
    bool again;               /* it is to be sent again */
    bool answered;            /* and not to be sent again; the router may keep it a while */
    bool charged;             /* to the gate */
    bool overdue;             /* its answer comes too late to be told */
    struct aff_etag match;
    unsigned char key[AFF_KEY_MAX];
    char type[AFF_BULK_TYPE_MAX];
};

struct aff_bulk_run {
    struct aff_bulk_opts opts;
    struct aff_timer pump, end;
    int64_t pump_due; /* INT64_MAX: it is not set */
    aff_bytes rest;   /* of the body: lines that were not begun */
    unsigned number;  /* of the last line that was taken off it */
    unsigned begun, told;
    unsigned used, flying;
    bool congested; /* a queue was full: nothing is sent until `pump` fires */
    bool starved;   /* there is no budget until results are told, or lines have come back */
    bool left, warned;
    int gave_up; /* the code for what was not begun; 0: not yet */
    struct slot *slots[AFF_BULK_WINDOW];
    unsigned slots_count;
    struct aff_list idle, due;
    struct aff_map keys;
    struct block *blocks[BLOCKS];
    struct aff_buf stamps;     /* struct aff_stamp, of failures */
    struct aff_bulk_line line; /* for the parser */
};

static int64_t now_of(const struct aff_bulk_run *run)
{
    return aff_loop_now(run->opts.loop);
}

static void pump_at(struct aff_bulk_run *run, int64_t when)
{
    if (when >= run->pump_due)
        return;
    run->pump_due = when;
    aff_loop_timer_set(run->opts.loop, &run->pump, when);
}

/* ---- lines ---- */

/* The next line that is not empty. False: there is none. */
static bool next_line(struct aff_bulk_run *run, aff_bytes *ret_text)
{
    while (run->rest.len) {
        const char *at = run->rest.data, *end = at + run->rest.len, *lf = memchr(at, '\n', run->rest.len);
        *ret_text = aff_bytes_of(at, (size_t)((lf ? lf : end) - at));
        at = lf ? lf + 1 : end;
        run->rest = aff_bytes_of(at, (size_t)(end - at));
        run->number++;
        if (!aff_bulk_line_empty(*ret_text))
            return true;
    }
    return false;
}

/* No further than it matters. */
static unsigned count_lines(aff_bytes body)
{
    const char *at = body.data, *end = at + body.len;
    unsigned count = 0;
    while (at < end && count <= AFF_BULK_LINES) {
        const char *lf = memchr(at, '\n', (size_t)(end - at));
        at = lf ? lf + 1 : end;
        count++;
    }
    return count;
}

static int parse(struct aff_bulk_run *run, aff_bytes text)
{
    int64_t now_ms = aff_wall_ms(aff_loop_clock(run->opts.loop));
    return aff_bulk_line_parse(text, run->opts.json_depth, now_ms, &run->line);
}

/* ---- results ---- */

static struct result *result_at(const struct aff_bulk_run *run, unsigned index)
{
    return &run->blocks[index / BLOCK]->results[index % BLOCK];
}

/* Memory of the gate's budget; when it `must`, since nobody will give any back, beyond that. NULL: there is none. */
static void *allot(struct aff_bulk_run *run, size_t size, bool must, bool *ret_charged)
{
    bool charged = aff_gate_take(run->opts.gate, size);
    void *memory = charged || must ? malloc(size) : NULL;
    if (!memory && charged)
        aff_gate_give(run->opts.gate, size);
    if (!memory && must)
        aff_bulk_give_up(run, AFF_ENOMEM);
    run->starved |= !memory;
    *ret_charged = charged;
    return memory;
}

static bool make_room(struct aff_bulk_run *run)
{
    struct block **place = &run->blocks[run->begun / BLOCK];
    bool charged;
    if (*place)
        return true;
    *place = allot(run, sizeof **place, run->told == run->begun, &charged);
    if (*place)
        (*place)->charged = charged;
    return *place != NULL;
}

static void drop_block(struct aff_bulk_run *run, unsigned number)
{
    struct block *block = run->blocks[number];
    if (!block)
        return;
    if (block->charged)
        aff_gate_give(run->opts.gate, sizeof *block);
    free(block);
    run->blocks[number] = NULL;
}

static void tell_ready(struct aff_bulk_run *run, unsigned index)
{
    if (index == run->told && !run->left)
        run->opts.ready(run->opts.self);
}

/* It was not carried out, or nobody knows. */
static void settle(struct aff_bulk_run *run, unsigned index, int code)
{
    struct result *r = result_at(run, index);
    r->settled = true;
    r->code = (int8_t)code;
    r->status = (uint16_t)aff_error_status(code);
    tell_ready(run, index);
}

static uint16_t status_of(const struct aff_op *op)
{
    const struct aff_result *r = &op->result;
    if (op->kind == AFF_OP_DELETE)
        return 204;
    return r->created || (r->replayed && r->status == 201) ? 201 : 200;
}

static void note_stamp(struct aff_bulk_run *run, struct result *r, struct aff_stamp stamp)
{
    size_t at = run->stamps.len;
    r->stamped = aff_buf_add(&run->stamps, &stamp, sizeof stamp); /* without memory it goes without */
    r->offset = (int64_t)at;
}

static void settle_call(struct slot *s)
{
    struct aff_bulk_run *run = s->run;
    const struct aff_result *from = &s->call.op.result;
    struct result *r = result_at(run, s->index);
    int code = from->outcome == AFF_OUTCOME_UNKNOWN ? AFF_EUNKNOWN : from->code; /* never told as anything else */
    r->partition = s->call.partition;
    r->identity8 = s->call.identity8;
    if (code) {
        if (from->stamped)
            note_stamp(run, r, from->stamp);
        settle(run, s->index, code);
        return;
    }
    r->replayed = from->replayed;
    r->tagged = from->versioned && s->call.op.kind == AFF_OP_PUT;
    r->offset = from->version.offset;
    settle(run, s->index, 0);
    r->status = status_of(&s->call.op);
}

/* ---- slots ---- */

static bool make_slot(struct aff_bulk_run *run)
{
    bool charged;
    if (!aff_list_empty(&run->idle))
        return true;
    struct slot *s = allot(run, sizeof *s, run->used == 0, &charged);
    if (!s)
        return false;
    s->run = run;
    s->charged = charged;
    aff_list_init(&s->link);
    aff_list_append(&run->idle, &s->link);
    run->slots[run->slots_count++] = s;
    return true;
}

/* There is one. */
static struct slot *take_slot(struct aff_bulk_run *run)
{
    struct slot *s = aff_container_of(aff_list_take(&run->idle), struct slot, link);
    aff_list_init(&s->behind);
    s->node.key.data = NULL;
    s->flying = s->again = s->answered = s->overdue = false;
    run->used++;
    return s;
}

/* The next line of its key comes to its turn. */
static void pass_key_on(struct slot *s)
{
    struct aff_bulk_run *run = s->run;
    struct aff_list *link = aff_list_take(&s->behind);
    aff_map_remove(&run->keys, &s->node);
    s->node.key.data = NULL;
    if (!link)
        return;
    struct slot *next = aff_container_of(link, struct slot, link);
    aff_list_splice(&next->behind, &s->behind);
    aff_map_add(&run->keys, &next->node, next->call.op.key);
    aff_list_append(&run->due, &next->link);
}

static void drop_slot(struct slot *s)
{
    if (s->node.key.data)
        pass_key_on(s);
    aff_list_remove(&s->link);
    aff_list_append(&s->run->idle, &s->link);
    s->run->used--;
}

/* ---- calls ---- */

/* May be tried again: it has done nothing, and will be possible in a moment. */
static bool is_passing(int code)
{
    return code == AFF_EQUEUEFULL || code == AFF_EIDRUNNING;
}

static void answered(struct aff_call *call)
{
    struct slot *s = aff_container_of(call, struct slot, call);
    struct aff_bulk_run *run = s->run;
    if (run->left || s->overdue)
        return;
    s->again = is_passing(call->op.result.code) && call->op.result.outcome != AFF_OUTCOME_UNKNOWN && !run->gave_up;
    s->answered = !s->again;
    if (s->answered)
        settle_call(s);
    else if (call->op.result.code == AFF_EQUEUEFULL)
        run->congested = true;
}

static void come_home(struct aff_bulk_run *run)
{
    if (run->flying == 0)
        run->opts.home(run->opts.self);
}

static void released(struct aff_call *call)
{
    struct slot *s = aff_container_of(call, struct slot, call);
    struct aff_bulk_run *run = s->run;
    s->flying = false;
    run->flying--;
    if (run->left) {
        come_home(run);
        return;
    }
    if (!s->again) {
        drop_slot(s);
        if (!run->congested)
            pump_at(run, now_of(run));
        return;
    }
    if (run->gave_up) {
        settle(run, s->index, call->op.result.code);
        drop_slot(s);
        return;
    }
    aff_list_append(&run->due, &s->link);
    pump_at(run, now_of(run) + AGAIN_MS * AFF_NS_PER_MS);
}

static void send_slot(struct slot *s)
{
    struct aff_bulk_run *run = s->run;
    if (s->again)
        aff_op_renew(&s->call.op);
    s->again = false;
    s->flying = true;
    s->call.answered = answered;
    s->call.released = released;
    run->flying++;
    aff_port_call(run->opts.port, run->opts.space, &s->call);
}

/* ---- beginning a line ---- */

/* A view of the line stays; one of the parser's room is copied. */
static aff_bytes keep(const struct aff_bulk_run *run, aff_bytes text, void *room)
{
    uintptr_t at = (uintptr_t)text.data, rooms = (uintptr_t)&run->line;
    if (at < rooms || at >= rooms + sizeof run->line)
        return text;
    memcpy(room, text.data, text.len);
    return aff_bytes_of(room, text.len);
}

static void fill_conditions(const struct aff_bulk_line *line, struct slot *s)
{
    struct aff_conditions *c = &s->call.op.conditions;
    c->match_any = line->match_any;
    c->has_match = line->has_match;
    c->none_match_any = line->none_match_any;
    s->match = line->match;
    c->match = &s->match;
    c->match_count = line->match_count;
}

static void fill(struct slot *s)
{
    const struct aff_bulk_run *run = s->run;
    const struct aff_bulk_line *line = &run->line;
    struct aff_op *op = &s->call.op;
    aff_op_init(op, line->deletes ? AFF_OP_DELETE : AFF_OP_PUT);
    op->key = keep(run, line->key, s->key);
    op->value = line->value;
    if (!line->deletes)
        op->content_type = keep(run, line->type, s->type);
    op->ttl_ms = line->ttl_ms;
    op->expires_ms = line->expires_ms;
    op->event_ms = line->event_ms;
    op->traceparent = run->opts.traceparent;
    op->deadline_ns = run->opts.deadline_ns;
    fill_conditions(line, s);
    if (!line->id.data)
        return;
    const struct aff_identity identity = {
        .method = line->deletes ? "DELETE" : "PUT",
        .command = "",
        .id = line->id,
        .content_type = line->deletes ? aff_str("") : line->type,
        .body = line->deletes ? aff_str("") : line->value,
        .match = line->match_text,
        .none_match = line->none_match_text,
        .life = line->life_text,
        .event_time = line->event_text,
    };
    aff_identify(op, run->opts.space, &identity);
}

/* Decodes a value in its place: nobody looks at the text again. */
static void decode(struct aff_bulk_line *line)
{
    size_t length = aff_bulk_decoded_length(line->value);
    unsigned char *to = (unsigned char *)(uintptr_t)line->value.data;
    aff_bulk_decode(line->value, to);
    line->value = aff_bytes_of(to, length);
    line->encoded = false;
}

/* Does the keyspace take it? 0 or a code; the value is decoded afterwards. */
static int check(struct aff_bulk_run *run)
{
    struct aff_bulk_line *line = &run->line;
    const struct aff_space *space = run->opts.space;
    unsigned rest = space->rest ? space->rest : AFF_REST_ALL;
    if (!(rest & (line->deletes ? AFF_REST_DELETE : AFF_REST_PUT)))
        return AFF_EMETHOD;
    if (space->require_match && !line->has_match && !line->match_any && !line->none_match_any)
        return AFF_EPRECONDITIONREQUIRED;
    if (line->deletes)
        return 0;
    if ((line->encoded ? aff_bulk_decoded_length(line->value) : line->value.len) > space->max_value)
        return AFF_ETOOLARGE;
    if (!line->encoded)
        return 0;
    decode(line);
    return line->is_json ? aff_json_check(line->value, run->opts.json_depth, NULL) : 0;
}

/* Behind the line that has its key, or on its way. */
static void queue(struct slot *s)
{
    struct aff_bulk_run *run = s->run;
    struct aff_map_node *node = aff_map_get(&run->keys, s->call.op.key);
    if (node) {
        aff_list_append(&aff_container_of(node, struct slot, node)->behind, &s->link);
        return;
    }
    aff_map_add(&run->keys, &s->node, s->call.op.key);
    send_slot(s);
}

static void span(const struct aff_bulk_run *run, aff_bytes text, struct result *r)
{
    r->at = (uint32_t)((const char *)text.data - (const char *)run->opts.body.data);
    r->len = (uint32_t)text.len;
}

static void begin(struct aff_bulk_run *run, aff_bytes text)
{
    unsigned index = run->begun++;
    struct result *r = result_at(run, index);
    *r = (struct result){ .line = run->number };
    int code = parse(run, text);
    r->malformed = code != 0;
    r->key64 = run->line.key64;
    span(run, code ? text : run->line.key_text, r);
    if (code == 0)
        code = check(run);
    if (code) {
        settle(run, index, code);
        return;
    }
    struct slot *s = take_slot(run);
    s->index = index;
    fill(s);
    queue(s);
}

/* ---- the pump ---- */

static bool may_begin(const struct aff_bulk_run *run)
{
    return !run->congested && !run->gave_up && run->used < AFF_BULK_WINDOW;
}

static void begin_some(struct aff_bulk_run *run)
{
    aff_bytes text;
    size_t bytes = 0;
    while (may_begin(run) && make_room(run) && make_slot(run)) {
        if (bytes >= STEP) {
            pump_at(run, now_of(run));
            return;
        }
        if (!next_line(run, &text))
            return;
        bytes += text.len;
        begin(run, text);
    }
}

/* Each once: what must be sent again waits for another time. */
static void send_due(struct aff_bulk_run *run)
{
    struct aff_list turn, *link;
    aff_list_init(&turn);
    aff_list_splice(&turn, &run->due);
    while (!run->congested && (link = aff_list_take(&turn)) != NULL)
        send_slot(aff_container_of(link, struct slot, link));
    aff_list_splice(&turn, &run->due);
    aff_list_splice(&run->due, &turn);
}

static void pump(struct aff_timer *timer)
{
    struct aff_bulk_run *run = aff_container_of(timer, struct aff_bulk_run, pump);
    run->pump_due = INT64_MAX;
    if (now_of(run) >= run->opts.deadline_ns)
        aff_bulk_give_up(run, AFF_ETIMEDOUT);
    run->congested = run->starved = false;
    send_due(run);
    begin_some(run);
    if (run->congested)
        pump_at(run, now_of(run) + AGAIN_MS * AFF_NS_PER_MS);
    if (run->begun == run->told && !run->rest.len && !run->left)
        run->opts.ready(run->opts.self); /* empty lines were the last */
}

/* ---- the end ---- */

/* What waits for its turn is not applied. Slots that are flying stay, without anybody behind them. */
static void refuse_waiting(struct aff_bulk_run *run, int code)
{
    struct aff_map_node *node = NULL, *next = aff_map_next(&run->keys, NULL);
    while ((node = next) != NULL) {
        struct slot *s = aff_container_of(node, struct slot, node);
        struct aff_list *link;
        next = aff_map_next(&run->keys, node);
        while ((link = aff_list_take(&s->behind)) != NULL) {
            struct slot *waits = aff_container_of(link, struct slot, link);
            settle(run, waits->index, code);
            drop_slot(waits);
        }
        if (!s->flying) {
            settle(run, s->index, s->again ? s->call.op.result.code : code);
            drop_slot(s);
        }
    }
}

void aff_bulk_give_up(struct aff_bulk_run *run, int code)
{
    if (run->gave_up || run->left)
        return;
    run->gave_up = code;
    refuse_waiting(run, code);
    run->opts.ready(run->opts.self);
}

/* Whatever came of these, only their partitions know. */
static void give_up_flying(struct aff_bulk_run *run)
{
    for (struct aff_map_node *node = NULL; (node = aff_map_next(&run->keys, node)) != NULL;) {
        struct slot *s = aff_container_of(node, struct slot, node);
        if (!s->flying || s->answered)
            continue;
        s->overdue = true;
        result_at(run, s->index)->partition = s->call.partition;
        settle(run, s->index, AFF_EUNKNOWN);
    }
}

static void ended(struct aff_timer *timer)
{
    struct aff_bulk_run *run = aff_container_of(timer, struct aff_bulk_run, end);
    if (run->warned) {
        give_up_flying(run);
        return;
    }
    run->warned = true; /* should the whole process have stood still, partitions have this moment yet */
    aff_bulk_give_up(run, AFF_ETIMEDOUT);
    aff_loop_timer_set(run->opts.loop, &run->end, now_of(run) + OVERDUE_MS * AFF_NS_PER_MS);
}

/* ---- telling ---- */

static aff_bytes say(struct aff_bulk_told *told, const char *text)
{
    (void)snprintf(told->room, sizeof told->room, "%s", text);
    return aff_str(told->room);
}

/* What the codes of check() mean for a line that was well formed. */
static void explain(const struct aff_bulk_run *run, struct aff_bulk_told *told)
{
    if (told->code == AFF_ETOOLARGE) {
        (void)snprintf(told->room, sizeof told->room, "the value has more than the %llu bytes that it may have here",
                       (unsigned long long)run->opts.space->max_value);
        told->detail = aff_str(told->room);
    } else if (told->code == AFF_EMETHOD) {
        told->detail = say(told, "the keyspace does not take this over REST");
    } else if (told->code == AFF_EPRECONDITIONREQUIRED) {
        told->detail = say(told, "give `if_match` with the ETag of what you read, or `if_none_match`: \"*\"");
    } else if (told->code == AFF_EJSON) {
        told->detail = say(told, "the decoded value is not JSON, and its type says so");
    }
}

/* A fault is found again rather than remembered. False: there is none. */
static bool tell_fault(struct aff_bulk_run *run, aff_bytes text, struct aff_bulk_told *told)
{
    int code = parse(run, text);
    told->key_text = run->line.key_text;
    told->key64 = run->line.key64;
    if (code == 0)
        return false;
    told->code = code;
    told->status = aff_error_status(code);
    told->detail = say(told, run->line.detail);
    return true;
}

static void tell(struct aff_bulk_run *run, const struct result *r, struct aff_bulk_told *told)
{
    aff_bytes text = aff_bytes_of((const char *)run->opts.body.data + r->at, r->len);
    *told = (struct aff_bulk_told){ .line = r->line, .code = r->code, .status = r->status, .partition = r->partition };
    if (r->malformed && tell_fault(run, text, told))
        return;
    told->key_text = text;
    told->key64 = r->key64;
    told->replayed = r->replayed;
    told->tagged = r->tagged;
    told->tag = (struct aff_etag){ r->identity8, r->partition, r->offset };
    told->stamped = r->stamped;
    if (r->stamped)
        memcpy(&told->stamp, run->stamps.data + r->offset, sizeof told->stamp);
    explain(run, told);
}

/* Of what was never begun: its own fault, or that it was not begun. */
static int tell_unbegun(struct aff_bulk_run *run, struct aff_bulk_told *told)
{
    aff_bytes text;
    if (!next_line(run, &text))
        return 0;
    *told = (struct aff_bulk_told){ .line = run->number,
                                    .code = run->gave_up,
                                    .status = aff_error_status(run->gave_up) };
    (void)tell_fault(run, text, told);
    return 1;
}

int aff_bulk_next(struct aff_bulk_run *run, struct aff_bulk_told *ret_told)
{
    if (run->told == run->begun) {
        if (run->gave_up)
            return tell_unbegun(run, ret_told);
        return run->rest.len ? AFF_EAGAIN : 0;
    }
    const struct result *r = result_at(run, run->told);
    if (!r->settled)
        return AFF_EAGAIN;
    tell(run, r, ret_told);
    run->told++;
    if (run->told % BLOCK == 0)
        drop_block(run, run->told / BLOCK - 1);
    if (run->starved)
        pump_at(run, now_of(run));
    return 1;
}

/* ---- life ---- */

int aff_bulk_run_new(const struct aff_bulk_opts *opts, struct aff_bulk_run **ret_run)
{
    if (count_lines(opts->body) > AFF_BULK_LINES)
        return AFF_ETOOLARGE;
    struct aff_bulk_run *run = calloc(1, sizeof *run);
    if (!run)
        return AFF_ENOMEM;
    run->opts = *opts;
    run->rest = opts->body;
    run->pump_due = INT64_MAX;
    run->pump.fire = pump;
    run->end.fire = ended;
    aff_list_init(&run->idle);
    aff_list_init(&run->due);
    aff_map_init(&run->keys, (uint64_t)(uintptr_t)run ^ (uint64_t)now_of(run));
    aff_buf_init(&run->stamps);
    *ret_run = run;
    return 0;
}

void aff_bulk_start(struct aff_bulk_run *run)
{
    aff_loop_timer_set(run->opts.loop, &run->end, run->opts.deadline_ns);
    pump_at(run, now_of(run));
}

bool aff_bulk_leave(struct aff_bulk_run *run)
{
    run->left = true;
    aff_loop_timer_cancel(run->opts.loop, &run->pump);
    aff_loop_timer_cancel(run->opts.loop, &run->end);
    return run->flying == 0;
}

struct aff_bulk_run *aff_bulk_run_free(struct aff_bulk_run *run)
{
    if (!run)
        return NULL;
    aff_loop_timer_cancel(run->opts.loop, &run->pump);
    aff_loop_timer_cancel(run->opts.loop, &run->end);
    for (unsigned i = 0; i < run->slots_count; i++) {
        if (run->slots[i]->charged)
            aff_gate_give(run->opts.gate, sizeof *run->slots[i]);
        free(run->slots[i]);
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        drop_block(run, i);
    aff_map_fini(&run->keys);
    aff_buf_fini(&run->stamps);
    free(run);
    return NULL;
}
