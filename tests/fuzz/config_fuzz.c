/*
 * config_fuzz.c - the configuration loader on arbitrary bytes: a document, then overrides, each ended by a zero byte.
 *
 * It must end soon, say what is wrong when it refuses, and print what it accepts so that it loads again to the same.
 */
#include "config/config.h"

#include <stdint.h>
#include <stdlib.h>

enum { MOST_SETS = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *print(const struct aff_config *config)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    if (!to)
        abort();
    aff_config_print(config, to);
    fclose(to);
    return text;
}

static void print_errors(const struct aff_config_errors *errors)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    if (!to)
        abort();
    aff_config_errors_print(errors, to);
    fclose(to);
    if (len == 0)
        abort();
    free(text);
}

static void expect_round_trip(const struct aff_config *config)
{
    struct aff_config_errors errors = { 0 };
    struct aff_config *again = NULL;
    char *once = print(config);
    if (aff_config_parse("printed", aff_str(once), NULL, 0, &again, &errors) != 0) {
        aff_config_errors_print(&errors, stderr);
        abort();
    }
    char *twice = print(again);
    if (strcmp(once, twice) != 0)
        abort();
    aff_config_free(again);
    free(once);
    free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    const char *sets[MOST_SETS];
    size_t nsets = 0;
    if (!text)
        abort();
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    size_t document = strlen(text);
    for (size_t at = document + 1; at < size && nsets < MOST_SETS; at += strlen(text + at) + 1)
        sets[nsets++] = text + at;

    struct aff_config_errors errors = { 0 };
    struct aff_config *config = NULL;
    if (aff_config_parse("fuzz", aff_bytes_of(text, document), sets, nsets, &config, &errors) == 0)
        expect_round_trip(config);
    else
        print_errors(&errors);
    aff_config_errors_fini(&errors);
    aff_config_free(config);
    free(text);
    return 0;
}
