/*
 * openapi.c - see openapi.h. In openapi.json these stand for more than they say:
 *
 *   "parameters": ["key", ...], "headers": ["ETag", ...]    references to what components has under these names
 *   "problems": [404, ...]                                  answers with a problem; those in `every` are added to all
 *   "content": "value", "put", "request" or "reply"         depends on the keyspace or on the command
 *
 * Each GET gets a HEAD, each path OPTIONS. One thread, while a node is built.
 */
#include "node/openapi.h"

#include "base/alloc.h"

#include <affinity.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define PROBLEMS "https://affinity.dev/problems/"
#define ANYTHING "*/*"

extern const unsigned char aff_openapi_frame[], aff_docs_page[]; /* made of openapi.json and docs.html by embed.py */
extern const size_t aff_openapi_frame_len, aff_docs_page_len;
extern const char aff_docs_page_policy[];

/* What is being described. */
struct scope {
    const json_t *templates;
    const struct aff_served *served;
    const aff_command *command;
};

/* ---- JSON: running out of memory ends the process, as in base/alloc.h ---- */

static json_t *sure(json_t *json)
{
    if (!json)
        abort();
    return json;
}

static void put(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, sure(value)) != 0)
        abort();
}

static void add(json_t *array, json_t *value)
{
    if (json_array_append_new(array, sure(value)) != 0)
        abort();
}

static json_t *text_of(const char *format, ...) AFF_PRINTF(1, 2);
static json_t *text_of(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    json_t *text = json_vsprintf(format, args);
    va_end(args);
    return sure(text);
}

static json_t *reference(const char *kind, const char *name)
{
    json_t *reference = sure(json_object());
    put(reference, "$ref", text_of("#/components/%s/%s", kind, name));
    return reference;
}

/* ---- problems ---- */

static const struct {
    int status;
    const char *type, *title;
} problems[] = {
#define PROBLEM(name, code, status, type, title) { status, type, title },
    AFF_ERROR_TABLE(PROBLEM)
#undef PROBLEM
};

static json_t *headers_of(const json_t *names)
{
    json_t *headers = sure(json_object()), *name;
    size_t i;
    json_array_foreach(names, i, name)
        put(headers, json_string_value(name), reference("headers", json_string_value(name)));
    return headers;
}

static void add_problem(json_t *types, struct aff_buf *titles, const char *type, const char *title)
{
    add(types, text_of(PROBLEMS "%s", type));
    if (!aff_buf_printf(titles, "%s%s: %s.", titles->len ? " " : "", type, title))
        abort();
}

static json_t *problem_content(json_t *types, int status)
{
    json_t *own = sure(
        json_pack("{s:{s:{s:o}, s:{s:i}}}", "properties", "type", "enum", types, "status", "const", status));
    json_t *schema = sure(json_pack("{s:[o, o]}", "allOf", reference("schemas", "Problem"), own));
    return sure(json_pack("{s:{s:o}}", "application/problem+json", "schema", schema));
}

/* The answer of a status: the problems of ours that have it, and those of the command. */
static json_t *problem_answer(const json_t *templates, int status, const aff_failure *const *failures)
{
    struct aff_buf titles;
    json_t *types = sure(json_array()), *answer = sure(json_object());
    char name[16];
    aff_buf_init(&titles);
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
        if (problems[i].status == status)
            add_problem(types, &titles, problems[i].type, problems[i].title);
    for (; failures && *failures; failures++)
        if ((*failures)->status == status)
            add_problem(types, &titles, (*failures)->type, (*failures)->title);
    put(answer, "description", json_stringn((const char *)titles.data, titles.len));
    aff_buf_fini(&titles);
    (void)snprintf(name, sizeof name, "%d", status);
    const json_t *headers = json_object_get(json_object_get(templates, "problem headers"), name);
    if (headers)
        put(answer, "headers", headers_of(headers));
    put(answer, "content", problem_content(types, status));
    return answer;
}

static json_t *problem_answers(const json_t *templates)
{
    json_t *answers = sure(json_object());
    for (int status = 400; status < 600; status++)
        for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
            char name[32];
            if (problems[i].status != status)
                continue;
            (void)snprintf(name, sizeof name, "problem-%d", status);
            put(answers, name, problem_answer(templates, status, NULL));
            break;
        }
    return answers;
}

static bool command_fails_with(const aff_command *command, int status)
{
    for (const aff_failure *const *f = command ? command->failures : NULL; f && *f; f++)
        if ((*f)->status == status)
            return true;
    return false;
}

static void add_problem_answer(json_t *answers, const struct scope *scope, int status)
{
    char name[16], component[32];
    (void)snprintf(name, sizeof name, "%d", status);
    (void)snprintf(component, sizeof component, "problem-%d", status);
    if (json_object_get(answers, name))
        return;
    bool own = command_fails_with(scope->command, status);
    put(answers, name,
        own ? problem_answer(scope->templates, status, scope->command->failures) : reference("responses", component));
}

static void add_problem_answers(json_t *answers, const struct scope *scope, const json_t *statuses)
{
    const json_t *status;
    size_t i;
    json_array_foreach(statuses, i, status) add_problem_answer(answers, scope, (int)json_integer_value(status));
}

/* What the command adds: each of its failures, or that any may come. */
static void add_refusals(json_t *answers, const struct scope *scope)
{
    const aff_command *command = scope->command;
    for (const aff_failure *const *f = command->failures; f && *f; f++)
        add_problem_answer(answers, scope, (*f)->status);
    if (command->failures)
        return;
    json_t *content = sure(
        json_pack("{s:{s:o}}", "application/problem+json", "schema", reference("schemas", "Problem")));
    put(answers, "4XX", json_pack("{s:s, s:o}", "description", "The command refused.", "content", content));
}

/* ---- contents ---- */

/* Of a media type; `schema` may be NULL: anything. It was checked to be one (keyspaces.c). */
static void put_media(json_t *content, const char *type, const char *schema)
{
    json_t *media = sure(json_object());
    if (schema)
        put(media, "schema", json_loads(schema, JSON_DECODE_ANY, NULL));
    put(content, type, media);
}

static json_t *content_of(const struct scope *scope, const char *what)
{
    const aff_command *command = scope->command;
    const char *value = scope->served->value;
    json_t *content = sure(json_object());
    if (strcmp(what, "request") == 0) {
        const char *accepts = command->accepts ? command->accepts : "application/json";
        put_media(content, strcmp(accepts, "*") == 0 ? ANYTHING : accepts, command->request);
    } else if (strcmp(what, "reply") == 0 && command->reply) {
        put_media(content, "application/json", command->reply);
    } else if (strcmp(what, "put") == 0) {
        put_media(content, "application/json", value ? value : "{}");
        put_media(content, "text/plain", "{\"type\": \"string\"}");
        put_media(content, "application/octet-stream", NULL);
        put_media(content, ANYTHING, NULL);
    } else {
        bool known = value && !(command && command->read);
        if (known)
            put_media(content, "application/json", value);
        if (!known || scope->served->rest & AFF_REST_PUT)
            put_media(content, ANYTHING, NULL);
    }
    return content;
}

/* An answer or a request body. */
static void expand_part(json_t *part, const struct scope *scope)
{
    const json_t *headers = json_object_get(part, "headers"), *content = json_object_get(part, "content");
    if (json_is_array(headers))
        put(part, "headers", headers_of(headers));
    if (json_is_string(content))
        put(part, "content", content_of(scope, json_string_value(content)));
}

/* ---- operations ---- */

static json_t *parameters_of(const json_t *names)
{
    json_t *parameters = sure(json_array()), *name;
    size_t i;
    json_array_foreach(names, i, name) add(parameters, reference("parameters", json_string_value(name)));
    return parameters;
}

/* A copy of the template without what stands for more. */
static json_t *operation_of(const struct scope *scope, const json_t *template)
{
    json_t *operation = sure(json_deep_copy(template)), *answers = json_object_get(operation, "responses"), *answer;
    const char *status;
    const json_t *parameters = json_object_get(template, "parameters");
    if (parameters)
        put(operation, "parameters", parameters_of(parameters));
    if (json_object_get(operation, "requestBody"))
        expand_part(json_object_get(operation, "requestBody"), scope);
    json_object_foreach(answers, status, answer) expand_part(answer, scope);
    if (scope->command)
        add_refusals(answers, scope);
    add_problem_answers(answers, scope, json_object_get(template, "problems"));
    add_problem_answers(answers, scope, json_object_get(json_object_get(scope->templates, "every"), "problems"));
    (void)json_object_del(operation, "problems");
    return operation;
}

/* As GET is answered, without contents. */
static json_t *head_of(const json_t *get)
{
    json_t *head = sure(json_deep_copy(get)), *answer;
    const char *status;
    void *next;
    put(head, "operationId", text_of("%s.head", json_string_value(json_object_get(get, "operationId"))));
    put(head, "summary", json_string("What GET would answer, without its content."));
    json_object_foreach_safe(json_object_get(head, "responses"), next, status, answer)
    {
        if (json_object_get(answer, "$ref"))
            put(json_object_get(head, "responses"), status,
                json_pack("{s:s}", "description", "A problem, as GET answers it."));
        else
            (void)json_object_del(answer, "content");
    }
    return head;
}

static json_t *options_of(const struct scope *scope, const char *id, const json_t *tags, const json_t *parameters)
{
    json_t *allow = sure(json_pack("{s:o}", "Allow", reference("headers", "Allow")));
    json_t *answers = sure(json_pack("{s:{s:s, s:o}}", "204", "description", "They are in Allow.", "headers", allow));
    const struct scope none = { .templates = scope->templates };
    add_problem_answers(answers, &none, json_object_get(json_object_get(scope->templates, "every"), "problems"));
    json_t *options = sure(
        json_pack("{s:O, s:s, s:s}", "tags", tags, "operationId", id, "summary", "Which methods the path takes."));
    if (parameters)
        put(options, "parameters", json_pack("[O]", parameters));
    put(options, "responses", answers);
    return options;
}

/* What every path has besides: HEAD where there is GET, and OPTIONS. `id` is the stem of the operations' names. */
static json_t *path_done(const struct scope *scope, json_t *path, const char *id)
{
    const json_t *get = json_object_get(path, "get"), *any = json_object_iter_value(json_object_iter(path));
    const json_t *first = json_array_get(json_object_get(any, "parameters"), 0);
    const char *target = json_string_value(json_object_get(first, "$ref"));
    bool in_path = target && (strstr(target, "/key") || strstr(target, "/request-id"));
    char name[160];
    (void)snprintf(name, sizeof name, "%s.options", id);
    json_t *options = options_of(scope, name, json_object_get(any, "tags"), in_path ? first : NULL);
    if (get)
        put(path, "head", head_of(get));
    put(path, "options", options);
    return path;
}

/* ---- keyspaces ---- */

static json_t *tagged(const struct scope *scope, json_t *operation, const char *id)
{
    put(operation, "tags", json_pack("[s]", scope->served->settings->name));
    put(operation, "operationId", json_string(id));
    return operation;
}

/* A method of a keyspace, and which of its flags let clients use it. */
struct rest_verb {
    unsigned flags;
    const char *method, *name; /* as the description and as HTTP spells it */
};
static const struct rest_verb keyspace_verbs[] = {
    { AFF_REST_GET, "get", "GET" },
    { AFF_REST_PUT | AFF_REST_DELETE, "post", "POST" },
    { 0, NULL, NULL },
};
static const struct rest_verb value_verbs[] = {
    { AFF_REST_GET, "get", "GET" },
    { AFF_REST_PUT, "put", "PUT" },
    { AFF_REST_PATCH, "patch", "PATCH" },
    { AFF_REST_DELETE, "delete", "DELETE" },
    { 0, NULL, NULL },
};

/* What settings of the keyspace mean for a write of one value. */
static void describe_write(json_t *operation, const struct scope *scope)
{
    const struct aff_config_keyspace *settings = scope->served->settings;
    json_t *body = json_object_get(operation, "requestBody");
    if (body)
        put(body, "description",
            text_of("%s At most %llu bytes.", json_string_value(json_object_get(body, "description")),
                    (unsigned long long)settings->max_value));
    if (!settings->require_match)
        return;
    put(operation, "description", json_string("This keyspace demands If-Match or If-None-Match."));
    add_problem_answer(json_object_get(operation, "responses"), scope, 428);
}

/* What a scan takes besides where there are indexes. */
static void describe_indexes(json_t *operation, const struct scope *scope)
{
    const struct aff_finder *finder = scope->served->finder;
    json_t *parameters = json_object_get(operation, "parameters"), *names = sure(json_array()), *name;
    size_t at;
    for (unsigned i = 0; finder && i < finder->base.count; i++)
        add(names, json_string(finder->items[i].name));
    if (json_array_size(names) == 0) {
        json_decref(names);
        return;
    }
    add(parameters, json_pack("{s:s, s:s, s:s, s:{s:s, s:o}}", "name", "index", "in", "query", "description",
                              "In the order of this index; with value, or from and to.", "schema", "type", "string",
                              "enum", names));
    json_array_foreach(json_object_get(scope->templates, "index parameters"), at, name)
        add(parameters, reference("parameters", json_string_value(name)));
}

/* The path that the template describes, with the verbs that clients may use; NULL: none. */
static json_t *rest_path(const struct scope *scope, const char *template, unsigned segments,
                         const struct rest_verb *verbs)
{
    const json_t *templates = json_object_get(scope->templates, template);
    json_t *path = sure(json_object());
    char id[160];
    for (; verbs->method; verbs++) {
        if (!(scope->served->rest & verbs->flags) || !aff_http_serves("v1", segments, verbs->name))
            continue;
        json_t *operation = operation_of(scope, json_object_get(templates, verbs->method));
        (void)snprintf(id, sizeof id, "%s.%s.%s", scope->served->settings->name, template, verbs->method);
        if (verbs->flags != AFF_REST_GET && strcmp(template, "value") == 0)
            describe_write(operation, scope);
        if (verbs->flags == AFF_REST_GET && strcmp(template, "keyspace") == 0)
            describe_indexes(operation, scope);
        put(path, verbs->method, tagged(scope, operation, id));
    }
    if (json_object_size(path) == 0) {
        json_decref(path);
        return NULL;
    }
    (void)snprintf(id, sizeof id, "%s.%s", scope->served->settings->name, template);
    return path_done(scope, path, id);
}

static void put_command(json_t *path, const struct scope *scope, const char *method, const char *template)
{
    const aff_command *command = scope->command;
    char id[160];
    json_t *operation = operation_of(scope, json_object_get(json_object_get(scope->templates, "command"), template));
    (void)snprintf(id, sizeof id, "%s.command.%s.%s", scope->served->settings->name, command->name, method);
    put(operation, "summary", text_of("%s", command->doc ? command->doc : command->name));
    if (command->request && json_object_get(operation, "requestBody"))
        put(json_object_get(operation, "requestBody"), "required", json_true());
    put(path, method, tagged(scope, operation, id));
}

static json_t *command_path(const struct scope *scope)
{
    json_t *path = sure(json_object());
    char id[160];
    if (scope->command->read)
        put_command(path, scope, "get", "get");
    put_command(path, scope, "post", scope->command->read ? "ask" : "post");
    (void)snprintf(id, sizeof id, "%s.command.%s", scope->served->settings->name, scope->command->name);
    return path_done(scope, path, id);
}

static json_t *keyspace_tag(const struct aff_served *served)
{
    const struct aff_config_keyspace *k = served->settings;
    json_t *text = served->doc ? text_of("%s (%u partitions)", served->doc, k->partitions)
                               : text_of("A keyspace of %u partitions.", k->partitions);
    return sure(json_pack("{s:s, s:o}", "name", k->name, "description", text));
}

static void add_keyspace(const struct scope *frame, const struct aff_served *served, json_t *paths)
{
    struct scope scope = { .templates = frame->templates, .served = served };
    char path[128];
    json_t *keyspace = rest_path(&scope, "keyspace", 2, keyspace_verbs),
           *value = rest_path(&scope, "value", 3, value_verbs);
    if (keyspace) {
        (void)snprintf(path, sizeof path, "/v1/%s", served->settings->name);
        put(paths, path, keyspace);
    }
    if (value) {
        (void)snprintf(path, sizeof path, "/v1/%s/{key}", served->settings->name);
        put(paths, path, value);
    }
    for (const aff_command *command = served->commands; command && command->name; command++) {
        scope.command = command;
        (void)snprintf(path, sizeof path, "/v1/%s/{key}/%s", served->settings->name, command->name);
        put(paths, path, command_path(&scope));
    }
}

/* ---- the whole ---- */

static void add_pages(const struct scope *frame, const json_t *pages, json_t *paths)
{
    const char *name, *method;
    const json_t *page, *template;
    json_object_foreach((json_t *)(uintptr_t)pages, name, page)
    {
        json_t *path = sure(json_object());
        const char *id = NULL;
        json_object_foreach((json_t *)(uintptr_t)page, method, template)
        {
            json_t *operation = operation_of(frame, template);
            id = id ? id : json_string_value(json_object_get(template, "operationId"));
            put(path, method, operation);
        }
        put(paths, name, path_done(frame, path, id));
    }
}

static void fill(json_t *document, const char *cluster, const struct aff_served_list *served)
{
    const struct scope frame = { .templates = json_object_get(document, "templates") };
    json_t *info = json_object_get(document, "info"), *tags = json_object_get(document, "tags");
    json_t *paths = sure(json_object());
    put(info, "title", text_of("Affinity: %s", cluster));
    put(info, "version", json_string(aff_version()));
    for (size_t i = 0; i < served->count; i++) {
        add(tags, keyspace_tag(&served->items[i]));
        add_keyspace(&frame, &served->items[i], paths);
    }
    add(tags, json_pack("{s:s, s:s}", "name", "node", "description", "About the node, and about writes."));
    add_pages(&frame, json_object_get(document, "paths"), paths);
    put(document, "paths", paths);
    put(json_object_get(document, "components"), "responses", problem_answers(frame.templates));
    (void)json_object_del(document, "templates");
}

char *aff_openapi_text(const char *cluster, const struct aff_served_list *served)
{
    json_t *document = sure(
        json_loadb((const char *)aff_openapi_frame, aff_openapi_frame_len, JSON_REJECT_DUPLICATES, NULL));
    fill(document, cluster, served);
    char *text = json_dumps(document, JSON_COMPACT);
    if (!text)
        abort();
    json_decref(document);
    return text;
}

struct aff_http_document aff_openapi_document(const char *text)
{
    return (struct aff_http_document){ .bytes = aff_str(text), .type = "application/json" };
}

struct aff_http_document aff_docs_document(void)
{
    return (struct aff_http_document){
        .bytes = aff_bytes_of(aff_docs_page, aff_docs_page_len),
        .type = "text/html; charset=utf-8",
        .policy = aff_docs_page_policy,
    };
}
