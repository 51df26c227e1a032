/*
 * affinity/json.h - views on JSON values by jansson. The only public header that needs another library.
 *
 * Values are stored and served byte for byte; these functions parse for the application's code and print what it stages.
 * jansson holds integers of 64 bits and doubles: a document with larger or more exact numbers is better handled as bytes.
 */
#ifndef AFFINITY_JSON_H
#define AFFINITY_JSON_H

#include <affinity/command.h>
#include <jansson.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The present value, parsed once and then kept: borrowed, NULL when there is no value or it is not JSON. */
AFF_API const json_t *aff_cmd_json(aff_cmd *cmd);
/* The body of the request, parsed; an empty body is {}. NULL: it is not JSON (the request was refused with 400 before). */
AFF_API const json_t *aff_cmd_args(aff_cmd *cmd);
/* Stages a JSON value; steals the reference, also on failure. */
AFF_API int aff_cmd_put_json(aff_cmd *cmd, json_t *value) AFF_MUST_USE;
AFF_API int aff_cmd_reply_json(aff_cmd *cmd, int status, json_t *body) AFF_MUST_USE; /* steals */
/* Field `name` of the arguments or of the present value as an integer, however it is written (5, 5.0, 5e0); `otherwise` when it is
 * absent or none. */
AFF_API int64_t aff_cmd_arg_int(aff_cmd *cmd, const char *name, int64_t otherwise);
AFF_API int64_t aff_cmd_int(aff_cmd *cmd, const char *name, int64_t otherwise);

AFF_API const json_t *aff_read_json(aff_read *read);
AFF_API const json_t *aff_read_args(aff_read *read);
AFF_API int aff_read_reply_json(aff_read *read, int status, json_t *body) AFF_MUST_USE; /* steals */

#ifdef __cplusplus
}
#endif
#endif
