/*
 * bulk_line.c - see bulk_line.h.
 *
 *   the whole line is JSON (serde/json.c)  ->  its members as spans of the text  ->  each by its rule  ->  what they say together
 *
 * Only the outermost object is looked at, so a line costs no memory however many values are in it.
 */
#include "http/bulk_line.h"

#include "base/base64.h"
#include "http/negotiate.h"
#include "http/target.h"
#include "serde/media.h"
#include "serde/tree.h"

#include <stdarg.h>
#include <stdio.h>

enum member {
    KEY,
    KEY64,
    VALUE,
    VALUE64,
    DELETE,
    TYPE,
    ETAG,
    IF_MATCH,
    IF_NONE_MATCH,
    ID,
    TTL,
    EXPIRES,
    EVENT_TIME,
    MEMBERS
};

static const char *const names[MEMBERS] = {
    [KEY] = "key",
    [KEY64] = "key64",
    [VALUE] = "value",
    [VALUE64] = "value64",
    [DELETE] = "delete",
    [TYPE] = "type",
    [ETAG] = "etag",
    [IF_MATCH] = "if_match",
    [IF_NONE_MATCH] = "if_none_match",
    [ID] = "id",
    [TTL] = "ttl",
    [EXPIRES] = "expires",
    [EVENT_TIME] = "event_time",
};

struct parse {
    const char *at, *end;
    aff_bytes span[MEMBERS]; /* data NULL: absent */
    struct aff_bulk_line *line;
};

enum { NAME_ROOM = 32 };

static int fault(struct aff_bulk_line *line, const char *format, ...) AFF_PRINTF(2, 3);
static int fault(struct aff_bulk_line *line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line->detail, sizeof line->detail, format, args);
    va_end(args);
    return AFF_EINVAL;
}

/* ---- members of a text that is known to be JSON ---- */

static void skip_space(struct parse *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\r' || *p->at == '\n'))
        p->at++;
}

static void skip_string(struct parse *p)
{
    for (p->at++; p->at < p->end && *p->at != '"'; p->at++)
        p->at += *p->at == '\\';
    p->at++;
}

static void skip_brackets(struct parse *p)
{
    size_t depth = 0;
    do {
        if (*p->at == '"') {
            skip_string(p);
            continue;
        }
        depth += *p->at == '{' || *p->at == '[';
        depth -= *p->at == '}' || *p->at == ']';
        p->at++;
    } while (depth > 0 && p->at < p->end);
}

static aff_bytes take_value(struct parse *p)
{
    const char *start;
    skip_space(p);
    start = p->at;
    if (*start == '"')
        skip_string(p);
    else if (*start == '{' || *start == '[')
        skip_brackets(p);
    else
        while (p->at < p->end && !strchr(",}] \t\r\n", *p->at))
            p->at++;
    return aff_bytes_of(start, (size_t)(p->at - start));
}

/* ---- strings ---- */

static bool is_string(aff_bytes span)
{
    return span.len >= 2 && *(const char *)span.data == '"';
}

static aff_bytes inside(aff_bytes span)
{
    return aff_bytes_of((const char *)span.data + 1, span.len - 2);
}

/* A string without its quotes and escapes: a view, or copied to `room`. False: no string, too long, or no UTF-8. */
static bool take_string(aff_bytes span, char *room, size_t size, aff_bytes *ret_text)
{
    char wide[6 * AFF_KEY_MAX + 2];
    size_t len;
    if (!is_string(span))
        return false;
    *ret_text = inside(span);
    if (!memchr(span.data, '\\', span.len))
        return ret_text->len <= size;
    if (span.len > sizeof wide || !aff_json_unquote(span, wide, &len) || len > size)
        return false;
    memcpy(room, wide, len);
    *ret_text = aff_bytes_of(room, len);
    return true;
}

/* ---- base64 (RFC 4648, 4) ---- */

/* An encoder may write "\/" for "/". */
static int next_character(const char **at, const char *end)
{
    if (end - *at >= 2 && (*at)[0] == '\\' && (*at)[1] == '/')
        ++*at;
    return *at < end ? (unsigned char)*(*at)++ : -1;
}

static const char last_digits[] = "+/"; /* RFC 4648, 4 */

/* Whole groups of four, padded, and no bits set that stand for nothing. */
static bool is_base64(aff_bytes text)
{
    const char *at = text.data, *end = at + text.len;
    size_t count = 0, pads = 0;
    int c, last = 0;
    while ((c = next_character(&at, end)) >= 0) {
        count++;
        if (c == '=') {
            pads++;
            continue;
        }
        if (pads || aff_base64_digit(c, last_digits) < 0)
            return false;
        last = aff_base64_digit(c, last_digits);
    }
    return count % 4 == 0 && pads <= 2 && (pads != 1 || (last & 3) == 0) && (pads != 2 || (last & 15) == 0);
}

size_t aff_bulk_decoded_length(aff_bytes text)
{
    const char *at = text.data, *end = at + text.len;
    size_t digits = 0;
    int c;
    while ((c = next_character(&at, end)) >= 0)
        digits += c != '=';
    return digits / 4 * 3 + (digits % 4 ? digits % 4 - 1 : 0);
}

void aff_bulk_decode(aff_bytes text, unsigned char *to)
{
    const char *at = text.data, *end = at + text.len;
    uint32_t bits = 0;
    unsigned held = 0;
    int c;
    while ((c = next_character(&at, end)) >= 0 && c != '=') {
        bits = bits << 6 | (uint32_t)aff_base64_digit(c, last_digits);
        held += 6;
        if (held >= 8)
            *to++ = (unsigned char)(bits >> (held -= 8));
    }
}

/* ---- each member by its rule ---- */

static int read_key(struct parse *p)
{
    struct aff_bulk_line *line = p->line;
    aff_bytes plain = p->span[KEY], coded = p->span[KEY64];
    if (!plain.data == !coded.data)
        return fault(line, "a line has either `key` or `key64`");
    line->key64 = coded.data != NULL;
    aff_bytes span = line->key64 ? coded : plain;
    if (!is_string(span) || span.len > 6 * AFF_KEY_MAX + 2)
        return fault(line, "`%s` must be a string of 1 to %d bytes", names[line->key64 ? KEY64 : KEY], AFF_KEY_MAX);
    if (!line->key64) {
        if (!take_string(span, (char *)line->key_room, sizeof line->key_room, &line->key))
            return fault(line, "`key` must be UTF-8 of 1 to %d bytes; any other key is a `key64`", AFF_KEY_MAX);
    } else {
        if (!is_base64(inside(span)) || aff_bulk_decoded_length(inside(span)) > AFF_KEY_MAX)
            return fault(line, "`key64` must be base64, with its padding, of 1 to %d bytes", AFF_KEY_MAX);
        aff_bulk_decode(inside(span), line->key_room);
        line->key = aff_bytes_of(line->key_room, aff_bulk_decoded_length(inside(span)));
    }
    line->key_text = span;
    const char *wrong = aff_key_fault(line->key);
    return wrong ? fault(line, "%s", wrong) : 0;
}

/* Exactly one of `value`, `value64` and `delete`. */
static int read_what(struct parse *p)
{
    struct aff_bulk_line *line = p->line;
    const aff_bytes *span = p->span;
    if ((span[VALUE].data != NULL) + (span[VALUE64].data != NULL) + (span[DELETE].data != NULL) != 1)
        return fault(line, "a line has one of `value`, `value64` and `delete`");
    line->deletes = span[DELETE].data != NULL;
    if (line->deletes)
        return aff_bytes_equal(span[DELETE], aff_str("true")) ? 0 : fault(line, "`delete` can only be true");
    line->encoded = span[VALUE64].data != NULL;
    line->value = span[VALUE];
    if (!line->encoded)
        return 0;
    if (!is_string(span[VALUE64]) || !is_base64(inside(span[VALUE64])))
        return fault(line, "`value64` must be base64, with its padding");
    line->value = inside(span[VALUE64]);
    return 0;
}

static int read_type(struct parse *p)
{
    struct aff_bulk_line *line = p->line;
    struct aff_media media;
    if (!p->span[TYPE].data) {
        line->type = aff_str(line->encoded ? "application/octet-stream" : "application/json");
        line->is_json = !line->encoded;
        return 0;
    }
    if (line->deletes)
        return fault(line, "`type` belongs to a value");
    if (!take_string(p->span[TYPE], line->type_room, sizeof line->type_room, &line->type) ||
        !aff_media_parse(line->type, &media))
        return fault(line, "`type` is no media type of at most %d bytes", AFF_BULK_TYPE_MAX);
    line->is_json = aff_media_is_json(&media);
    if (!line->is_json && !line->encoded)
        return fault(line, "a `value` has a type of JSON; any other one is a `value64`");
    return 0;
}

static int read_match(struct parse *p)
{
    struct aff_bulk_line *line = p->line;
    struct aff_etags tags;
    const char *what;
    aff_bytes text;
    if (!p->span[IF_MATCH].data)
        return 0;
    if (!take_string(p->span[IF_MATCH], line->match_room, sizeof line->match_room, &text))
        return fault(line, "`if_match` must be an ETag, or \"*\"");
    line->match_text = text;
    line->has_match = true;
    line->match_count = 1;
    if (aff_etag_parse(text, &line->match)) /* without its quotes, too: they are a nuisance in JSON */
        return 0;
    if (aff_etags_parse(text, false, &tags, &what) != 0 || tags.count > 1)
        return fault(line, "`if_match` must be an ETag, or \"*\"");
    line->match_any = tags.any;
    line->has_match = !tags.any;
    line->match_count = tags.count;
    if (tags.count)
        line->match = tags.tags[0];
    return 0;
}

static int read_none_match(struct parse *p)
{
    if (!p->span[IF_NONE_MATCH].data)
        return 0;
    if (!aff_bytes_equal(p->span[IF_NONE_MATCH], aff_str("\"*\"")))
        return fault(p->line, "`if_none_match` can only be \"*\"");
    p->line->none_match_any = true;
    p->line->none_match_text = inside(p->span[IF_NONE_MATCH]);
    return 0;
}

static int read_id(struct parse *p)
{
    struct aff_bulk_line *line = p->line;
    if (!p->span[ID].data)
        return 0;
    if (!take_string(p->span[ID], line->id_room, sizeof line->id_room, &line->id) ||
        !aff_idempotency_key_fits(line->id))
        return fault(line, "`id` must be a string of 1 to %d visible characters", AFF_BULK_ID_MAX);
    return 0;
}

static int read_life(struct parse *p, int64_t now_ms)
{
    struct aff_bulk_line *line = p->line;
    char room[NAME_ROOM];
    aff_bytes ttl = p->span[TTL], expires = p->span[EXPIRES];
    if ((ttl.data && expires.data) || (line->deletes && (ttl.data || expires.data)))
        return fault(line, "a value has a `ttl` or `expires`; a `delete` has neither");
    if (ttl.data) {
        if (!take_string(ttl, room, sizeof room, &ttl) || !aff_ttl_parse(ttl, &line->ttl_ms))
            return fault(line, "`ttl` must be a string of a number with a unit (ms, s, m, h, d), from 1ms to 36500d");
        line->life_text = inside(p->span[TTL]);
    }
    if (expires.data) {
        if (!aff_event_time_parse(expires, &line->expires_ms) || line->expires_ms <= now_ms)
            return fault(line, "`expires` must be milliseconds since 1970, and not lie in the past");
        line->life_text = expires;
    }
    return 0;
}

static int read_event_time(struct parse *p)
{
    aff_bytes span = p->span[EVENT_TIME];
    if (span.data && !aff_event_time_parse(span, &p->line->event_ms))
        return fault(p->line, "`event_time` must be milliseconds since 1970");
    p->line->event_text = span;
    return 0;
}

/* ---- the line ---- */

static int note_member(struct parse *p, aff_bytes quoted, aff_bytes value)
{
    char room[NAME_ROOM];
    aff_bytes name;
    if (take_string(quoted, room, sizeof room, &name))
        for (int i = 0; i < MEMBERS; i++) {
            if (!aff_bytes_equal(name, aff_str(names[i])))
                continue;
            if (p->span[i].data)
                return fault(p->line, "`%s` stands twice", names[i]);
            p->span[i] = value;
            return 0;
        }
    return fault(p->line, "there is no member %.*s here", quoted.len > 64 ? 64 : (int)quoted.len,
                 (const char *)quoted.data);
}

static int find_members(struct parse *p)
{
    skip_space(p);
    if (*p->at != '{')
        return fault(p->line, "a line is a JSON object");
    p->at++;
    for (;;) {
        skip_space(p);
        if (*p->at == '}')
            return 0;
        p->at += *p->at == ',';
        aff_bytes name = take_value(p);
        skip_space(p);
        p->at++; /* the colon */
        aff_bytes value = take_value(p);
        int rc = note_member(p, name, value);
        if (rc)
            return rc;
    }
}

bool aff_bulk_line_empty(aff_bytes text)
{
    const char *at = text.data;
    for (size_t i = 0; i < text.len; i++)
        if (at[i] != ' ' && at[i] != '\t' && at[i] != '\r')
            return false;
    return true;
}

static void clear(struct aff_bulk_line *line)
{
    memset(line, 0, offsetof(struct aff_bulk_line, key_room));
    line->detail[0] = 0;
    line->expires_ms = line->event_ms = AFF_NO_TIME;
}

int aff_bulk_line_parse(aff_bytes text, unsigned depth, int64_t now_ms, struct aff_bulk_line *line)
{
    struct parse p = { .at = text.data, .end = (const char *)text.data + text.len, .line = line };
    struct aff_json_error error;
    unsigned around = depth < AFF_JSON_DEPTH_MAX ? depth + 1 : depth; /* with the line's own brackets */
    int rc;
    clear(line);
    if (aff_json_check(text, around, &error) != 0) {
        (void)snprintf(line->detail, sizeof line->detail, "column %zu: expected %s", error.column, error.expected);
        return AFF_EJSON;
    }
    rc = find_members(&p);
    if (rc == 0)
        rc = read_key(&p);
    if (rc == 0)
        rc = read_what(&p);
    if (rc == 0)
        rc = read_type(&p);
    if (rc == 0)
        rc = read_match(&p);
    if (rc == 0)
        rc = read_none_match(&p);
    if (rc == 0)
        rc = read_id(&p);
    if (rc == 0)
        rc = read_life(&p, now_ms);
    return rc ? rc : read_event_time(&p);
}
