/*
 * kafka/fetch.c - which of the two consumers fetches a stream, and when. The reader's thread.
 *
 *             asked                   at the end, the read waits, for a second
 *   nothing ----------> catching up ------------------------------------------> tailing
 *      ^                     |  ^                                                  |
 *      |                     |  +--------------------------------------------------+
 *      |                     |      asked for the end, or more came than was taken
 *      +---------------------+-----------------------------------------------------+
 *            not asked for a second, or its turn is over and others wait
 *
 * What is read ahead of the loops stays in librdkafka's queues, one a stream, which it bounds: above the bound it fetches no
 * more of that partition. So many streams catch up at one time, the others stand in line. A read of which it is known that
 * entries are there (a gap, a claim) needs no place.
 * Fetching begins anew to learn the end as it is now: librdkafka tells an end once, and the one that it told is of then.
 */
#include "changelog/kafka/reading.h"

enum {
    PLACES = 12,
    IDLE_MS = 1000,   /* not asked for so long: let go */
    LINGER_MS = 1000, /* at the end for so long: to the tail */
    SLICE_MS = 1000,  /* a turn, when others wait for a place ... */
    STARVED_MS = 250, /* ... and nothing comes */
    KICK_MS = 1000,   /* nothing came for so long although there is something: begin anew */
    KICK_MAX_MS = 8000,
    REFUSED_RETRY_MS = 500,
    GONE_MS = 2000,  /* a read of a topic that was gone is answered after it, when nothing new is known */
    VAGUE_MS = 5000, /* errors without progress */
    BEHIND_MS = 5000,
};

static int64_t ns_of(int64_t ms)
{
    return ms * AFF_NS_PER_MS;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- places ---- */

static void wake_at(struct aff_kafka_stream *s, int64_t due_ns)
{
    if (!aff_heap_has(&s->timer) || s->timer.key > due_ns)
        aff_heap_set(&s->reader->timers, &s->timer, due_ns);
}

static bool somebody_waits(const struct aff_kafka_stream *s)
{
    return !aff_list_empty(&s->reader->places.line);
}

/* The first in the line comes for the place that is free; it wakes the next when there is one more. */
static void call_next(struct aff_kafka_reader *r)
{
    struct aff_list *first = aff_list_first(&r->places.line);

    if (first && r->places.taken < PLACES)
        wake_at(aff_container_of(first, struct aff_kafka_stream, place), 0);
}

static void take_place(struct aff_kafka_stream *s)
{
    struct aff_kafka_places *places = &s->reader->places;

    aff_list_remove(&s->place);
    aff_list_append(&places->holders, &s->place);
    places->taken++;
    s->has_place = true;
    s->place_ns = aff_kafka_now(s);
    call_next(s->reader);
}

/* Whoever only lingers gives its place up, others when they had their turn. */
static void wake_holders(struct aff_kafka_stream *s)
{
    aff_list_each(node, &s->reader->places.holders) {
        struct aff_kafka_stream *holder = aff_container_of(node, struct aff_kafka_stream, place);
        wake_at(holder, 0);
    }
}

/* True: it has a place; else it stands in the line. */
static bool enter(struct aff_kafka_stream *s)
{
    struct aff_kafka_places *places = &s->reader->places;

    if (s->has_place)
        return true;
    if (places->taken < PLACES && (!somebody_waits(s) || aff_list_first(&places->line) == &s->place)) {
        take_place(s);
        return true;
    }
    if (aff_list_empty(&s->place)) {
        aff_list_append(&places->line, &s->place);
        wake_holders(s);
    }
    return false;
}

/* The place, or the line. */
static void leave(struct aff_kafka_stream *s)
{
    aff_list_remove(&s->place);
    s->reader->places.taken -= s->has_place;
    s->has_place = false;
    call_next(s->reader);
}

/* ---- sources ---- */

void aff_kafka_fetch_stop(struct aff_kafka_stream *s)
{
    s->source = aff_kafka_source_stop(s->source, aff_kafka_now(s));
    s->at_end = s->probing = false;
}

void aff_kafka_fetch_let_go(struct aff_kafka_stream *s)
{
    aff_kafka_fetch_stop(s);
    leave(s);
    aff_kafka_window_move(&s->window, s->window.base);
}

static void begin(struct aff_kafka_stream *s, enum aff_kafka_role role)
{
    struct aff_kafka_reader *r = s->reader;
    int64_t offset = s->probing ? RD_KAFKA_OFFSET_END : s->window.position;
    rd_kafka_resp_err_t error;

    s->role = role;
    s->source_serial = s->serial;
    s->started_ns = s->progress_ns = aff_kafka_now(s);
    s->at_end = false;
    s->source = aff_kafka_source_start(role == AFF_KAFKA_TAIL ? r->tail : r->catch_up, s->topic, s->partition, offset,
                                       &s->came, &error);
    if (!s->source) {
        aff_kafka_event_error(s, error);
        s->trouble.retry_ns = later(s->trouble.retry_ns, s->started_ns + ns_of(REFUSED_RETRY_MS));
    }
}

static bool is_known_to_be_there(const struct aff_kafka_stream *s)
{
    return s->probing || (s->want.mode == AFF_READ_WAIT && s->window.position < s->want.confirmed_end);
}

static void catch_up(struct aff_kafka_stream *s)
{
    if (is_known_to_be_there(s) || enter(s))
        begin(s, AFF_KAFKA_CATCH_UP);
}

static void begin_anew(struct aff_kafka_stream *s)
{
    bool probing = s->probing;

    aff_kafka_fetch_stop(s);
    s->probing = probing;
    catch_up(s);
}

static void move_to_tail(struct aff_kafka_stream *s)
{
    aff_kafka_fetch_stop(s);
    leave(s);
    begin(s, AFF_KAFKA_TAIL);
}

static bool wants_more(const struct aff_kafka_stream *s)
{
    return s->window.count == 0 ||
           (s->window.count < aff_kafka_stream_entries(s) && s->window.bytes < aff_kafka_stream_bytes(s));
}

void aff_kafka_fetch_pull(struct aff_kafka_stream *s)
{
    rd_kafka_message_t *message;

    do {
        rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
        message = s->open && s->source && wants_more(s) ? aff_kafka_source_take(s->source, &error) : NULL;
        if (message)
            aff_kafka_event_message(s, message);
        if (error)
            aff_kafka_event_error(s, error);
    } while (message);
}

/* ---- what is to be done, and when to look again ---- */

/* When others wait for a place: a turn ends after a while, and sooner for one that gets nothing, or is not asked. */
static int64_t turn_due(const struct aff_kafka_stream *s)
{
    int64_t due = s->place_ns + ns_of(SLICE_MS);

    if (!s->has_place || !somebody_waits(s))
        return INT64_MAX;
    if (!s->open)
        due = sooner(due, s->answered_ns + ns_of(STARVED_MS));
    else if (s->progress_ns == s->started_ns)
        due = sooner(due, s->started_ns + ns_of(STARVED_MS));
    return due;
}

/* librdkafka fetches no more although its queue is empty. */
static bool is_stuck(const struct aff_kafka_stream *s)
{
    return s->source && !s->at_end && aff_kafka_source_may_sleep(s->source);
}

static int64_t arrange_idle(struct aff_kafka_stream *s, int64_t now)
{
    int64_t until = s->answered_ns + ns_of(IDLE_MS);

    if (!s->has_place)
        leave(s);
    if (!s->source && s->window.count == 0 && !s->has_place)
        return INT64_MAX;
    if (now >= until || now >= turn_due(s) || (s->at_end && s->has_place && somebody_waits(s))) {
        aff_kafka_fetch_let_go(s);
        return INT64_MAX;
    }
    if (is_stuck(s) && s->has_place)
        begin_anew(s);
    return sooner(until, turn_due(s));
}

/* A read of a topic that is known to be in trouble does not wait for ever. */
static int64_t bound_trouble(struct aff_kafka_stream *s, int64_t now)
{
    int64_t due = INT64_MAX;

    if (s->trouble.status)
        due = later(s->asked_ns, s->started_ns) + ns_of(GONE_MS);
    else if (s->trouble.vague_ns)
        due = later(s->asked_ns, s->trouble.vague_ns) + ns_of(VAGUE_MS);
    if (now < due)
        return due;
    s->trouble.status = AFF_EIO;
    aff_kafka_stream_fail(s, AFF_EIO);
    return s->answered_ns + ns_of(IDLE_MS);
}

/* Ends below what was confirmed are seen while a new leader does not know yet how far the log is safe; not for long. */
static void tell_behind(struct aff_kafka_stream *s, int64_t now)
{
    if (s->behind_ns <= 0 || now - s->behind_ns < ns_of(BEHIND_MS))
        return;
    s->behind_ns = -1;
    aff_log(s->reader->logger, WARN, "changelog.end-behind", aff_f_str("topic", s->topic),
            aff_f_int("partition", s->partition), aff_f_int("end", s->window.position),
            aff_f_int("confirmed", s->want.confirmed_end));
}

static bool seems_at_end(const struct aff_kafka_stream *s)
{
    return s->at_end || (!s->probing && s->window.position >= later(s->log_end, s->want.confirmed_end));
}

/* There seems to be nothing more, and that was found out before this read came. */
static bool needs_end(const struct aff_kafka_stream *s)
{
    return s->want.mode != AFF_READ_WAIT && s->source_serial != s->serial && seems_at_end(s);
}

/* Something must come: what is there, or, of a source that is new, at least the end. */
static int64_t kick_due(struct aff_kafka_stream *s)
{
    bool owed = s->want.mode != AFF_READ_WAIT || s->window.position < s->want.confirmed_end ||
                s->window.position < s->log_end || s->progress_ns == s->started_ns;
    if (s->kick_ns == 0)
        s->kick_ns = ns_of(KICK_MS);
    return owed ? later(s->progress_ns, s->asked_ns) + s->kick_ns : INT64_MAX;
}

/* Begins anew, unless the cluster tells why nothing comes. */
static void kick(struct aff_kafka_stream *s, int64_t now)
{
    rd_kafka_resp_err_t error = aff_kafka_source_examine(s->source, now);

    s->kick_ns = sooner(s->kick_ns * 2, ns_of(KICK_MAX_MS));
    if (error)
        aff_kafka_event_error(s, error);
    else
        begin_anew(s);
}

static int64_t arrange_tail(struct aff_kafka_stream *s, int64_t now)
{
    if (needs_end(s) || is_stuck(s))
        begin_anew(s);
    else if (now >= kick_due(s))
        kick(s, now);
    return kick_due(s);
}

static int64_t arrange_catch_up(struct aff_kafka_stream *s, int64_t now)
{
    bool hurry = somebody_waits(s);
    bool waits = s->want.mode == AFF_READ_WAIT && (s->at_end || (hurry && seems_at_end(s)));
    int64_t tail_due = hurry ? now : later(s->end_ns, s->asked_ns) + ns_of(LINGER_MS);

    if (waits && now >= tail_due) {
        move_to_tail(s);
        return INT64_MAX;
    }
    if (now >= turn_due(s)) {
        leave(s);
        begin_anew(s);
        return INT64_MAX;
    }
    if (needs_end(s) || is_stuck(s))
        begin_anew(s);
    else if (now >= kick_due(s))
        kick(s, now);
    return sooner(sooner(kick_due(s), turn_due(s)), waits ? tail_due : INT64_MAX);
}

static int64_t arrange_source(struct aff_kafka_stream *s, int64_t now)
{
    if (s->source)
        return s->role == AFF_KAFKA_TAIL ? arrange_tail(s, now) : arrange_catch_up(s, now);
    catch_up(s);
    return s->source ? sooner(kick_due(s), turn_due(s)) : INT64_MAX;
}

static int64_t arrange_open(struct aff_kafka_stream *s, int64_t now)
{
    int64_t due = INT64_MAX;

    tell_behind(s, now);
    if (now >= s->trouble.retry_ns)
        due = arrange_source(s, now);
    if (now < s->trouble.retry_ns) {
        leave(s);
        due = s->trouble.retry_ns;
    }
    return sooner(due, bound_trouble(s, now));
}

void aff_kafka_fetch_arrange(struct aff_kafka_stream *s)
{
    int64_t now = aff_kafka_now(s);
    int64_t due = s->open ? arrange_open(s, now) : arrange_idle(s, now);

    if (due == INT64_MAX)
        aff_heap_remove(&s->reader->timers, &s->timer);
    else
        aff_heap_set(&s->reader->timers, &s->timer, later(due, now + ns_of(1)));
}
