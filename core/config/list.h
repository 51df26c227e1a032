/*
 * list.h - values that are lists: read, printed and freed for value.c.
 */
#ifndef AFF_CONFIG_LIST_H
#define AFF_CONFIG_LIST_H

#include "config/settings.h"

#include <affinity/error.h>
#include <stdio.h>

int aff_list_read(const struct aff_setting *setting, aff_bytes text, void *member, aff_error *err);
void aff_list_print(const struct aff_setting *setting, const void *member, FILE *to);
void aff_list_free(void *member);

#endif
