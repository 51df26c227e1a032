/*
 * embedded_fuzz.c - the bytes of the embedded log, three ways by the first byte of the input:
 *
 *   any bytes as a segment file; the same with headers and checksums put right, so that entries are taken apart; and a good
 *   journal made as the input says with one bit of it flipped: the flipped batch must be found, and found to be damage
 *   unless it is the last one.
 */
#include "changelog/embedded/scan.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 16, BATCHES_MAX = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition)
{
    if (!condition)
        abort();
}

struct counting {
    struct aff_scan_visitor visitor;
    uint64_t entries, bytes;
};

static int count_entry(struct aff_scan_visitor *visitor, const struct aff_placed *placed,
                       const struct aff_scan_place *place)
{
    struct counting *c = (struct counting *)(void *)visitor;
    expect(place->raw.len == aff_entry_stored(&placed->entry));
    expect(place->at >= place->batch + AFF_BATCH_HEAD);
    expect(placed->entry.key.len > 0 && aff_entry_size(&placed->entry) <= AFF_ENTRY_MAX);
    c->entries++;
    c->bytes += place->raw.len;
    return 0;
}

static int scan(const void *data, size_t size, struct aff_scan_result *result)
{
    struct counting c = { { count_entry }, 0, 0 };
    int fd = memfd_create("segment", MFD_CLOEXEC);
    expect(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    int rc = aff_scan_segment(fd, 1, &c.visitor, result);
    (void)close(fd);
    expect(rc == 0 || rc == AFF_ECORRUPT);
    expect(result->size >= AFF_SEGMENT_HEAD && (result->size <= size || size < AFF_SEGMENT_HEAD));
    expect(c.bytes <= size);
    expect(rc || c.entries == result->entries);
    expect(!result->proof || (result->end == AFF_SCAN_DAMAGED && result->later && result->proof > result->size));
    return rc;
}

static void put_right(unsigned char *batch, struct aff_batch_head *head)
{
    uint32_t crc = aff_batch_head_put(batch, head);
    aff_batch_crc_put(batch, aff_batch_crc(crc, batch + AFF_BATCH_HEAD, head->length - AFF_BATCH_HEAD));
}

/* Each batch takes its length and count from the input, and its entries are the input. */
static void try_entries(const uint8_t *data, size_t size)
{
    unsigned char *file = calloc(1, FILE_MAX);
    size_t at = AFF_SEGMENT_HEAD;
    struct aff_scan_result result;

    while (size > 4) {
        size_t len = (size_t)(data[0] | (data[1] & 15) << 8), count = data[2];
        data += 3;
        size -= 3;
        if (len > size)
            len = size;
        size_t padded = AFF_BATCH_HEAD + len + aff_batch_padding(len);
        if (at + padded > FILE_MAX)
            break;
        memcpy(file + at + AFF_BATCH_HEAD, data, len);
        struct aff_batch_head head = { .length = (uint32_t)padded,
                                       .segment = 1,
                                       .position = at,
                                       .durable = at,
                                       .count = (uint32_t)count,
                                       .flags = count ? 0 : AFF_BATCH_END };
        put_right(file + at, &head);
        at += padded;
        data += len;
        size -= len;
    }
    (void)scan(file, at, &result);
    free(file);
}

/* A batch of entries whose sizes the input says; returns its length. */
static size_t make_batch(unsigned char *to, size_t at, unsigned count, uint8_t sizes)
{
    static const char filler[256];
    struct aff_buf buf;
    struct aff_batch_head head = { .segment = 1, .position = at, .durable = at, .count = count };

    aff_buf_init(&buf);
    for (unsigned i = 0; i < count; i++) {
        struct aff_placed placed = { .topic = 1, .partition = i, .entry = { .offset = i, .key = aff_str("key") } };
        if ((sizes + i) % 3)
            placed.entry.value = aff_bytes_of(filler, (size_t)sizes * (i + 1) % sizeof filler);
        expect(aff_entry_put(&buf, &placed));
    }
    memcpy(to + AFF_BATCH_HEAD, buf.data, buf.len);
    head.length = (uint32_t)(AFF_BATCH_HEAD + buf.len + aff_batch_padding(buf.len));
    put_right(to, &head);
    aff_buf_fini(&buf);
    return head.length;
}

static void try_flip(const uint8_t *data, size_t size)
{
    unsigned char *file = calloc(1, FILE_MAX);
    size_t at[BATCHES_MAX + 1], count = 0, batch = 0;
    uint64_t entries = 0;
    struct aff_scan_result result;

    for (at[0] = AFF_SEGMENT_HEAD; count < BATCHES_MAX && size > 6; count++, data += 2, size -= 2) {
        unsigned n = 1 + data[0] % 8;
        if (at[count] + 8 * 400 > FILE_MAX)
            break;
        at[count + 1] = at[count] + make_batch(file + at[count], at[count], n, data[1]);
        entries += n;
    }
    if (count > 0) {
        expect(scan(file, at[count], &result) == 0);
        expect(result.end == AFF_SCAN_OPEN && result.batches == count && result.entries == entries);
        size_t bit = (size_t)(data[0] | data[1] << 8 | data[2] << 16) % ((at[count] - at[0]) * 8);
        size_t byte = at[0] + bit / 8;
        file[byte] ^= (unsigned char)(1u << bit % 8);
        while (at[batch + 1] <= byte)
            batch++;
        expect(scan(file, at[count], &result) == 0);
        expect(result.end == AFF_SCAN_DAMAGED && result.size == at[batch] && result.batches == batch);
        expect((result.proof != 0) == (batch + 1 < count));
    }
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct aff_scan_result result;
    if (size < 1 || size > FILE_MAX / 2)
        return 0;
    if (data[0] % 3 == 0)
        (void)scan(data + 1, size - 1, &result);
    else if (data[0] % 3 == 1)
        try_entries(data + 1, size - 1);
    else
        try_flip(data + 1, size - 1);
    return 0;
}
