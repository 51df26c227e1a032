/*
 * frame.h - what stands on the wire between two nodes: frames, and the HELLO that both sides begin with. Pure: bytes in, fields
 * out, nothing is kept. The layout, with examples, is in doc/peers.md. Any thread.
 */
#ifndef AFF_PEER_FRAME_H
#define AFF_PEER_FRAME_H

#include "base/buf.h"

#include <sys/types.h>

enum aff_frame_type {
    AFF_FRAME_HELLO = 1,    /* the first frame of each side; body: struct aff_hello */
    AFF_FRAME_QUESTION = 2, /* id, kind, what is left of its deadline, body */
    AFF_FRAME_ANSWER = 3,   /* id, body */
    AFF_FRAME_REFUSED = 4,  /* id, kind: enum aff_refusal */
    AFF_FRAME_GOODBYE = 5,  /* ask nothing more here; what was asked is answered */
    AFF_FRAME_PING = 6,     /* answered by PONG */
    AFF_FRAME_PONG = 7,
    AFF_FRAME_VOID = 8,      /* was a question; nobody waits for it any more */
    AFF_FRAME_TURN_AWAY = 9, /* instead of HELLO: this side closes the stream; body: why, for people */
    AFF_FRAME_TYPES
};

enum aff_refusal {
    AFF_REFUSAL_AGAIN = 1,   /* it was not handled, and will not be */
    AFF_REFUSAL_FULL = 2,    /* likewise: as many questions are under way as there may be */
    AFF_REFUSAL_UNKNOWN = 3, /* it may have been handled; its answer cannot be told */
};

enum {
    AFF_FRAME_HEAD = 16,          /* length, type, kind, two bytes that are 0, id */
    AFF_FRAME_QUESTION_HEAD = 20, /* and what is left of the deadline */
    AFF_HELLO_NAME_MAX = 63,
    AFF_HELLO_STREAMS_MAX = 8,
    AFF_HELLO_SIZE_MAX =
        AFF_FRAME_HEAD + 4 + 2 + 2 + 8 + 2 * (1 + AFF_HELLO_NAME_MAX) + 8 + 8 + 1 + 8 * AFF_HELLO_STREAMS_MAX,
};

struct aff_frame {
    uint8_t type, kind;
    uint64_t id;
    uint32_t left_us; /* QUESTION only */
    aff_bytes body;   /* borrowed from what was read */
};

/*
 * Reads the frame at the beginning of `from`. Its size when it is whole; 0 when bytes are missing: *ret_size is then the size that it
 * will have, 0 while that is not known; AFF_EINVAL when it is no frame: *ret_wrong says why.
 */
ssize_t aff_frame_read(aff_bytes from, struct aff_frame *ret_frame, size_t *ret_size, const char **ret_wrong);

/* Writes the head of a frame whose body has `body_len` bytes; the size of the head. `to` has room for AFF_FRAME_QUESTION_HEAD. */
size_t aff_frame_head(void *to, const struct aff_frame *frame, size_t body_len);

/* In place, of a whole frame. */
void aff_frame_make_void(void *frame);
uint32_t aff_frame_left_us(const void *question);
void aff_frame_set_left_us(void *question, uint32_t left_us);

/* ---- HELLO ---- */

/* Which stream of which asker this is, and which older ones the asker still stands by; all others are over (fence.c). */
struct aff_hello_fence {
    uint64_t asker;  /* a loop of a process: a random number; 0: it is not told, and nothing is known of its streams */
    uint64_t stream; /* that the asker counts, from 1 */
    uint8_t kept_count;
    uint64_t kept[AFF_HELLO_STREAMS_MAX];
};

struct aff_hello {
    uint16_t version, oldest; /* of the form: the newest and the oldest that this side speaks */
    uint64_t features;
    char cluster[AFF_HELLO_NAME_MAX + 1], member[AFF_HELLO_NAME_MAX + 1];
    struct aff_hello_fence fence; /* of who opened the stream */
};
/* The whole frame; false when there is no memory. */
bool aff_hello_write(const struct aff_hello *hello, struct aff_buf *out) AFF_MUST_USE;
/* NULL, or why this is no HELLO. Bytes behind the fields that are known are left alone: a newer version may add some. */
const char *aff_hello_read(aff_bytes body, struct aff_hello *ret_hello);
/* The version that both speak; 0 when there is none. */
uint16_t aff_hello_version(const struct aff_hello *one, const struct aff_hello *other);

#endif
