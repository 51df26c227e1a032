/*
 * target.c - see target.h.
 */
#include "http/target.h"

#include "router/router.h" /* AFF_KEY_MAX */

#include <strings.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Decodes `text` to `room`; the decoded length, or -1 for an escape that is none. */
static ptrdiff_t decode(aff_bytes text, bool plus_is_space, char *room)
{
    const char *at = text.data, *end = at + text.len;
    char *to = room;
    while (at < end) {
        char c = *at++;
        if (c == '%') {
            int high = end - at >= 2 ? hex_digit(at[0]) : -1, low = end - at >= 2 ? hex_digit(at[1]) : -1;
            if (high < 0 || low < 0)
                return -1;
            c = (char)(high << 4 | low);
            at += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        *to++ = c;
    }
    return to - room;
}

/* ---- the path ---- */

/* "http://host/path" to "/path"; anything that is not of that form is left as it is. */
static aff_bytes without_authority(aff_bytes raw)
{
    static const char *const schemes[] = { "http://", "https://" };
    if (raw.len && *(const char *)raw.data == '/')
        return raw;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t length = strlen(schemes[i]);
        if (raw.len <= length || strncasecmp(raw.data, schemes[i], length) != 0)
            continue;
        const char *host = (const char *)raw.data + length, *end = (const char *)raw.data + raw.len;
        const char *at = host;
        while (at < end && *at != '/' && *at != '?')
            at++;
        if (at == end)
            return aff_str("/");
        return aff_bytes_of(at, (size_t)(end - at));
    }
    return raw;
}

static int add_segment(struct aff_target *target, aff_bytes segment, char **room)
{
    if (target->count >= AFF_TARGET_SEGMENTS) {
        target->count = AFF_TARGET_SEGMENTS + 1;
        return 0;
    }
    if (memchr(segment.data, '%', segment.len)) {
        ptrdiff_t length = decode(segment, false, *room);
        if (length < 0)
            return AFF_EINVAL;
        segment = aff_bytes_of(*room, (size_t)length);
        *room += length;
    }
    target->segments[target->count++] = segment;
    return 0;
}

static int split_path(struct aff_target *target, char *room)
{
    const char *at = target->path.data, *end = at + target->path.len;
    while (at < end) {
        const char *from = ++at; /* behind the '/' */
        const char *slash = memchr(from, '/', (size_t)(end - from));
        at = slash ? slash : end;
        int rc = add_segment(target, aff_bytes_of(from, (size_t)(at - from)), &room);
        if (rc)
            return rc;
    }
    return 0;
}

int aff_target_parse(aff_bytes raw, char *room, struct aff_target *ret_target, const char **ret_what)
{
    struct aff_target target = { .asterisk = aff_bytes_equal(raw, aff_str("*")), .path = raw, .query = { NULL, 0 } };
    if (!target.asterisk) {
        aff_bytes rest = without_authority(raw);
        bool absolute = rest.data != raw.data;
        const char *start = rest.data, *mark = memchr(start, '?', rest.len);
        target.path = aff_bytes_of(start, mark ? (size_t)(mark - start) : rest.len);
        if (mark)
            target.query = aff_bytes_of(mark + 1, rest.len - target.path.len - 1);
        if (!target.path.len && absolute)
            target.path = aff_str("/"); /* "http://host?query" */
        if (!target.path.len || *(const char *)target.path.data != '/') {
            *ret_what = "the request target must begin with '/'";
            return AFF_EINVAL;
        }
        if (split_path(&target, room) != 0) {
            *ret_what = "a '%' in the path must be followed by two hexadecimal digits";
            return AFF_EINVAL;
        }
    }
    *ret_target = target;
    return 0;
}

/* ---- the query ---- */

static aff_bytes take_until(aff_bytes *rest, char mark)
{
    const char *start = rest->data, *found = rest->len ? memchr(start, mark, rest->len) : NULL;
    size_t length = found ? (size_t)(found - start) : rest->len, taken = found ? length + 1 : length;
    *rest = aff_bytes_of(start + taken, rest->len - taken);
    return aff_bytes_of(start, length);
}

bool aff_query_pair(aff_bytes *query, aff_bytes *ret_name, aff_bytes *ret_value)
{
    aff_bytes value = aff_str("");
    while (query->len && !value.len) /* empty pairs, as in "a&&b", are passed over */
        value = take_until(query, '&');
    if (!value.len)
        return false;
    *ret_name = take_until(&value, '=');
    *ret_value = value;
    return true;
}

int aff_query_next(aff_bytes *query, char *room, aff_bytes *ret_name, aff_bytes *ret_value)
{
    aff_bytes name, value;
    if (!aff_query_pair(query, &name, &value))
        return 0;
    ptrdiff_t name_len = decode(name, true, room);
    ptrdiff_t value_len = name_len < 0 ? -1 : decode(value, true, room + name_len);
    if (value_len < 0)
        return AFF_EINVAL;
    *ret_name = aff_bytes_of(room, (size_t)name_len);
    *ret_value = aff_bytes_of(room + name_len, (size_t)value_len);
    return 1;
}

int aff_percent_decode(aff_bytes text, char *room, aff_bytes *ret_bytes)
{
    ptrdiff_t length = decode(text, false, room);
    if (length < 0)
        return AFF_EINVAL;
    *ret_bytes = aff_bytes_of(room, (size_t)length);
    return 0;
}

/* ---- keys ---- */

const char *aff_key_fault(aff_bytes key)
{
    if (!key.len)
        return "a key has at least one byte";
    if (key.len > AFF_KEY_MAX)
        return "a key has at most 511 bytes";
    if (*(const unsigned char *)key.data == 0)
        return "a key does not begin with a NUL byte";
    return NULL;
}
