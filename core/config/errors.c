/*
 * errors.c - the list of errors of a configuration. Belongs to whoever loads.
 */
#include "config/errors.h"

#include "base/alloc.h"
#include "config/utf8.h"

#include <stdarg.h>
#include <stdlib.h>

enum { MOST_ERRORS = 1000 };

bool aff_complained_enough(const struct aff_config_errors *errors)
{
    return errors->more;
}

static struct aff_config_error *add(struct aff_config_errors *errors)
{
    if (errors->count == errors->capacity) {
        errors->capacity = errors->capacity ? 2 * errors->capacity : 8;
        errors->items = aff_xrealloc(errors->items, errors->capacity, sizeof *errors->items);
    }
    return &errors->items[errors->count++];
}

void aff_complain(const struct aff_source *source, struct aff_mark at, const char *format, ...)
{
    struct aff_config_errors *errors = source->errors;
    if (errors->count >= MOST_ERRORS) {
        errors->more = true;
        return;
    }
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    *add(errors) = (struct aff_config_error){ .file = aff_xstrdup(source->file),
                                              .set = at.set,
                                              .line = at.line,
                                              .column = at.column,
                                              .order = errors->count,
                                              .text = aff_xstrdup(text) };
}

static int compare(const void *left, const void *right)
{
    const struct aff_config_error *a = left, *b = right;
    if (a->set != b->set)
        return a->set < b->set ? -1 : 1;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    if (a->column != b->column)
        return a->column < b->column ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

void aff_errors_sort(struct aff_config_errors *errors, size_t from)
{
    if (errors->count > from)
        qsort(errors->items + from, errors->count - from, sizeof *errors->items, compare);
}

void aff_config_errors_print(const struct aff_config_errors *errors, FILE *to)
{
    for (size_t i = 0; i < errors->count; i++) {
        const struct aff_config_error *e = &errors->items[i];
        if (e->set)
            fprintf(to, "--set %u: %s\n", e->set, e->text);
        else if (e->line)
            fprintf(to, "%s:%u:%u: %s\n", e->file, e->line, e->column, e->text);
        else
            fprintf(to, "%s: %s\n", e->file, e->text);
    }
    if (errors->more)
        fprintf(to, "there are more errors than these %zu\n", errors->count);
}

void aff_config_errors_fini(struct aff_config_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++) {
        free(errors->items[i].file);
        free(errors->items[i].text);
    }
    free(errors->items);
    *errors = (struct aff_config_errors){ 0 };
}

struct aff_shown aff_show(aff_bytes text)
{
    struct aff_shown shown;
    const unsigned char *in = text.data;
    size_t at = 0, used = 0;
    while (at < text.len && used < 60) {
        size_t len = aff_utf8_printable(in + at, text.len - at);
        if (len == 0) {
            shown.text[used++] = '?';
            at++;
            continue;
        }
        memcpy(shown.text + used, in + at, len);
        used += len;
        at += len;
    }
    if (at < text.len) {
        memcpy(shown.text + used, "...", 3);
        used += 3;
    }
    shown.text[used] = '\0';
    return shown;
}
