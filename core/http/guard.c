/*
 * guard.c - see guard.h.
 */
#include "http/guard.h"

#include "serde/media.h"

enum { METHOD_MAX = 32, LINE_END = 2 /* CR LF */ };

static void wrong(struct aff_guard *guard, const char *what)
{
    if (!guard->wrong)
        guard->wrong = what;
}

/* Notes where the next part begins when this one ends at `end`: behind a CR LF, which became two NULs. */
static void expect_behind(struct aff_guard *guard, const char *end)
{
    if (end[0] != 0 ||
        end[1] != 0) /* behind any part at least two bytes follow: the head does not end before its empty line */
        wrong(guard, "a line is folded, holds a NUL, or does not end in CR LF");
    guard->next = end + LINE_END;
}

/* ---- the request line ---- */

static bool is_target(aff_bytes target)
{
    const unsigned char *at = target.data;
    for (size_t i = 0; i < target.len; i++)
        if (at[i] <= ' ' || at[i] >= 0x7f || at[i] == '#')
            return false;
    return target.len > 0;
}

void aff_guard_begin(struct aff_guard *guard, aff_bytes target)
{
    *guard = (struct aff_guard){ .target = target };
    if (!is_target(target))
        wrong(guard, "the target must be printable ASCII without spaces (percent-encode the rest)");
}

void aff_guard_line(struct aff_guard *guard, const char *method, const char *version)
{
    const char *target = guard->target.data;
    size_t method_len = strnlen(method, METHOD_MAX);
    if (!aff_is_token(aff_bytes_of(method, method_len)) || method_len == METHOD_MAX)
        wrong(guard, "the method is not a token");
    if (target != method + method_len + 1)
        wrong(guard, "the method must be followed by one space");
    if (version != target + guard->target.len + 1)
        wrong(guard, "the target must be followed by one space");
    if (strncmp(version, "HTTP/1.", 7) != 0 || version[7] < '0' || version[7] > '9' || version[8] != 0)
        wrong(guard, "the version is not HTTP/1.x");
    if (guard->wrong)
        return;
    guard->version_1_0 = version[7] == '0';
    expect_behind(guard, version + strlen("HTTP/1.1"));
}

/* ---- fields ---- */

static bool is_field_value(aff_bytes value)
{
    const unsigned char *at = value.data;
    for (size_t i = 0; i < value.len; i++)
        if ((at[i] < ' ' && at[i] != '\t') || at[i] == 0x7f)
            return false;
    return true;
}

/* Between a name and its value: the colon, which became a NUL, and spaces. */
static bool is_colon(const char *at, const char *value)
{
    if (at >= value || *at++ != 0)
        return false;
    while (at < value && (*at == ' ' || *at == '\t'))
        at++;
    return at == value;
}

static void check_length(struct aff_guard *guard, aff_bytes value)
{
    const char *at = value.data;
    uint64_t length = 0;
    bool digits = value.len >= 1 && value.len <= 18; /* fits; a body of so many bytes is refused anyway */
    for (size_t i = 0; digits && i < value.len; i++) {
        digits = at[i] >= '0' && at[i] <= '9';
        length = length * 10 + (uint64_t)(at[i] - '0');
    }
    if (!digits)
        wrong(guard, "Content-Length is not a number");
    else if (guard->lengths++)
        wrong(guard, "Content-Length came twice");
    else
        guard->content_length = length;
}

static void check_coding(struct aff_guard *guard, aff_bytes value)
{
    if (guard->codings++)
        wrong(guard, "Transfer-Encoding came twice");
    else if (!aff_same_word(value, "chunked"))
        wrong(guard, "Transfer-Encoding is not chunked");
    guard->chunked = true;
}

static void check_host(struct aff_guard *guard, aff_bytes value)
{
    const char *at = value.data;
    if (guard->hosts++)
        wrong(guard, "Host came twice");
    for (size_t i = 0; i < value.len; i++)
        if (!aff_is_token_char((unsigned char)at[i]) && !strchr(":[]()=;", at[i]))
            wrong(guard, "Host is not a host");
}

void aff_guard_field(struct aff_guard *guard, aff_bytes name, aff_bytes value)
{
    guard->fields++;
    const char *name_end = (const char *)name.data + name.len;
    if (guard->wrong)
        return;
    if (name.data != guard->next)
        wrong(guard, "a line is folded, holds a NUL, or does not end in CR LF");
    else if (!aff_is_token(name))
        wrong(guard, "the name of a field is not a token right before its colon");
    else if (!value.data || !is_colon(name_end, value.data))
        wrong(guard, "the name of a field is not followed by its colon and its value");
    else if (!is_field_value(value))
        wrong(guard, "a value holds a control character");
    if (guard->wrong)
        return;
    expect_behind(guard, (const char *)value.data + value.len);
    switch (name.len) {
    case 4:
        if (aff_same_word(name, "host"))
            check_host(guard, aff_trimmed(value));
        break;
    case 14:
        if (aff_same_word(name, "content-length"))
            check_length(guard, value);
        break;
    case 17:
        if (aff_same_word(name, "transfer-encoding"))
            check_coding(guard, value);
        break;
    default:
        break;
    }
}

const char *aff_guard_end(struct aff_guard *guard, const char *head_end)
{
    if (!guard->wrong && (guard->next + LINE_END != head_end || guard->next[0] != 0 || guard->next[1] != 0))
        wrong(guard, "a line is folded, holds a NUL, or does not end in CR LF");
    if (!guard->wrong && !guard->hosts && !guard->version_1_0)
        wrong(guard, "HTTP/1.1 demands a Host");
    if (!guard->wrong && guard->codings && guard->lengths)
        wrong(guard, "Content-Length and Transfer-Encoding came together");
    if (!guard->wrong && guard->codings && guard->version_1_0)
        wrong(guard, "Transfer-Encoding came with HTTP/1.0");
    return guard->wrong;
}
