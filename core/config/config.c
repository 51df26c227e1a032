/*
 * config.c - loads a configuration: text to document, overrides over it, document to struct, checks. See config.h.
 */
#include "config/config.h"

#include "base/alloc.h"
#include "config/fill.h"
#include "config/value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* The document as a configuration; what is wrong with it was complained about and has its default. */
static struct aff_config *build(const struct aff_document *document, const struct aff_source *source)
{
    struct aff_config *config = aff_xcalloc(1, sizeof *config);
    config->file = aff_xstrdup(source->file);
    struct aff_fill fill = { .source = source, .config = config };
    aff_fill(&fill, document);
    aff_check(&fill);
    aff_fill_fini(&fill);
    return config;
}

int aff_config_parse(const char *name, aff_bytes text, const char *const *sets, size_t nsets,
                     struct aff_config **ret_config, struct aff_config_errors *errors)
{
    struct aff_source source = { .file = name, .errors = errors };
    struct aff_document document;
    size_t before = errors->count;
    AFF_CLEANUP(aff_config_freep) struct aff_config *config = NULL;
    if (aff_document_read(text, &source, &document) == 0) {
        for (size_t i = 0; i < nsets; i++)
            aff_document_override(&document, &source, (unsigned)i + 1, sets[i]);
        config = build(&document, &source);
        aff_document_fini(&document);
    }
    if (errors->count > before || errors->more) {
        aff_errors_sort(errors, before);
        return AFF_ECONFIG;
    }
    *ret_config = config;
    config = NULL;
    return 0;
}

/* Up to a byte more than a document may have, so that a larger one is noticed. Negative errno when it fails. */
static ssize_t read_all(int fd, char *to)
{
    size_t len = 0;
    while (len < AFF_DOCUMENT_MAX + 1) {
        ssize_t got = read(fd, to + len, AFF_DOCUMENT_MAX + 1 - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        len += (size_t)got;
    }
    return (ssize_t)len;
}

static ssize_t read_file(const char *file, char *to)
{
    AFF_CLEANUP(aff_closep) int fd = open(file, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : read_all(fd, to);
}

int aff_config_load(const char *file, const char *const *sets, size_t nsets, struct aff_config **ret_config,
                    struct aff_config_errors *errors)
{
    if (!file)
        return aff_config_parse("(no file)", aff_str(""), sets, nsets, ret_config, errors);
    AFF_CLEANUP(aff_freep) char *text = aff_xmalloc(AFF_DOCUMENT_MAX + 1);
    ssize_t len = read_file(file, text);
    if (len >= 0)
        return aff_config_parse(file, aff_bytes_of(text, (size_t)len), sets, nsets, ret_config, errors);
    struct aff_source source = { .file = file, .errors = errors };
    aff_complain(&source, (struct aff_mark){ 0 }, "cannot be read: %s", strerror((int)-len));
    return AFF_ECONFIG;
}

struct aff_config_keyspace *aff_config_keyspace(struct aff_config *config, const char *name)
{
    for (size_t i = 0; i < config->keyspaces_count; i++)
        if (strcmp(config->keyspaces[i].name, name) == 0)
            return &config->keyspaces[i];
    if (!aff_is_word(aff_str(name)))
        return NULL;
    config->keyspaces = aff_xrealloc(config->keyspaces, config->keyspaces_count + 1, sizeof *config->keyspaces);
    struct aff_config_keyspace *added = &config->keyspaces[config->keyspaces_count++];
    *added = (struct aff_config_keyspace){ .name = aff_xstrdup(name) };
    aff_fill_defaults(AFF_GROUP_KEYSPACE, added);
    return added;
}

static void free_settings(enum aff_group_id group, void *base)
{
    for (size_t i = 0; i < aff_settings_count; i++)
        if (aff_settings[i].group == group)
            aff_value_free(&aff_settings[i], (char *)base + aff_settings[i].offset);
}

static void free_group(struct aff_config *config, enum aff_group_id id)
{
    const struct aff_group *group = aff_group_of(id);
    char *items;
    size_t count;
    memcpy(&items, (char *)config + group->items_offset, sizeof items);
    memcpy(&count, (char *)config + group->count_offset, sizeof count);
    for (size_t i = 0; i < count; i++) {
        void *item = items + i * group->size;
        free_settings(id, item);
        if (group->shape == AFF_SHAPE_MAP)
            free(*(char **)item);
    }
    free(items);
}

struct aff_config *aff_config_free(struct aff_config *config)
{
    if (!config)
        return NULL;
    free_settings(AFF_GROUP_ROOT, config);
    for (unsigned id = AFF_GROUP_ROOT + 1; id < AFF_GROUPS; id++)
        free_group(config, (enum aff_group_id)id);
    free(config->file);
    free(config);
    return NULL;
}
