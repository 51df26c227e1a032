/*
 * scan.c - GET and HEAD of /v1/{keyspace}: its entries in the order of their keys, a page or (stream.c) all of them.
 *
 * A page is gathered whole before anything is answered, so a partition without a master is a 503 and never half a page. It holds at
 * most `limit` entries and about PAGE_BYTES of keys and values, but one entry at least. Whether more follow is known by asking for
 * one entry more than the page takes.
 */
#include "http/inner.h"

#include "base/alloc.h"
#include "http/digits.h"
#include "http/listing.h"
#include "serde/media.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LIMIT_DEFAULT = 100,
    LIMIT_MAX = 10000, /* of a page */
    PAGE_BYTES = 1048576,
    LINK_MAX = 2000, /* a longer one would not fit into the head of an answer: `next` in the page still has it */
};

/* ---- parameters ---- */

enum { PREFIX, START, END, INDEX, VALUE, FROM, TO, LIMIT, CURSOR, ORDER, KEYS, PARAMETERS };

static const char *const names[PARAMETERS] = {
    [PREFIX] = "prefix", [START] = "start", [END] = "end",   [LIMIT] = "limit",
    [CURSOR] = "cursor", [ORDER] = "order", [KEYS] = "keys", [INDEX] = "index",
    [VALUE] = "value",   [FROM] = "from",   [TO] = "to",
};

static void take_bound(struct aff_exchange *x, int parameter, aff_bytes value)
{
    struct aff_listing *l = x->listing;
    if (value.len > AFF_KEY_MAX)
        aff_refuse(x, AFF_EINVAL, "`%s` has more than the 511 bytes that a key may have", names[parameter]);
    *(parameter == PREFIX ? &l->prefix : parameter == START ? &l->start : &l->end) = value;
}

static aff_bytes *place_of_term(struct aff_listing *l, int parameter)
{
    return parameter == INDEX ? &l->index : parameter == VALUE ? &l->value : parameter == FROM ? &l->from : &l->to;
}

static void take_limit(struct aff_exchange *x, aff_bytes value)
{
    if (!aff_take_decimal(value, INT64_MAX, &x->listing->limit) || x->listing->limit == 0)
        aff_refuse(x, AFF_EINVAL, "`limit` must be a number from 1 on");
}

static void take_order(struct aff_exchange *x, aff_bytes value)
{
    x->listing->reverse = aff_bytes_equal(value, aff_str("desc"));
    if (!x->listing->reverse && !aff_bytes_equal(value, aff_str("asc")))
        aff_refuse(x, AFF_EINVAL, "`order` must be asc or desc");
}

static void take_keys(struct aff_exchange *x, aff_bytes value)
{
    x->listing->keys_only = aff_bytes_equal(value, aff_str("only"));
    if (!x->listing->keys_only)
        aff_refuse(x, AFF_EINVAL, "`keys` must be `only`");
}

static void take_parameter(struct aff_exchange *x, int parameter, aff_bytes value)
{
    if (x->listing->given & 1U << parameter)
        aff_refuse(x, AFF_EINVAL, "`%s` came twice", names[parameter]);
    x->listing->given |= 1U << parameter;
    switch (parameter) {
    case LIMIT:
        take_limit(x, value);
        return;
    case CURSOR:
        x->listing->cursor = value;
        return;
    case ORDER:
        take_order(x, value);
        return;
    case KEYS:
        take_keys(x, value);
        return;
    case INDEX:
    case VALUE:
    case FROM:
    case TO:
        *place_of_term(x->listing, parameter) = value;
        return;
    default:
        take_bound(x, parameter, value);
    }
}

static int parameter_of(aff_bytes name)
{
    int parameter = 0;
    while (parameter < PARAMETERS && !aff_bytes_equal(name, aff_str(names[parameter])))
        parameter++;
    return parameter;
}

/* What is decoded lies where it stood, in the copy of the target behind the target. */
static void read_query(struct aff_exchange *x)
{
    aff_bytes query = x->target.query, name, value;
    char *room = x->raw + x->raw_len;
    if (!query.data)
        return;
    while (aff_query_pair(&query, &name, &value)) {
        int parameter = parameter_of(name);
        if (parameter == PARAMETERS)
            aff_refuse(x, AFF_EINVAL, "there is no parameter `%.*s` here", name.len > 64 ? 64 : (int)name.len,
                       (const char *)name.data);
        else if (aff_percent_decode(value, room + ((const char *)value.data - x->raw), &value) != 0)
            aff_refuse(x, AFF_EINVAL, "a '%%' in the query must be followed by two hexadecimal digits");
        else
            take_parameter(x, parameter, value);
    }
}

/* ---- the form of the answer ---- */

static unsigned weight_of(const struct aff_exchange *x, const char *type)
{
    struct aff_media media;
    (void)aff_media_parse(aff_str(type), &media);
    return aff_media_weight(x->headers.field[AFF_FIELD_ACCEPT], &media);
}

/* The type that the client likes best; the first one when it likes several as much. */
static void choose_form(struct aff_exchange *x)
{
    static const char *const types[] = { "application/json", "application/jsonl", "application/x-ndjson" };
    unsigned best = 0;
    x->listing->type = types[0];
    if (!aff_headers_have(&x->headers, AFF_FIELD_ACCEPT))
        return;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        unsigned weight = weight_of(x, types[i]);
        if (weight <= best)
            continue;
        best = weight;
        x->listing->type = types[i];
        x->listing->streams = i > 0;
    }
    if (best == 0)
        aff_refuse(x, AFF_ENOTACCEPTABLE, "Accept allows neither application/json nor application/jsonl nor %s",
                   types[2]);
}

/* ---- cursors ---- */

static aff_bytes or_empty(aff_bytes bytes)
{
    return bytes.data ? bytes : aff_str("");
}

static struct aff_cursor_of_scan cursor_of(const struct aff_exchange *x)
{
    const struct aff_listing *l = x->listing;
    const aff_bytes query[] = { aff_str(x->space->name), or_empty(l->prefix), or_empty(l->start),   or_empty(l->end),
                                or_empty(l->index),      or_empty(l->terms.from), or_empty(l->terms.to) };
    return (struct aff_cursor_of_scan){ l->reverse, aff_digest_of(query, sizeof query / sizeof *query) };
}

static void read_cursor(struct aff_exchange *x)
{
    struct aff_listing *l = x->listing;
    const char *fault = aff_cursor_parse(l->cursor, cursor_of(x), l->last, &l->last_len);
    if (fault)
        aff_refuse(x, AFF_EINVAL, "%s", fault);
}

static bool add_escaped(struct aff_buf *out, aff_bytes bytes)
{
    const unsigned char *at = bytes.data;
    char *to;
    if (!aff_buf_reserve(out, 3 * bytes.len))
        return false;
    to = (char *)out->data + out->len;
    for (size_t i = 0; i < bytes.len; i++) {
        if ((at[i] >= 'a' && at[i] <= 'z') || (at[i] >= 'A' && at[i] <= 'Z') || (at[i] >= '0' && at[i] <= '9') ||
            (at[i] && strchr("-._~/", at[i])))
            *to++ = (char)at[i];
        else
            to = aff_put_hex(aff_put_text(to, "%"), at[i], 2);
    }
    out->len = (size_t)((unsigned char *)to - out->data);
    return true;
}

static bool add_bound(struct aff_buf *out, int parameter, aff_bytes bytes)
{
    return !bytes.len ||
           (aff_buf_printf(out, "%s=", names[parameter]) && add_escaped(out, bytes) && aff_buf_add(out, "&", 1));
}

static bool add_terms(struct aff_buf *out, struct aff_listing *l)
{
    bool ok = true;
    for (int parameter = INDEX; parameter <= TO && ok; parameter++)
        if (l->given & 1U << parameter)
            ok = aff_buf_printf(out, "%s=", names[parameter]) && add_escaped(out, *place_of_term(l, parameter)) &&
                 aff_buf_add(out, "&", 1);
    return ok;
}

bool aff_listing_next_url(const struct aff_exchange *x, struct aff_buf *out)
{
    struct aff_listing *l = x->listing;
    char cursor[AFF_CURSOR_TEXT_MAX];
    unsigned long long limit = l->streams ? l->limit - l->told : l->limit;
    if (!aff_buf_printf(out, "/v1/%s?", x->space->name) || !add_bound(out, PREFIX, l->prefix) ||
        !add_bound(out, START, l->start) || !add_bound(out, END, l->end) || !add_terms(out, l) ||
        (l->reverse && !aff_buf_printf(out, "order=desc&")) || (l->keys_only && !aff_buf_printf(out, "keys=only&")) ||
        (l->given & 1U << LIMIT && !aff_buf_printf(out, "limit=%llu&", limit)))
        return false;
    if (l->last_len == 0) { /* from the beginning; what stands there ends in '&' or '?' */
        out->len--;
        return true;
    }
    size_t length = aff_cursor_print(cursor_of(x), aff_bytes_of(l->last, l->last_len), cursor);
    return aff_buf_printf(out, "cursor=") && aff_buf_add(out, cursor, length);
}

/* ---- the scan ---- */

static void go_on(void *self)
{
    struct aff_exchange *x = self;
    x->listing->waits = false;
    aff_exchange_wake(x);
}

static void start_scan(struct aff_exchange *x)
{
    struct aff_listing *l = x->listing;
    struct aff_scan_opts opts = {
        .port = x->http->opts.port,
        .space = x->space,
        .range = { { l->start.len ? l->start.data : NULL, l->start.len },
                   { l->end.len ? l->end.data : NULL, l->end.len } },
        .after = { l->last_len ? l->last : NULL, l->last_len },
        .index = l->by_index ? &l->terms : NULL,
        .reverse = l->reverse,
        .keys_only = l->keys_only,
        .local = x->consistency.kind == AFF_CONSISTENCY_EVENTUAL,
        .patience_ns = x->http->opts.limits.exchange_timeout_ms * AFF_NS_PER_MS,
        .ready = go_on,
        .self = x,
    };
    if (l->prefix.len)
        opts.range = aff_range_of_prefix(opts.range, l->prefix, l->prefix_room);
    l->scan = aff_scan_new(&opts);
}

int aff_listing_next(struct aff_exchange *x, struct aff_scan_entry *ret_entry)
{
    struct aff_listing *l = x->listing;
    uint32_t partition = 0;
    if (l->waits)
        return AFF_EAGAIN;
    int rc = aff_scan_next(l->scan, ret_entry, &partition);
    l->waits = rc == AFF_EAGAIN;
    if (rc < 0 && rc != AFF_EAGAIN)
        (void)snprintf(x->detail, sizeof x->detail, "partition %u of `%s` cannot be read now", (unsigned)partition,
                       x->space->name);
    return rc;
}

struct aff_entry_form aff_listing_form(const struct aff_listing *l)
{
    return (struct aff_entry_form){ .keys_only = l->keys_only, .one_line = l->streams };
}

void aff_listing_told(struct aff_listing *l, const struct aff_scan_entry *entry)
{
    l->told++;
    l->bytes += entry->key.len + entry->item.value.len;
    l->last_len = entry->place.len;
    memcpy(l->last, entry->place.data, entry->place.len);
}

struct aff_listing *aff_listing_free(struct aff_listing *listing)
{
    if (!listing)
        return NULL;
    listing->scan = aff_scan_free(listing->scan);
    aff_buf_fini(&listing->out);
    aff_buf_fini(&listing->term_room);
    free(listing);
    return NULL;
}

/* ---- pages ---- */

static bool is_full(const struct aff_listing *l, const struct aff_scan_entry *entry)
{
    return l->told == l->limit || (l->told > 0 && l->bytes + entry->key.len + entry->item.value.len > PAGE_BYTES);
}

static void add_link(struct aff_exchange *x, aff_bytes url)
{
    char link[LINK_MAX + 32];
    if (url.len > LINK_MAX)
        return;
    (void)snprintf(link, sizeof link, "<%.*s>; rel=\"next\"", (int)url.len, (const char *)url.data);
    aff_answer_header(x, "Link", link);
}

/* The end of the page; `url` empty: nothing follows. Every character of it may stand in a JSON string. */
static bool end_page(struct aff_listing *l, aff_bytes url)
{
    if (!url.len)
        return aff_buf_add(&l->out, "]}\n", 3);
    return aff_buf_add(&l->out, "],\"next\":\"", 10) && aff_buf_add(&l->out, url.data, url.len) &&
           aff_buf_add(&l->out, "\"}\n", 3);
}

static void answer_page(struct aff_exchange *x, bool more)
{
    struct aff_listing *l = x->listing;
    struct aff_buf url;
    aff_buf_init(&url);
    if ((more && !aff_listing_next_url(x, &url)) || !end_page(l, aff_buf_view(&url))) {
        aff_answer_code(x, AFF_ENOMEM, NULL);
    } else {
        aff_answer_coded(x, 200, aff_buf_view(&l->out), aff_str(l->type));
        aff_answer_header(x, "Cache-Control", "no-store");
        x->varies |= AFF_VARIES_TYPE;
        if (more && x->status == 200)
            add_link(x, aff_buf_view(&url));
    }
    aff_buf_fini(&url);
    l->scan = aff_scan_free(l->scan);
    aff_buf_fini(&l->out);
    aff_buf_init(&l->out);
}

static bool add_item(struct aff_listing *l, const struct aff_scan_entry *entry)
{
    if (l->told && !aff_buf_add(&l->out, ",\n", 2))
        return false;
    aff_listing_told(l, entry);
    return aff_entry_print(entry, aff_listing_form(l), &l->out);
}

static void run_page(struct aff_exchange *x)
{
    struct aff_listing *l = x->listing;
    struct aff_scan_entry entry;
    int rc;
    while ((rc = aff_listing_next(x, &entry)) == 1 && !is_full(l, &entry))
        if (!add_item(l, &entry)) {
            aff_answer_code(x, AFF_ENOMEM, NULL);
            return;
        }
    if (rc == AFF_EAGAIN)
        aff_exchange_await(x, run_page);
    else if (rc < 0)
        aff_answer_code(x, rc, x->detail);
    else
        answer_page(x, rc == 1);
}

/* ---- the verb ---- */

static void set_limit(struct aff_exchange *x)
{
    struct aff_listing *l = x->listing;
    if (l->streams)
        return;
    if (l->limit > LIMIT_MAX)
        aff_refuse(x, AFF_EINVAL, "`limit` of a page is at most %d; application/jsonl has no such bound", LIMIT_MAX);
    if (l->limit == 0)
        l->limit = LIMIT_DEFAULT;
}

static void check_scan(struct aff_exchange *x)
{
    x->listing = aff_xcalloc(1, sizeof *x->listing);
    read_query(x);
    if (!aff_refused(x))
        aff_listing_read_index(x);
    choose_form(x);
    set_limit(x);
    aff_check_consistency(x);
    if (x->listing->given & 1U << CURSOR && !aff_refused(x))
        read_cursor(x);
}

static void run_scan(struct aff_exchange *x)
{
    struct aff_listing *l = x->listing;
    start_scan(x);
    if (l->streams)
        aff_stream_run(x);
    else if (aff_buf_add(&l->out, "{\"items\":[", 10))
        run_page(x);
    else
        aff_answer_code(x, AFF_ENOMEM, NULL);
}

const struct aff_verb aff_verb_scan = { .check = check_scan, .run = run_scan };
