/*
 * vectors.c - see vectors.h.
 */
#include "vectors.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int digit(int c)
{
    return isdigit(c) ? c - '0' : isxdigit(c) ? tolower(c) - 'a' + 10 : -1;
}

/* The bytes of a line; what stands behind a '#' is a comment. */
static void take_line(const char *line, struct aff_buf *bytes)
{
    int high = -1;
    for (; *line && *line != '#'; line++) {
        int d = digit((unsigned char)*line);
        if (d < 0)
            continue;
        if (high >= 0)
            assert_true(aff_buf_u8(bytes, (uint8_t)(high << 4 | d)));
        high = high >= 0 ? -1 : d;
    }
    assert_true(high < 0);
}

static bool read_vector(const char *name, struct aff_buf *bytes)
{
    char line[512], title[128];
    bool inside = false, found = false;
    FILE *page = fopen(PROTOCOL_MD, "r");

    assert_non_null(page);
    (void)snprintf(title, sizeof title, "vector %s\n", name);
    while (fgets(line, sizeof line, page)) {
        if (inside && (line[0] == '\n' || line[0] == '`'))
            break;
        if (inside)
            take_line(line, bytes);
        else if (strcmp(line, title) == 0)
            inside = found = true;
    }
    (void)fclose(page);
    return found;
}

void vector_assert(const char *name, aff_bytes actual)
{
    struct aff_buf expected;
    aff_buf_init(&expected);
    bool same = read_vector(name, &expected) && aff_bytes_equal(aff_buf_view(&expected), actual);
    aff_buf_fini(&expected);
    if (same)
        return;
    (void)fprintf(stderr, "doc/protocol.md should have:\nvector %s", name);
    for (size_t i = 0; i < actual.len; i++)
        (void)fprintf(stderr, "%s%02x", i % 32 ? i % 8 ? "" : " " : "\n", ((const unsigned char *)actual.data)[i]);
    (void)fprintf(stderr, "\n");
    fail_msg("vector %s", name);
}
