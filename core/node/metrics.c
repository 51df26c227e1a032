/*
 * metrics.c - the body of /metrics: what the loops publish, and what the kernel says of the process. Labels are names of
 * keyspaces and numbers of partitions and loops, never keys.
 */
#include "base/cleanup.h"
#include "node/admin.h"
#include "node/prometheus.h"

#include <affinity.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- partitions ---- */

struct part_metric {
    const char *name;
    enum aff_prom_type type;
    const char *help;
    double (*value)(const struct aff_part_info *info);
};

#define PART_VALUE(function, expression)                                                                               \
    static double function(const struct aff_part_info *info)                                                           \
    {                                                                                                                  \
        return (double)(expression);                                                                                   \
    }
PART_VALUE(part_serves, info->serves)
PART_VALUE(part_failed, info->role == AFF_ROLE_FAILED)
PART_VALUE(part_epoch, aff_epoch_major(info->epoch))
PART_VALUE(part_applied, info->applied)
PART_VALUE(part_log_end, info->log_end)
PART_VALUE(part_lag, info->log_end > info->applied ? info->log_end - info->applied : 0)
PART_VALUE(part_stands_by, info->stands_by)
PART_VALUE(part_dirty, info->dirty)
PART_VALUE(part_in_flight, info->in_flight)
PART_VALUE(part_queued, info->queued)
PART_VALUE(part_committed, info->committed)
PART_VALUE(part_refused, info->refused)
PART_VALUE(part_unknown, info->unknown)
PART_VALUE(part_repairs, info->repairs)
PART_VALUE(part_given, info->given)
PART_VALUE(part_not_given, info->not_given)
PART_VALUE(part_given_seconds, (double)info->given_ns / (double)AFF_NS_PER_S)
PART_VALUE(part_taken, info->taken)
PART_VALUE(part_not_taken, info->not_taken)
PART_VALUE(part_taken_seconds, (double)info->taken_ns / (double)AFF_NS_PER_S)

static const struct part_metric part_metrics[] = {
    { "aff_partition_serves", AFF_PROM_GAUGE, "1 while the partition answers reads and writes here", part_serves },
    { "aff_partition_failed", AFF_PROM_GAUGE, "1 while the partition has stopped, /readyz tells why", part_failed },
    { "aff_partition_epoch", AFF_PROM_GAUGE, "Major epoch of the last mastership known", part_epoch },
    { "aff_partition_applied", AFF_PROM_GAUGE, "Offset below which every record is applied", part_applied },
    { "aff_partition_log_end", AFF_PROM_GAUGE, "End of the changelog as last heard", part_log_end },
    { "aff_partition_lag", AFF_PROM_GAUGE, "Offsets between what is applied here and that end", part_lag },
    { "aff_partition_stands_by", AFF_PROM_GAUGE, "1 while another node leads and everything known of it is applied here", part_stands_by },
    { "aff_partition_dirty", AFF_PROM_GAUGE, "Keys whose last record is void and waits for its repair", part_dirty },
    { "aff_partition_in_flight", AFF_PROM_GAUGE, "Records handed to the changelog and not reported", part_in_flight },
    { "aff_partition_queued", AFF_PROM_GAUGE, "Requests that wait for their key", part_queued },
    { "aff_partition_committed_total", AFF_PROM_COUNTER, "Writes that were committed", part_committed },
    { "aff_partition_refused_total", AFF_PROM_COUNTER, "Requests that were refused or not applied", part_refused },
    { "aff_partition_unknown_total", AFF_PROM_COUNTER, "Writes answered with an unknown outcome", part_unknown },
    { "aff_partition_repairs_total", AFF_PROM_COUNTER, "Records written again over void ones", part_repairs },
    { "aff_partition_given_total", AFF_PROM_COUNTER, "Masterships that were handed over to another node", part_given },
    { "aff_partition_not_given_total", AFF_PROM_COUNTER, "Hand-overs to another node that did not come about", part_not_given },
    { "aff_partition_given_seconds_total", AFF_PROM_COUNTER,
      "Time in which writes waited for hand-overs, from the last that was taken here until the other node was heard to lead",
      part_given_seconds },
    { "aff_partition_taken_total", AFF_PROM_COUNTER, "Masterships that were taken over from a node that gave them", part_taken },
    { "aff_partition_not_taken_total", AFF_PROM_COUNTER, "Hand-overs from another node that did not come about", part_not_taken },
    { "aff_partition_taken_seconds_total", AFF_PROM_COUNTER, "The part of that time in which this node took over, from the word to go",
      part_taken_seconds },
};

static void add_role(struct aff_prom *prom, const struct aff_part_info *info, const char *partition)
{
    for (int role = AFF_ROLE_OPENING; role <= AFF_ROLE_AWAY; role++)
        aff_prom_value(prom, info->role == (enum aff_role)role, "keyspace", info->space->name, "partition", partition,
                       "role", aff_role_name((enum aff_role)role), NULL);
}

/* One family: the metric's value for every partition, or with NULL the role. */
static void add_parts(struct aff_prom *prom, const struct aff_node *node, const struct part_metric *metric)
{
    const struct aff_space *space;
    for (size_t i = 0; (space = aff_router_space_at(node->router, i)); i++)
        for (uint32_t p = 0; p < space->partitions; p++) {
            struct aff_part_info info;
            char number[16];
            aff_router_part_info(space, p, &info);
            (void)snprintf(number, sizeof number, "%u", p);
            if (metric)
                aff_prom_value(prom, metric->value(&info), "keyspace", space->name, "partition", number, NULL);
            else
                add_role(prom, &info, number);
        }
}

static void add_partitions(struct aff_prom *prom, const struct aff_node *node)
{
    for (size_t i = 0; i < sizeof part_metrics / sizeof *part_metrics; i++) {
        aff_prom_family(prom, part_metrics[i].name, part_metrics[i].type, part_metrics[i].help);
        add_parts(prom, node, &part_metrics[i]);
    }
    aff_prom_family(prom, "aff_partition_role", AFF_PROM_GAUGE, "1 for the role that the partition has here");
    add_parts(prom, node, NULL);
}

/* ---- process ---- */

static void add_one(struct aff_prom *prom, const char *name, enum aff_prom_type type, const char *help, double value)
{
    aff_prom_family(prom, name, type, help);
    aff_prom_value(prom, value, NULL);
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double resident_bytes(void)
{
    char text[64] = "";
    unsigned long total = 0, resident = 0;
    AFF_CLEANUP(aff_closep) int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0 || sscanf(text, "%lu %lu", &total, &resident) != 2)
        return 0;
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static double open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    double count = -3; /* ".", ".." and the folder itself */
    while (dir && readdir(dir))
        count++;
    if (dir)
        (void)closedir(dir);
    return count > 0 ? count : 0;
}

static void add_process(struct aff_prom *prom, const struct aff_node *node)
{
    struct rusage usage = { 0 };
    struct rlimit files = { 0 };
    (void)getrusage(RUSAGE_SELF, &usage);
    (void)getrlimit(RLIMIT_NOFILE, &files);
    add_one(prom, "aff_process_cpu_seconds_total", AFF_PROM_COUNTER, "CPU time of user and system",
            seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
    add_one(prom, "aff_process_resident_bytes", AFF_PROM_GAUGE, "Memory in use, mapped pages of the stores included",
            resident_bytes());
    add_one(prom, "aff_process_open_files", AFF_PROM_GAUGE, "Open file descriptors", open_files());
    add_one(prom, "aff_process_max_files", AFF_PROM_GAUGE, "Limit of open file descriptors", (double)files.rlim_cur);
    add_one(prom, "aff_process_start_time_seconds", AFF_PROM_GAUGE, "When the node was started, seconds since 1970",
            (double)node->started_wall_ms / 1e3);
}

/* ---- the node ---- */

static void add_node(struct aff_prom *prom, const struct aff_node *node)
{
    aff_prom_family(prom, "aff_build_info", AFF_PROM_GAUGE, "1; the labels tell what runs");
    aff_prom_value(prom, 1, "version", aff_version(), "cluster", node->config->cluster, "node", node->config->node.name,
                   "changelog", node->changelog->ops->name, NULL);
    add_one(prom, "aff_draining", AFF_PROM_GAUGE, "1 while the node shuts down", atomic_load(&node->draining));
    int64_t now = aff_mono_ns(node->logger.clock);
    aff_prom_family(prom, "aff_loop_tick_age_seconds", AFF_PROM_GAUGE, "Time since the loop said last that it turns");
    for (unsigned i = 0; i < node->loops_count; i++) {
        char number[16];
        (void)snprintf(number, sizeof number, "%u", i);
        aff_prom_value(prom, (double)(now - atomic_load(&node->loops[i].ticked_ns)) / 1e9, "loop", number, NULL);
    }
}

static void add_log(struct aff_prom *prom, struct aff_node *node)
{
    const struct aff_changelog_ops *ops = node->changelog->ops;
    struct aff_changelog_numbers numbers = { 0 };
    aff_error trouble;
    if (ops->numbers)
        ops->numbers(node->changelog, &numbers);
    add_one(prom, "aff_changelog_trusted", AFF_PROM_GAUGE,
            "1 while the topics are known and as they must be; /readyz tells what is wrong",
            !aff_node_log_trouble(node, &trouble));
    add_one(prom, "aff_changelog_producers_rebuilt_total", AFF_PROM_COUNTER,
            "Producers of Kafka that failed for good and were replaced", (double)numbers.producers_rebuilt);
    add_one(prom, "aff_changelog_syncs_total", AFF_PROM_COUNTER,
            "Times that the embedded changelog made a batch of records durable", (double)numbers.syncs);
}

int aff_admin_metrics(struct aff_node *node, struct aff_buf *body)
{
    struct aff_prom prom = { .buf = body };
    add_node(&prom, node);
    add_log(&prom, node);
    prom.failed |= !aff_http_metrics(node->https, node->loops_count, node->gate, body);
    prom.failed |= !aff_admin_cluster_metrics(node, body);
    add_partitions(&prom, node);
    add_process(&prom, node);
    return prom.failed ? AFF_ENOMEM : 200;
}
