/*
 * guard_fuzz.c - the guard, behind a model of libmicrohttpd's parser, against a strict parser of the bytes themselves.
 *
 * What passes the guard must be what the strict parser reads: the same fields, the same end of the head, the same body. And
 * what the strict parser takes must pass the guard. One thing the guard cannot see (guard.h): NULs where a line ends. So the
 * strict parser takes the ends of lines from what libmicrohttpd left of them.
 */
#include "http/guard.h"
#include "lib/mhd_head.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct strict {
    size_t end; /* of the head */
    unsigned count;
    size_t name[MHD_HEAD_FIELDS_MAX], name_len[MHD_HEAD_FIELDS_MAX], value[MHD_HEAD_FIELDS_MAX],
        value_len[MHD_HEAD_FIELDS_MAX];
    bool chunked, has_length;
    uint64_t length;
};

static bool token_char(char c)
{
    return c > ' ' && c < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", c);
}

/* Takes as many bytes as `fits` allows; at least one. */
static bool run(const char *s, size_t size, size_t *at, bool (*fits)(char))
{
    size_t from = *at;
    while (*at < size && fits(s[*at]))
        ++*at;
    return *at > from;
}

static bool literal(const char *s, size_t size, size_t *at, const char *text)
{
    size_t len = strlen(text);
    if (size - *at < len || memcmp(s + *at, text, len) != 0)
        return false;
    *at += len;
    return true;
}

/* The end of a line, and at the end of the head two of them: as sent, or with NULs that cannot be told from it. */
static bool line_end(const char *s, size_t size, size_t *at)
{
    return literal(s, size, at, "\r\n") || (size - *at >= 2 && memcmp(s + *at, "\0\n", 2) == 0 && (*at += 2));
}

static bool head_end(const char *s, size_t size, size_t *at)
{
    static const char odd[][4] = {
        { 0, 0, '\n', '\n' }, { 0, '\r', '\n', '\n' }, { '\n', 0, 0, '\n' }, { '\n', 0, '\r', '\n' }
    };
    size_t from = *at;
    if (line_end(s, size, at) && line_end(s, size, at))
        return true;
    *at = from;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        if (size - from >= 4 && memcmp(s + from, odd[i], 4) == 0) {
            *at += 4;
            return true;
        }
    return false;
}

static bool target_char(char c)
{
    return c > ' ' && c < 0x7f && c != '#';
}

static bool value_char(char c)
{
    return (unsigned char)c >= ' ' ? c != 0x7f : c == '\t';
}

static bool is(const char *s, struct strict *r, unsigned i, const char *name)
{
    return r->name_len[i] == strlen(name) && strncasecmp(s + r->name[i], name, r->name_len[i]) == 0;
}

static bool host_fits(const char *value, size_t len)
{
    while (len && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        len--;
    for (size_t i = 0; i < len; i++)
        if (!token_char(value[i]) && !strchr(":[]()=;", value[i]))
            return false;
    return true;
}

/* What the fields say about the body, and Host. */
static bool framing(const char *s, struct strict *r, bool old)
{
    unsigned hosts = 0, codings = 0, lengths = 0;
    for (unsigned i = 0; i < r->count; i++) {
        const char *value = s + r->value[i];
        if (is(s, r, i, "Host")) {
            hosts++;
            if (!host_fits(value, r->value_len[i]))
                return false;
        } else if (is(s, r, i, "Transfer-Encoding")) {
            codings++;
            if (r->value_len[i] != 7 || strncasecmp(value, "chunked", 7) != 0)
                return false;
        } else if (is(s, r, i, "Content-Length")) {
            lengths++;
            if (!r->value_len[i] || r->value_len[i] > 18)
                return false;
            for (size_t k = 0; k < r->value_len[i]; k++) {
                if (value[k] < '0' || value[k] > '9')
                    return false;
                r->length = r->length * 10 + (uint64_t)(value[k] - '0');
            }
        }
    }
    r->chunked = codings;
    r->has_length = lengths;
    return hosts <= 1 && (old || hosts == 1) && codings + lengths <= 1 && !(old && codings);
}

static bool strict_parse(const char *s, size_t size, size_t at, struct strict *r)
{
    memset(r, 0, sizeof *r);
    size_t from = at;
    if (!run(s, size, &at, token_char) || at - from >= 32 || !literal(s, size, &at, " ") ||
        !run(s, size, &at, target_char) || !literal(s, size, &at, " HTTP/1.") || at == size)
        return false;
    char minor = s[at++];
    if (minor < '0' || minor > '9')
        return false;
    while (!head_end(s, size, &at)) {
        unsigned i = r->count++;
        if (i == MHD_HEAD_FIELDS_MAX)
            return false;
        if (!line_end(s, size, &at))
            return false;
        r->name[i] = at;
        if (!run(s, size, &at, token_char))
            return false;
        r->name_len[i] = at - r->name[i];
        if (!literal(s, size, &at, ":"))
            return false;
        while (at < size && (s[at] == ' ' || s[at] == '\t'))
            at++;
        r->value[i] = at;
        (void)run(s, size, &at, value_char);
        r->value_len[i] = at - r->value[i];
    }
    r->end = at;
    return framing(s, r, minor == '0');
}

static void disagree(const char *what, const char *detail)
{
    (void)fprintf(stderr, "%s (%s)\n", what, detail);
    abort();
}

static void compare(const struct mhd_head *head, const struct aff_guard *guard, const struct strict *r)
{
    if ((size_t)(head->end - head->buffer) != r->end)
        disagree("the head ends elsewhere", "");
    if (head->count != r->count)
        disagree("another number of fields", "");
    for (unsigned i = 0; i < head->count; i++) {
        const char *name = head->names[i].data, *value = head->values[i].data;
        if ((size_t)(name - head->buffer) != r->name[i] || head->names[i].len != r->name_len[i] ||
            (size_t)(value - head->buffer) != r->value[i] || head->values[i].len != r->value_len[i])
            disagree("another field", name);
    }
    if (guard->chunked != r->chunked || guard->lengths != r->has_length || guard->content_length != r->length)
        disagree("another body", "");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 4096)
        return 0;
    struct mhd_head head;
    static struct strict r;
    if (mhd_head_parse(aff_bytes_of(data, size), &head)) {
        struct aff_guard guard;
        aff_guard_begin(&guard, aff_bytes_of(head.target, head.target_len));
        aff_guard_line(&guard, head.method, head.version);
        for (unsigned i = 0; i < head.count; i++)
            aff_guard_field(&guard, head.names[i], head.values[i]);
        const char *wrong = aff_guard_end(&guard, head.end);
        bool fine = strict_parse((const char *)data, size, (size_t)(head.method - head.buffer), &r);
        if (fine && wrong)
            disagree("refused what is right", wrong);
        if (!fine && !wrong)
            disagree("took what is wrong", "");
        if (fine)
            compare(&head, &guard, &r);
    }
    mhd_head_free(&head);
    return 0;
}
