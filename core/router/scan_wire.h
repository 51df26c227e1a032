/*
 * scan_wire.h - a part of a scan as a question to the node that leads it (AFF_WIRE_SCAN), and the answer: bytes behind the beginnings that
 * wire.h has. Two questions: for some entries behind a place, and for one value that was too long to come among them.
 *
 * Decoders take nothing on trust. Pure; any thread.
 */
#ifndef AFF_ROUTER_SCAN_WIRE_H
#define AFF_ROUTER_SCAN_WIRE_H

#include "base/buf.h"
#include "partition/finder.h"

struct aff_scan_question {
    bool local;                 /* any copy will do, whatever the role of who has it; else the answer is proven (I5) */
    struct aff_store_step step; /* in a question for a value, `from` is the place that its entry has */
    aff_bytes key;              /* data not NULL: a question for the value of this key */
    uint32_t bytes;             /* else about so many bytes of entries are wanted */
    bool indexed;               /* by an index of this name and declaration, and these terms; then a place is one of the index */
    aff_bytes index;
    struct aff_digest declared;
    struct aff_index_range terms; /* its number is not part of it */
};
bool aff_scan_question_put(struct aff_buf *to, const struct aff_scan_question *question) AFF_MUST_USE;
/* Views of the body. False: it is no such question. */
bool aff_scan_question_take(aff_bytes body, struct aff_scan_question *ret_question);

struct aff_scan_reply {
    int code;            /* of the read; if it is not 0, that is all */
    uint32_t identity8;  /* of the log */
    bool more;           /* entries may follow those; of a value: it is there */
    aff_bytes entries;   /* as store/scan.c copied them */
    uint32_t tail;       /* the last of them, from their beginning; told by aff_scan_reply_take() */
    struct aff_item item; /* the value */
};
/* What stands before the entries, or all of the answer about a value (whole: its item). */
bool aff_scan_reply_put(struct aff_buf *to, const struct aff_scan_reply *reply, bool whole) AFF_MUST_USE;
/*
 * Views of the answer. False: it is no answer to that question: something in it is damaged, in the wrong order, or behind a bound, or
 * more than was asked for.
 */
bool aff_scan_reply_take(aff_bytes answer, const struct aff_scan_question *question, struct aff_scan_reply *ret_reply);

#endif
