/*
 * print.c - a configuration as YAML: every setting in the order of the table, with its effective value.
 */
#include "config/config.h"
#include "config/settings.h"
#include "config/value.h"

/* An optional setting that is not set has nothing to print. */
static bool is_set(const struct aff_setting *setting, const void *base)
{
    const char *member = (const char *)base + setting->offset;
    struct aff_config_properties properties;
    struct aff_config_list list;
    if (aff_type_is_list(setting->type)) {
        memcpy(&list, member, sizeof list);
        return setting->fallback || list.count > 0;
    }
    if (!aff_type_is_map(setting->type))
        return setting->fallback || aff_value_is_given(setting, member);
    memcpy(&properties, member, sizeof properties);
    return properties.count > 0;
}

static void print_setting(const struct aff_setting *setting, const void *base, const char *indent, FILE *to)
{
    size_t section = aff_section_len(setting->path);
    bool lines = aff_type_is_map(setting->type);
    if (!setting->beside)
        fprintf(to, "%s%s:%s", indent, setting->path + section + (section > 0), lines ? "" : " ");
    aff_value_print(setting, (const char *)base + setting->offset, to);
    if (!lines)
        fputc('\n', to);
}

/* An entry of a list begins with "- ", its other lines stand below that. */
static void print_entry(enum aff_group_id id, const void *item, FILE *to)
{
    bool list = aff_group_of(id)->shape == AFF_SHAPE_LIST, first = true;
    if (!list)
        fprintf(to, "  %s:\n", *(char *const *)item);
    for (size_t i = 0; i < aff_settings_count; i++)
        if (aff_settings[i].group == id && is_set(&aff_settings[i], item)) {
            print_setting(&aff_settings[i], item, list && first ? "  - " : "    ", to);
            first = false;
        }
}

static void print_group(const struct aff_config *config, enum aff_group_id id, FILE *to)
{
    const struct aff_group *group = aff_group_of(id);
    const char *items;
    size_t count;
    memcpy(&items, (const char *)config + group->items_offset, sizeof items);
    memcpy(&count, (const char *)config + group->count_offset, sizeof count);
    fprintf(to, "%s:%s\n", group->path, count ? "" : group->shape == AFF_SHAPE_LIST ? " []" : " {}");
    for (size_t i = 0; i < count; i++)
        print_entry(id, items + i * group->size, to);
}

/* Rows of one section, or of one group, stand together in the table. */
void aff_config_print(const struct aff_config *config, FILE *to)
{
    const struct aff_setting *last = NULL;
    for (size_t i = 0; i < aff_settings_count; last = &aff_settings[i++]) {
        const struct aff_setting *setting = &aff_settings[i];
        size_t section = aff_section_len(setting->path);
        if (setting->group != AFF_GROUP_ROOT) {
            if (!last || last->group != setting->group)
                print_group(config, setting->group, to);
            continue;
        }
        if (section && (!last || strncmp(last->path, setting->path, section + 1) != 0))
            fprintf(to, "%.*s:\n", (int)section, setting->path);
        if (is_set(setting, config))
            print_setting(setting, config, section ? "  " : "", to);
    }
}
