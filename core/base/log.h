/*
 * log.h - the program's own log lines (not the changelog): one event, typed fields, one shape.
 *
 *   logfmt:  time=2026-11-22T06:02:11.123Z level=info event=partition.lead keyspace=accounts partition=3 epoch=1.0
 *   JSON:    {"time":"…","level":"info","event":"partition.lead","keyspace":"accounts","partition":3,"epoch":"1.0"}
 *
 * An event name is `part.verb`, constant, and never holds data. Any thread; a line is one write(2) of at most 4 KiB (a
 * longer one is cut and ends with cut=true) and is dropped rather than waited for when the descriptor would block.
 */
#ifndef AFF_BASE_LOG_H
#define AFF_BASE_LOG_H

#include <affinity/bytes.h>
#include <stdbool.h>
#include <stdint.h>

enum aff_log_level { AFF_LOG_DEBUG, AFF_LOG_INFO, AFF_LOG_WARN, AFF_LOG_ERROR };
enum aff_log_format { AFF_LOG_LOGFMT, AFF_LOG_JSON };

struct aff_clock;

struct aff_logger {
    int fd;
    enum aff_log_level level; /* lines below it are not written */
    enum aff_log_format format;
    const struct aff_clock *clock;
};

struct aff_log_field {
    const char *name;
    enum { AFF_FIELD_TEXT, AFF_FIELD_INT } type;
    aff_bytes text;
    int64_t number;
};

static inline struct aff_log_field aff_f_bytes(const char *name, aff_bytes v)
{
    return (struct aff_log_field){ .name = name, .type = AFF_FIELD_TEXT, .text = v };
}
static inline struct aff_log_field aff_f_str(const char *name, const char *v)
{
    return aff_f_bytes(name, aff_str(v ? v : ""));
}
static inline struct aff_log_field aff_f_int(const char *name, int64_t v)
{
    return (struct aff_log_field){ .name = name, .type = AFF_FIELD_INT, .number = v };
}

/* A NULL logger is silent. */
void aff_log_fields(const struct aff_logger *l, enum aff_log_level level, const char *event,
                    const struct aff_log_field *fields, size_t count);

/* aff_log(l, INFO, "partition.lead", aff_f_str("keyspace", name), aff_f_int("partition", p)); at least one field. */
#define aff_log(l, level, event, ...)                                                                                  \
    aff_log_fields((l), AFF_LOG_##level, (event), (const struct aff_log_field[]){ __VA_ARGS__ },                       \
                   sizeof((const struct aff_log_field[]){ __VA_ARGS__ }) / sizeof(struct aff_log_field))

#endif
