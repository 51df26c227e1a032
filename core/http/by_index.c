/*
 * by_index.c - a scan through an index: what `index`, `value`, `from` and `to` of a query ask for, as a range of terms.
 *
 * A value is a scalar as JSON writes it, or any other text, which is a string. Of an index of event times it is milliseconds since
 * 1970, or a time of RFC 3339.
 */
#include "http/inner.h"

#include "http/conditional.h"
#include "http/listing.h"
#include "http/negotiate.h"
#include "serde/term.h"

#include <stdio.h>

/* "by_branch, when"; cut to fit. */
static void names_of(const struct aff_finder *finder, char *out, size_t size)
{
    size_t used = 0;
    for (unsigned i = 0; i < finder->base.count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "", finder->items[i].name);
}

static bool find_index(struct aff_exchange *x)
{
    struct aff_listing *l = x->listing;
    const struct aff_finder *finder = x->space->indexes;
    int shown = l->index.len > 64 ? 64 : (int)l->index.len;
    char known[256];
    for (unsigned i = 0; finder && i < finder->base.count; i++) {
        if (!aff_bytes_equal(aff_str(finder->items[i].name), l->index))
            continue;
        l->terms.index = i;
        return true;
    }
    if (!finder) {
        aff_refuse(x, AFF_EINVAL, "keyspace %s has no index `%.*s`, and no other", x->space->name, shown,
                   (const char *)l->index.data);
        return false;
    }
    names_of(finder, known, sizeof known);
    aff_refuse(x, AFF_EINVAL, "keyspace %s has no index `%.*s`; it has %s", x->space->name, shown, (const char *)l->index.data,
               known);
    return false;
}

/* ---- terms ---- */

/* Adds the term of a parameter to the room. 1 or 0, when it is refused. */
static int add_term(struct aff_exchange *x, const char *name, aff_bytes text)
{
    struct aff_listing *l = x->listing;
    int made;
    if (x->space->indexes->items[l->terms.index].event_time) {
        int64_t ms;
        if (!aff_event_time_parse(text, &ms) && !aff_date_parse_rfc3339(text, &ms)) {
            aff_refuse(x, AFF_EINVAL,
                       "`%s` of an index of event times must be milliseconds since 1970, or a time such as "
                       "2026-07-14T09:30:00Z",
                       name);
            return 0;
        }
        made = aff_term_of_int(ms, &l->term_room);
    } else {
        made = aff_term_of_text(text, &l->term_room);
    }
    if (made == 1)
        return 1;
    aff_refuse(x, made < 0 ? made : AFF_EINVAL, "`%s` is no value that an index can have", name);
    return 0;
}

/* The term behind all of this one's type. */
static bool add_behind(struct aff_buf *room, unsigned char type)
{
    return aff_buf_u8(room, (uint8_t)(type + 1));
}

/* From the terms of `from` and `to`, of which at least one is given. */
static bool make_range(struct aff_exchange *x)
{
    struct aff_listing *l = x->listing;
    struct aff_buf *room = &l->term_room;
    size_t middle;
    if (l->from.data ? !add_term(x, "from", l->from) : false)
        return false;
    middle = room->len;
    if (l->to.data && !add_term(x, "to", l->to))
        return false;
    aff_bytes from = aff_bytes_of(room->data, middle), to = aff_bytes_of(room->data + middle, room->len - middle);
    if (l->from.data && l->to.data && aff_term_type(from) != aff_term_type(to)) {
        aff_refuse(x, AFF_EINVAL, "`from` and `to` must be of one type: two numbers, or two strings");
        return false;
    }
    unsigned char type = aff_term_type(l->from.data ? from : to);
    if (!(l->to.data || add_behind(room, type)) || !(l->from.data || aff_buf_u8(room, type)))
        return aff_refuse(x, AFF_ENOMEM, "there is no memory for the query"), false;
    l->terms.from = l->from.data ? aff_bytes_of(room->data, middle) : aff_bytes_of(room->data + room->len - 1, 1);
    l->terms.to = aff_bytes_of(room->data + middle, room->len - middle - !l->from.data);
    return true;
}

/* One term: from it to before what follows it at once. */
static bool make_equal(struct aff_exchange *x)
{
    struct aff_listing *l = x->listing;
    if (!add_term(x, "value", l->value))
        return false;
    if (!aff_buf_u8(&l->term_room, 0))
        return aff_refuse(x, AFF_ENOMEM, "there is no memory for the query"), false;
    l->terms.from = aff_bytes_of(l->term_room.data, l->term_room.len - 1);
    l->terms.to = aff_bytes_of(l->term_room.data, l->term_room.len);
    return true;
}

void aff_listing_read_index(struct aff_exchange *x)
{
    struct aff_listing *l = x->listing;
    bool ranged = l->from.data || l->to.data;
    if (!l->index.data && (l->value.data || ranged))
        aff_refuse(x, AFF_EINVAL, "`value`, `from` and `to` need an `index`");
    else if (l->index.data && (l->prefix.data || l->start.data || l->end.data))
        aff_refuse(x, AFF_EINVAL, "`prefix`, `start` and `end` are of keys and do not go with an `index`");
    else if (l->value.data && ranged)
        aff_refuse(x, AFF_EINVAL, "`value` does not go with `from` and `to`");
    if (aff_refused(x) || !l->index.data || !find_index(x))
        return;
    l->by_index = l->value.data ? make_equal(x) : ranged ? make_range(x) : true;
}
