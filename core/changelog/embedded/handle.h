/*
 * embedded/handle.h - the loop's side of the driver: ports, handles, chunks. Every function runs on the loop's thread.
 */
#ifndef AFF_CHANGELOG_EMBEDDED_HANDLE_H
#define AFF_CHANGELOG_EMBEDDED_HANDLE_H

#include "changelog/embedded/journal.h"

/* The operations of struct aff_changelog_ops that a handle has. */
int aff_embedded_open(struct aff_changelog *log, const char *topic, uint32_t index, struct aff_loop *loop,
                      struct aff_changelog_sink *sink, struct aff_changelog_part **ret_part, aff_error *err);
void aff_embedded_close(struct aff_changelog_part *part);
int aff_embedded_append(struct aff_changelog_part *part, const struct aff_entry *entry, uint64_t seq);
void aff_embedded_read(struct aff_changelog_part *part, int64_t from, size_t max_bytes, int mode, uint64_t ticket);
void aff_embedded_reset(struct aff_changelog_part *part);
void aff_embedded_keep_from(struct aff_changelog_part *part, int64_t offset);

#endif
