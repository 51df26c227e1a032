/*
 * errors.h - how the parts of this layer say what is wrong and where. The list itself is public: config.h.
 */
#ifndef AFF_CONFIG_ERRORS_H
#define AFF_CONFIG_ERRORS_H

#include "config/config.h"

#include <affinity/export.h>

/* What is being loaded, and where its errors go. */
struct aff_source {
    const char *file;
    struct aff_config_errors *errors;
};

void aff_complain(const struct aff_source *source, struct aff_mark at, const char *format, ...) AFF_PRINTF(3, 4);
bool aff_complained_enough(const struct aff_config_errors *errors);  /* further errors would not be kept */
void aff_errors_sort(struct aff_config_errors *errors, size_t from); /* by place, the ones from `from` on */

/* User's text for an error: cut to 60 bytes, what is not printable replaced. */
struct aff_shown {
    char text[72];
};
struct aff_shown aff_show(aff_bytes text);

#endif
