/*
 * media.c - see media.h.
 */
#include "serde/media.h"

#include <stdint.h>
#include <strings.h>

/* Bit c of the four words: c is a token character. */
static const uint32_t token_chars[8] = {
    0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff, 0, 0, 0, 0,
};

bool aff_is_token_char(unsigned char c)
{
    return token_chars[c / 32] >> (c % 32) & 1;
}

bool aff_is_token(aff_bytes text)
{
    const unsigned char *at = text.data;
    for (size_t i = 0; i < text.len; i++)
        if (!aff_is_token_char(at[i]))
            return false;
    return text.len > 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

aff_bytes aff_trimmed(aff_bytes text)
{
    const char *at = text.data;
    while (text.len && is_space(at[text.len - 1]))
        text.len--;
    while (text.len && is_space(*at)) {
        at++;
        text.len--;
    }
    return aff_bytes_of(at, text.len);
}

bool aff_same_word(aff_bytes text, const char *word)
{
    return strlen(word) == text.len && strncasecmp(text.data, word, text.len) == 0;
}

/* ---- parameters: *( OWS ";" OWS [ name "=" ( token / quoted-string ) ] ) ---- */

struct param {
    aff_bytes name, value; /* of a quoted value: with its quotes */
};

static size_t token_length(const char *at, const char *end)
{
    const char *from = at;
    while (at < end && aff_is_token_char((unsigned char)*at))
        at++;
    return (size_t)(at - from);
}

/* The length of the quoted string at `at`, both quotes included; 0: none. */
static size_t quoted_length(const char *at, const char *end)
{
    for (const char *c = at + 1; c < end; c++) {
        if (*c == '"')
            return (size_t)(c + 1 - at);
        if (*c == '\\' && ++c == end)
            return 0;
    }
    return 0;
}

/* Takes one parameter off the front of `*rest`: 1, 0 when nothing is left, -1 when it has another form. */
static int next_param(aff_bytes *rest, struct param *ret_param)
{
    *rest = aff_trimmed(*rest);
    const char *at = rest->data, *end = at + rest->len;
    if (at == end)
        return 0;
    if (*at++ != ';')
        return -1;
    while (at < end && is_space(*at))
        at++;
    ret_param->name = aff_bytes_of(at, token_length(at, end));
    ret_param->value = aff_str("");
    at += ret_param->name.len;
    if (ret_param->name.len) {
        if (at == end || *at++ != '=')
            return -1;
        size_t length = at < end && *at == '"' ? quoted_length(at, end) : token_length(at, end);
        if (!length)
            return -1;
        ret_param->value = aff_bytes_of(at, length);
        at += length;
    }
    *rest = aff_bytes_of(at, (size_t)(end - at));
    return 1;
}

/* ---- types ---- */

/* "type/subtype" at the front of `text`; `*ret_rest` is what follows. */
static bool parse_essence(aff_bytes text, struct aff_media *ret_media, aff_bytes *ret_rest)
{
    text = aff_trimmed(text);
    const char *start = text.data, *end = start + text.len;
    size_t type = token_length(start, end);
    const char *slash = start + type;
    if (!type || slash == end || *slash != '/')
        return false;
    size_t subtype = token_length(slash + 1, end);
    if (!subtype)
        return false;
    ret_media->type = aff_bytes_of(start, type);
    ret_media->subtype = aff_bytes_of(slash + 1, subtype);
    ret_media->essence = aff_bytes_of(start, type + 1 + subtype);
    *ret_rest = aff_bytes_of(slash + 1 + subtype, (size_t)(end - slash - 1) - subtype);
    return true;
}

bool aff_media_parse(aff_bytes text, struct aff_media *ret_media)
{
    aff_bytes rest;
    struct param param;
    if (!parse_essence(text, ret_media, &rest))
        return false;
    int rc;
    while ((rc = next_param(&rest, &param)) > 0)
        continue;
    return rc == 0;
}

static bool ends_in(aff_bytes text, const char *end)
{
    size_t length = strlen(end);
    return text.len > length && aff_same_word(aff_bytes_of((const char *)text.data + (text.len - length), length), end);
}

bool aff_media_is_json(const struct aff_media *media)
{
    return aff_media_is(media, "application/json") || ends_in(media->subtype, "+json");
}

bool aff_media_is(const struct aff_media *media, const char *essence)
{
    return aff_same_word(media->essence, essence);
}

/* ---- Accept ---- */

/* Takes what stands before the first comma outside quotes off the front of `*rest`. */
static aff_bytes next_item(aff_bytes *rest)
{
    const char *start = rest->data, *at = start, *end = at + rest->len;
    while (at < end && *at != ',') {
        size_t quoted = *at == '"' ? quoted_length(at, end) : 0;
        at += quoted ? quoted : 1;
    }
    const char *next = at < end ? at + 1 : end;
    *rest = aff_bytes_of(next, (size_t)(end - next));
    return aff_bytes_of(start, (size_t)(at - start));
}

/* "0.5" is 500; what is no weight is 1000. */
static unsigned weight_of(aff_bytes value)
{
    const char *at = value.data;
    unsigned weight = 0, unit = 1000;
    if (!value.len || value.len > 5 || (*at != '0' && *at != '1'))
        return 1000;
    for (size_t i = 0; i < value.len; i++) {
        if (i == 1 ? at[i] != '.' : at[i] < '0' || at[i] > '9')
            return 1000;
        if (i == 1)
            continue;
        weight += (unsigned)(at[i] - '0') * unit;
        unit /= 10;
    }
    return weight < 1000 ? weight : 1000;
}

enum fit { FIT_NONE, FIT_ANY, FIT_TYPE, FIT_EXACT };

static enum fit fit_of(const struct aff_media *range, const struct aff_media *media)
{
    if (aff_same_word(range->essence, "*/*"))
        return FIT_ANY;
    if (range->type.len != media->type.len || strncasecmp(range->type.data, media->type.data, range->type.len) != 0)
        return FIT_NONE;
    if (aff_same_word(range->subtype, "*"))
        return FIT_TYPE;
    bool same = range->subtype.len == media->subtype.len &&
                strncasecmp(range->subtype.data, media->subtype.data, range->subtype.len) == 0;
    return same ? FIT_EXACT : FIT_NONE;
}

/* One range of the field and its weight. False: it cannot be read. */
static bool read_range(aff_bytes item, struct aff_media *ret_range, unsigned *ret_weight)
{
    struct param param;
    aff_bytes rest;
    int rc;
    *ret_weight = 1000;
    if (!parse_essence(item, ret_range, &rest))
        return false;
    while ((rc = next_param(&rest, &param)) > 0)
        if (aff_same_word(param.name, "q"))
            *ret_weight = weight_of(param.value);
    return rc == 0;
}

unsigned aff_media_weight(aff_bytes accept, const struct aff_media *media)
{
    enum fit best = FIT_NONE;
    unsigned wanted = 0;
    bool empty = true;
    while (accept.len) {
        struct aff_media range;
        unsigned weight;
        aff_bytes item = aff_trimmed(next_item(&accept));
        if (!item.len)
            continue;
        empty = false;
        if (!read_range(item, &range, &weight))
            return 1000;
        enum fit fit = fit_of(&range, media);
        if (fit > best || (fit == best && fit != FIT_NONE && weight > wanted)) {
            best = fit;
            wanted = weight;
        }
    }
    return empty ? 1000 : wanted;
}

bool aff_media_accepted(aff_bytes accept, const struct aff_media *media)
{
    return aff_media_weight(accept, media) > 0;
}
