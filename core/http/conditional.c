/*
 * conditional.c - see conditional.h; dates are in date.c.
 */
#include "http/conditional.h"

#include "http/digits.h"
#include "serde/media.h"

/* ---- entity tags ---- */

static const char coded_end[] = "-gzip";

static size_t print_tag(struct aff_etag tag, bool gzip, char out[AFF_ETAG_TEXT_MAX])
{
    char *at = out;
    *at++ = '"';
    at = aff_put_hex(at, tag.identity8, 8);
    *at++ = '-';
    at = aff_put_decimal(at, tag.partition);
    *at++ = '-';
    at = aff_put_decimal(at, (uint64_t)tag.offset);
    if (gzip)
        at = aff_put_text(at, coded_end);
    *at++ = '"';
    *at = 0;
    return (size_t)(at - out);
}

size_t aff_etag_print(struct aff_etag tag, char out[AFF_ETAG_TEXT_MAX])
{
    return print_tag(tag, false, out);
}

size_t aff_etag_print_gzip(struct aff_etag tag, char out[AFF_ETAG_TEXT_MAX])
{
    return print_tag(tag, true, out);
}

static aff_bytes rest_of(aff_bytes text, size_t taken)
{
    return aff_bytes_of((const char *)text.data + taken, text.len - taken);
}

static bool parse_tag(aff_bytes text, struct aff_etag *ret_tag, bool *ret_gzip)
{
    const char *at = text.data;
    const size_t end = sizeof coded_end - 1;
    uint64_t identity, partition, offset;
    bool gzip = text.len > end && memcmp(at + text.len - end, coded_end, end) == 0;
    if (gzip)
        text.len -= end;
    if (text.len < 12 || at[8] != '-' || !aff_take_hex(aff_bytes_of(at, 8), &identity))
        return false;
    text = rest_of(text, 9);
    const char *dash = memchr(text.data, '-', text.len);
    if (!dash)
        return false;
    size_t length = (size_t)(dash - (const char *)text.data);
    if (!aff_take_decimal(aff_bytes_of(text.data, length), UINT32_MAX, &partition) ||
        !aff_take_decimal(rest_of(text, length + 1), INT64_MAX, &offset))
        return false;
    *ret_gzip = gzip;
    *ret_tag = (struct aff_etag){ (uint32_t)identity, (uint32_t)partition, (int64_t)offset };
    return true;
}

bool aff_etag_parse(aff_bytes text, struct aff_etag *ret_tag)
{
    bool gzip;
    return parse_tag(text, ret_tag, &gzip);
}

/* One tag at the front of `*text`, with its weakness and quotes; false: none is there. */
static bool take_tag(aff_bytes *text, bool *ret_weak, aff_bytes *ret_opaque)
{
    const char *at = text->data, *end = at + text->len;
    *ret_weak = end - at >= 2 && at[0] == 'W' && at[1] == '/';
    if (*ret_weak)
        at += 2;
    if (at == end || *at++ != '"')
        return false;
    const char *close = memchr(at, '"', (size_t)(end - at));
    if (!close)
        return false;
    *ret_opaque = aff_bytes_of(at, (size_t)(close - at));
    *text = aff_bytes_of(close + 1, (size_t)(end - close - 1));
    return true;
}

static int add_tag(struct aff_etags *tags, aff_bytes opaque)
{
    struct aff_etag tag;
    bool gzip;
    if (!parse_tag(opaque, &tag, &gzip))
        return 0;
    if (tags->count == AFF_ETAGS_MAX)
        return AFF_EINVAL;
    tags->gzip |= (uint64_t)gzip << tags->count;
    tags->tags[tags->count++] = tag;
    return 0;
}

int aff_etags_parse(aff_bytes value, bool weak_match, struct aff_etags *ret_tags, const char **ret_what)
{
    value = aff_trimmed(value);
    ret_tags->count = 0;
    ret_tags->gzip = 0;
    ret_tags->any = aff_bytes_equal(value, aff_str("*"));
    *ret_what = "it must be * or a list of entity tags in quotes";
    if (ret_tags->any)
        return 0;
    bool tag_before = false, some = false;
    for (; value.len; value = aff_trimmed(value)) {
        bool weak;
        aff_bytes opaque;
        if (*(const char *)value.data == ',') {
            value = rest_of(value, 1);
            tag_before = false;
            continue;
        }
        if (tag_before || !take_tag(&value, &weak, &opaque))
            return AFF_EINVAL;
        tag_before = some = true;
        if (weak && !weak_match)
            continue;
        if (add_tag(ret_tags, opaque) != 0) {
            *ret_what = "it holds more entity tags than are looked at (64)";
            return AFF_EINVAL;
        }
    }
    return some ? 0 : AFF_EINVAL;
}

static bool same_tag(struct aff_etag a, struct aff_etag b)
{
    return a.offset == b.offset && a.partition == b.partition && a.identity8 == b.identity8;
}

bool aff_etags_contain(const struct aff_etags *tags, struct aff_etag tag)
{
    for (unsigned i = 0; i < tags->count; i++)
        if (same_tag(tags->tags[i], tag))
            return true;
    return false;
}

bool aff_etags_name(const struct aff_etags *tags, struct aff_etag tag, bool gzip)
{
    for (unsigned i = 0; i < tags->count; i++)
        if (same_tag(tags->tags[i], tag) && (tags->gzip >> i & 1) == gzip)
            return true;
    return false;
}

/* ---- reads ---- */

enum aff_verdict aff_conditions_decide(const struct aff_read_conditions *conditions, bool exists, struct aff_etag tag,
                                       int64_t time_ms)
{
    const struct aff_read_conditions *c = conditions;
    int64_t seconds = time_ms / 1000;
    if (c->match) {
        if (!exists || (!c->match->any && !aff_etags_contain(c->match, tag)))
            return AFF_VERDICT_FAILED;
    } else if (c->has_unmodified_since && exists && seconds > c->unmodified_since) {
        return AFF_VERDICT_FAILED;
    }
    if (!exists)
        return AFF_VERDICT_PROCEED;
    if (c->none_match)
        return c->none_match->any || aff_etags_contain(c->none_match, tag) ? AFF_VERDICT_NOT_MODIFIED
                                                                           : AFF_VERDICT_PROCEED;
    return c->has_modified_since && seconds <= c->modified_since ? AFF_VERDICT_NOT_MODIFIED : AFF_VERDICT_PROCEED;
}
