/*
 * fill.h - from the document to the struct, by the table; and where each value came from, for the checks after it.
 */
#ifndef AFF_CONFIG_FILL_H
#define AFF_CONFIG_FILL_H

#include "config/document.h"
#include "config/settings.h"

/* A value that the document gave. */
struct aff_given {
    const struct aff_setting *setting;
    const void *member; /* inside the config */
    struct aff_mark mark;
    char *path; /* as users write it: "keyspaces.accounts.partitions" */
};

struct aff_fill {
    const struct aff_source *source;
    struct aff_config *config;
    struct aff_given *given;
    size_t given_count, given_capacity;
};

/* Fills the config, whose members hold nothing yet: the defaults, then what the document says. */
void aff_fill(struct aff_fill *fill, const struct aff_document *document);
/* Sets the members of a group's struct, zeroed before, to their defaults. */
void aff_fill_defaults(enum aff_group_id group, void *base);
void aff_fill_fini(struct aff_fill *fill); /* not the config */

/* The given value of a member, or NULL when it has its default. */
const struct aff_given *aff_fill_given(const struct aff_fill *fill, const void *member);

/* Adds a property to the member of a PROPERTIES or PLACES setting; `prefix` is what stands before its name (properties.c). */
void aff_fill_property(const struct aff_fill *fill, const struct aff_setting *setting, void *member, const char *prefix,
                       const struct aff_document_entry *entry);
/* The value of a property of this name, or NULL. */
const char *aff_property(const struct aff_config_properties *properties, const char *name);

/* Rules that concern more than one value (check.c); those of a cluster (check_cluster.c). */
void aff_check(const struct aff_fill *fill);
void aff_check_cluster(const struct aff_fill *fill);
/* Where `member` was given, or `other` when that one has its default. */
struct aff_mark aff_fill_place(const struct aff_fill *fill, const void *member, const void *other);

/*
 * Complains that there is no setting `key` below `prefix` ("", "limits.", "keyspaces.accounts.") and says what may have
 * been meant (suggest.c). `section` is the part of the prefix inside the group: "", "limits.".
 */
void aff_complain_unknown(const struct aff_fill *fill, enum aff_group_id group, const char *prefix, const char *section,
                          const struct aff_document_node *key);

#endif
