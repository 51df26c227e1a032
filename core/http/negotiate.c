/*
 * negotiate.c - see negotiate.h.
 */
#include "http/negotiate.h"

#include "http/digits.h"
#include "serde/media.h"

static aff_bytes take_until(aff_bytes *rest, const char *marks)
{
    const char *start = rest->data, *end = start + rest->len, *at = start;
    bool quoted = false;
    for (; at < end && (quoted || !strchr(marks, *at) || !*at); at++)
        quoted ^= *at == '"';
    const char *next = at < end ? at + 1 : end;
    *rest = aff_bytes_of(next, (size_t)(end - next));
    return aff_bytes_of(start, (size_t)(at - start));
}

/* ---- Accept-Encoding ---- */

enum { WEIGHT_UNSAID = -1, WEIGHT_WHOLE = 1000 };

/* "0", "0.5", "1.000": in thousandths. */
static bool parse_weight(aff_bytes text, int *ret_weight)
{
    const char *at = text.data;
    int weight = 0, scale = WEIGHT_WHOLE;
    if (!text.len || text.len > 5 || (at[0] != '0' && at[0] != '1') || (text.len > 1 && at[1] != '.'))
        return false;
    for (size_t i = 0; i < text.len; i += i == 0 ? 2 : 1, scale /= 10) {
        if (at[i] < '0' || at[i] > '9')
            return false;
        weight += (at[i] - '0') * scale;
    }
    *ret_weight = weight;
    return weight <= WEIGHT_WHOLE;
}

/* "gzip", "gzip;q=0.5". False: neither. */
static bool parse_coding(aff_bytes item, aff_bytes *ret_name, int *ret_weight)
{
    *ret_name = aff_trimmed(take_until(&item, ";"));
    *ret_weight = WEIGHT_WHOLE;
    item = aff_trimmed(item);
    if (!item.len)
        return aff_is_token(*ret_name);
    aff_bytes name = take_until(&item, "=");
    return aff_is_token(*ret_name) && aff_same_word(name, "q") && parse_weight(item, ret_weight);
}

enum aff_coding aff_coding_choose(aff_bytes accept_encoding, bool gzip_fits)
{
    int gzip = WEIGHT_UNSAID, identity = WEIGHT_UNSAID, others = WEIGHT_UNSAID, weight;
    while (accept_encoding.data && accept_encoding.len) {
        aff_bytes item = aff_trimmed(take_until(&accept_encoding, ",")), name;
        if (!item.len)
            continue;
        if (!parse_coding(item, &name, &weight))
            return AFF_CODING_IDENTITY;
        int *said = aff_same_word(name, "gzip") || aff_same_word(name, "x-gzip") ? &gzip
                    : aff_same_word(name, "identity")                            ? &identity
                    : aff_same_word(name, "*")                                   ? &others
                                                                                 : NULL;
        if (said && weight > *said)
            *said = weight;
    }
    gzip = gzip != WEIGHT_UNSAID ? gzip : others;
    identity = identity != WEIGHT_UNSAID ? identity : others;
    if (gzip_fits && gzip > 0 && gzip >= identity)
        return AFF_CODING_GZIP;
    return identity == 0 ? AFF_CODING_NONE : AFF_CODING_IDENTITY;
}

bool aff_media_shrinks(aff_bytes content_type)
{
    static const char *const known[] = { "application/json",       "application/jsonl", "application/x-ndjson",
                                         "application/javascript", "application/xml",   "application/yaml" };
    struct aff_media media;
    if (!aff_media_parse(content_type, &media))
        return false;
    if (aff_same_word(media.type, "text"))
        return !aff_same_word(media.subtype, "event-stream");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (aff_media_is(&media, known[i]))
            return true;
    aff_bytes end = media.subtype.len > 4 ? aff_bytes_of((const char *)media.subtype.data + media.subtype.len - 4, 4)
                                          : aff_str("");
    return aff_same_word(end, "+xml") || aff_media_is_json(&media);
}

/* ---- Prefer and the like ---- */

enum aff_return aff_prefer_return(aff_bytes prefer)
{
    while (prefer.len) {
        aff_bytes item = take_until(&prefer, ",");
        aff_bytes preference = take_until(&item, ";");
        aff_bytes name = aff_trimmed(take_until(&preference, "=")), value = aff_trimmed(preference);
        if (!aff_same_word(name, "return"))
            continue;
        if (aff_same_word(value, "minimal") || aff_same_word(value, "\"minimal\""))
            return AFF_RETURN_MINIMAL;
        if (aff_same_word(value, "representation") || aff_same_word(value, "\"representation\""))
            return AFF_RETURN_REPRESENTATION;
    }
    return AFF_RETURN_DEFAULT;
}

bool aff_ttl_parse(aff_bytes text, int64_t *ret_ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
    const int64_t most = INT64_C(36500) * 86400000;
    text = aff_trimmed(text);
    const char *at = text.data;
    size_t digits = 0;
    while (digits < text.len && at[digits] >= '0' && at[digits] <= '9')
        digits++;
    uint64_t number;
    if (!aff_take_decimal(aff_bytes_of(at, digits), INT64_MAX, &number) || number == 0)
        return false;
    aff_bytes unit = aff_bytes_of(at + digits, text.len - digits);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!aff_bytes_equal(unit, aff_str(units[i].unit)))
            continue;
        if (number > (uint64_t)(most / units[i].ms))
            return false;
        *ret_ms = (int64_t)number * units[i].ms;
        return true;
    }
    return false;
}

bool aff_event_time_parse(aff_bytes text, int64_t *ret_ms)
{
    text = aff_trimmed(text);
    bool negative = text.len && *(const char *)text.data == '-';
    uint64_t number;
    if (!aff_take_decimal(aff_bytes_of((const char *)text.data + negative, text.len - negative), INT64_MAX, &number))
        return false;
    *ret_ms = negative ? -(int64_t)number : (int64_t)number;
    return true;
}

/* "3:1042" */
static const char *parse_place(aff_bytes text, struct aff_wanted_consistency *wanted)
{
    aff_bytes rest = text, before = take_until(&rest, ":");
    uint64_t partition, offset;
    if (!aff_take_decimal(before, UINT32_MAX, &partition) || !aff_take_decimal(rest, INT64_MAX - 1, &offset))
        return "Affinity-Consistency: at-least wants a place as Affinity-Position tells it, like at-least=3:1042";
    *wanted = (struct aff_wanted_consistency){ .kind = AFF_CONSISTENCY_AT_LEAST,
                                               .partition = (uint32_t)partition,
                                               .offset = (int64_t)offset };
    return NULL;
}

/* "max-lag=500ms" */
static const char *parse_lag(aff_bytes text, struct aff_wanted_consistency *wanted)
{
    aff_bytes name = aff_trimmed(take_until(&text, "="));
    *wanted = (struct aff_wanted_consistency){ .kind = AFF_CONSISTENCY_MAX_LAG };
    if (!aff_same_word(name, "max-lag") || !aff_ttl_parse(text, &wanted->max_lag_ms))
        return "Affinity-Consistency: behind `eventual` stands nothing, or a max-lag like max-lag=500ms";
    return NULL;
}

const char *aff_consistency_parse(aff_bytes text, struct aff_wanted_consistency *ret_wanted)
{
    aff_bytes rest = aff_trimmed(text), name = aff_trimmed(take_until(&rest, ";="));
    bool alone = aff_trimmed(text).len == name.len;
    *ret_wanted = (struct aff_wanted_consistency){ .kind = AFF_CONSISTENCY_STRICT };
    if (alone && aff_same_word(name, "strict"))
        return NULL;
    if (aff_same_word(name, "eventual")) {
        ret_wanted->kind = AFF_CONSISTENCY_EVENTUAL;
        return alone ? NULL : parse_lag(rest, ret_wanted);
    }
    if (aff_same_word(name, "at-least") && !alone)
        return parse_place(aff_trimmed(rest), ret_wanted);
    return "Affinity-Consistency must be `strict`, `eventual`, `eventual; max-lag=500ms` or `at-least=3:1042`";
}

bool aff_idempotency_key_fits(aff_bytes text)
{
    const unsigned char *at = text.data;
    for (size_t i = 0; i < text.len; i++)
        if (at[i] <= ' ' || at[i] >= 0x7f)
            return false;
    return text.len >= 1 && text.len <= 255;
}
