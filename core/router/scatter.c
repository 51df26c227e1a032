/*
 * scatter.c - a query to every partition of a keyspace, for a command that asks (<affinity/ask.h>): a scan of each of them alone (scan.h), some
 * at a time, so that one that has no master, or is slow, is missing in the result and holds up nothing else.
 *
 * Each scan holds what it has read ahead and no more; entries are told as they come. Functions of the run are called from timers alone,
 * as in later.c. On the loop of the port.
 */
#include "router/later_inner.h"
#include "router/scan_inner.h"

#include "base/alloc.h"

#include <stdlib.h>

enum {
    SCATTERS_MAX = 4,   /* of a run, at once */
    ASKING_MAX = 1000,  /* as in later.c */
    AT_ONCE = 16,       /* partitions of a query */
    ENTRIES_A_TURN = 200, /* of a partition; then others, and other work of the loop */
};

struct scatter;

/* A place for a partition that is being asked. */
struct lane {
    struct scatter *scatter;
    struct aff_scan *scan; /* NULL: none is */
    uint32_t partition;
    bool waits; /* for the scan to be ready */
};

struct scatter {
    aff_later *later;
    const struct aff_space *space;
    aff_scattered_fn *entry;
    aff_gathered_fn *gathered;
    void *arg;
    struct aff_timer turn, deadline;
    struct aff_range range;
    bool keys_only;
    uint32_t next, until; /* partitions that are not asked yet */
    unsigned asked;   /* lanes that are taken */
    uint64_t entries;
    aff_missing *missing; /* room for all */
    uint32_t missing_count;
    struct lane lanes[AT_ONCE];
    unsigned char bytes[2 * AFF_KEY_MAX]; /* of the range */
};

static struct aff_loop *loop_of(const struct scatter *s)
{
    return s->later->opts.port->loop;
}

static void take_turn_soon(struct scatter *s)
{
    aff_loop_timer_set(loop_of(s), &s->turn, aff_loop_now(loop_of(s)));
}

/* ---- the end ---- */

static int by_number(const void *a, const void *b)
{
    const aff_missing *x = a, *y = b;

    return (x->partition > y->partition) - (x->partition < y->partition);
}

static void end(struct scatter *s)
{
    aff_later *later = s->later;
    aff_gathered result = { .size = sizeof result, .partitions = s->space->partitions, .missing_count = s->missing_count,
                            .missing = s->missing, .entries = s->entries };

    qsort(s->missing, s->missing_count, sizeof *s->missing, by_number);
    aff_loop_timer_cancel(loop_of(s), &s->turn);
    aff_loop_timer_cancel(loop_of(s), &s->deadline);
    later->unanswered--;
    later->scattering--;
    later->inside = true;
    s->gathered(later, &result, s->arg);
    later->inside = false;
    free(s->missing);
    free(s);
    later->asking--;
    aff_later_settle(later);
}

static void miss(struct scatter *s, uint32_t partition, int code)
{
    s->missing[s->missing_count++] = (aff_missing){ partition, code };
}

/* The partition of the lane is done with. */
static void leave(struct lane *lane)
{
    lane->scan = aff_scan_free(lane->scan);
    lane->scatter->asked--;
}

/* Who has not told everything by now is missing. */
static void give_up(struct aff_timer *timer)
{
    struct scatter *s = aff_container_of(timer, struct scatter, deadline);

    for (unsigned i = 0; i < AT_ONCE; i++)
        if (s->lanes[i].scan) {
            miss(s, s->lanes[i].partition, AFF_ETIMEDOUT);
            leave(&s->lanes[i]);
        }
    while (s->next < s->until)
        miss(s, s->next++, AFF_ETIMEDOUT);
    end(s);
}

/* ---- one partition ---- */

static void ready(void *self)
{
    struct lane *lane = self;

    lane->waits = false;
    take_turn_soon(lane->scatter);
}

static void begin(struct lane *lane, uint32_t partition)
{
    struct scatter *s = lane->scatter;
    int64_t until = s->later->opts.deadline_ns, now = aff_loop_now(loop_of(s));
    struct aff_scan_opts opts = {
        .port = s->later->opts.port,
        .space = s->space,
        .range = s->range,
        .alone = true,
        .partition = partition,
        .keys_only = s->keys_only,
        .patience_ns = until == 0 ? 0 : until > now ? until - now : 1,
        .ready = ready,
        .self = lane,
    };

    lane->scan = aff_scan_new(&opts);
    lane->partition = partition;
    lane->waits = false;
    s->asked++;
}

static bool tell(const struct scatter *s, const struct aff_scan_entry *e)
{
    aff_later *later = s->later;
    const struct aff_item *item = &e->item;
    aff_value value = { item->value, item->content_type, e->partition, item->version.offset, item->version.time_ms };
    aff_scattered told = { .size = sizeof told, .key = e->key, .value = &value };
    bool more;

    later->inside = true;
    more = s->entry(later, &told, s->arg);
    later->inside = false;
    return more;
}

/* Tells what is there of it, up to a measure. */
static void go_on(struct lane *lane)
{
    struct scatter *s = lane->scatter;
    struct aff_scan_entry e;
    int code = 1;

    for (int i = 0; i < ENTRIES_A_TURN && code == 1; i++) {
        code = aff_scan_next(lane->scan, &e, NULL);
        if (code != 1)
            break;
        s->entries++;
        if (!tell(s, &e))
            code = 0;
    }
    lane->waits = code == AFF_EAGAIN;
    if (code == 1 || code == AFF_EAGAIN)
        return;
    if (code != 0)
        miss(s, lane->partition, code);
    leave(lane);
}

/* ---- all of them ---- */

static void take_turn(struct aff_timer *timer)
{
    struct scatter *s = aff_container_of(timer, struct scatter, turn);
    bool more = false;

    for (unsigned i = 0; i < AT_ONCE; i++) {
        struct lane *lane = &s->lanes[i];

        if (!lane->scan && s->next < s->until)
            begin(lane, s->next++);
        if (lane->scan && !lane->waits)
            go_on(lane);
        more |= lane->scan ? !lane->waits : s->next < s->until;
    }
    if (more)
        take_turn_soon(s);
    else if (s->asked == 0)
        end(s);
    else
        aff_later_settle(s->later); /* a function of it may have asked */
}

/* ---- beginning ---- */

static int check(const aff_later *later, const aff_scatter_query *query, const struct aff_space **ret_space)
{
    *ret_space = aff_router_space(later->opts.port->router, aff_str(query->keyspace));
    if (!*ret_space)
        return AFF_ENOTFOUND;
    if (query->prefix.data && query->prefix.len > AFF_KEY_MAX)
        return AFF_EINVAL;
    return later->scattering == SCATTERS_MAX || later->asking >= ASKING_MAX ? AFF_EQUEUEFULL : 0;
}

/* And the partitions that can have such keys. */
static void set_range(struct scatter *s, aff_bytes prefix)
{
    struct aff_scan_opts opts = { .space = s->space };

    if (prefix.data && prefix.len > 0) {
        memcpy(s->bytes, prefix.data, prefix.len);
        s->range = aff_range_of_prefix(s->range, aff_bytes_of(s->bytes, prefix.len), s->bytes + AFF_KEY_MAX);
    }
    opts.range = s->range;
    s->until = (uint32_t)aff_scan_partitions(&opts, &s->next);
    s->until += s->next;
}

int aff_scatter(aff_later *later, const aff_scatter_query *query, aff_scattered_fn *entry, aff_gathered_fn *gathered, void *arg)
{
    const struct aff_space *space = NULL;
    int code = check(later, query, &space);
    struct scatter *s;

    if (code != 0)
        return code;
    s = aff_xcalloc(1, sizeof *s);
    s->missing = calloc(space->partitions, sizeof *s->missing);
    if (!s->missing) {
        free(s);
        return AFF_ENOMEM;
    }
    s->later = later;
    s->space = space;
    s->entry = entry;
    s->gathered = gathered;
    s->arg = arg;
    s->keys_only = query->keys_only;
    s->turn.fire = take_turn;
    s->deadline.fire = give_up;
    set_range(s, query->prefix);
    for (unsigned i = 0; i < AT_ONCE; i++)
        s->lanes[i].scatter = s;
    later->scattering++;
    later->asking++;
    later->unanswered++;
    take_turn_soon(s);
    if (later->opts.deadline_ns)
        aff_loop_timer_set(loop_of(s), &s->deadline, later->opts.deadline_ns);
    return 0;
}
