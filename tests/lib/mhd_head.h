/*
 * mhd_head.h - how libmicrohttpd 0.9.75 reads a request head: a model of its parser for tests of the guard.
 *
 * It keeps what matters to the guard, above all which bytes are overwritten and where the reported pointers lead: lines end
 * at LF, with or without CR, and the ends become NULs; a line that begins with NUL counts as empty; the colon becomes a NUL
 * and values begin behind spaces; a continuation line is appended to a copy of the name.
 */
#ifndef AFF_TESTS_LIB_MHD_HEAD_H
#define AFF_TESTS_LIB_MHD_HEAD_H

#include <affinity/bytes.h>

enum { MHD_HEAD_FIELDS_MAX = 256 };

struct mhd_head {
    char *buffer; /* the bytes, as the parser leaves them; one NUL behind */
    const char *method, *target, *version, *end;
    size_t target_len;
    unsigned count;
    aff_bytes names[MHD_HEAD_FIELDS_MAX], values[MHD_HEAD_FIELDS_MAX];
    char *copies[MHD_HEAD_FIELDS_MAX]; /* names that were folded into */
};

/* False: the head is not complete, or libmicrohttpd refuses it by itself. mhd_head_free() is due in any case. */
bool mhd_head_parse(aff_bytes raw, struct mhd_head *ret_head);
void mhd_head_free(struct mhd_head *head);

#endif
