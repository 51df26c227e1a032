/* The text of /openapi.json follows what is served. That it is OpenAPI, and true, is tested against a running node: tests/rest. */
#include "node/openapi.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static int run_nothing(aff_cmd *cmd)
{
    (void)cmd;
    return 0;
}

static int read_nothing(aff_read *read)
{
    (void)read;
    return 0;
}

static const aff_failure full = { "glass-full", 409, "The glass is full" };
static const aff_failure *const failures[] = { &full, NULL };
static const aff_command commands[] = {
    { .size = sizeof(aff_command),
      .name = "pour",
      .run = run_nothing,
      .doc = "Pours.",
      .failures = failures,
      .request = "{\"type\":\"object\"}",
      .reply = "{\"type\":\"integer\"}" },
    { .size = sizeof(aff_command), .name = "look", .read = read_nothing, .accepts = "text/plain" },
    AFF_COMMAND_END,
};

static char *text_of(const char *yaml, const aff_keyspace *keyspace)
{
    struct aff_config *config;
    struct aff_config_errors errors = { 0 };
    struct aff_served_list list;
    const aff_keyspace *keyspaces[] = { keyspace, NULL };
    assert_int_equal(aff_config_parse("test", aff_str(yaml), NULL, 0, &config, &errors), 0);
    assert_int_equal(aff_served_merge(config, keyspaces, &list, NULL), 0);
    char *text = aff_openapi_text("demo", &list);
    aff_served_fini(&list);
    aff_config_free(config);
    return text;
}

static json_t *described(const char *yaml, const aff_keyspace *keyspace)
{
    AFF_CLEANUP(aff_freep) char *text = text_of(yaml, keyspace);
    json_t *document = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(document);
    return document;
}

/* Follows the names, which end with NULL; NULL: there is no such member. */
static const json_t *at(const json_t *json, ...)
{
    va_list names;
    const char *name;
    va_start(names, json);
    while ((name = va_arg(names, const char *)) != NULL)
        json = json_object_get(json, name);
    va_end(names);
    return json;
}

static void assert_methods(const json_t *path, const char *methods)
{
    char found[128] = "";
    const char *method;
    const json_t *operation;
    json_object_foreach((json_t *)(uintptr_t)path, method, operation)(void)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s ", method);
    assert_string_equal(found, methods);
}

static void the_same_keyspaces_give_the_same_text(void **state)
{
    (void)state;
    const aff_keyspace glasses = { .size = sizeof glasses, .name = "glasses", .commands = commands };
    AFF_CLEANUP(aff_freep) char *one = text_of("keyspaces: { notes: }", &glasses);
    AFF_CLEANUP(aff_freep) char *two = text_of("keyspaces: { notes: }", &glasses);
    assert_string_equal(one, two);
}

static void a_keyspace_has_the_methods_that_clients_may_use(void **state)
{
    (void)state;
    const aff_keyspace fixed = { .size = sizeof fixed, .name = "fixed", .rest = AFF_REST_GET };
    json_t *document = described("keyspaces: { notes: }", &fixed);
    assert_methods(at(document, "paths", "/v1/notes/{key}", NULL), "get put patch delete head options ");
    assert_methods(at(document, "paths", "/v1/fixed/{key}", NULL), "get head options ");
    json_decref(document);
    const aff_keyspace hidden = {
        .size = sizeof hidden, .name = "hidden", .rest = AFF_REST_NONE, .commands = commands
    };
    document = described("", &hidden);
    assert_null(at(document, "paths", "/v1/hidden/{key}", NULL));
    assert_methods(at(document, "paths", "/v1/hidden/{key}/pour", NULL), "post options ");
    assert_methods(at(document, "paths", "/v1/hidden/{key}/look", NULL), "get post head options ");
    json_decref(document);
}

static void a_command_tells_what_it_takes_answers_and_refuses(void **state)
{
    (void)state;
    const aff_keyspace glasses = { .size = sizeof glasses, .name = "glasses", .commands = commands };
    json_t *document = described("", &glasses);
    const json_t *pour = at(document, "paths", "/v1/glasses/{key}/pour", "post", NULL);
    const json_t *look = at(document, "paths", "/v1/glasses/{key}/look", "post", NULL);
    assert_string_equal(json_string_value(at(pour, "summary", NULL)), "Pours.");
    assert_string_equal(
        json_string_value(at(pour, "requestBody", "content", "application/json", "schema", "type", NULL)), "object");
    assert_true(json_is_true(at(pour, "requestBody", "required", NULL)));
    assert_string_equal(
        json_string_value(at(pour, "responses", "200", "content", "application/json", "schema", "type", NULL)),
        "integer");
    const char *conflict = json_string_value(at(pour, "responses", "409", "description", NULL));
    assert_non_null(strstr(conflict, "glass-full: The glass is full."));
    assert_non_null(strstr(conflict, "idempotency-running"));
    assert_null(at(pour, "responses", "4XX", NULL));
    assert_non_null(at(look, "responses", "4XX", NULL));
    assert_non_null(at(look, "requestBody", "content", "text/plain", NULL));
    json_decref(document);
}

static void settings_of_a_keyspace_are_told(void **state)
{
    (void)state;
    const aff_keyspace other = { .size = sizeof other, .name = "other", .doc = "Others." };
    json_t *document = described("keyspaces: { strict: { require_match: true, max_value: 100B } }", &other);
    const json_t *strict = at(document, "paths", "/v1/strict/{key}", NULL),
                 *free = at(document, "paths", "/v1/other/{key}", NULL);
    assert_non_null(at(strict, "put", "responses", "428", NULL));
    assert_non_null(at(strict, "delete", "responses", "428", NULL));
    assert_null(at(strict, "get", "responses", "428", NULL));
    assert_null(at(free, "put", "responses", "428", NULL));
    assert_non_null(
        strstr(json_string_value(at(strict, "put", "requestBody", "description", NULL)), "At most 100 bytes."));
    const json_t *tag = json_array_get(at(document, "tags", NULL), 1);
    assert_string_equal(json_string_value(json_object_get(tag, "description")), "Others. (8 partitions)");
    json_decref(document);
}

static void every_problem_that_there_is_is_described(void **state)
{
    (void)state;
    const aff_keyspace other = { .size = sizeof other, .name = "other" };
    AFF_CLEANUP(aff_freep) char *text = text_of("", &other);
#define DESCRIBED(name, code, status, type, title)                                                                     \
    if (!strstr(text, "https://affinity.dev/problems/" type "\""))                                                     \
        fail_msg("the problem " type " is not told");
    AFF_ERROR_TABLE(DESCRIBED)
#undef DESCRIBED
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_keyspaces_give_the_same_text),
        cmocka_unit_test(a_keyspace_has_the_methods_that_clients_may_use),
        cmocka_unit_test(a_command_tells_what_it_takes_answers_and_refuses),
        cmocka_unit_test(settings_of_a_keyspace_are_told),
        cmocka_unit_test(every_problem_that_there_is_is_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
