/*
 * settings.h - the rows of settings.def as data, for the parts of this layer. Constant; any thread.
 */
#ifndef AFF_CONFIG_SETTINGS_H
#define AFF_CONFIG_SETTINGS_H

#include <affinity/bytes.h>
#include <stdint.h>

enum aff_setting_type {
    AFF_TYPE_WORD,       /* char *: a name, [a-z][a-z0-9_]{0,39} */
    AFF_TYPE_LABEL,      /* char *: a name that may have dashes, [a-z][a-z0-9_-]{0,39} */
    AFF_TYPE_TEXT,       /* char *: anything in one line */
    AFF_TYPE_PATH,       /* char * */
    AFF_TYPE_ADDRESS,    /* struct aff_config_address */
    AFF_TYPE_SERVERS,    /* char *: "host:port,host:port", perhaps with a path at its end */
    AFF_TYPE_ENUM,       /* an enum: the place among .words */
    AFF_TYPE_BOOL,       /* bool */
    AFF_TYPE_INT,        /* unsigned */
    AFF_TYPE_DURATION,   /* int64_t, milliseconds; 0 when not set and without a fallback */
    AFF_TYPE_SIZE,       /* uint64_t, bytes */
    AFF_TYPE_ORIGINS,    /* struct aff_config_list: "https://a.example", "*" */
    AFF_TYPE_TOKENS,     /* the same: names of header fields, methods */
    AFF_TYPE_ROUTE,      /* struct aff_key_route */
    AFF_TYPE_PROPERTIES, /* struct aff_config_properties: a map of names that this table does not know */
    AFF_TYPE_PLACES      /* struct aff_config_properties: "0" or "0-3", the partitions, to "n1, n2", the nodes */
};

/* Types whose member is a struct aff_config_list. */
static inline bool aff_type_is_list(enum aff_setting_type type)
{
    return type == AFF_TYPE_ORIGINS || type == AFF_TYPE_TOKENS;
}

/* Types whose member is a struct aff_config_properties. */
static inline bool aff_type_is_map(enum aff_setting_type type)
{
    return type == AFF_TYPE_PROPERTIES || type == AFF_TYPE_PLACES;
}

enum aff_group_shape { AFF_SHAPE_LIST, AFF_SHAPE_MAP };

enum aff_group_id {
    AFF_GROUP_ROOT, /* the file itself: struct aff_config */
#define AFF_GROUP(group, ...) AFF_GROUP_##group,
#define AFF_SETTING(...)
#include "config/settings.def"
#undef AFF_GROUP
#undef AFF_SETTING
    AFF_GROUPS
};

struct aff_setting {
    enum aff_group_id group;
    const char *path; /* inside its group: "limits.head", "partitions" */
    enum aff_setting_type type;
    size_t offset; /* of the member, in the group's struct */
    bool beside;   /* PROPERTIES: no map of their own, they stand in the section beside its settings */
    const char *secret; /* TEXT: what is shown in its place, a text that could stand there; NULL: it is shown */
    const char *fallback, *min, *max, *production_min, *words, *doc;
};

struct aff_group {
    const char *path;
    enum aff_group_shape shape;
    size_t size;                       /* of an entry's struct; that of a MAP begins with `char *name` */
    size_t items_offset, count_offset; /* in struct aff_config */
    size_t max, fallback_count;        /* entries; a list that is not given has fallback_count of them */
    const char *doc;
};

extern const struct aff_setting aff_settings[];
extern const size_t aff_settings_count;

const struct aff_group *aff_group_of(enum aff_group_id id); /* not of AFF_GROUP_ROOT */

/* The setting with exactly this path in the group, or NULL. */
const struct aff_setting *aff_setting_find(enum aff_group_id group, aff_bytes path);
/* The properties that stand beside the settings of this section ("kafka."), or NULL. */
const struct aff_setting *aff_setting_beside(enum aff_group_id group, const char *section);
/* Is `path` a section, such as "limits", of the group's settings? */
bool aff_setting_is_section(enum aff_group_id group, aff_bytes path);
/* The group that the file holds under this path, or AFF_GROUP_ROOT. */
enum aff_group_id aff_group_find(aff_bytes path);

/* With its group: "limits.head", "http.<n>.listen", "keyspaces.<name>.partitions", "kafka.<property>". */
struct aff_full_path {
    char text[96];
};
struct aff_full_path aff_setting_full_path(const struct aff_setting *setting);

/* Length of the section that a path begins with: 6 for "limits.head", 0 for "cluster". */
size_t aff_section_len(const char *path);

#endif
