/*
 * patch_fuzz.c - a value and a patch, with a line's end between them, through both kinds of patches. What comes out is JSON within
 * the limits or an error with a text; a merge patch changes nothing the second time.
 */
#include "serde/equal.h"
#include "serde/json_patch.h"
#include "serde/merge_patch.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static const struct aff_splice_limits limits = { .bytes = 4096, .depth = 24, .work = 100000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "does not hold: %s\n", what);
    abort();
}

static void demand_json(const struct aff_buf *out)
{
    demand(out->len <= limits.bytes, "no longer than it may be");
    demand(aff_json_check(aff_buf_view(out), limits.depth, NULL) == 0, "the result is JSON");
}

static void try_merge(const struct aff_json_tree *value, const struct aff_json_tree *patch)
{
    struct aff_json_tree once, twice;
    struct aff_buf out, again;
    const char *what;
    bool equal;
    aff_json_tree_init(&once);
    aff_json_tree_init(&twice);
    aff_buf_init(&out);
    aff_buf_init(&again);
    int code = aff_merge_patch(value, patch, &limits, &out, &what);
    demand(code == 0 || (code == AFF_ETOOLARGE && what), "a merge fails by a limit alone");
    if (code == 0) {
        demand_json(&out);
        demand(aff_json_tree_parse(&once, aff_buf_view(&out), limits.depth, NULL) == 0, "and has a tree");
        code = aff_merge_patch(&once, patch, &limits, &again, &what);
        if (code == 0) {
            demand(aff_json_tree_parse(&twice, aff_buf_view(&again), limits.depth, NULL) == 0, "and again");
            demand(aff_json_equal(&once, 0, &twice, 0, &equal) == 0 && equal, "the second time changes nothing");
        }
    }
    aff_json_tree_fini(&once);
    aff_json_tree_fini(&twice);
    aff_buf_fini(&out);
    aff_buf_fini(&again);
}

static void try_patch(const struct aff_json_tree *value, const struct aff_json_tree *patch)
{
    struct aff_json_patch_error error = { .text = "" };
    struct aff_buf out;
    aff_buf_init(&out);
    int checked = aff_json_patch_check(patch, &error);
    demand(checked == 0 || (checked == AFF_EPATCH && error.text[0]), "a check says what is wrong");
    int code = aff_json_patch(value, patch, &limits, &out, &error);
    demand((code == AFF_EPATCH) == (checked == AFF_EPATCH), "the check and the patch agree on what a patch is");
    if (code == 0)
        demand_json(&out);
    else
        demand(error.text[0], "an error has a text");
    aff_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct aff_json_tree value, patch; /* parsed into again and again */
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    if (!end || aff_json_tree_parse(&value, aff_bytes_of(data, (size_t)(end - data)), limits.depth, NULL) != 0 ||
        aff_json_tree_parse(&patch, aff_bytes_of(end + 1, (size_t)(data + size - end) - 1), limits.depth, NULL) != 0)
        return 0;
    try_merge(&value, &patch);
    try_merge(NULL, &patch);
    try_patch(&value, &patch);
    return 0;
}
