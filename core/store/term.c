/*
 * term.c - see term.h.
 */
#include "store/term.h"

#include "base/buf.h"

enum { DIGEST_LEN = sizeof(struct aff_digest), CUT = AFF_KEY_MAX - DIGEST_LEN, END_LEN = 2 };

_Static_assert(AFF_INDEX_ENTRY_MAX + AFF_INDEX_ID_LEN == AFF_KEY_MAX, "an entry and its number are a key of LMDB");

static void begin(uint16_t id, struct aff_index_entry *e)
{
    aff_put_u16(e->b, id);
    e->len = AFF_INDEX_ID_LEN;
    e->cut = false;
}

/* As much as there is room for up to `limit`. */
static void add(struct aff_index_entry *e, const void *data, size_t len, size_t limit)
{
    size_t room = limit - e->len;
    if (len > room) {
        e->cut = true;
        len = room;
    }
    memcpy(e->b + e->len, data, len);
    e->len += len;
}

static void add_term(struct aff_index_entry *e, aff_bytes term, size_t limit)
{
    const unsigned char *at = term.data, *end = at + term.len;
    while (at < end && !e->cut) {
        const unsigned char *zero = memchr(at, 0, (size_t)(end - at));
        add(e, at, (size_t)((zero ? zero : end) - at), limit);
        if (zero && !e->cut)
            add(e, "\x00\xff", 2, limit);
        at = zero ? zero + 1 : end;
    }
}

void aff_index_entry_make(uint16_t id, aff_bytes term, aff_bytes key, struct aff_index_entry *ret)
{
    begin(id, ret);
    add_term(ret, term, AFF_KEY_MAX);
    if (!ret->cut)
        add(ret, "\x00\x01", END_LEN, AFF_KEY_MAX);
    if (!ret->cut)
        add(ret, key.data, key.len, AFF_KEY_MAX);
    if (ret->cut) {
        const aff_bytes whole[] = { term, key };
        struct aff_digest digest = aff_digest_of(whole, 2);
        memcpy(ret->b + CUT, digest.b, DIGEST_LEN);
        ret->len = AFF_KEY_MAX;
    }
}

aff_bytes aff_index_entry_key(aff_bytes entry)
{
    const unsigned char *all = entry.data;
    for (size_t i = AFF_INDEX_ID_LEN; i + END_LEN < entry.len; i++) {
        if (all[i] != 0)
            continue;
        if (all[i + 1] == 1)
            return aff_bytes_of(all + i + END_LEN, entry.len - i - END_LEN);
        i++;
    }
    return aff_bytes_of(NULL, 0);
}

/* The first entry that does not begin as this one does: there is one, since the number of an index is below 0xffff. */
static void step_behind(struct aff_index_entry *e)
{
    while (e->b[e->len - 1] == 0xff)
        e->len--;
    e->b[e->len - 1]++;
}

/* What an entry with such a term, or one of those behind it, is not below. Of a cut entry only what is left of it counts. */
static void bound(uint16_t id, aff_bytes term, struct aff_index_entry *ret)
{
    begin(id, ret);
    add_term(ret, term, CUT);
}

void aff_index_bounds_make(uint16_t id, const struct aff_index_range *range, struct aff_index_bounds *ret)
{
    bound(id, range->from.data ? range->from : aff_str(""), &ret->from);
    bound(id, range->to.data ? range->to : aff_str(""), &ret->to);
    ret->loose = ret->from.cut || ret->to.cut;
    if (!range->to.data || ret->to.cut)
        step_behind(&ret->to);
}
