/*
 * log.c - the changelog of a node: made as the configuration has it; its topics asked for; what it says of itself.
 *
 * Topics are asked for by a thread of their own while the loops run already, so that health answers: brokers may be slow, or not
 * there yet. What cannot be asked is asked again, what is wrong ends the start. Only then the partitions begin.
 */
#include "node/inner.h"
#include "node/load.h"

#include "base/alloc.h"
#include "base/cleanup.h"
#include "changelog/kafka/kafka.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ASK_FOR_MS = 5000, ASK_AGAIN_MS = 1000, NAP_MS = 20 };

/* ---- making ---- */

static bool is_kafka(const struct aff_config *config)
{
    return config->changelog == AFF_CHANGELOG_KAFKA;
}

/* To be freed; the texts are the configuration's. */
static struct aff_kafka_property *properties_of(const struct aff_config_properties *all)
{
    struct aff_kafka_property *list = aff_xcalloc(all->count + 1, sizeof *list);
    for (size_t i = 0; i < all->count; i++)
        list[i] = (struct aff_kafka_property){ all->items[i].name, all->items[i].value };
    return list;
}

/* `ret_log` NULL: only to see whether it would be taken. */
static int use_kafka(const struct aff_config *config, unsigned loops, const struct aff_logger *logger,
                     struct aff_changelog **ret_log, aff_error *err)
{
    AFF_CLEANUP(aff_freep) struct aff_kafka_property *properties = properties_of(&config->kafka.properties);
    AFF_CLEANUP(aff_freep) struct aff_kafka_property *topic = properties_of(&config->kafka.topic);
    struct aff_changelog_kafka_opts opts = {
        .properties = properties,
        .property_count = config->kafka.properties.count,
        .topic = topic,
        .topic_count = config->kafka.topic.count,
        .development = config->mode == AFF_MODE_DEVELOPMENT,
        .loops = loops,
        .producers = config->kafka.producers,
        .ask_timeout_ms = ASK_FOR_MS,
        .clock = logger ? logger->clock : NULL,
        .logger = logger,
    };
    return ret_log ? aff_changelog_kafka_new(&opts, ret_log, err) : aff_changelog_kafka_check(&opts, err);
}

int aff_node_load(const char *file, const char *const *sets, size_t nsets, struct aff_config **ret_config,
                  struct aff_config_errors *errors)
{
    struct aff_config *config;
    aff_error err = { 0 };
    int code = aff_config_load(file, sets, nsets, &config, errors);
    if (code)
        return code;
    code = is_kafka(config) ? use_kafka(config, 1, NULL, NULL, &err) : 0;
    if (code) {
        aff_config_refuse(config, err.text, errors);
        config = aff_config_free(config);
        return AFF_ECONFIG;
    }
    *ret_config = config;
    return 0;
}

static int make_memory(struct aff_node *node, aff_error *err)
{
    struct aff_changelog_memory_opts opts = { .clock = node->logger.clock, .logger = &node->logger };
    return aff_changelog_memory_new(&opts, &node->changelog, err);
}

static int make_embedded(struct aff_node *node, aff_error *err)
{
    AFF_CLEANUP(aff_freep) char *folder = aff_node_path(node, "log");
    struct aff_changelog_embedded_opts opts = {
        .folder = folder,
        .segment_bytes = node->config->embedded.segment,
        .compact_every_ms = node->config->embedded.compaction_interval_ms,
        .clock = node->logger.clock,
        .logger = &node->logger,
    };
    return aff_changelog_embedded_new(&opts, &node->changelog, err);
}

int aff_node_make_log(struct aff_node *node, aff_error *err)
{
    switch (node->config->changelog) {
    case AFF_CHANGELOG_MEMORY:
        return make_memory(node, err);
    case AFF_CHANGELOG_EMBEDDED:
        return make_embedded(node, err);
    default:
        return use_kafka(node->config, node->loops_count, &node->logger, &node->changelog, err);
    }
}

/* The embedded one by its lock, the one in memory by nature. */
bool aff_node_owns_log(const struct aff_node *node)
{
    return !is_kafka(node->config);
}

uint64_t aff_node_log_segments(const struct aff_node *node)
{
    AFF_CLEANUP(aff_freep) char *folder = aff_node_path(node, "log");
    DIR *dir = opendir(folder);
    uint64_t count = 0;
    for (const struct dirent *entry; dir && (entry = readdir(dir));)
        count += strstr(entry->d_name, ".journal") != NULL;
    if (dir)
        (void)closedir(dir);
    return count;
}

/* Producers, and as many more while failed ones are replaced; two readers, one that asks about topics. */
unsigned aff_node_log_clients(const struct aff_node *node)
{
    unsigned producers = node->config->kafka.producers;
    if (!is_kafka(node->config))
        return 0;
    return 2 * (producers > node->loops_count ? producers : node->loops_count) + 3;
}

/* ---- topics ---- */

static void nap(void)
{
    const struct timespec time = { .tv_nsec = NAP_MS * AFF_NS_PER_MS };
    (void)nanosleep(&time, NULL);
}

static void say_missing(struct aff_node_topics *t, const char *why)
{
    pthread_mutex_lock(&t->lock);
    (void)snprintf(t->missing, sizeof t->missing, "%.*s", (int)sizeof t->missing - 1, why);
    pthread_mutex_unlock(&t->lock);
}

static int ask_one(struct aff_node *node, const struct aff_node_space *space, aff_error *err)
{
    const struct aff_config_keyspace *k = space->served->settings;
    struct aff_topic topic = {
        .name = space->topic,
        .partitions = k->partitions,
        .compaction_lag_ms = k->compaction_lag_ms,
        .tombstone_retention_ms = k->tombstone_retention_ms,
        .compact = is_kafka(node->config) || node->config->embedded.compaction,
    };
    return node->changelog->ops->topic(node->changelog, &topic, err);
}

/* Whether it may be asked again: not, when the owner does not want it any more. */
static bool wait_to_ask_again(struct aff_node *node, const char *why)
{
    int64_t until = aff_mono_ns(node->logger.clock) + ASK_AGAIN_MS * AFF_NS_PER_MS;
    say_missing(&node->topics, why);
    aff_log(&node->logger, WARN, "node.topics-not-known", aff_f_str("why", why), aff_f_str("next", "asking again"));
    while (!atomic_load(&node->topics.give_up) && aff_mono_ns(node->logger.clock) < until)
        nap();
    return !atomic_load(&node->topics.give_up);
}

static int ask_all(struct aff_node *node, aff_error *err)
{
    for (size_t i = 0; i < node->served.count;) {
        int code = ask_one(node, &node->spaces[i], err);
        if (code == 0)
            i++;
        else if (code != AFF_EIO || !is_kafka(node->config) || !wait_to_ask_again(node, err->text))
            return code;
    }
    return 0;
}

static void *run_topics(void *arg)
{
    struct aff_node *node = arg;
    struct aff_node_topics *t = &node->topics;
    int code = ask_all(node, &t->err);
    say_missing(t, code ? t->err.text : "");
    atomic_store(&t->stage, code ? AFF_TOPICS_FAILED : AFF_TOPICS_KNOWN);
    return NULL;
}

int aff_node_ask_topics(struct aff_node *node, aff_error *err)
{
    int rc = pthread_create(&node->topics.thread, NULL, run_topics, node);
    if (rc)
        return aff_fail_with(err, AFF_EAGAIN, "cannot make the thread that asks for topics: %s", strerror(rc));
    node->topics.runs = true;
    return 0;
}

void aff_node_leave_topics(struct aff_node *node)
{
    atomic_store(&node->topics.give_up, true);
    if (node->topics.runs)
        (void)pthread_join(node->topics.thread, NULL);
    node->topics.runs = false;
}

/* ---- what it says of itself ---- */

bool aff_node_log_trouble(struct aff_node *node, aff_error *ret_reason)
{
    struct aff_node_topics *t = &node->topics;
    *ret_reason = (aff_error){ 0 };
    if (atomic_load(&t->stage) != AFF_TOPICS_KNOWN) {
        pthread_mutex_lock(&t->lock);
        (void)aff_fail_with(ret_reason, AFF_EIO, "%s", t->missing[0] ? t->missing : "its topics are being asked for");
        pthread_mutex_unlock(&t->lock);
        return true;
    }
    return node->changelog->ops->trouble && node->changelog->ops->trouble(node->changelog, ret_reason) != 0;
}
