/*
 * main.c - the simulator's command line.
 *
 *   affinity-sim [--seeds A..B] [--nodes 2|3] [--jobs N] [--keep-going] [--covers] [--twice] [--mutant NAME | --each-mutant]
 *   affinity-sim --seed N [--trace] [--nodes 2|3] [--mutant NAME]
 *
 * Many seeds run in child processes, so that an assertion of the core, a crash or an endless loop counts as a violation found
 * like any other, with its seed; where a child was is known from memory that it shares. A single seed runs in this process, for a
 * debugger. The status is 0 when no seed violates anything. --each-mutant runs the seeds with each weakening of the core in turn
 * until a violation is found, and fails when there is none. --covers fails when something that should happen never did. --twice runs
 * each seed twice and compares.
 */
#include "partition/mutants.h"
#include "sim.h"

#include <affinity/error.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { JOBS_MAX = 16, SEED_PATIENCE_S = 120 };

struct options {
    uint64_t first, last;
    bool single, trace, keep_going, covers, twice, each_mutant;
    unsigned mutants;
    int nodes, jobs;
};

/* What a child shares with its parent. */
struct worker {
    uint64_t seed; /* at which it is */
    uint64_t ran, violations;
    struct sim_coverage coverage;
};

static void usage(FILE *to)
{
    fputs("affinity-sim [--seeds A..B] [--nodes 2|3] [--jobs N] [--keep-going] [--covers] [--twice]\n"
          "             [--mutant NAME | --each-mutant]\n"
          "affinity-sim --seed N [--trace] [--nodes 2|3] [--mutant NAME]\n\nmutants:\n",
          to);
#define PRINT_MUTANT(name, id, what) fprintf(to, "  %-12s %s\n", name, what);
    AFF_MUTANT_TABLE(PRINT_MUTANT)
#undef PRINT_MUTANT
}

static void wrong(const char *what, const char *value)
{
    fprintf(stderr, "affinity-sim: %s '%s'\n", what, value);
    usage(stderr);
    exit(2);
}

static const struct {
    const char *name;
    enum aff_mutant_bit bit;
} mutants[] = {
#define MUTANT_ROW(name, id, what) { name, AFF_MUTANT_BIT_##id },
    AFF_MUTANT_TABLE(MUTANT_ROW)
#undef MUTANT_ROW
};
enum { MUTANTS = sizeof mutants / sizeof *mutants };

static unsigned mutant_bit(const char *name)
{
    for (size_t i = 0; i < MUTANTS; i++)
        if (strcmp(mutants[i].name, name) == 0)
            return 1u << mutants[i].bit;
    wrong("there is no mutant", name);
    return 0;
}

static uint64_t number(const char *text, char end)
{
    char *after;
    uint64_t n;

    errno = 0;
    n = strtoull(text, &after, 10);
    if (errno || after == text || *after != end)
        wrong("not a number of a seed, a range or a count:", text);
    return n;
}

static void parse_range(struct options *o, const char *text)
{
    const char *dots = strstr(text, "..");

    if (!dots)
        wrong("not a range A..B:", text);
    o->first = number(text, '.');
    o->last = number(dots + 2, '\0');
    if (o->last < o->first)
        wrong("an empty range", text);
}

static void parse(struct options *o, int argc, char **argv)
{
    static const struct option known[] = {
        { "seeds", required_argument, NULL, 'S' }, { "seed", required_argument, NULL, 's' },
        { "trace", no_argument, NULL, 't' },       { "mutant", required_argument, NULL, 'm' },
        { "nodes", required_argument, NULL, 'n' }, { "jobs", required_argument, NULL, 'j' },
        { "each-mutant", no_argument, NULL, 'e' }, { "keep-going", no_argument, NULL, 'k' },
        { "covers", no_argument, NULL, 'c' },      { "twice", no_argument, NULL, '2' },
        { "help", no_argument, NULL, 'h' },        { NULL, 0, NULL, 0 },
    };
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1)
        switch (c) {
        case 'S':
            parse_range(o, optarg);
            break;
        case 's':
            o->first = o->last = number(optarg, '\0');
            o->single = true;
            break;
        case 't':
            o->trace = true;
            break;
        case 'm':
            o->mutants |= mutant_bit(optarg);
            break;
        case 'n':
            o->nodes = (int)number(optarg, '\0');
            break;
        case 'j':
            o->jobs = (int)number(optarg, '\0');
            break;
        case 'e':
            o->each_mutant = true;
            break;
        case '2':
            o->twice = true;
            break;
        case 'k':
            o->keep_going = true;
            break;
        case 'c':
            o->covers = true;
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            usage(stderr);
            exit(2);
        }
    if (optind < argc)
        wrong("unexpected argument", argv[optind]);
    if (o->nodes != 0 && (o->nodes < 2 || o->nodes > SIM_NODES_MAX))
        wrong("2 or 3 nodes, not", "--nodes");
    if (o->jobs < 1 || o->jobs > JOBS_MAX)
        wrong("1 to 16 jobs, not", "--jobs");
}

static bool run_seed(const struct options *o, uint64_t seed, struct sim_coverage *coverage)
{
    struct sim_options options = { .seed = seed, .mutants = o->mutants, .nodes = o->nodes, .tracing = o->trace };
    struct sim_coverage once = { { 0 } }, twice = { { 0 } };
    bool good = sim_run_seed(&options, &once);

    for (int i = 0; i < SIM_COUNTERS; i++)
        coverage->count[i] += once.count[i];
    if (!o->twice || !good)
        return good;
    good = sim_run_seed(&options, &twice) && memcmp(&once, &twice, sizeof once) == 0;
    if (!good)
        printf("seed %" PRIu64 " went another way the second time\n", seed);
    return good;
}

/* ---- children ---- */

/* Every `jobs`-th seed from `from` on. */
static void work(const struct options *o, struct worker *w, uint64_t from)
{
    for (uint64_t seed = from; seed <= o->last; seed += (uint64_t)o->jobs) {
        w->seed = seed;
        alarm(SEED_PATIENCE_S);
        w->ran++;
        if (run_seed(o, seed, &w->coverage))
            continue;
        w->violations++;
        if (!o->keep_going)
            break;
    }
    exit(0);
}

static pid_t start(const struct options *o, struct worker *w, uint64_t from)
{
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(2);
    }
    if (pid == 0)
        work(o, w, from);
    return pid;
}

/* Waits for a child; one that died is replaced by another, behind the seed where it died, if the run is to go on. */
static void finish(const struct options *o, struct worker *w, pid_t pid)
{
    int status;

    while (pid > 0 && waitpid(pid, &status, 0) == pid) {
        pid = 0;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            return;
        w->violations++;
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
            printf("seed %" PRIu64 " violates progress: no end after %d s\n", w->seed, SEED_PATIENCE_S);
        else
            printf("seed %" PRIu64 " violates an assertion: the process ended by %s\n", w->seed,
                   WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "itself");
        if (o->keep_going && w->seed + (uint64_t)o->jobs <= o->last)
            pid = start(o, w, w->seed + (uint64_t)o->jobs);
    }
}

static void add_up(struct worker *sum, const struct worker *w)
{
    sum->ran += w->ran;
    sum->violations += w->violations;
    for (int i = 0; i < SIM_COUNTERS; i++)
        sum->coverage.count[i] += w->coverage.count[i];
}

static void run_range(const struct options *o, struct worker *sum)
{
    struct worker *workers = mmap(NULL, sizeof *workers * JOBS_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                                  -1, 0);
    pid_t pids[JOBS_MAX];

    if (workers == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    for (int i = 0; i < o->jobs; i++)
        pids[i] = start(o, &workers[i], o->first + (uint64_t)i);
    for (int i = 0; i < o->jobs; i++) {
        finish(o, &workers[i], pids[i]);
        add_up(sum, &workers[i]);
    }
    munmap(workers, sizeof *workers * JOBS_MAX);
}

/* ---- */

static int judge(const struct options *o, const struct worker *sum)
{
    bool whole = !o->covers || sim_coverage_is_whole(&sum->coverage);

    if (sum->violations > 0)
        printf("replay: affinity-sim --seed N --trace%s\n", o->mutants ? " --mutant NAME" : "");
    printf("%" PRIu64 " seeds, %" PRIu64 " with violations\n", sum->ran, sum->violations);
    return whole && sum->violations == 0 ? 0 : 1;
}

/* Every weakening must be found. */
static int run_mutants(const struct options *o)
{
    int missed = 0;

    for (size_t i = 0; i < MUTANTS; i++) {
        struct options weak = *o;
        struct worker sum = { 0 };

        weak.mutants = 1u << mutants[i].bit;
        printf("mutant %s:\n", mutants[i].name);
        run_range(&weak, &sum);
        if (sum.violations == 0) {
            printf("not found in %" PRIu64 " seeds\n", sum.ran);
            missed++;
        }
    }
    printf("%d mutants, %d not found\n", (int)MUTANTS, missed);
    return missed ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct options o = { .first = 1, .last = 1000, .jobs = 1 };
    struct worker sum = { 0 };

    parse(&o, argc, argv);
    if (o.each_mutant)
        return run_mutants(&o);
    if (o.single) {
        setlinebuf(stdout); /* an abort loses nothing of the trace */
        sum.ran = 1;
        sum.violations = !run_seed(&o, o.first, &sum.coverage);
    } else {
        run_range(&o, &sum);
        sim_coverage_print(&sum.coverage);
    }
    return judge(&o, &sum);
}
