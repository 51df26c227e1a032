/*
 * assign_replicas.c - who holds the partitions: the first placing, static lists, who goes and who is missing, zones, balance. See
 * assignment.h.
 *
 * A replica moves by two steps of the chunk: a new one comes and the old one is marked as leaving; then, when the new one is in step and leads
 * if it has to, the old one goes.
 */
#include "coordinator/deciding.h"

#include <string.h>

/* A list of replicas that is being made. */
struct set {
    int16_t nodes[AFF_REPLICAS_MAX];
    size_t count;
    uint8_t leaving;
};

static struct set set_of(const struct aff_piece *piece)
{
    struct set set = { .count = piece->part->replicas_count, .leaving = piece->part->leaving };

    memcpy(set.nodes, piece->replicas, sizeof set.nodes);
    return set;
}

static bool has(const struct set *set, int16_t node)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->nodes[i] == node)
            return true;
    return false;
}

static bool leaves(const struct set *set, size_t i)
{
    return set->leaving >> i & 1;
}

static bool add(struct set *set, int16_t node, bool leaving)
{
    if (set->count == AFF_REPLICAS_MAX || has(set, node))
        return false;
    set->leaving |= (uint8_t)(leaving << set->count);
    set->nodes[set->count++] = node;
    return true;
}

static void cut(struct set *set, size_t i)
{
    uint8_t below = (uint8_t)((1 << i) - 1);

    memmove(&set->nodes[i], &set->nodes[i + 1], (set->count - i - 1) * sizeof *set->nodes);
    set->count--;
    set->leaving = (uint8_t)((set->leaving & below) | (set->leaving >> 1 & ~below));
}

/* Replicas that stay and share a zone with another; -1 for `without`, `with`: nobody. */
static int crowding(const struct aff_deciding *d, const struct set *set, int16_t without, int16_t with)
{
    int16_t zones[AFF_REPLICAS_MAX + 1];
    int count = 0, crowded = 0;

    for (size_t i = 0; i < set->count; i++)
        if (!leaves(set, i) && set->nodes[i] != without)
            zones[count++] = d->nodes[set->nodes[i]].zone;
    if (with >= 0)
        zones[count++] = d->nodes[with].zone;
    for (int i = 1; i < count; i++)
        for (int k = 0; k < i; k++)
            if (zones[k] == zones[i]) {
                crowded++;
                break;
            }
    return crowded;
}

/* The best node for one more replica, or -1. */
static int16_t newcomer(const struct aff_deciding *d, const struct aff_piece *piece, const struct set *set)
{
    int16_t best = -1;
    int best_crowding = 0;

    for (int16_t node = 0; (size_t)node < d->nodes_count; node++) {
        int crowded = 0;
        if (!d->nodes[node].able || has(set, node))
            continue;
        crowded = crowding(d, set, -1, node);
        if (best >= 0 && crowded > best_crowding)
            continue;
        if (best >= 0 && crowded == best_crowding && d->nodes[node].holds > d->nodes[best].holds)
            continue;
        if (best >= 0 && crowded == best_crowding && d->nodes[node].holds == d->nodes[best].holds &&
            aff_piece_lot(d, piece, node) >= aff_piece_lot(d, piece, best))
            continue;
        best = node;
        best_crowding = crowded;
    }
    return best;
}

static bool put(struct aff_deciding *d, struct aff_piece *piece, const struct set *set)
{
    if (!set->count)
        return false;
    return aff_piece_place(d, piece, set->nodes, set->count, set->leaving);
}

/* ---- what nobody holds, and lists ---- */

static size_t able_nodes(const struct aff_deciding *d)
{
    size_t able = 0;

    for (size_t i = 0; i < d->nodes_count; i++)
        able += d->nodes[i].able;
    return able;
}

static void place_first(struct aff_deciding *d, struct aff_piece *piece)
{
    struct set set = { .count = 0 };
    uint32_t wanted = aff_piece_wanted(piece);

    if (d->in->patient && able_nodes(d) < wanted)
        return;
    while (set.count < wanted) {
        int16_t node = newcomer(d, piece, &set);
        if (node < 0)
            break;
        (void)add(&set, node, false);
    }
    (void)put(d, piece, &set);
}

/* The node stands in the chunk as the owner, or the node of a hand-over, whether it lives or not. */
static bool is_named(const struct aff_deciding *d, const struct aff_piece *piece, int16_t node)
{
    const char *name = d->roster.nodes[node].name;

    return aff_member_of(piece->part->owner, name) || aff_member_of(piece->part->next, name);
}

static void follow_list(struct aff_deciding *d, struct aff_piece *piece)
{
    const char *const *list = piece->space->assigned[piece->partition];
    struct set before = set_of(piece), after = { .count = 0 };

    for (uint32_t i = 0; i < aff_piece_wanted(piece); i++)
        (void)add(&after, aff_roster_find(&d->roster, list[i]), false);
    for (int named = 1; named >= 0; named--)
        for (size_t i = 0; i < before.count; i++)
            if (is_named(d, piece, before.nodes[i]) == named)
                (void)add(&after, before.nodes[i], true);
    if (after.count != before.count || after.leaving != before.leaving ||
        memcmp(after.nodes, before.nodes, after.count * sizeof *after.nodes) != 0)
        (void)put(d, piece, &after);
}

void aff_assign_place(struct aff_deciding *d)
{
    for (size_t i = 0; i < d->pieces_count; i++) {
        struct aff_piece *piece = &d->pieces[i];
        if (!aff_piece_automatic(piece))
            follow_list(d, piece);
        else if (!piece->part->replicas_count)
            place_first(d, piece);
    }
}

/* ---- who goes ---- */

static size_t staying(const struct aff_piece *piece, uint8_t among)
{
    return (size_t)__builtin_popcount(
        (unsigned)(among & ~piece->part->leaving & ((1 << piece->part->replicas_count) - 1)));
}

/* Those that leave go when as many as wanted are in step, and no mastership is theirs. */
static void let_go(struct aff_deciding *d, struct aff_piece *piece)
{
    struct set set = set_of(piece);
    size_t enough = staying(piece, UINT8_MAX), wanted = aff_piece_wanted(piece);
    bool built = false;

    if (!set.leaving || piece->owner < 0)
        return;
    enough = enough > wanted ? wanted : enough;
    built = enough && staying(piece, piece->settled) >= enough;
    for (size_t i = set.count; i-- > 0;)
        if (leaves(&set, i) && (built || d->nodes[set.nodes[i]].gone) && !is_named(d, piece, set.nodes[i]))
            cut(&set, i);
    if (set.count != piece->part->replicas_count)
        (void)put(d, piece, &set);
}

/* ---- who is missing, who is too many ---- */

struct tally {
    size_t here, gone; /* that stay: those that are gone, and the others */
    bool live;
};

static struct tally tally_of(const struct aff_deciding *d, const struct set *set)
{
    struct tally tally = { 0 };

    for (size_t i = 0; i < set->count; i++) {
        tally.live |= d->nodes[set->nodes[i]].live;
        if (leaves(set, i))
            continue;
        tally.gone += d->nodes[set->nodes[i]].gone;
        tally.here += !d->nodes[set->nodes[i]].gone;
    }
    return tally;
}

/* One that was to leave stays; prefers one that lives. */
static bool call_back(const struct aff_deciding *d, struct set *set)
{
    for (int live = 1; live >= 0; live--)
        for (size_t i = 0; i < set->count; i++)
            if (leaves(set, i) && !d->nodes[set->nodes[i]].gone && d->nodes[set->nodes[i]].live == live) {
                set->leaving &= (uint8_t) ~(1 << i);
                return true;
            }
    return false;
}

/* One that is gone makes room; it stays as one that leaves while the chunk names it. */
static bool drop_gone(const struct aff_deciding *d, const struct aff_piece *piece, struct set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        if (!d->nodes[set->nodes[i]].gone || leaves(set, i))
            continue;
        if (is_named(d, piece, set->nodes[i]))
            set->leaving |= (uint8_t)(1 << i);
        else
            cut(set, i);
        return true;
    }
    return false;
}

static bool bring_one(const struct aff_deciding *d, const struct aff_piece *piece, struct set *set)
{
    int16_t node = newcomer(d, piece, set);
    struct set smaller = *set;

    if (node < 0)
        return false;
    (void)drop_gone(d, piece, &smaller);
    if (!add(&smaller, node, false))
        return false;
    *set = smaller;
    return true;
}

/* Fewer are wanted: the one that leads stays; those that are not in step, and whose nodes hold most, go first. */
static void send_one(const struct aff_deciding *d, const struct aff_piece *piece, struct set *set)
{
    int worst = -1;

    for (int i = 0; (size_t)i < set->count; i++) {
        int16_t node = set->nodes[i];
        if (leaves(set, (size_t)i) || node == piece->lead)
            continue;
        if (worst < 0 || aff_piece_in_step(piece, i) < aff_piece_in_step(piece, worst) ||
            (aff_piece_in_step(piece, i) == aff_piece_in_step(piece, worst) &&
             d->nodes[node].holds >= d->nodes[set->nodes[worst]].holds))
            worst = i;
    }
    if (worst >= 0)
        set->leaving |= (uint8_t)(1 << worst);
}

static void repair(struct aff_deciding *d, struct aff_piece *piece)
{
    struct set set = set_of(piece);
    struct tally tally = tally_of(d, &set);
    size_t wanted = aff_piece_wanted(piece);
    bool more = false;

    if (tally.here < wanted) {
        more = call_back(d, &set);
        if (!more && (d->moving < d->moves || piece->moving || !tally.live))
            more = bring_one(d, piece, &set);
    } else if (tally.gone) {
        more = drop_gone(d, piece, &set);
    } else if (tally.here > wanted && !set.leaving) {
        send_one(d, piece, &set);
        more = set.leaving != 0;
    }
    if (more && put(d, piece, &set))
        repair(d, piece); /* each makes the difference to what is wanted smaller */
}

/* ---- moves ---- */

/* At rest: led, complete, nothing under way. */
static bool at_rest(const struct aff_piece *piece)
{
    return aff_piece_automatic(piece) && !piece->moving && piece->owner >= 0 && piece->next < 0 &&
           (!piece->part->target[0] || piece->part->pinned) && piece->part->replicas_count < AFF_REPLICAS_MAX;
}

/* How much better the masters were balanced if `to` led it instead of who does. */
static int64_t gain(const struct aff_deciding *d, const struct aff_piece *piece, int16_t to)
{
    int64_t gain = piece->part->pinned ? 0 : (int64_t)d->nodes[piece->lead].leads - d->nodes[to].leads - 1;

    return gain > 0 ? gain : 0;
}

/* A replica moves from one node to another; the mastership with it, or from whoever has it, where that makes them more even. */
static void move(struct aff_deciding *d, struct aff_piece *piece, int16_t from, int16_t to)
{
    struct set set = set_of(piece);
    bool leads = gain(d, piece, to) > 0;

    if (!add(&set, to, false))
        return;
    set.leaving |= (uint8_t)(1 << aff_piece_replica(piece, from));
    if (put(d, piece, &set) && leads)
        (void)aff_piece_aim(d, piece, to);
}

static bool may_move(const struct aff_deciding *d, const struct aff_piece *piece, const struct set *set, int16_t from,
                     int16_t to)
{
    if (!has(set, from) || has(set, to))
        return false;
    if (piece->part->pinned && piece->lead == from)
        return false;
    return crowding(d, set, from, to) <= crowding(d, set, -1, -1);
}

/* ---- zones ---- */

static int fewest_crowded(const struct aff_deciding *d, uint32_t wanted)
{
    int zones = 0;

    for (size_t i = 0; i < d->nodes_count; i++) {
        bool first = d->nodes[i].able;
        for (size_t k = 0; k < i; k++)
            first = first && !(d->nodes[k].able && d->nodes[k].zone == d->nodes[i].zone);
        zones += first;
    }
    return (int)wanted > zones ? (int)wanted - zones : 0;
}

static void spread(struct aff_deciding *d, struct aff_piece *piece)
{
    struct set set = set_of(piece);
    int least = crowding(d, &set, -1, -1);
    int16_t from = -1, to = -1;

    for (size_t i = 0; i < set.count; i++) {
        struct set rest = set;
        int16_t node = -1;
        if (!d->nodes[set.nodes[i]].live || (piece->part->pinned && piece->lead == set.nodes[i]))
            continue;
        rest.leaving |= (uint8_t)(1 << i);
        node = newcomer(d, piece, &rest);
        if (node < 0 || crowding(d, &rest, -1, node) > least)
            continue;
        if (crowding(d, &rest, -1, node) == least && (from < 0 || d->nodes[set.nodes[i]].holds <= d->nodes[from].holds))
            continue;
        least = crowding(d, &rest, -1, node);
        from = set.nodes[i];
        to = node;
    }
    if (from >= 0)
        move(d, piece, from, to);
}

static void spread_zones(struct aff_deciding *d)
{
    for (size_t i = 0; i < d->pieces_count && d->moving < d->moves; i++) {
        struct aff_piece *piece = &d->pieces[i];
        struct set set = set_of(piece);
        if (at_rest(piece) && crowding(d, &set, -1, -1) > fewest_crowded(d, aff_piece_wanted(piece)))
            spread(d, piece);
    }
}

/* ---- balance ---- */

/* The partition that is best moved from one node to the other, or NULL. */
static struct aff_piece *best_move(struct aff_deciding *d, int16_t from, int16_t to)
{
    struct aff_piece *best = NULL;
    int64_t best_score = 0;

    for (size_t i = 0; i < d->pieces_count; i++) {
        struct aff_piece *piece = &d->pieces[i];
        struct set set = set_of(piece);
        int64_t score = 0;
        if (!at_rest(piece) || !may_move(d, piece, &set, from, to))
            continue;
        /* A mastership that has to move anyway, else none. */
        score = gain(d, piece, to) * 2 + (piece->lead == from ? (gain(d, piece, to) ? 1 : -1) : 0);
        if (!best || score > best_score ||
            (score == best_score && aff_piece_lot(d, piece, to) < aff_piece_lot(d, best, to))) {
            best = piece;
            best_score = score;
        }
    }
    return best;
}

/* Nodes by how much they hold, most first; of equals in their order. */
static size_t ranked(const struct aff_deciding *d, int16_t *ret_nodes, size_t room)
{
    size_t count = 0;

    for (int16_t node = 0; (size_t)node < d->nodes_count && count < room; node++) {
        size_t at = count;
        if (!d->nodes[node].able)
            continue;
        for (; at > 0 && d->nodes[ret_nodes[at - 1]].holds < d->nodes[node].holds; at--)
            ret_nodes[at] = ret_nodes[at - 1];
        ret_nodes[at] = node;
        count++;
    }
    return count;
}

static bool balance_once(struct aff_deciding *d)
{
    int16_t nodes[1024];
    size_t count = ranked(d, nodes, sizeof nodes / sizeof *nodes);

    for (size_t most = 0; most < count; most++)
        for (size_t least = count; least-- > most + 1;) {
            struct aff_piece *piece = NULL;
            if (d->nodes[nodes[most]].holds < d->nodes[nodes[least]].holds + 2)
                break;
            piece = best_move(d, nodes[most], nodes[least]);
            if (piece) {
                move(d, piece, nodes[most], nodes[least]);
                return true;
            }
        }
    return false;
}

/* ---- exchanges ---- */

/* One that `from` leads and could move with its mastership, or one that it only holds. */
static struct aff_piece *one_of(struct aff_deciding *d, int16_t from, int16_t to, bool led)
{
    for (size_t i = 0; i < d->pieces_count; i++) {
        struct aff_piece *piece = &d->pieces[i];
        struct set set = set_of(piece);
        if (at_rest(piece) && (piece->lead == from) == led && may_move(d, piece, &set, from, to))
            return piece;
    }
    return NULL;
}

static bool exchange(struct aff_deciding *d, int16_t most, int16_t least)
{
    struct aff_piece *there = one_of(d, most, least, true), *back = one_of(d, least, most, false);

    if (!there || (!back && d->nodes[most].holds <= d->nodes[least].holds))
        return false;
    if (d->nodes[most].holds <= d->nodes[least].holds)
        move(d, back, least, most);
    move(d, there, most, least);
    return true;
}

void aff_assign_exchange(struct aff_deciding *d)
{
    for (int16_t most = 0; (size_t)most < d->nodes_count; most++)
        for (int16_t least = 0; (size_t)least < d->nodes_count; least++)
            if (d->nodes[most].able && d->nodes[least].able && d->nodes[most].leads >= d->nodes[least].leads + 2 &&
                d->nodes[least].leads < d->share && exchange(d, most, least))
                return;
}

void aff_assign_replicas(struct aff_deciding *d)
{
    for (size_t i = 0; i < d->pieces_count; i++)
        let_go(d, &d->pieces[i]);
    if (d->in->patient)
        return;
    for (size_t i = 0; i < d->pieces_count; i++)
        if (aff_piece_automatic(&d->pieces[i]) && d->pieces[i].part->replicas_count)
            repair(d, &d->pieces[i]);
    spread_zones(d);
    while (d->moving < d->moves && balance_once(d))
        ;
}
