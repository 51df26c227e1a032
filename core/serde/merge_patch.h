/*
 * merge_patch.h - RFC 7396: a JSON value that says what another one is to look like.
 *
 * The text of what the patch does not name is kept byte for byte, spaces and order and twins included; what it names is put in as
 * its text stands in the patch, less the members that are null. A member that is replaced keeps its place, a new one
 * comes last, without spaces. Members that a patch names twice are applied one after the other. Of twins in the value the last one is
 * replaced, and all are removed.
 *
 * Pure but for memory; any thread.
 */
#ifndef AFF_SERDE_MERGE_PATCH_H
#define AFF_SERDE_MERGE_PATCH_H

#include "serde/splice.h"

/*
 * The result goes to `out` (cleared first). `value` NULL: there is none yet. 0, AFF_ENOMEM, or AFF_ETOOLARGE with `*ret_what`: what was too
 * large (constant). Applied to its own result a patch changes nothing.
 */
int aff_merge_patch(const struct aff_json_tree *value, const struct aff_json_tree *patch,
                    const struct aff_splice_limits *limits, struct aff_buf *out, const char **ret_what);

#endif
