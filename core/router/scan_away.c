/*
 * scan_away.c - a part of a scan that another node leads: its chunks are asked for (scan_wire.h), one ahead of what is being told.
 *
 * Every question names the key behind which it goes on, so it may be asked again, and of another node than the one before: a new leader
 * goes on behind the last key. What was asked ahead and failed is asked again when it is needed, and only then does a failure
 * count: whatever comes before it is told. When the answer is that this node leads, the part is read here.
 *
 * On the port's loop.
 */
#include "router/ask.h"
#include "router/scan_inner.h"
#include "router/scan_wire.h"

#include <stdlib.h>

enum {
    TURNS_MAX = 4,      /* said so often in a row to lead here, and not served here, the part has no master */
    AHEAD_MAX = 64,     /* questions that nobody waits for yet, of a scan */
    AHEAD_LEAST = 2048, /* a share below is not divided into a chunk that is told and one ahead */
};

/* What is under way for a part. */
struct aff_scan_away {
    struct aff_ask ask;
    struct aff_scan *scan;
    struct aff_scan_part *part;
    struct aff_scan_question question; /* its views are in the scan and in the part */
    bool asking, awaited;
    bool there;          /* the chunk behind the one that is told came: `data` */
    bool ended;          /* nothing lies behind it */
    unsigned char turns; /* TURNS_MAX */
    unsigned char *data;
    uint32_t len, capacity, tail; /* tail: its last entry */
    uint32_t identity8;
    int64_t deadline_ns; /* of the chunk; 0: it was not asked for yet */
};

/* A value that was too long to come with its key. */
struct aff_scan_value {
    struct aff_ask ask;
    struct aff_scan *scan;
    struct aff_scan_part *part;
    struct aff_scan_question question;
    enum { NOTHING, ASKED, IS_THERE, IS_GONE } state;
    unsigned char turns;
    struct aff_item item; /* its views are in the scan's `whole` */
};

/* ---- questions ---- */

static int64_t patience_of(const struct aff_scan *scan)
{
    return scan->opts.patience_ns ? aff_loop_now(scan->opts.port->loop) + scan->opts.patience_ns : 0;
}

/* What all questions of a scan have in common. */
static void fill_question(const struct aff_scan *scan, struct aff_scan_question *q)
{
    q->local = scan->opts.local;
    q->key.data = NULL;
    if (scan->opts.index) {
        const struct aff_index_decl *decl = &scan->opts.space->indexes->base.items[scan->opts.index->index];

        q->indexed = true;
        q->index = aff_str(decl->name);
        q->declared = decl->digest;
        q->terms = *scan->opts.index;
    }
}

static bool send(struct aff_scan *scan, const struct aff_scan_part *part, struct aff_ask *ask,
                 const struct aff_scan_question *q)
{
    struct aff_buf body;
    bool ok;

    aff_buf_init(&body);
    ok = aff_scan_question_put(&body, q);
    if (ok) {
        aff_bytes view = aff_buf_view(&body);

        ask->partition = part->index;
        ask->kind = AFF_WIRE_SCAN;
        aff_port_ask(scan->opts.port, scan->opts.space, ask, &view, 1);
    }
    aff_buf_fini(&body);
    return ok;
}

/* Of an answer: 0, AFF_ASK_HERE, or a failure. */
static int take_reply(int code, aff_bytes answer, const struct aff_scan_question *q, struct aff_scan_reply *ret_reply)
{
    if (code != 0)
        return code;
    return aff_scan_reply_take(answer, q, ret_reply) ? ret_reply->code : AFF_EIO;
}

/* ---- chunks ---- */

static int keep(struct aff_scan_away *away, const struct aff_scan_reply *reply)
{
    size_t len = reply->entries.len;

    if (len > away->capacity) {
        unsigned char *data = realloc(away->data, len);

        if (!data)
            return AFF_ENOMEM;
        away->data = data;
        away->capacity = (uint32_t)len;
    }
    if (len > 0)
        memcpy(away->data, reply->entries.data, len);
    away->len = (uint32_t)len;
    away->tail = reply->tail;
    away->identity8 = reply->identity8;
    away->ended = !reply->more;
    away->there = true;
    return 0;
}

static void chunk_answered(struct aff_ask *ask, int code, aff_bytes answer)
{
    struct aff_scan_away *away = aff_container_of(ask, struct aff_scan_away, ask);
    struct aff_scan *scan = away->scan;
    struct aff_scan_reply reply;

    away->asking = false;
    code = take_reply(code, answer, &away->question, &reply);
    if (code == 0)
        code = keep(away, &reply);
    if (code == AFF_ASK_HERE) {
        away->turns++;
        away->part->deposed = false;
    }
    if (!away->awaited) {
        scan->ahead--;
        return;
    }
    away->awaited = false;
    if (code < 0)
        (void)aff_scan_fail(scan, away->part, code);
    aff_scan_came(scan);
}

static struct aff_scan_away *away_of(struct aff_scan *scan, struct aff_scan_part *part)
{
    struct aff_scan_away *away = part->away;

    if (!away) {
        part->away = away = aff_xcalloc(1, sizeof *away);
        away->scan = scan;
        away->part = part;
        away->ask.answered = chunk_answered;
        fill_question(scan, &away->question);
    }
    return away;
}

/* For what lies behind the entry at `last` of what the part has. */
static int ask_chunk(struct aff_scan *scan, struct aff_scan_part *part, uint32_t last, size_t bytes)
{
    struct aff_scan_away *away = away_of(scan, part);

    if (away->deadline_ns == 0)
        away->deadline_ns = patience_of(scan);
    away->question.step = aff_scan_step_of(scan, part, last);
    away->question.bytes = (uint32_t)bytes;
    away->ask.deadline_ns = away->deadline_ns;
    away->asking = send(scan, part, &away->ask, &away->question);
    return away->asking ? 0 : AFF_ENOMEM;
}

static void take_over(struct aff_scan_part *part, struct aff_scan_away *away)
{
    unsigned char *data = part->data;
    uint32_t capacity = part->capacity;

    part->data = away->data;
    part->len = away->len;
    part->capacity = away->capacity;
    part->at = 0;
    part->identity8 = away->identity8;
    part->ended = away->ended;
    away->data = data;
    away->capacity = capacity;
    away->there = false;
    part->follow = !part->ended;
    aff_scan_settled(part);
}

bool aff_scan_is_away(const struct aff_scan_part *part)
{
    return part->away && (part->away->asking || part->away->there);
}

int aff_scan_read_away(struct aff_scan *scan, struct aff_scan_part *part, size_t bytes)
{
    struct aff_scan_away *away = away_of(scan, part);
    int code;

    if (away->there) {
        take_over(part, away);
        return 0;
    }
    if (away->awaited)
        return AFF_EAGAIN;
    if (away->turns >= TURNS_MAX)
        return AFF_ENOMASTER;
    if (scan->awaited >= AFF_SCAN_AWAITED_MAX)
        return AFF_EAGAIN;
    if (away->asking)
        scan->ahead--;
    else if ((code = ask_chunk(scan, part, part->last, bytes)) != 0)
        return code;
    away->awaited = true;
    scan->awaited++;
    return AFF_EAGAIN;
}

void aff_scan_settled(struct aff_scan_part *part)
{
    if (!part->away)
        return;
    part->away->turns = 0;
    part->away->deadline_ns = 0;
}

void aff_scan_ask_ahead(struct aff_scan *scan, struct aff_scan_part *part, size_t bytes)
{
    if (scan->ahead >= AHEAD_MAX || bytes < AHEAD_LEAST)
        return;
    part->follow = false;
    if (ask_chunk(scan, part, part->away->tail, bytes) ==
        0) /* else it is asked for again, and told, when it is needed */
        scan->ahead++;
}

void aff_scan_forget_away(struct aff_scan *scan, struct aff_scan_part *part)
{
    struct aff_scan_away *away = part->away;

    if (!away)
        return;
    if (away->asking)
        aff_port_ask_forget(scan->opts.port, &away->ask);
    if (away->asking && !away->awaited)
        scan->ahead--;
    free(away->data);
    free(away);
    part->away = NULL;
}

/* ---- values ---- */

static int keep_value(struct aff_scan_value *value, const struct aff_scan_reply *reply)
{
    value->state = reply->more ? IS_THERE : IS_GONE;
    value->item = reply->item;
    value->part->identity8 = reply->identity8;
    return reply->more ? aff_scan_keep_whole(value->scan, &value->item) : 0;
}

static void value_answered(struct aff_ask *ask, int code, aff_bytes answer)
{
    struct aff_scan_value *value = aff_container_of(ask, struct aff_scan_value, ask);
    struct aff_scan_reply reply;

    value->state = NOTHING;
    code = take_reply(code, answer, &value->question, &reply);
    if (code == 0)
        code = keep_value(value, &reply);
    if (code == AFF_ASK_HERE) {
        value->turns++;
        value->part->deposed = false;
    }
    if (code < 0)
        (void)aff_scan_fail(value->scan, value->part, code);
    aff_scan_came(value->scan);
}

static struct aff_scan_value *value_of(struct aff_scan *scan)
{
    struct aff_scan_value *value = scan->value;

    if (!value) {
        scan->value = value = aff_xcalloc(1, sizeof *value);
        value->scan = scan;
        value->ask.answered = value_answered;
        fill_question(scan, &value->question);
    }
    return value;
}

bool aff_scan_value_is_away(const struct aff_scan *scan)
{
    return scan->value && scan->value->state != NOTHING;
}

static int ask_value(struct aff_scan *scan, struct aff_scan_part *part, aff_bytes place, aff_bytes key)
{
    struct aff_scan_value *value = value_of(scan);

    value->part = part;
    value->question.step = (struct aff_store_step){ .from = place, .keys_only = scan->opts.keys_only };
    value->question.key = key;
    value->ask.deadline_ns = patience_of(scan);
    if (!send(scan, part, &value->ask, &value->question))
        return AFF_ENOMEM;
    value->state = ASKED;
    scan->awaited++;
    return AFF_EAGAIN;
}

int aff_scan_read_value_away(struct aff_scan *scan, struct aff_scan_part *part, aff_bytes place, aff_bytes key,
                             struct aff_item *ret_item)
{
    struct aff_scan_value *value = value_of(scan);

    switch (value->state) {
    case ASKED:
        return AFF_EAGAIN;
    case IS_THERE:
        *ret_item = value->item;
        return 1;
    case IS_GONE:
        return 0;
    case NOTHING:
        break;
    }
    return value->turns >= TURNS_MAX ? AFF_ENOMASTER : ask_value(scan, part, place, key);
}

void aff_scan_value_passed(struct aff_scan *scan)
{
    if (!scan->value)
        return;
    scan->value->state = NOTHING;
    scan->value->turns = 0;
}

void aff_scan_forget_value(struct aff_scan *scan)
{
    if (!scan->value)
        return;
    if (scan->value->state == ASKED)
        aff_port_ask_forget(scan->opts.port, &scan->value->ask);
    free(scan->value);
    scan->value = NULL;
}
