/*
 * peer_fuzz.c - the frames of peer/frame.h: whatever comes is a frame, needs more bytes, or is told to be none; what was read is written
 * again as it was, but for the two bytes that nobody looks at.
 */
#include "peer/frame.h"
#include "peer/peer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_written(const struct aff_frame *frame, const uint8_t *at)
{
    unsigned char head[AFF_FRAME_QUESTION_HEAD], wanted[AFF_FRAME_QUESTION_HEAD];
    size_t len = aff_frame_head(head, frame, frame->body.len);
    memcpy(wanted, at, len);
    wanted[6] = wanted[7] = 0;
    must(memcmp(head, wanted, len) == 0);
}

static void check_hello(aff_bytes body)
{
    struct aff_hello hello, again;
    struct aff_frame frame;
    struct aff_buf out;
    size_t size;
    const char *why = NULL;
    if (aff_hello_read(body, &hello) != NULL)
        return;
    aff_buf_init(&out);
    must(aff_hello_write(&hello, &out) && out.len <= AFF_HELLO_SIZE_MAX);
    must(aff_frame_read(aff_buf_view(&out), &frame, &size, &why) == (ssize_t)out.len);
    must(aff_hello_read(frame.body, &again) == NULL && frame.body.len <= body.len);
    must(memcmp(frame.body.data, body.data, frame.body.len) == 0);
    aff_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t at = 0;
    for (;;) {
        struct aff_frame frame;
        size_t whole;
        const char *why = NULL;
        ssize_t n = aff_frame_read(aff_bytes_of(data + at, size - at), &frame, &whole, &why);
        must(n >= 0 || (n == AFF_EINVAL && why));
        must(whole <= AFF_PEER_FRAME_MAX + 4);
        if (n <= 0)
            return 0;
        must((size_t)n <= size - at && whole == (size_t)n);
        must(frame.type > 0 && frame.type < AFF_FRAME_TYPES);
        must((const uint8_t *)frame.body.data + frame.body.len == data + at + n);
        check_written(&frame, data + at);
        if (frame.type == AFF_FRAME_HELLO)
            check_hello(frame.body);
        at += (size_t)n;
    }
}
