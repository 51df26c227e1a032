/*
 * scan_wire_fuzz.c - a part of a scan as nodes ask each other for it (router/scan_wire.h): any bytes are a question or are refused, and what is one
 * is written and read again as the same; any bytes are an answer to it or are refused, and what is taken can be read to its end.
 *
 * Input: the length of the question in two bytes, the question, the answer.
 */
#include "router/scan_wire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static void expect_same(aff_bytes a, aff_bytes b)
{
    expect((a.data == NULL) == (b.data == NULL) && aff_bytes_equal(a, b));
}

static void check_question(const struct aff_scan_question *q)
{
    struct aff_scan_question again;
    struct aff_buf b;
    aff_buf_init(&b);
    expect(aff_scan_question_put(&b, q) && aff_scan_question_take(aff_buf_view(&b), &again));
    expect(q->local == again.local && q->bytes == again.bytes && q->indexed == again.indexed);
    expect(q->step.inclusive == again.step.inclusive && q->step.reverse == again.step.reverse &&
           q->step.keys_only == again.step.keys_only);
    expect_same(q->step.from, again.step.from);
    expect_same(q->step.until, again.step.until);
    expect_same(q->key, again.key);
    if (q->indexed) {
        expect_same(q->index, again.index);
        expect(aff_digest_equal(q->declared, again.declared));
        expect_same(q->terms.from, again.terms.from);
        expect_same(q->terms.to, again.terms.to);
    }
    aff_buf_fini(&b);
}

static unsigned sum_of(aff_bytes bytes)
{
    const unsigned char *at = bytes.data;
    unsigned sum = 0;
    for (size_t i = 0; i < bytes.len; i++)
        sum += at[i];
    return sum;
}

/* Every byte that an answer shows is one of the answer. */
static unsigned read_entries(const struct aff_scan_question *q, aff_bytes entries)
{
    const unsigned char *data = entries.data;
    unsigned sum = 0;
    size_t size = 0;
    for (size_t at = 0; at < entries.len; at += size) {
        struct aff_store_entry entry;
        aff_bytes key = aff_store_entry_key(data + at, &size);
        expect(size > 0 && size <= entries.len - at);
        if (q->indexed)
            aff_index_entry_read(data + at, &entry);
        else
            aff_store_entry_read(data + at, &entry);
        sum += sum_of(key) + sum_of(entry.key);
        if (entry.whole)
            sum += sum_of(entry.item.value) + sum_of(entry.item.content_type);
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct aff_scan_question q;
    struct aff_scan_reply r;
    volatile unsigned sink = 0; /* what is read is used */
    if (size < 2)
        return 0;
    size_t len = aff_get_u16(data);
    if (len > size - 2)
        len = size - 2;
    if (!aff_scan_question_take(aff_bytes_of(data + 2, len), &q))
        return 0;
    check_question(&q);
    if (!aff_scan_reply_take(aff_bytes_of(data + 2 + len, size - 2 - len), &q, &r) || r.code != 0)
        return 0;
    if (!q.key.data)
        sink = read_entries(&q, r.entries);
    else if (r.more)
        sink = sum_of(r.item.value) + sum_of(r.item.content_type);
    (void)sink;
    return 0;
}
