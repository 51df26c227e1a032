/*
 * log.c - see log.h.
 *
 * A line is built on the stack and never grows past 4 KiB: a longer one is cut between two characters and ends with the
 * field cut=true. That is also what a pipe takes at once (PIPE_BUF), so lines of several threads never mix, and a
 * descriptor that poll() calls writable does not block.
 *
 * Text keeps its well-formed UTF-8. Control characters become \u00NN (the common ones \n, \r, \t), line and paragraph
 * separators \u2028 and \u2029; a byte that is not UTF-8 becomes \xNN in logfmt and \ufffd in JSON.
 */
#include "base/log.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { MAX_LINE = 4096, ROOM_FOR_END = 24 }; /* the end: a quote, the cut mark, a brace, a newline */

struct line {
    enum aff_log_format format;
    bool cut; /* something did not fit; nothing is added any more */
    size_t len;
    char text[MAX_LINE];
};

static void add(struct line *l, const void *text, size_t len)
{
    if (l->cut || l->len + len > MAX_LINE - ROOM_FOR_END) {
        l->cut = true;
        return;
    }
    memcpy(l->text + l->len, text, len);
    l->len += len;
}

/* Into the room that is kept for the end of the line. */
static void add_end(struct line *l, const char *text)
{
    size_t len = strlen(text);
    memcpy(l->text + l->len, text, len);
    l->len += len;
}

static void add_string(struct line *l, const char *text)
{
    add(l, text, strlen(text));
}

/* ---- text ---- */

/* A first byte of UTF-8: how many bytes follow, which may be the second (no overlong forms, no surrogates). */
struct lead {
    unsigned char first, last, more, second_min, second_max;
};
static const struct lead leads[] = {
    { 0xc2, 0xdf, 1, 0x80, 0xbf }, { 0xe0, 0xe0, 2, 0xa0, 0xbf }, { 0xe1, 0xec, 2, 0x80, 0xbf },
    { 0xed, 0xed, 2, 0x80, 0x9f }, { 0xee, 0xef, 2, 0x80, 0xbf }, { 0xf0, 0xf0, 3, 0x90, 0xbf },
    { 0xf1, 0xf3, 3, 0x80, 0xbf }, { 0xf4, 0xf4, 3, 0x80, 0x8f },
};

/* The length of the well-formed UTF-8 character at `at`, 0 when there is none. */
static size_t character_length(const unsigned char *at, size_t left)
{
    if (at[0] < 0x80)
        return 1;
    for (size_t i = 0; i < sizeof leads / sizeof *leads; i++) {
        const struct lead *lead = &leads[i];
        if (at[0] < lead->first || at[0] > lead->last)
            continue;
        if (left <= lead->more || at[1] < lead->second_min || at[1] > lead->second_max)
            return 0;
        for (size_t k = 2; k <= lead->more; k++)
            if ((at[k] & 0xc0) != 0x80)
                return 0;
        return 1u + lead->more;
    }
    return 0;
}

/* Characters that would break a line, or hide in it: written as \uNNNN. 0 for all others. */
static unsigned hidden_character(const unsigned char *at, size_t len)
{
    if (len == 1)
        return at[0] == 0x7f || (at[0] > 0 && at[0] < 0x20) ? at[0] : 0;
    if (len == 2 && at[0] == 0xc2 && at[1] < 0xa0)
        return at[1];
    if (len == 3 && at[0] == 0xe2 && at[1] == 0x80 && (at[2] == 0xa8 || at[2] == 0xa9))
        return 0x2000u + at[2] - 0x80u;
    return 0;
}

static const char *short_escape(unsigned char c)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    case '\0':
        return "\\u0000";
    default:
        return NULL;
    }
}

/* Adds what stands for the first character or byte inside quotes; returns how many bytes of input that was. */
static size_t add_character(struct line *l, const unsigned char *at, size_t left)
{
    size_t len = character_length(at, left);
    const char *escape = short_escape(at[0]);
    unsigned hidden = len ? hidden_character(at, len) : 0;
    char number[8];
    if (hidden)
        (void)snprintf(number, sizeof number, "\\u%04x", hidden & 0xffff);
    else if (!len)
        (void)snprintf(number, sizeof number, l->format == AFF_LOG_JSON ? "\\ufffd" : "\\x%02x", at[0]);
    if (escape)
        add_string(l, escape);
    else if (hidden || !len)
        add_string(l, number);
    else
        add(l, at, len);
    return len ? len : 1;
}

/* As much of it as fits. False when not even the quotes did. */
static bool add_quoted(struct line *l, aff_bytes text)
{
    const unsigned char *at = text.data;
    size_t left = text.len;
    add_string(l, "\"");
    if (l->cut)
        return false;
    while (left > 0 && !l->cut) {
        size_t used = add_character(l, at, left);
        at += used;
        left -= used;
    }
    add_end(l, "\"");
    return true;
}

/* Does logfmt take it without quotes? */
static bool is_bare(aff_bytes text)
{
    const unsigned char *at = text.data;
    for (size_t i = 0, len; i < text.len; i += len) {
        len = character_length(at + i, text.len - i);
        if (len == 0 || at[i] <= ' ' || at[i] == '=' || short_escape(at[i]) || hidden_character(at + i, len))
            return false;
    }
    return text.len > 0;
}

static bool add_text(struct line *l, aff_bytes text)
{
    bool fits = l->len + text.len <= MAX_LINE - ROOM_FOR_END;
    if (l->format == AFF_LOG_JSON || !fits || !is_bare(text))
        return add_quoted(l, text);
    add(l, text.data, text.len);
    return !l->cut;
}

static bool add_number(struct line *l, int64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRId64, number);
    add_string(l, text);
    return !l->cut;
}

/* ---- lines ---- */

static void add_name(struct line *l, const char *name)
{
    bool json = l->format == AFF_LOG_JSON, first = l->len == 0;
    add_string(l, json ? (first ? "{\"" : ",\"") : (first ? "" : " "));
    add_string(l, name);
    add_string(l, json ? "\":" : "=");
}

static void add_field(struct line *l, const struct aff_log_field *f)
{
    size_t before = l->len;
    add_name(l, f->name);
    if (l->cut || !(f->type == AFF_FIELD_INT ? add_number(l, f->number) : add_text(l, f->text)))
        l->len = before; /* no name without its value */
}

static struct aff_log_field time_field(const struct aff_logger *logger, char text[32])
{
    int64_t wall_ms = aff_wall_ms(logger->clock ? logger->clock : aff_clock_system());
    int64_t ms = wall_ms % 1000 < 0 ? wall_ms % 1000 + 1000 : wall_ms % 1000;
    time_t seconds = (time_t)((wall_ms - ms) / 1000);
    struct tm utc = { 0 };
    (void)gmtime_r(&seconds, &utc);
    size_t len = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(text + len, 32 - len, ".%03dZ", (int)ms);
    return aff_f_str("time", text);
}

static void end_line(struct line *l)
{
    if (l->cut)
        add_end(l, l->format == AFF_LOG_JSON ? ",\"cut\":true" : " cut=true");
    add_end(l, l->format == AFF_LOG_JSON ? "}\n" : "\n");
}

/* Nobody waits for a log, or dies of it: a pipe that is full, or that nobody reads any more, loses the line. */
static void write_line(int fd, const struct line *l)
{
    struct pollfd writable = { .fd = fd, .events = POLLOUT };
    if (poll(&writable, 1, 0) != 1 || writable.revents != POLLOUT)
        return;
    ssize_t written;
    do
        written = write(fd, l->text, l->len);
    while (written < 0 && errno == EINTR);
}

void aff_log_fields(const struct aff_logger *l, enum aff_log_level level, const char *event,
                    const struct aff_log_field *fields, size_t count)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    if (!l || level < l->level)
        return;
    struct line line;
    line.format = l->format;
    line.cut = false;
    line.len = 0;
    char time[32];
    const struct aff_log_field head[] = { time_field(l, time), aff_f_str("level", names[level]),
                                          aff_f_str("event", event) };
    for (size_t i = 0; i < sizeof head / sizeof *head; i++)
        add_field(&line, &head[i]);
    for (size_t i = 0; i < count && !line.cut; i++)
        add_field(&line, &fields[i]);
    end_line(&line);
    write_line(l->fd, &line);
}
