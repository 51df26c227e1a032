/*
 * helper.h - loads a configuration from text and compares what was wrong with what should be.
 */
#ifndef AFF_TESTS_CONFIG_HELPER_H
#define AFF_TESTS_CONFIG_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config/config.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Up to eight overrides; ends with NULL. */
typedef const char *const sets_t[9];

static inline size_t count_sets(const char *const *sets)
{
    size_t count = 0;
    while (sets && sets[count])
        count++;
    return count;
}

/* The errors as they are printed; freed by the caller. */
static inline char *printed(const struct aff_config_errors *errors)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    assert_non_null(to);
    aff_config_errors_print(errors, to);
    fclose(to);
    return text;
}

/* The configuration of a text that is valid. */
static inline struct aff_config *load_bytes(aff_bytes text, const char *const *sets)
{
    struct aff_config_errors errors = { 0 };
    struct aff_config *config = NULL;
    if (aff_config_parse("test.yaml", text, sets, count_sets(sets), &config, &errors) != 0) {
        char *wrong = printed(&errors);
        print_error("%.*s\n%s", (int)text.len, (const char *)text.data, wrong);
        free(wrong);
        aff_config_errors_fini(&errors);
        fail_msg("a valid configuration was refused, see above");
    }
    assert_int_equal(errors.count, 0);
    return config;
}

static inline struct aff_config *load(const char *text, const char *const *sets)
{
    return load_bytes(aff_str(text), sets);
}

/* Loads a text that is not valid; its errors, printed, must be exactly `expected`. */
static inline void expect_errors_bytes(aff_bytes text, const char *const *sets, const char *expected)
{
    struct aff_config_errors errors = { 0 };
    struct aff_config *config = NULL;
    int status = aff_config_parse("test.yaml", text, sets, count_sets(sets), &config, &errors);
    char *wrong = printed(&errors);
    aff_config_errors_fini(&errors);
    aff_config_free(config);
    assert_int_equal(status, AFF_ECONFIG);
    assert_null(config);
    assert_string_equal(wrong, expected);
    free(wrong);
}

static inline void expect_errors(const char *text, const char *const *sets, const char *expected)
{
    expect_errors_bytes(aff_str(text), sets, expected);
}

static inline char *printed_config(const struct aff_config *config)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    assert_non_null(to);
    aff_config_print(config, to);
    fclose(to);
    return text;
}

#endif
