/*
 * claim.c - key and value of a CLAIM: the log's identity and the masterships before. Pure, any thread.
 *
 * The layout is in the table "Record layout" of doc/protocol.md.
 */
#include "changelog/record.h"

#include <assert.h>
#include <stdio.h>

enum { CLAIM_VERSION = 1, EPOCH_LEN = 22 };

size_t aff_claim_key(struct aff_stamp stamp, char out[AFF_CONTROL_KEY_MAX])
{
    int len;

    assert(stamp.epoch <= AFF_EPOCH_MAX);
    memcpy(out, AFF_CONTROL_PREFIX, AFF_CONTROL_PREFIX_LEN);
    len = snprintf(out + AFF_CONTROL_PREFIX_LEN, AFF_CONTROL_KEY_MAX - AFF_CONTROL_PREFIX_LEN, "claim/%012llx/%016llx",
                   (unsigned long long)stamp.epoch, (unsigned long long)stamp.nonce);
    assert(len > 0 && len < AFF_CONTROL_KEY_MAX - AFF_CONTROL_PREFIX_LEN);
    return AFF_CONTROL_PREFIX_LEN + (size_t)len;
}

bool aff_claim_encode(const unsigned char identity[AFF_IDENTITY_LEN], const struct aff_epoch_end *epochs,
                      uint32_t count, struct aff_buf *buf)
{
    assert(count <= AFF_CLAIM_EPOCHS_MAX);
    aff_buf_clear(buf);
    if (!aff_buf_u8(buf, CLAIM_VERSION) || !aff_buf_add(buf, identity, AFF_IDENTITY_LEN) || !aff_buf_u32(buf, count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!aff_buf_u32(buf, aff_epoch_major(epochs[i].epoch)) ||
            !aff_buf_u16(buf, aff_epoch_minor(epochs[i].epoch)) || !aff_buf_u64(buf, epochs[i].nonce) ||
            !aff_buf_u64(buf, epochs[i].last_seq))
            return false;
    return true;
}

bool aff_claim_decode(aff_bytes value, struct aff_claim *ret_claim)
{
    struct aff_cursor c;
    uint8_t version;
    aff_bytes identity, epochs;
    uint32_t count;

    if (!value.data)
        return false;
    c = aff_cursor_of(value);
    version = aff_cursor_u8(&c);
    identity = aff_cursor_take(&c, AFF_IDENTITY_LEN);
    count = aff_cursor_u32(&c);
    if (c.failed || version != CLAIM_VERSION || count > AFF_CLAIM_EPOCHS_MAX)
        return false;
    epochs = aff_cursor_take(&c, (size_t)count * EPOCH_LEN);
    if (c.failed || aff_cursor_left(&c) > 0)
        return false;
    memcpy(ret_claim->identity, identity.data, AFF_IDENTITY_LEN);
    ret_claim->epochs = epochs.data;
    ret_claim->epoch_count = count;
    return true;
}

struct aff_epoch_end aff_claim_epoch(const struct aff_claim *claim, uint32_t index)
{
    const unsigned char *at = claim->epochs + (size_t)index * EPOCH_LEN;

    assert(index < claim->epoch_count);
    return (struct aff_epoch_end){
        .epoch = aff_epoch_of(aff_get_u32(at), aff_get_u16(at + 4)),
        .nonce = aff_get_u64(at + 6),
        .last_seq = aff_get_u64(at + 14),
    };
}
