/*
 * json.c - see json.h. The grammar itself is in scan.h.
 */
#include "serde/scan.h"

#include <stdio.h>

void aff_scan_describe(const struct scan *s, const unsigned char *start, struct aff_json_error *ret_error)
{
    size_t line = 1, column = 1;
    for (const unsigned char *at = start; at < s->at; at++) {
        if (*at == '\n') {
            line++;
            column = 1;
        } else if ((*at & 0xc0) != 0x80) {
            column++;
        }
    }
    ret_error->offset = (size_t)(s->at - start);
    ret_error->line = line;
    ret_error->column = column;
    if (s->expected)
        (void)snprintf(ret_error->expected, sizeof ret_error->expected, "%s", s->expected);
    else
        (void)snprintf(ret_error->expected, sizeof ret_error->expected, "brackets at most %u deep", s->max_depth);
}

int aff_json_check(aff_bytes text, unsigned max_depth, struct aff_json_error *ret_error)
{
    assert(max_depth >= 1 && max_depth <= AFF_JSON_DEPTH_MAX);
    const unsigned char *start = text.data;
    struct scan s = { .at = start, .end = start + text.len, .max_depth = max_depth };
    if (scan_text(&s, NULL))
        return 0;
    if (ret_error)
        aff_scan_describe(&s, start, ret_error);
    return AFF_EJSON;
}

size_t aff_json_error_print(const struct aff_json_error *error, char *out, size_t size)
{
    int length = snprintf(out, size, "line %zu, column %zu (byte %zu): expected %s", error->line, error->column,
                          error->offset, error->expected);
    return length < 0 ? 0 : (size_t)length < size ? (size_t)length : size - 1;
}
