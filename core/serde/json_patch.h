/*
 * json_patch.h - RFC 6902: a list of operations on a JSON value, all of them or none.
 *
 * The text of what no operation names is kept byte for byte, spaces and order and twins included. What is replaced keeps its
 * place; what is new comes without spaces, a member as the last one. Of twins (members with the same name) the last one
 * counts: it is what pointers name and what is replaced; `remove` takes all of them.
 *
 * Pure but for memory; any thread.
 */
#ifndef AFF_SERDE_JSON_PATCH_H
#define AFF_SERDE_JSON_PATCH_H

#include "serde/splice.h"

struct aff_json_patch_error {
    size_t operation; /* from 0; the one that failed */
    char text[200];   /* "operation 3 (remove): the path \"/a/9\" names nothing" */
};

/* Is it a patch, whatever it may be applied to? 0, AFF_EPATCH, AFF_ENOMEM. */
int aff_json_patch_check(const struct aff_json_tree *patch, struct aff_json_patch_error *ret_error);

/*
 * The result goes to `out` (cleared first). AFF_EPATCH as above; AFF_EPATCHFAILED: a test failed, a pointer names nothing, or the value as
 * a whole would go; AFF_ETOOLARGE; AFF_ENOMEM. But for the last all come with `ret_error`.
 */
int aff_json_patch(const struct aff_json_tree *value, const struct aff_json_tree *patch,
                   const struct aff_splice_limits *limits, struct aff_buf *out, struct aff_json_patch_error *ret_error);

#endif
