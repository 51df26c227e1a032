/*
 * key_route.c - see key_route.h.
 */
#include "base/key_route.h"

#include <stdio.h>

#define WHOLE_KEY "whole-key"
#define UP_TO "up-to "

static bool is_separator(aff_bytes text)
{
    const unsigned char *bytes = text.data;

    for (size_t i = 0; i < text.len; i++)
        if (bytes[i] < 0x20 || bytes[i] > 0x7e || bytes[i] == '"' || bytes[i] == '\\')
            return false;
    return text.len >= 1 && text.len <= AFF_KEY_ROUTE_SEPARATOR_MAX;
}

/* What follows "up-to ": a separator in quotes, then nothing or a blank and a digit. */
static bool read_up_to(const char *at, size_t len, struct aff_key_route *route)
{
    const char *close = len > 1 && at[0] == '"' ? memchr(at + 1, '"', len - 1) : NULL;
    aff_bytes separator = aff_bytes_of(at + 1, close ? (size_t)(close - at) - 1 : 0), rest;

    if (!close || !is_separator(separator))
        return false;
    rest = aff_bytes_of(close + 1, len - (size_t)(close + 1 - at));
    route->nth = 1;
    if (rest.len == 2 && close[1] == ' ' && close[2] >= '1' && close[2] <= '0' + AFF_KEY_ROUTE_NTH_MAX)
        route->nth = (unsigned char)(close[2] - '0');
    else if (rest.len > 0)
        return false;
    route->separator_len = (unsigned char)separator.len;
    memcpy(route->separator, separator.data, separator.len);
    return true;
}

int aff_key_route_read(aff_bytes text, struct aff_key_route *ret_route, aff_error *err)
{
    size_t up_to = strlen(UP_TO);
    struct aff_key_route route = { .nth = 0 };

    if (!aff_bytes_equal(text, aff_str(WHOLE_KEY)) &&
        !(text.len > up_to && memcmp(text.data, UP_TO, up_to) == 0 &&
          read_up_to((const char *)text.data + up_to, text.len - up_to, &route)))
        return aff_fail_with(err, AFF_ECONFIG,
                             "%.*s is not a route: expected whole-key, or up-to \"/\", or up-to \"/\" 2, with 1 to %d characters "
                             "of ASCII between the quotes, and a number from 1 to %d",
                             (int)(text.len < 60 ? text.len : 60), (const char *)text.data, AFF_KEY_ROUTE_SEPARATOR_MAX,
                             AFF_KEY_ROUTE_NTH_MAX);
    *ret_route = route;
    return 0;
}

const char *aff_key_route_print(const struct aff_key_route *route, char out[AFF_KEY_ROUTE_TEXT_MAX])
{
    if (route->nth == 0)
        snprintf(out, AFF_KEY_ROUTE_TEXT_MAX, WHOLE_KEY);
    else if (route->nth == 1)
        snprintf(out, AFF_KEY_ROUTE_TEXT_MAX, UP_TO "\"%.*s\"", route->separator_len, route->separator);
    else
        snprintf(out, AFF_KEY_ROUTE_TEXT_MAX, UP_TO "\"%.*s\" %u", route->separator_len, route->separator, route->nth % 10u);
    return out;
}

/* The bytes before the separator that ends the route; len of the key when there is none. */
static size_t route_len(const struct aff_key_route *route, aff_bytes key)
{
    const char *begin = key.data, *at = begin, *found;

    for (unsigned n = 1; n <= route->nth; n++, at = found + route->separator_len) {
        found = memmem(at, key.len - (size_t)(at - begin), route->separator, route->separator_len);
        if (!found)
            return key.len;
        if (n == route->nth)
            return (size_t)(found - begin);
    }
    return key.len;
}

aff_bytes aff_key_route_of(const struct aff_key_route *route, aff_bytes key)
{
    return route->nth == 0 ? key : aff_bytes_of(key.data, route_len(route, key));
}

bool aff_key_route_settles(const struct aff_key_route *route, aff_bytes beginning)
{
    return route->nth > 0 && beginning.len > 0 && route_len(route, beginning) < beginning.len;
}
