/*
 * record_fuzz.c - the `aff` header and the value of a CLAIM: any bytes are read without harm, and what could be read is
 * written and read again as the same.
 */
#include "changelog/record.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static void expect_same_idem(const struct aff_idem *a, const struct aff_idem *b)
{
    expect(aff_digest_equal(a->id, b->id) && aff_digest_equal(a->request, b->request));
    expect(a->status == b->status && a->versioned == b->versioned && a->cut == b->cut);
    expect(aff_bytes_equal(a->content_type, b->content_type) && aff_bytes_equal(a->reply, b->reply));
    expect(a->reply.len <= AFF_IDEM_REPLY_MAX && a->content_type.len <= 255);
}

static void expect_same(const struct aff_record *a, const struct aff_record *b)
{
    expect(a->kind == b->kind && a->stamp.epoch == b->stamp.epoch && a->stamp.nonce == b->stamp.nonce &&
           a->stamp.seq == b->stamp.seq);
    expect(a->expires_ms == b->expires_ms && a->event_ms == b->event_ms);
    expect(a->kept_offset == b->kept_offset && a->kept_time_ms == b->kept_time_ms);
    expect(aff_bytes_equal(a->route, b->route));
    expect(a->idem_count == b->idem_count && a->idem_count <= AFF_RECORD_IDEMS_MAX);
    for (uint32_t i = 0; i < a->idem_count; i++)
        expect_same_idem(&a->idems[i], &b->idems[i]);
}

static void try_record(aff_bytes bytes)
{
    struct aff_entry entry = { .offset = 3, .time_ms = 4, .key = aff_str("k"), .value = aff_str("v"), .aff = bytes };
    struct aff_record rec, again;
    struct aff_buf buf;

    aff_record_decode(&entry, &rec);
    if (rec.kind == AFF_KIND_FOREIGN) {
        expect(rec.stamp.epoch == 0 && rec.idem_count == 0 && rec.offset == 3);
        return;
    }
    expect(rec.stamp.epoch > 0 && rec.stamp.epoch <= AFF_EPOCH_MAX);
    aff_buf_init(&buf);
    expect(aff_record_encode(&rec, &buf));
    expect(buf.len <= bytes.len); /* fields of later releases are gone, nothing is new */
    entry.aff = aff_buf_view(&buf);
    aff_record_decode(&entry, &again);
    expect_same(&rec, &again);
    aff_buf_fini(&buf);
}

static void try_claim(aff_bytes bytes)
{
    static struct aff_epoch_end ends[AFF_CLAIM_EPOCHS_MAX];
    struct aff_claim claim;
    struct aff_buf buf;

    if (!aff_claim_decode(bytes, &claim))
        return;
    expect(claim.epoch_count <= AFF_CLAIM_EPOCHS_MAX);
    for (uint32_t i = 0; i < claim.epoch_count; i++)
        ends[i] = aff_claim_epoch(&claim, i);
    aff_buf_init(&buf);
    expect(aff_claim_encode(claim.identity, ends, claim.epoch_count, &buf));
    expect(aff_bytes_equal(aff_buf_view(&buf), bytes));
    aff_buf_fini(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    aff_bytes bytes = aff_bytes_of(data ? data : (const uint8_t *)"", size);
    try_record(bytes);
    try_claim(bytes);
    return 0;
}
