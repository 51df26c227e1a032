/*
 * value.h - one value: from text to the member of a struct and back, by the type of its setting. Any thread.
 */
#ifndef AFF_CONFIG_VALUE_H
#define AFF_CONFIG_VALUE_H

#include "config/settings.h"

#include <affinity/bytes.h>
#include <affinity/error.h>
#include <stdio.h>

/*
 * Checks the text by the setting's type and bounds and writes the member (replacing what it owned). Otherwise AFF_ECONFIG,
 * the member as it was, and a reason that follows "path: ".
 */
int aff_value_read(const struct aff_setting *setting, aff_bytes text, void *member, aff_error *err);
/* Adds an item to the member of a list; otherwise AFF_ECONFIG and a reason, as above. */
int aff_list_add(const struct aff_setting *setting, aff_bytes text, void *member, aff_error *err);
/* As YAML that reads back to the same; properties as lines of their section. */
void aff_value_print(const struct aff_setting *setting, const void *member, FILE *to);
/* Frees what the member owns, and forgets it. */
void aff_value_free(const struct aff_setting *setting, void *member);

/* Of a setting without a default: does the member hold anything? Texts, addresses and numbers. */
bool aff_value_is_given(const struct aff_setting *setting, const void *member);

/* A number by the type (INT, DURATION, SIZE), and as text in the largest unit that shows it exactly. */
int aff_number_read(enum aff_setting_type type, aff_bytes text, uint64_t *ret_number, aff_error *err);
struct aff_number_text {
    char text[32];
};
struct aff_number_text aff_number_text(enum aff_setting_type type, uint64_t number);
/* The value of a member of these types. */
uint64_t aff_number_of(const struct aff_setting *setting, const void *member);

/* Is it a name that settings and keyspaces may have: [a-z][a-z0-9_]{0,39}? */
bool aff_is_word(aff_bytes text);
/* Is it a name that nodes may have: [a-z][a-z0-9_-]{0,39}? */
bool aff_is_label(aff_bytes text);

/* A text of its own, with a NUL at its end, to be freed. */
char *aff_text_copy(aff_bytes text);
/* Text as a double-quoted scalar of YAML. */
void aff_text_print(const char *text, FILE *to);
/* May a value not be shown, such as that of `sasl.password`? */
bool aff_property_is_secret(const char *name);

/* The place of `word` among "a|b|c", or -1. */
int aff_word_index(const char *words, aff_bytes word);

#endif
