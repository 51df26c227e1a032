/*
 * text.h - what the texts of all znodes have in common: a JSON object with the version of its form, bounded, and errors that name the
 * place. This folder's own.
 *
 * Pure: any thread.
 */
#ifndef AFF_COORDINATOR_TEXT_H
#define AFF_COORDINATOR_TEXT_H

#include "base/buf.h"
#include "coordinator/member.h"

#include <jansson.h>

/* Where a value stands, for the text of an error. */
struct aff_text_place {
    const char *what;  /* the znode */
    int64_t partition; /* -1: of the whole */
};

/* Appends `object`, which is consumed, as compact JSON; AFF_ETOOLARGE above AFF_ZNODE_MAX. */
int aff_text_write(json_t *object, const char *what, struct aff_buf *out, aff_error *err);
/* Parses a text, checks its form's version. The object is the caller's. */
int aff_text_read(aff_bytes text, const char *what, json_t **ret_object, aff_error *err);

int aff_text_fail(const struct aff_text_place *place, const char *key, const char *problem, aff_error *err);
/* An absent member leaves "" or 0. */
int aff_text_string(const json_t *object, const char *key, const struct aff_text_place *place, char *ret_text,
                    size_t size, aff_error *err);
int aff_text_number(const json_t *object, const char *key, const struct aff_text_place *place, uint64_t max,
                    uint64_t *ret_number, aff_error *err);
int aff_text_bool(const json_t *object, const char *key, const struct aff_text_place *place, bool *ret_value,
                  aff_error *err);

#endif
