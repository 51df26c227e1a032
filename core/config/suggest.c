/*
 * suggest.c - which setting an unknown key may have meant: the nearest one at its place, or one of that name elsewhere.
 */
#include "config/fill.h"

#include <stdio.h>

enum { LONGEST = 40 };

/* Edit distance, a swap of neighbours counting as one; of texts up to LONGEST bytes. */
static unsigned distance(aff_bytes a, aff_bytes b)
{
    const char *x = a.data, *y = b.data;
    unsigned rows[3][LONGEST + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];
    for (unsigned j = 0; j <= b.len; j++)
        last[j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        row[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            unsigned least = last[j - 1] + (x[i - 1] != y[j - 1]);
            if (last[j] + 1 < least)
                least = last[j] + 1;
            if (row[j - 1] + 1 < least)
                least = row[j - 1] + 1;
            if (i > 1 && j > 1 && x[i - 1] == y[j - 2] && x[i - 2] == y[j - 1] && before[j - 2] + 1 < least)
                least = before[j - 2] + 1;
            row[j] = least;
        }
        unsigned *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[b.len];
}

struct search {
    aff_bytes key;
    unsigned nearest;
    char found[96];  /* the nearest name at the key's place */
    char known[400]; /* all names there */
};

static void consider(struct search *search, aff_bytes name)
{
    char listed[LONGEST + 4];
    (void)snprintf(listed, sizeof listed, ", %.*s", (int)name.len, (const char *)name.data);
    size_t used = strlen(search->known);
    size_t end = used >= strlen(listed) ? used - strlen(listed) : 0;
    if (used > 0 && strcmp(search->known + end, listed) == 0)
        return; /* rows of one section follow each other */
    (void)snprintf(search->known + used, sizeof search->known - used, "%s", used ? listed : listed + 2);
    unsigned far = distance(search->key, name);
    if (far < search->nearest) {
        search->nearest = far;
        (void)snprintf(search->found, sizeof search->found, "%s", listed + 2);
    }
}

/* The names that may stand in the section: its settings, its own sections and, at the top, the groups. */
static void consider_all(struct search *search, enum aff_group_id group, const char *section)
{
    size_t skip = strlen(section);
    for (size_t i = 0; i < aff_settings_count; i++)
        if (aff_settings[i].group == group && !aff_settings[i].beside && strncmp(aff_settings[i].path, section, skip) == 0) {
            const char *rest = aff_settings[i].path + skip;
            consider(search, aff_bytes_of(rest, strcspn(rest, ".")));
        }
    for (unsigned id = AFF_GROUP_ROOT + 1; id < AFF_GROUPS && group == AFF_GROUP_ROOT && skip == 0; id++)
        consider(search, aff_str(aff_group_of((enum aff_group_id)id)->path));
}

/* A setting of exactly this name at another place. */
static bool find_elsewhere(struct search *search)
{
    for (size_t i = 0; i < aff_settings_count; i++) {
        const struct aff_setting *setting = &aff_settings[i];
        size_t section = aff_section_len(setting->path);
        if (setting->beside || !aff_bytes_equal(aff_str(setting->path + section + (section > 0)), search->key))
            continue;
        (void)snprintf(search->found, sizeof search->found, "%s", aff_setting_full_path(setting).text);
        return true;
    }
    return false;
}

void aff_complain_unknown(const struct aff_fill *fill, enum aff_group_id group, const char *prefix, const char *section,
                          const struct aff_document_node *key)
{
    struct search search = { .key = aff_document_text(key), .nearest = LONGEST };
    struct aff_shown shown = aff_show(search.key);
    if (aff_complained_enough(fill->source->errors) || search.key.len > LONGEST) {
        aff_complain(fill->source, key->mark, "%s%s: there is no such setting", prefix, shown.text);
        return;
    }
    consider_all(&search, group, section);
    if (search.nearest <= 1 + search.key.len / 4)
        aff_complain(fill->source, key->mark, "%s%s: there is no such setting; is %s%s meant?", prefix, shown.text,
                     prefix, search.found);
    else if (find_elsewhere(&search))
        aff_complain(fill->source, key->mark, "%s%s: there is no such setting; is %s meant?", prefix, shown.text,
                     search.found);
    else
        aff_complain(fill->source, key->mark, "%s%s: there is no such setting; here are %s", prefix, shown.text,
                     search.known);
}
