/*
 * json_patch_suite.c - the test suites of RFC 6902 (json-patch-tests), whole: each case of the files that are named, but for those
 * that the suite itself marks as disabled. Prints how many there were; fails when one fails, or when a file has none.
 */
#include "serde/equal.h"
#include "serde/json_patch.h"

#include <stdio.h>
#include <stdlib.h>

struct suite {
    struct aff_json_tree cases;
    unsigned passed, failed, disabled;
};

static bool load(const char *path, struct aff_buf *ret_text)
{
    char part[4096];
    size_t got;
    FILE *file = fopen(path, "rb");
    bool good = file != NULL;
    while (good && (got = fread(part, 1, sizeof part, file)) > 0)
        good = aff_buf_add(ret_text, part, got);
    if (file)
        (void)fclose(file);
    return good;
}

static void say(const struct suite *s, uint32_t node, const char *what)
{
    aff_bytes text = aff_json_text(&s->cases, node);
    (void)printf("FAILED: %s\n  %.*s\n", what, (int)text.len, (const char *)text.data);
}

/* A case's member as a tree of its own, as it would arrive. */
static bool take(const struct suite *s, uint32_t node, const char *name, struct aff_json_tree *ret_tree)
{
    uint32_t member = aff_json_member(&s->cases, node, aff_str(name));
    return member != AFF_JSON_NONE &&
           aff_json_tree_parse(ret_tree, aff_json_text(&s->cases, member), AFF_JSON_DEPTH_DEFAULT, NULL) == 0;
}

/* NULL: as it should be. */
static const char *judge(const struct suite *s, uint32_t node, int code, const struct aff_buf *out, const char *text)
{
    struct aff_json_tree result;
    uint32_t expected = aff_json_member(&s->cases, node, aff_str("expected"));
    bool equal = true, error = aff_json_member(&s->cases, node, aff_str("error")) != AFF_JSON_NONE;
    if (error)
        return code == 0 ? "it was carried out, and must fail" : NULL;
    if (code != 0)
        return text;
    if (expected == AFF_JSON_NONE)
        return NULL; /* it must not fail, and that is all */
    aff_json_tree_init(&result);
    if (aff_json_tree_parse(&result, aff_buf_view(out), AFF_JSON_DEPTH_DEFAULT, NULL) != 0 ||
        aff_json_equal(&result, 0, &s->cases, expected, &equal) != 0)
        equal = false;
    aff_json_tree_fini(&result);
    return equal ? NULL : "the result is another one";
}

static void run_case(struct suite *s, uint32_t node)
{
    const struct aff_splice_limits limits = { .bytes = 1 << 20, .depth = AFF_JSON_DEPTH_DEFAULT };
    struct aff_json_tree doc, patch;
    struct aff_json_patch_error error = { .text = "" };
    struct aff_buf out;
    const char *wrong = "it has no doc or no patch";
    aff_json_tree_init(&doc);
    aff_json_tree_init(&patch);
    aff_buf_init(&out);
    if (take(s, node, "doc", &doc) && take(s, node, "patch", &patch)) {
        int code = aff_json_patch(&doc, &patch, &limits, &out, &error);
        wrong = judge(s, node, code, &out, error.text);
    }
    if (wrong)
        say(s, node, wrong);
    *(wrong ? &s->failed : &s->passed) += 1;
    aff_json_tree_fini(&doc);
    aff_json_tree_fini(&patch);
    aff_buf_fini(&out);
}

static bool is_disabled(const struct suite *s, uint32_t node)
{
    uint32_t member = aff_json_member(&s->cases, node, aff_str("disabled"));
    return member != AFF_JSON_NONE && s->cases.nodes[member].type == AFF_JSON_TRUE;
}

static bool run_file(struct suite *s, const char *path)
{
    struct aff_buf text;
    aff_buf_init(&text);
    bool good = load(path, &text) &&
                aff_json_tree_parse(&s->cases, aff_buf_view(&text), AFF_JSON_DEPTH_DEFAULT, NULL) == 0 &&
                s->cases.nodes[0].type == AFF_JSON_ARRAY && s->cases.nodes[0].count > 0;
    if (!good)
        (void)printf("FAILED: %s is not there, or no list of cases: run scripts/setup all\n", path);
    for (uint32_t c = good ? s->cases.nodes[0].first : AFF_JSON_NONE; c != AFF_JSON_NONE; c = s->cases.nodes[c].next) {
        if (is_disabled(s, c))
            s->disabled++;
        else
            run_case(s, c);
    }
    aff_buf_fini(&text);
    return good;
}

int main(int argc, char **argv)
{
    struct suite suite = { .passed = 0 };
    bool good = argc > 1;
    aff_json_tree_init(&suite.cases);
    for (int i = 1; i < argc; i++)
        good = run_file(&suite, argv[i]) && good;
    aff_json_tree_fini(&suite.cases);
    (void)printf("%u passed, %u failed, %u marked as disabled\n", suite.passed, suite.failed, suite.disabled);
    return good && suite.failed == 0 && suite.passed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
