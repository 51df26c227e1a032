/*
 * entry.c - see entry.h. There is room for the whole object, so everything is written without asking.
 */
#include "http/entry.h"

#include "base/base64.h"
#include "http/conditional.h"
#include "http/digits.h"
#include "serde/json.h"
#include "serde/media.h"

enum { FRAME = 192 /* names, brackets, the ETag and its escapes, two times */ };

static const char json_type[] = "application/json";

static bool is_json(aff_bytes type)
{
    struct aff_media media;
    return aff_bytes_equal(type, aff_str(json_type)) || (aff_media_parse(type, &media) && aff_media_is_json(&media));
}

/* ---- text ---- */

static bool is_plain(unsigned char c)
{
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

static bool all_plain(aff_bytes text)
{
    const unsigned char *at = text.data;
    for (size_t i = 0; i < text.len; i++)
        if (!is_plain(at[i]))
            return false;
    return true;
}

static bool is_utf8(aff_bytes text)
{
    const unsigned char *at = text.data, *end = at + text.len;
    while (at < end) {
        size_t length = aff_utf8_length(at, end);
        if (!length)
            return false;
        at += length;
    }
    return true;
}

static char *put_bytes(char *to, aff_bytes bytes)
{
    memcpy(to, bytes.data, bytes.len);
    return to + bytes.len;
}

/* One character, or a byte that begins none (it becomes U+FFFD); returns how many bytes that were. */
static size_t put_escaped(char **to, const unsigned char *at, const unsigned char *end)
{
    size_t length = aff_utf8_length(at, end);
    if (*at == '"' || *at == '\\')
        *(*to)++ = '\\';
    if (*at < ' ')
        *to = aff_put_hex(aff_put_text(*to, "\\u00"), *at, 2);
    else if (length)
        *to = put_bytes(*to, aff_bytes_of(at, length));
    else
        *to = aff_put_text(*to, "\\ufffd");
    return length ? length : 1;
}

/* At most six characters for a byte, and the quotes. */
static char *put_quoted(char *to, aff_bytes text)
{
    const unsigned char *at = text.data, *end = at + text.len;
    *to++ = '"';
    if (all_plain(text))
        to = put_bytes(to, text);
    else
        while (at < end)
            at += put_escaped(&to, at, end);
    *to++ = '"';
    return to;
}

static char *put_base64(char *to, aff_bytes bytes)
{
    *to++ = '"';
    to = aff_base64_put(to, bytes);
    *to++ = '"';
    return to;
}

/* ---- members ---- */

static char *put_key(char *to, aff_bytes key)
{
    if (all_plain(key)) {
        to = put_bytes(aff_put_text(to, "{\"key\":\""), key);
        *to++ = '"';
        return to;
    }
    if (is_utf8(key))
        return put_quoted(aff_put_text(to, "{\"key\":"), key);
    return put_base64(aff_put_text(to, "{\"key64\":"), key);
}

/* In JSON a line feed or carriage return stands nowhere but between tokens, where a space is as good. */
static void join_lines(char *at, char *end, char mark)
{
    while (at < end && (at = memchr(at, mark, (size_t)(end - at))) != NULL)
        *at++ = ' ';
}

static char *put_value(char *to, const struct aff_item *item, bool one_line)
{
    bool json = is_json(item->content_type), told = true;
    if (json) {
        char *from = aff_put_text(to, ",\"value\":");
        to = put_bytes(from, item->value);
        if (one_line) {
            join_lines(from, to, '\n');
            join_lines(from, to, '\r');
        }
        told = !aff_bytes_equal(item->content_type, aff_str(json_type));
    } else {
        to = put_base64(aff_put_text(to, ",\"value64\":"), item->value);
    }
    if (!told)
        return to;
    aff_bytes type = item->content_type.len ? item->content_type : aff_str("application/octet-stream");
    return put_quoted(aff_put_text(to, ",\"type\":"), type);
}

static char *put_time(char *to, const char *name, int64_t ms)
{
    if (ms == AFF_NO_TIME)
        return to;
    to = aff_put_text(to, name);
    if (ms < 0)
        *to++ = '-';
    return aff_put_decimal(to, ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms);
}

static char *put_etag(char *to, const struct aff_scan_entry *entry)
{
    struct aff_etag tag = { entry->identity8, entry->partition, entry->item.version.offset };
    char text[AFF_ETAG_TEXT_MAX];
    size_t length = aff_etag_print(tag, text); /* with its quotes */
    to = aff_put_text(to, ",\"etag\":\"\\");
    to = put_bytes(to, aff_bytes_of(text, length - 1));
    return aff_put_text(to, "\\\"\"}");
}

size_t aff_entry_most(const struct aff_scan_entry *entry)
{
    const struct aff_item *item = &entry->item;
    return FRAME + 6 * entry->key.len + 6 * item->content_type.len + aff_base64_length(item->value.len);
}

char *aff_entry_write(const struct aff_scan_entry *entry, struct aff_entry_form form, char *to)
{
    to = put_key(to, entry->key);
    if (!form.keys_only)
        to = put_value(to, &entry->item, form.one_line);
    to = put_time(to, ",\"expires\":", entry->item.version.expires_ms);
    to = put_time(to, ",\"event_time\":", entry->item.version.event_ms);
    return put_etag(to, entry);
}

bool aff_entry_print(const struct aff_scan_entry *entry, struct aff_entry_form form, struct aff_buf *out)
{
    if (!aff_buf_reserve(out, aff_entry_most(entry)))
        return false;
    char *from = (char *)out->data + out->len;
    out->len += (size_t)(aff_entry_write(entry, form, from) - from);
    return true;
}
