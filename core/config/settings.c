/*
 * settings.c - settings.def expanded to arrays, with the proof that each row's type is that of its member.
 */
#include "config/settings.h"

#include "config/config.h"

#include <assert.h>
#include <stdio.h>

#define STRUCT_ROOT struct aff_config
#define STRUCT_HTTP struct aff_config_http
#define STRUCT_KEYSPACE struct aff_config_keyspace

/* The member that a path names; those of durations carry their unit. */
#define MEMBER_WORD(path) path
#define MEMBER_LABEL(path) path
#define MEMBER_TEXT(path) path
#define MEMBER_SERVERS(path) path
#define MEMBER_PATH(path) path
#define MEMBER_ADDRESS(path) path
#define MEMBER_ENUM(path) path
#define MEMBER_BOOL(path) path
#define MEMBER_INT(path) path
#define MEMBER_DURATION(path) path##_ms
#define MEMBER_SIZE(path) path
#define MEMBER_ORIGINS(path) path
#define MEMBER_TOKENS(path) path
#define MEMBER_ROUTE(path) path
#define MEMBER_PROPERTIES(path) path
#define MEMBER_PLACES(path) path

#define C_TYPE_WORD char *
#define C_TYPE_LABEL char *
#define C_TYPE_TEXT char *
#define C_TYPE_SERVERS char *
#define C_TYPE_PATH char *
#define C_TYPE_ADDRESS struct aff_config_address
#define C_TYPE_ENUM unsigned
#define C_TYPE_BOOL bool
#define C_TYPE_INT unsigned
#define C_TYPE_DURATION int64_t
#define C_TYPE_SIZE uint64_t
#define C_TYPE_ORIGINS struct aff_config_list
#define C_TYPE_TOKENS struct aff_config_list
#define C_TYPE_ROUTE struct aff_key_route
#define C_TYPE_PROPERTIES struct aff_config_properties
#define C_TYPE_PLACES struct aff_config_properties

#define AFF_GROUP(...)

#define AFF_SETTING(group, path, type, ...)                                                                            \
    static_assert(_Generic(((STRUCT_##group *)0)->MEMBER_##type(path), C_TYPE_##type : 1, default : 0),                \
                  "the member of " #path " has another type");
#include "config/settings.def"
#undef AFF_SETTING
static_assert(offsetof(struct aff_config_keyspace, name) == 0, "an entry of a map begins with its name");

#define AFF_SETTING(id, where, kind, ...)                                                                              \
    { .group = AFF_GROUP_##id,                                                                                         \
      .path = #where,                                                                                                  \
      .type = AFF_TYPE_##kind,                                                                                         \
      .offset = offsetof(STRUCT_##id, MEMBER_##kind(where)),                                                           \
      __VA_ARGS__ },
const struct aff_setting aff_settings[] = {
#include "config/settings.def"
};
#undef AFF_SETTING
#undef AFF_GROUP
const size_t aff_settings_count = sizeof aff_settings / sizeof *aff_settings;

#define AFF_SETTING(...)
#define AFF_GROUP(id, where, kind, type, ...)                                                                          \
    [AFF_GROUP_##id] = { .path = #where,                                                                               \
                         .shape = AFF_SHAPE_##kind,                                                                    \
                         .size = sizeof(struct type),                                                                  \
                         .items_offset = offsetof(struct aff_config, where),                                           \
                         .count_offset = offsetof(struct aff_config, where##_count),                                   \
                         __VA_ARGS__ },
static const struct aff_group groups[AFF_GROUPS] = {
#include "config/settings.def"
};
#undef AFF_GROUP
#undef AFF_SETTING

const struct aff_group *aff_group_of(enum aff_group_id id)
{
    assert(id > AFF_GROUP_ROOT && id < AFF_GROUPS);
    return &groups[id];
}

const struct aff_setting *aff_setting_find(enum aff_group_id group, aff_bytes path)
{
    for (size_t i = 0; i < aff_settings_count; i++)
        if (aff_settings[i].group == group && !aff_settings[i].beside &&
            aff_bytes_equal(aff_str(aff_settings[i].path), path))
            return &aff_settings[i];
    return NULL;
}

const struct aff_setting *aff_setting_beside(enum aff_group_id group, const char *section)
{
    for (size_t i = 0; i < aff_settings_count; i++) {
        const struct aff_setting *setting = &aff_settings[i];
        size_t len = aff_section_len(setting->path);
        if (setting->group == group && setting->beside && strncmp(setting->path, section, len) == 0 &&
            strcmp(section + len, ".") == 0)
            return setting;
    }
    return NULL;
}

bool aff_setting_is_section(enum aff_group_id group, aff_bytes path)
{
    for (size_t i = 0; i < aff_settings_count; i++) {
        const char *with = aff_settings[i].path;
        if (aff_settings[i].group == group && path.len > 0 &&
            aff_bytes_equal(aff_bytes_of(with, aff_section_len(with)), path))
            return true;
    }
    return false;
}

enum aff_group_id aff_group_find(aff_bytes path)
{
    for (unsigned id = AFF_GROUP_ROOT + 1; id < AFF_GROUPS; id++)
        if (aff_bytes_equal(aff_str(groups[id].path), path))
            return (enum aff_group_id)id;
    return AFF_GROUP_ROOT;
}

struct aff_full_path aff_setting_full_path(const struct aff_setting *setting)
{
    struct aff_full_path full;
    const char *group = "", *between = "", *after = "";
    size_t len = strlen(setting->path);
    if (setting->group != AFF_GROUP_ROOT) {
        group = groups[setting->group].path;
        between = groups[setting->group].shape == AFF_SHAPE_LIST ? ".<n>." : ".<name>.";
    }
    if (setting->beside)
        len = aff_section_len(setting->path);
    if (setting->type == AFF_TYPE_PROPERTIES)
        after = setting->group == AFF_GROUP_ROOT ? ".<property>" : ".<index>";
    else if (setting->type == AFF_TYPE_PLACES)
        after = ".<partitions>";
    (void)snprintf(full.text, sizeof full.text, "%s%s%.*s%s", group, between, (int)len, setting->path, after);
    return full;
}

size_t aff_section_len(const char *path)
{
    const char *dot = strchr(path, '.');
    return dot ? (size_t)(dot - path) : 0;
}
