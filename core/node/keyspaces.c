/*
 * keyspaces.c - see keyspaces.h. The structs of an application may be older than this library, hence shorter: each is
 * copied by the size that it names, and what it does not have is zero.
 */
#include "node/keyspaces.h"

#include "base/alloc.h"
#include "serde/media.h"

#include <jansson.h>
#include <stdlib.h>

enum { COMMANDS_MAX = 1000, COMMAND_NAME_MAX = 40 };

static bool is_command_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return name[len] == '\0' && len >= 1 && len <= COMMAND_NAME_MAX && name[0] >= 'a' && name[0] <= 'z';
}

static bool is_accepted(const char *accepts)
{
    struct aff_media media;
    if (!accepts || strcmp(accepts, "*") == 0)
        return true;
    return aff_media_parse(aff_str(accepts), &media) && media.essence.len == strlen(accepts);
}

/* A JSON Schema is an object or a boolean. `name` is the command's, or "". */
static int check_schema(const char *keyspace, const char *what, const char *name, const char *text, aff_error *err)
{
    json_error_t error;
    if (!text)
        return 0;
    json_t *schema = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    bool fits = json_is_object(schema) || json_is_boolean(schema);
    bool parsed = schema != NULL;
    json_decref(schema);
    if (fits)
        return 0;
    return aff_fail_with(err, AFF_EINVAL, "keyspace %s: %s%s%s is no JSON Schema: %.200s", keyspace, what,
                         name[0] ? " of the command " : "", name,
                         parsed ? "expected an object, or true or false" : error.text);
}

static bool is_utf8(const char *text)
{
    json_t *string = text ? json_string(text) : NULL;
    bool is = !text || string;
    json_decref(string);
    return is;
}

/* ---- commands ---- */

/* What clients are told of a command. */
static int check_told(const char *keyspace, const aff_command *c, aff_error *err)
{
    bool fits = is_utf8(c->doc);
    for (const aff_failure *const *f = c->failures; f && *f; f++)
        fits = fits && (*f)->type && (*f)->title && is_utf8((*f)->type) && is_utf8((*f)->title) &&
               (*f)->status >= 400 && (*f)->status <= 499;
    if (!fits)
        return aff_fail_with(
            err, AFF_EINVAL,
            "keyspace %s: command %s: doc must be UTF-8, and each of its failures must have a type and a "
            "title in UTF-8 and a status from 400 to 499",
            keyspace, c->name);
    int code = check_schema(keyspace, "the schema `request`", c->name, c->request, err);
    return code ? code : check_schema(keyspace, "the schema `reply`", c->name, c->reply, err);
}

static int check_command(const char *keyspace, const aff_command *c, size_t index, aff_error *err)
{
    if (!c->name || !is_command_name(c->name))
        return aff_fail_with(
            err, AFF_EINVAL,
            "keyspace %s: command %zu has the name '%.60s'; a name is a lower-case letter, then up to 39 of "
            "a-z, 0-9 and -; a table ends with AFF_COMMAND_END",
            keyspace, index, c->name ? c->name : "");
    int functions = (c->run != NULL) + (c->read != NULL) + (c->later != NULL);
    if (functions != 1)
        return aff_fail_with(err, AFF_EINVAL,
                             "keyspace %s: command %s sets %s of run, read and later; exactly one is right", keyspace,
                             c->name, functions ? "several" : "none");
    if (!is_accepted(c->accepts))
        return aff_fail_with(err, AFF_EINVAL,
                             "keyspace %s: command %s accepts '%.60s'; expected a media type such as text/plain, or *",
                             keyspace, c->name, c->accepts);
    return check_told(keyspace, c, err);
}

static int check_unique(const char *keyspace, const aff_command *commands, size_t index, aff_error *err)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(commands[i].name, commands[index].name) == 0)
            return aff_fail_with(err, AFF_EINVAL, "keyspace %s: there are two commands %s", keyspace, commands[i].name);
    return 0;
}

/* A table's elements lie `stride` bytes apart, whatever this library's size of one is. */
static const char *element(const void *table, size_t stride, size_t index)
{
    return (const char *)table + index * stride;
}

static size_t size_of_element(const char *at)
{
    size_t size;
    memcpy(&size, at, sizeof size);
    return size;
}

static int copy_commands(const char *keyspace, const aff_command *table, struct aff_served *served, aff_error *err)
{
    size_t stride = table->size, count = 0;
    if (stride != 0 && stride < offsetof(aff_command, accepts))
        return aff_fail_with(err, AFF_EINVAL,
                             "keyspace %s: the first command's size is %zu; expected sizeof(aff_command)", keyspace,
                             stride);
    for (const char *at; stride && size_of_element(at = element(table, stride, count)) != 0; count++) {
        if (size_of_element(at) != stride || count == COMMANDS_MAX)
            return aff_fail_with(err, AFF_EINVAL,
                                 "keyspace %s: command %zu does not begin with sizeof(aff_command), and is not "
                                 "AFF_COMMAND_END",
                                 keyspace, count);
        served->commands = aff_xrealloc(served->commands, count + 2, sizeof *served->commands);
        memset(&served->commands[count], 0, 2 * sizeof *served->commands);
        memcpy(&served->commands[count], at, stride < sizeof(aff_command) ? stride : sizeof(aff_command));
        int code = check_command(keyspace, &served->commands[count], count, err);
        if (code == 0)
            code = check_unique(keyspace, served->commands, count, err);
        if (code)
            return code;
    }
    return 0;
}

/* ---- indexes ---- */

static int add_index(struct aff_served *served, const aff_index *index, aff_error *err)
{
    aff_error problem = { 0 };
    if (!served->finder) {
        served->finder = aff_xmalloc(sizeof *served->finder);
        aff_finder_init(served->finder);
    }
    int code = aff_finder_add(served->finder, index, &problem);
    return code ? aff_fail_with(err, code, "keyspace %s: %.400s", served->settings->name, problem.text) : 0;
}

static int add_indexes(struct aff_served *served, const aff_index *table, aff_error *err)
{
    size_t stride = table->size, count = 0;
    if (stride != 0 && stride < offsetof(aff_index, user))
        return aff_fail_with(err, AFF_EINVAL, "keyspace %s: the first index's size is %zu; expected sizeof(aff_index)",
                             served->settings->name, stride);
    int code = 0;
    for (const char *at; stride && code == 0 && size_of_element(at = element(table, stride, count)) != 0; count++) {
        aff_index index = { 0 };
        if (size_of_element(at) != stride)
            return aff_fail_with(err, AFF_EINVAL,
                                 "keyspace %s: index %zu does not begin with sizeof(aff_index), and is not AFF_INDEX_END",
                                 served->settings->name, count);
        memcpy(&index, at, stride < sizeof index ? stride : sizeof index);
        code = add_index(served, &index, err);
    }
    return code;
}

static int add_configured_indexes(struct aff_served *served, aff_error *err)
{
    const struct aff_config_properties *from = &served->settings->indexes;
    int code = 0;
    for (size_t i = 0; i < from->count && code == 0; i++) {
        bool event_time = strcmp(from->items[i].value, AFF_INDEX_OF_EVENT_TIME) == 0;
        aff_index index = { .size = sizeof index,
                            .name = from->items[i].name,
                            .pointer = event_time ? NULL : from->items[i].value,
                            .event_time = event_time };
        code = add_index(served, &index, err);
    }
    return code;
}

/* ---- keyspaces ---- */

static int copy_keyspace(const aff_keyspace *from, size_t index, aff_keyspace *ret_keyspace, aff_error *err)
{
    *ret_keyspace = (aff_keyspace){ 0 };
    if (from->size >= offsetof(aff_keyspace, commands)) {
        memcpy(ret_keyspace, from, from->size < sizeof *from ? from->size : sizeof *from);
        if (ret_keyspace->name)
            return 0;
        (void)aff_fail_with(err, AFF_EINVAL, "keyspace %zu: it has no name", index);
        return AFF_EINVAL;
    }
    (void)aff_fail_with(err, AFF_EINVAL, "keyspace %zu: its size is %zu; expected sizeof(aff_keyspace)", index,
                        from->size);
    return AFF_EINVAL;
}

static int check_rest(const aff_keyspace *keyspace, aff_error *err)
{
    if (keyspace->rest == AFF_REST_NONE || (keyspace->rest & ~(unsigned)AFF_REST_ALL) == 0)
        return 0;
    return aff_fail_with(err, AFF_EINVAL,
                         "keyspace %s: rest is 0x%x; expected AFF_REST_GET, AFF_REST_PUT, AFF_REST_DELETE, AFF_REST_PATCH together, or "
                         "AFF_REST_NONE alone",
                         keyspace->name, keyspace->rest);
}

/* The application knows what its keys look like; a file that says otherwise would break it. */
static int take_route(const aff_keyspace *keyspace, struct aff_config_keyspace *settings, aff_error *err)
{
    struct aff_key_route route;
    char text[AFF_KEY_ROUTE_TEXT_MAX];
    aff_error wrong = { 0 };
    if (!keyspace->route)
        return 0;
    if (aff_key_route_read(aff_str(keyspace->route), &route, &wrong) != 0)
        return aff_fail_with(err, AFF_EINVAL, "keyspace %s: %.400s", keyspace->name, wrong.text);
    if (settings->route.nth > 0 && memcmp(&settings->route, &route, sizeof route) != 0)
        return aff_fail_with(err, AFF_EINVAL, "keyspace %s: the application says route: %s, the configuration says route: %s",
                             keyspace->name, keyspace->route, aff_key_route_print(&settings->route, text));
    settings->route = route;
    return 0;
}

/* Is the keyspace at `index` one that stands before it in the list, too? All before it were copied without an error. */
static bool is_named_before(const aff_keyspace *const *keyspaces, size_t index, const char *name)
{
    for (size_t i = 0; i < index; i++) {
        aff_keyspace before = { 0 };
        if (copy_keyspace(keyspaces[i], i, &before, NULL) == 0 && strcmp(before.name, name) == 0)
            return true;
    }
    return false;
}

/* Makes sure that the configuration has each of them; places in it are stable only afterwards. */
static int add_to_config(struct aff_config *config, const aff_keyspace *const *keyspaces, aff_error *err)
{
    for (size_t i = 0; keyspaces && keyspaces[i]; i++) {
        aff_keyspace k = { 0 };
        int code = copy_keyspace(keyspaces[i], i, &k, err);
        if (code)
            return code;
        if (!aff_config_keyspace(config, k.name))
            return aff_fail_with(err, AFF_EINVAL,
                                 "keyspace %zu has the name '%.60s'; a name is a lower-case letter, then up to 39 of "
                                 "a-z, 0-9 and _",
                                 i, k.name);
        if (is_named_before(keyspaces, i, k.name))
            return aff_fail_with(err, AFF_EINVAL, "keyspace %s: the application names it twice", k.name);
        code = take_route(&k, aff_config_keyspace(config, k.name), err);
        if (code)
            return code;
    }
    return 0;
}

static struct aff_served *find(struct aff_served_list *list, const char *name)
{
    size_t i = 0;
    while (strcmp(list->items[i].settings->name, name) != 0)
        i++;
    return &list->items[i];
}

static int fill(struct aff_served_list *list, const aff_keyspace *const *keyspaces, aff_error *err)
{
    aff_keyspace k = { 0 };
    for (size_t i = 0; keyspaces && keyspaces[i]; i++) {
        int code = copy_keyspace(keyspaces[i], i, &k, err);
        if (code == 0)
            code = check_rest(&k, err);
        if (code == 0)
            code = check_schema(k.name, "the schema `value`", "", k.value, err);
        if (code == 0 && !is_utf8(k.doc))
            code = aff_fail_with(err, AFF_EINVAL, "keyspace %s: doc is not UTF-8", k.name);
        if (code)
            return code;
        struct aff_served *served = find(list, k.name);
        served->rest = k.rest ? k.rest : AFF_REST_ALL;
        served->doc = k.doc;
        served->value = k.value;
        code = k.commands ? copy_commands(k.name, k.commands, served, err) : 0;
        if (code == 0 && k.indexes)
            code = add_indexes(served, k.indexes, err);
        if (code)
            return code;
    }
    return 0;
}

int aff_served_merge(struct aff_config *config, const aff_keyspace *const *keyspaces, struct aff_served_list *ret_list,
                     aff_error *err)
{
    struct aff_served_list list = { 0 };
    int code = add_to_config(config, keyspaces, err);
    if (code)
        return code;
    if (config->keyspaces_count == 0)
        return aff_fail_with(
            err, AFF_ECONFIG,
            "there is nothing to serve: name a keyspace under keyspaces, such as keyspaces: { notes: }");
    list.count = config->keyspaces_count;
    list.items = aff_xcalloc(list.count, sizeof *list.items);
    for (size_t i = 0; i < list.count; i++)
        list.items[i] = (struct aff_served){ .settings = &config->keyspaces[i], .rest = AFF_REST_ALL };
    for (size_t i = 0; i < list.count && code == 0; i++)
        code = add_configured_indexes(&list.items[i], err);
    if (code == 0)
        code = fill(&list, keyspaces, err);
    if (code)
        aff_served_fini(&list);
    else
        *ret_list = list;
    return code;
}

void aff_served_fini(struct aff_served_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].commands);
        free(list->items[i].finder);
    }
    free(list->items);
    *list = (struct aff_served_list){ 0 };
}
