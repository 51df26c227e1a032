/*
 * trace.c - see trace.h.
 */
#include "trace.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>

void sim_trace_line(const struct sim *sim, const char *format, ...)
{
    va_list args;

    if (!sim->tracing)
        return;
    printf("[%14.3f] ", (double)sim->now_ns / (double)SIM_MS);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

struct sim_text sim_stamp_text(struct aff_stamp stamp)
{
    struct sim_text t;

    snprintf(t.text, sizeof t.text, "%" PRIu32 ".%u/%04x S%" PRIu64, aff_epoch_major(stamp.epoch),
             aff_epoch_minor(stamp.epoch), (unsigned)(stamp.nonce & 0xffff), stamp.seq);
    return t;
}

struct sim_text sim_bytes_text(aff_bytes bytes)
{
    struct sim_text t;
    size_t n = 0;

    if (!bytes.data) {
        snprintf(t.text, sizeof t.text, "(none)");
        return t;
    }
    for (size_t i = 0; i < bytes.len && n + 5 < 60; i++) {
        unsigned char c = ((const unsigned char *)bytes.data)[i];
        n += (size_t)snprintf(t.text + n, sizeof t.text - n, isprint(c) ? "%c" : "\\%02x", c);
    }
    snprintf(t.text + n, sizeof t.text - n, "%s", bytes.len > 60 ? "..." : "");
    return t;
}

const char *sim_kind_text(enum aff_kind kind)
{
    static const char *const names[] = { "FOREIGN", "DATA", "CLAIM", "BARRIER", "REPAIR" };

    return names[kind];
}

const char *sim_role_text(enum aff_role role)
{
    static const char *const names[] = { "opening", "following", "claiming", "master", "settling", "failed" };

    return names[role];
}

const char *sim_outcome_text(enum aff_outcome outcome)
{
    static const char *const names[] = { "none", "committed", "not applied", "unknown" };

    return names[outcome];
}
