/* Media types: Content-Type and Accept. */
#include "serde/media.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_view(aff_bytes view, const char *text)
{
    assert_int_equal(view.len, strlen(text));
    assert_memory_equal(view.data, text, view.len);
}

static void token_characters_are_those_of_the_rfc(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool token = c > 32 && c < 127 && !strchr("\"(),/:;<=>?@[\\]{}", c);
        if (aff_is_token_char((unsigned char)c) != token)
            fail_msg("character %d", c);
    }
    assert_false(aff_is_token(aff_str("")));
    assert_true(aff_is_token(aff_str("a")));
    assert_false(aff_is_token(aff_str("a b")));
}

static void takes_a_media_type_apart(void **state)
{
    (void)state;
    struct aff_media media;
    assert_true(aff_media_parse(aff_str(" application/json ;charset=\"utf-8;\\\"\"; x=y ;; "), &media));
    assert_view(media.type, "application");
    assert_view(media.subtype, "json");
    assert_view(media.essence, "application/json");
}

static void refuses_what_is_no_media_type(void **state)
{
    (void)state;
    const char *wrong[] = { "",
                            " ",
                            "json",
                            "/json",
                            "text/",
                            "text//plain",
                            "text /plain",
                            "text/plain x",
                            "text/plain; a",
                            "text/plain; a=",
                            "text/plain; a=\"b",
                            "text/plain; =b",
                            "text/plain, text/html",
                            "text/pl(ain",
                            "text/plain; a=b c",
                            "text/plain; a=\"\\" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct aff_media media;
        if (aff_media_parse(aff_str(wrong[i]), &media))
            fail_msg("<%s> was taken", wrong[i]);
    }
}

static bool is_json(const char *text)
{
    struct aff_media media;
    assert_true(aff_media_parse(aff_str(text), &media));
    return aff_media_is_json(&media);
}

static void knows_json_by_its_name_and_by_its_suffix(void **state)
{
    (void)state;
    assert_true(is_json("application/json"));
    assert_true(is_json("APPLICATION/Json; charset=utf-8"));
    assert_true(is_json("application/problem+json"));
    assert_true(is_json("application/vnd.example.thing+JSON"));
    assert_false(is_json("text/json"));
    assert_false(is_json("application/jsonl"));
    assert_false(is_json("application/json-patch"));
    assert_false(is_json("application/octet-stream"));
    assert_false(is_json("application/+json"));
}

static void accept_takes_the_most_specific_range(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        bool allowed;
    } cases[] = {
        { "*/*", true },
        { "application/*", true },
        { "application/json", true },
        { "Application/JSON", true },
        { "text/html, application/json;q=0.5", true },
        { "text/html", false },
        { "text/*", false },
        { "text/html, */*;q=0.1", true },
        { "*/*;q=0", false },
        { "*/*;q=0.000", false },
        { "*/*;q=0.001", true },
        { "application/json;q=0, */*", false },
        { "*/*, application/json;q=0", false },
        { "application/*;q=0, application/json", true },
        { "application/json;charset=\"a,b\"", true },
        { "", true },
        { " , ", true },
        { "nonsense", true },
    };
    struct aff_media json;
    assert_true(aff_media_parse(aff_str("application/json"), &json));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (aff_media_accepted(aff_str(cases[i].accept), &json) != cases[i].allowed)
            fail_msg("Accept: %s", cases[i].accept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_characters_are_those_of_the_rfc),
        cmocka_unit_test(takes_a_media_type_apart),
        cmocka_unit_test(refuses_what_is_no_media_type),
        cmocka_unit_test(knows_json_by_its_name_and_by_its_suffix),
        cmocka_unit_test(accept_takes_the_most_specific_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
