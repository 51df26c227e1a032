/*
 * fault.c - see fault.h. The only state of the process that is not handed from caller to callee: a test arms it from
 * outside, and a point must not need a handle. Written by aff_fault_init() before any thread; later only the counters
 * move.
 */
#include "base/fault.h"

#include <affinity/bytes.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MAX_POINTS = 32, MAX_NAME = 63 };
enum action { ACTION_KILL, ACTION_ERROR, ACTION_SLEEP };

struct point {
    char name[MAX_NAME + 1];
    enum action action;
    uint64_t at; /* the pass that it acts on, from 1 */
    bool onwards;
    uint64_t sleep_ms;
    atomic_uint_fast64_t passes;
};

bool aff_fault_armed;
static struct point points[MAX_POINTS];
static size_t point_count;

/* ---- parsing ---- */

static bool take_text(const char **at, const char *text)
{
    size_t len = strlen(text);
    if (strncmp(*at, text, len) != 0)
        return false;
    *at += len;
    return true;
}

static bool take_number(const char **at, uint64_t *ret_number)
{
    const char *start = *at;
    uint64_t number = 0;
    for (; **at >= '0' && **at <= '9'; ++*at)
        if (*at - start >= 15)
            return false;
        else
            number = number * 10 + (uint64_t)(**at - '0');
    *ret_number = number;
    return *at > start;
}

static bool take_name(const char **at, char name[MAX_NAME + 1])
{
    size_t len = strspn(*at, "abcdefghijklmnopqrstuvwxyz0123456789._-");
    if (len == 0 || len > MAX_NAME)
        return false;
    memcpy(name, *at, len);
    name[len] = '\0';
    *at += len;
    return true;
}

static bool take_action(const char **at, struct point *p)
{
    if (take_text(at, "kill@"))
        p->action = ACTION_KILL;
    else if (take_text(at, "error@"))
        p->action = ACTION_ERROR;
    else if (take_text(at, "sleep:") && take_number(at, &p->sleep_ms) && take_text(at, "@"))
        p->action = ACTION_SLEEP;
    else
        return false;
    return true;
}

/* One `name=action@N`, up to a comma or the end. */
static bool take_point(const char **at, struct point *p)
{
    if (!take_name(at, p->name) || !take_text(at, "=") || !take_action(at, p))
        return false;
    if (!take_number(at, &p->at) || p->at == 0)
        return false;
    p->onwards = p->action == ACTION_ERROR && take_text(at, "+");
    return **at == '\0' || **at == ',';
}

static int disarm(const char *entry, aff_error *err)
{
    point_count = 0;
    return aff_fail_with(err, AFF_EINVAL,
                         "fault points: '%.*s' is not name=kill@N, name=error@N, name=error@N+ or name=sleep:MS@N",
                         (int)strcspn(entry, ","), entry);
}

int aff_fault_init(const char *spec, aff_error *err)
{
    point_count = 0;
    aff_fault_armed = false;
    if (!spec || !*spec)
        return 0;
    for (const char *at = spec;; at++) { /* at++: over the comma */
        const char *entry = at;
        if (point_count == MAX_POINTS) {
            point_count = 0;
            return aff_fail_with(err, AFF_EINVAL, "fault points: more than %d", MAX_POINTS);
        }
        struct point *p = &points[point_count++];
        *p = (struct point){ 0 };
        if (!take_point(&at, p))
            return disarm(entry, err);
        if (!*at)
            break;
    }
    aff_fault_armed = true;
    return 0;
}

/* ---- passing ---- */

static void sleep_ms(uint64_t ms)
{
    struct timespec left = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        continue;
}

static bool act(const struct point *p)
{
    if (p->action == ACTION_KILL)
        (void)kill(getpid(), SIGKILL);
    else if (p->action == ACTION_SLEEP)
        sleep_ms(p->sleep_ms);
    return p->action == ACTION_ERROR;
}

bool aff_fault_pass(const char *name)
{
    bool fail = false;
    for (size_t i = 0; i < point_count; i++) {
        struct point *p = &points[i];
        if (strcmp(p->name, name) != 0)
            continue;
        uint64_t pass = atomic_fetch_add(&p->passes, 1) + 1;
        if (pass == p->at || (p->onwards && pass > p->at))
            fail |= act(p);
    }
    return fail;
}
