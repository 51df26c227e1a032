/*
 * text.c - see text.h.
 */
#include "coordinator/text.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

static int append(const char *data, size_t size, void *out)
{
    return aff_buf_add((struct aff_buf *)out, data, size) ? 0 : -1;
}

int aff_text_write(json_t *object, const char *what, struct aff_buf *out, aff_error *err)
{
    size_t before = out->len;
    int failed = !object || json_dump_callback(object, append, out, JSON_COMPACT) != 0;

    json_decref(object);
    if (!failed && out->len - before <= AFF_ZNODE_MAX)
        return 0;
    if (!failed)
        aff_fail_with(err, AFF_ETOOLARGE, "%s takes %zu bytes, and a znode holds %d", what, out->len - before,
                      AFF_ZNODE_MAX);
    out->len = before;
    return failed ? aff_fail_with(err, AFF_ENOMEM, "%s could not be written: out of memory, or text that is not UTF-8",
                                  what)
                  : AFF_ETOOLARGE;
}

static int check_version(const json_t *object, const char *what, aff_error *err)
{
    const json_t *version = json_object_get(object, "v");

    if (!json_is_integer(version) || json_integer_value(version) < 1)
        return aff_fail_with(err, AFF_ECORRUPT,
                             "%s: \"v\", the version of its form, is missing or not a number above 0", what);
    if (json_integer_value(version) > AFF_ZNODE_VERSION)
        return aff_fail_with(err, AFF_EREFUSED,
                             "%s has form %lld, and this release reads form %d: it was written by a later release",
                             what, (long long)json_integer_value(version), AFF_ZNODE_VERSION);
    return 0;
}

int aff_text_read(aff_bytes text, const char *what, json_t **ret_object, aff_error *err)
{
    json_error_t place;
    json_t *object = NULL;
    int rc = 0;

    if (text.len > AFF_ZNODE_MAX)
        return aff_fail_with(err, AFF_ECORRUPT, "%s has %zu bytes, more than %d", what, text.len, AFF_ZNODE_MAX);
    object = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &place);
    if (!object)
        return aff_fail_with(err, AFF_ECORRUPT, "%s, byte %d: %s", what, place.position, place.text);
    if (!json_is_object(object))
        rc = aff_fail_with(err, AFF_ECORRUPT, "%s: not a JSON object", what);
    rc = rc ? rc : check_version(object, what, err);
    if (rc)
        json_decref(object);
    else
        *ret_object = object;
    return rc;
}

int aff_text_fail(const struct aff_text_place *place, const char *key, const char *problem, aff_error *err)
{
    if (place->partition < 0)
        return aff_fail_with(err, AFF_ECORRUPT, "%s: \"%s\" %s", place->what, key, problem);
    return aff_fail_with(err, AFF_ECORRUPT, "%s, partition %lld: \"%s\" %s", place->what, (long long)place->partition,
                         key, problem);
}

int aff_text_string(const json_t *object, const char *key, const struct aff_text_place *place, char *ret_text,
                    size_t size, aff_error *err)
{
    const json_t *value = json_object_get(object, key);

    if (!value) {
        ret_text[0] = '\0';
        return 0;
    }
    if (!json_is_string(value))
        return aff_text_fail(place, key, "is not a string", err);
    if (json_string_length(value) >= size)
        return aff_text_fail(place, key, "is too long", err);
    memcpy(ret_text, json_string_value(value), json_string_length(value) + 1);
    return 0;
}

int aff_text_number(const json_t *object, const char *key, const struct aff_text_place *place, uint64_t max,
                    uint64_t *ret_number, aff_error *err)
{
    const json_t *value = json_object_get(object, key);

    if (!value) {
        *ret_number = 0;
        return 0;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0 || (uint64_t)json_integer_value(value) > max)
        return aff_text_fail(place, key, "is not a number that is possible here", err);
    *ret_number = (uint64_t)json_integer_value(value);
    return 0;
}

int aff_text_bool(const json_t *object, const char *key, const struct aff_text_place *place, bool *ret_value,
                  aff_error *err)
{
    const json_t *value = json_object_get(object, key);

    if (value && !json_is_boolean(value))
        return aff_text_fail(place, key, "is neither true nor false", err);
    *ret_value = json_is_true(value);
    return 0;
}
