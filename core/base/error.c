/*
 * error.c - the table of affinity/error.h as data. Any thread.
 */
#include <affinity/error.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct entry {
    const char *name, *type, *title;
    int status;
};

static const struct entry entries[] = { [0] = { "OK", "ok", "Success", 200 },
#define ENTRY(name, code, status, type, title) [-(code)] = { #name, type, title, status },
                                        AFF_ERROR_TABLE(ENTRY)
#undef ENTRY
};

static const struct entry *entry_of(int code)
{
    int last = (int)(sizeof entries / sizeof *entries) - 1;
    int at = code <= 0 && code >= -last ? -code : -AFF_EBUG;
    return entries[at].name ? &entries[at] : &entries[-AFF_EBUG];
}

const char *aff_error_name(int code)
{
    return entry_of(code)->name;
}

const char *aff_error_title(int code)
{
    return entry_of(code)->title;
}

const char *aff_error_type(int code)
{
    return entry_of(code)->type;
}

int aff_error_status(int code)
{
    return entry_of(code)->status;
}

/* A text that was cut may end inside a UTF-8 character; it travels in JSON, so the piece goes too. */
static void drop_cut_character(char *text, size_t len)
{
    size_t start = len;
    while (start > 0 && len - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (size > 1 && len - start + 1 < size)
        text[start - 1] = '\0';
}

int aff_fail_with(aff_error *err, int code, const char *format, ...)
{
    if (!err)
        return code;
    err->code = code;
    err->text[0] = '\0';
    va_list args;
    va_start(args, format);
    int len = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (len >= (int)sizeof err->text)
        drop_cut_character(err->text, sizeof err->text - 1);
    return code;
}
