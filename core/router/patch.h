/*
 * patch.h - a patch of a value as an operation: RFC 7396 merge patches and RFC 6902 JSON patches (serde/).
 *
 * It is run where the partition is, in its turn on the key: it reads the present value and stages one write, alone in its record; it
 * may run again, and begins anew then.
 */
#ifndef AFF_ROUTER_PATCH_H
#define AFF_ROUTER_PATCH_H

#include "router/router.h"

struct aff_patch_opts {
    aff_bytes body;  /* borrowed until aff_command_fini() */
    bool merges;     /* RFC 7396; else RFC 6902 */
    bool whole;      /* the answer has the new value: result.reply and its type, of a repeat too unless it was too long to be kept */
    unsigned depth;  /* of JSON */
};
/*
 * Sets op->call.op.run, and `alone`. 0, or AFF_EJSON, AFF_EPATCH, AFF_ENOMEM, with a text in `detail`: the body is no patch. In any
 * case aff_command_fini() follows. What comes of it: result.status 201 when the key did not exist, else 200; result.unchanged.
 */
int aff_patch_prepare(struct aff_command_op *op, const struct aff_space *space, const struct aff_patch_opts *opts, char *detail,
                      size_t size);
const struct aff_patch_opts *aff_patch_opts_of(const struct aff_command_op *op); /* NULL: it is no patch */
/* By aff_command_fini(). */
void aff_patch_fini(struct aff_command_op *op);

#endif
