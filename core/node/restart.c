/*
 * restart.c - see restart.h.
 */
#include "node/restart.h"

#include <sys/wait.h>

enum { SOON_MS = 5000, FIRST_PAUSE_MS = 100, LONGEST_PAUSE_MS = 10000 };

/* None after the first that ended soon: one crash is not a loop. */
static int64_t pause_of(unsigned quick)
{
    int64_t pause = FIRST_PAUSE_MS;
    if (quick < 2)
        return 0;
    for (unsigned i = 2; i < quick && pause < LONGEST_PAUSE_MS; i++)
        pause *= 2;
    return pause < LONGEST_PAUSE_MS ? pause : LONGEST_PAUSE_MS;
}

static int shell_status(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/*
 * It ends with its worker when that was told to end, by this process or by somebody else (status 0 comes of nothing but that); and
 * when no worker ever served and this one gave up by itself: then the same would happen again.
 */
static bool ends(const struct aff_worker_end *end)
{
    if (end->asked)
        return true;
    return WIFEXITED(end->status) && (WEXITSTATUS(end->status) == 0 || !end->served);
}

struct aff_restart aff_restart_decide(const struct aff_worker_end *end, unsigned *quick)
{
    if (ends(end))
        return (struct aff_restart){ .status = shell_status(end->status) };
    *quick = end->lived_ms < SOON_MS ? *quick + 1 : 0;
    return (struct aff_restart){ .restarts = true, .status = shell_status(end->status), .pause_ms = pause_of(*quick) };
}
