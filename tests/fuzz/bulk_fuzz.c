/*
 * bulk_fuzz.c - lines of bulk writes. What is taken must be what a client could have meant: a key that can be one, a value that is JSON
 * or well-formed base64; and all that is told of a line are bytes of it.
 */
#include "http/bulk_line.h"

#include "http/target.h"
#include "serde/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void check(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct aff_bulk_line *line = malloc(sizeof *line);
    aff_bytes text = aff_bytes_of(data, size);
    if (memchr(data, '\n', size) == NULL && aff_bulk_line_parse(text, 16, 1000, line) == 0) {
        check(aff_key_fault(line->key) == NULL);
        check(line->deletes || line->encoded || aff_json_check(line->value, 17, NULL) == 0);
        check(!line->key_text.data || ((const unsigned char *)line->key_text.data >= data &&
                                       (const unsigned char *)line->key_text.data + line->key_text.len <= data + size));
        if (line->encoded) {
            size_t length = aff_bulk_decoded_length(line->value);
            unsigned char *to = malloc(length ? length : 1);
            check(to != NULL);
            aff_bulk_decode(line->value, to);
            free(to);
        }
    }
    free(line);
    return 0;
}
