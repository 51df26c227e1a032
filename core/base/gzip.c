/*
 * gzip.c - see gzip.h: zlib's deflate with gzip's head, which has neither time nor name in it.
 */
#include "base/gzip.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    WINDOW_BITS = 15 + 16, /* the whole window, gzip's head */
    MEMORY_LEVEL = 8,
    STEP = 16384, /* of room in the buffer */
};

struct aff_gzip {
    z_stream stream;
};

struct aff_gzip *aff_gzip_new(int level)
{
    assert(level >= 1 && level <= 9);
    struct aff_gzip *gzip = calloc(1, sizeof *gzip);
    if (gzip && deflateInit2(&gzip->stream, level, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(gzip);
        gzip = NULL;
    }
    return gzip;
}

struct aff_gzip *aff_gzip_free(struct aff_gzip *gzip)
{
    if (gzip)
        (void)deflateEnd(&gzip->stream);
    free(gzip);
    return NULL;
}

/* Codes until there is room left over, which means that all that was there is taken. */
static bool code(z_stream *z, int flush, struct aff_buf *out)
{
    int result;
    do {
        if (!aff_buf_reserve(out, STEP))
            return false;
        size_t room = out->capacity - out->len;
        z->avail_out = room < UINT_MAX ? (uInt)room : UINT_MAX;
        z->next_out = out->data + out->len;
        result = deflate(z, flush);
        assert(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
        out->len = (size_t)(z->next_out - out->data);
    } while (result == Z_OK && z->avail_out == 0);
    return true;
}

bool aff_gzip_add(struct aff_gzip *gzip, aff_bytes part, bool last, struct aff_buf *out)
{
    z_stream *z = &gzip->stream;
    bool done = true;
    do {
        uInt piece = part.len < UINT_MAX ? (uInt)part.len : UINT_MAX;
        z->next_in = (z_const Bytef *)(uintptr_t)part.data; /* it is only read */
        z->avail_in = piece;
        part = aff_bytes_of((const char *)part.data + piece, part.len - piece);
        done = code(z, last && !part.len ? Z_FINISH : Z_NO_FLUSH, out);
    } while (done && part.len);
    if (!done || last)
        (void)deflateReset(z);
    return done;
}
