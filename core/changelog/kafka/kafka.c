/*
 * kafka/kafka.c - the driver: partitions of loops, on topics, producers and the reader. See kafka/kafka.h for the map.
 *
 * Appends go through the lane of a partition, in the pool of its loop; reads through its stream. A loop with partitions has
 * a port for answers (reports come by the pool's own) and a pool. When its last partition is closed the pool is kept, with
 * what is under way in it, for the next loop or for the end: closing must not wait.
 */
#include "changelog/kafka/kafka.h"

#include "base/alloc.h"
#include "changelog/kafka/admin.h"
#include "changelog/kafka/producer.h"
#include "changelog/kafka/reader.h"
#include "changelog/port.h"
#include "changelog/topic.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

enum { DEFAULT_IN_FLIGHT = 64 << 20 };

struct kafka_log_topic {
    struct aff_list link;
    char *name;
    uint32_t partitions;
    uint64_t max_message_bytes;
};

/* A pool, and what loop has it. */
struct kafka_place {
    struct aff_list link; /* log->idle while no loop has it */
    struct aff_kafka_pool *pool;
};

struct kafka_log {
    struct aff_changelog base;
    struct aff_changelog_kafka_opts opts; /* without what was borrowed */
    struct aff_kafka_settings *settings;
    struct aff_kafka_admin *admin;
    struct aff_kafka_reader *reader;
    _Atomic uint64_t in_flight, rebuilt;

    pthread_mutex_t lock; /* guards what follows */
    struct aff_list topics, ports, idle;
    bool watched;
};

struct kafka_port {
    struct aff_port port;
    struct kafka_log *log;
    struct kafka_place *place;
    struct aff_list link; /* log->ports; log's lock */
    size_t users;         /* parts open; loop */

    pthread_mutex_t lock;  /* guards what follows */
    struct aff_list ready; /* of kafka_part.ready */
    size_t ready_count;
};

/* The handle; behind `struct aff_changelog_part` in the interface. */
struct kafka_part {
    struct kafka_port *port;
    struct aff_changelog_sink *sink;
    struct aff_kafka_lane_user lane_user;
    struct aff_kafka_lane *lane;
    struct aff_kafka_stream_user stream_user;
    struct aff_kafka_stream *stream;
    struct aff_list ready; /* port->ready; port's lock */
};

static struct kafka_part *part_of(struct aff_changelog_part *part)
{
    return (struct kafka_part *)(void *)part;
}

static struct kafka_log *log_of(struct aff_changelog *log)
{
    return aff_container_of(log, struct kafka_log, base);
}

/* ---- what comes back ---- */

static void lane_reports(struct aff_kafka_lane_user *user, const struct aff_delivery_report *reports, size_t count)
{
    struct kafka_part *part = aff_container_of(user, struct kafka_part, lane_user);
    part->sink->reports(part->sink, reports, count);
}

/* On the reader's thread. */
static void stream_ready(struct aff_kafka_stream_user *user)
{
    struct kafka_part *part = aff_container_of(user, struct kafka_part, stream_user);
    struct kafka_port *port = part->port;

    pthread_mutex_lock(&port->lock);
    if (aff_list_empty(&part->ready)) {
        aff_list_append(&port->ready, &part->ready);
        if (port->ready_count++ == 0)
            aff_port_ring(&port->port);
    }
    pthread_mutex_unlock(&port->lock);
}

static void make_unready(struct kafka_part *part) /* port's lock held */
{
    if (aff_list_empty(&part->ready))
        return;
    aff_list_remove(&part->ready);
    part->port->ready_count--;
}

static struct kafka_part *take_ready(struct kafka_port *port)
{
    struct kafka_part *part = NULL;
    pthread_mutex_lock(&port->lock);
    if (!aff_list_empty(&port->ready)) {
        part = aff_container_of(aff_list_first(&port->ready), struct kafka_part, ready);
        make_unready(part);
    }
    pthread_mutex_unlock(&port->lock);
    return part;
}

static size_t count_ready(struct kafka_port *port)
{
    pthread_mutex_lock(&port->lock);
    size_t count = port->ready_count;
    pthread_mutex_unlock(&port->lock);
    return count;
}

/* The sink may close the part; the answer is its own. */
static void call_entries(struct kafka_part *part)
{
    struct aff_kafka_answer *answer;
    if (!aff_kafka_stream_take(part->stream, &answer))
        return;
    part->sink->entries(part->sink, &answer->batch);
    aff_kafka_answer_release(answer);
}

/* As many answers as there are now: what is answered while the sinks run is for the next pass. */
static void port_rung(struct aff_port *base)
{
    struct kafka_port *port = aff_container_of(base, struct kafka_port, port);
    struct kafka_part *part;

    for (size_t left = count_ready(port); left > 0 && (part = take_ready(port)) != NULL; left--)
        call_entries(part);
    if (count_ready(port) && !base->finished)
        aff_port_ring(base);
}

static bool port_pass(struct aff_port *base)
{
    (void)base;
    return false; /* librdkafka makes the batches */
}

static void port_gone(struct aff_port *base)
{
    struct kafka_port *port = aff_container_of(base, struct kafka_port, port);
    pthread_mutex_destroy(&port->lock);
    free(port);
}

/* ---- topics ---- */

static struct kafka_log_topic *find_topic(struct kafka_log *log, const char *name) /* lock held */
{
    aff_list_each(node, &log->topics) {
        struct kafka_log_topic *topic = aff_container_of(node, struct kafka_log_topic, link);
        if (strcmp(topic->name, name) == 0)
            return topic;
    }
    return NULL;
}

static void keep_topic(struct kafka_log *log, const struct aff_topic *config, const struct aff_kafka_topic_facts *facts)
{
    pthread_mutex_lock(&log->lock);
    struct kafka_log_topic *topic = find_topic(log, config->name);
    if (!topic) {
        topic = aff_xcalloc(1, sizeof *topic);
        topic->name = aff_xstrdup(config->name);
        aff_list_append(&log->topics, &topic->link);
    }
    topic->partitions = config->partitions;
    topic->max_message_bytes = facts->max_message_bytes;
    pthread_mutex_unlock(&log->lock);
}

static int watch(struct kafka_log *log, aff_error *err)
{
    pthread_mutex_lock(&log->lock);
    int rc = log->watched ? 0 : aff_kafka_admin_watch(log->admin, err);
    log->watched = log->watched || rc == 0;
    pthread_mutex_unlock(&log->lock);
    return rc;
}

static int kafka_topic(struct aff_changelog *base, const struct aff_topic *config, aff_error *err)
{
    struct kafka_log *log = log_of(base);
    struct aff_kafka_topic_facts facts;
    int rc = aff_topic_check(config, err);
    if (rc == 0)
        rc = aff_kafka_admin_topic(log->admin, config, &facts, err);
    if (rc)
        return rc;
    keep_topic(log, config, &facts);
    return watch(log, err);
}

static uint64_t least_message_bytes(struct kafka_log *log) /* lock held */
{
    uint64_t least = UINT64_MAX;
    aff_list_each(node, &log->topics) {
        const struct kafka_log_topic *topic = aff_container_of(node, struct kafka_log_topic, link);
        least = topic->max_message_bytes < least ? topic->max_message_bytes : least;
    }
    return least;
}

/* ---- pools and ports ---- */

static unsigned producers_of_a_loop(const struct aff_changelog_kafka_opts *opts)
{
    unsigned loops = opts->loops ? opts->loops : 1;
    return opts->producers > loops ? (opts->producers + loops - 1) / loops : 1;
}

static int place_new(struct kafka_log *log, uint64_t message_bytes, struct kafka_place **ret_place, aff_error *err)
{
    const struct aff_kafka_pool_opts opts = {
        .settings = log->settings,
        .instances = producers_of_a_loop(&log->opts),
        .batch_bytes = message_bytes,
        .in_flight = &log->in_flight,
        .max_in_flight = log->opts.max_in_flight,
        .rebuilt = &log->rebuilt,
        .logger = log->opts.logger,
    };
    struct kafka_place *place = aff_xcalloc(1, sizeof *place);
    int rc = aff_kafka_pool_new(&opts, &place->pool, err);
    if (rc) {
        free(place);
        return rc;
    }
    aff_list_init(&place->link);
    *ret_place = place;
    return 0;
}

static int place_take(struct kafka_log *log, struct kafka_place **ret_place, aff_error *err)
{
    pthread_mutex_lock(&log->lock);
    struct aff_list *node = aff_list_take(&log->idle);
    uint64_t message_bytes = least_message_bytes(log);
    pthread_mutex_unlock(&log->lock);
    if (!node)
        return place_new(log, message_bytes, ret_place, err);
    *ret_place = aff_container_of(node, struct kafka_place, link);
    return 0;
}

static void place_give_back(struct kafka_log *log, struct kafka_place *place)
{
    pthread_mutex_lock(&log->lock);
    aff_list_append(&log->idle, &place->link);
    pthread_mutex_unlock(&log->lock);
}

static struct kafka_port *find_port(struct kafka_log *log, const struct aff_loop *loop)
{
    struct kafka_port *found = NULL;
    pthread_mutex_lock(&log->lock);
    aff_list_each(node, &log->ports) {
        struct kafka_port *port = aff_container_of(node, struct kafka_port, link);
        if (port->port.loop == loop)
            found = port;
    }
    pthread_mutex_unlock(&log->lock);
    return found;
}

static int port_new(struct kafka_log *log, struct aff_loop *loop, struct kafka_port **ret_port, aff_error *err)
{
    static const struct aff_port_ops ops = { .rung = port_rung, .pass = port_pass, .gone = port_gone };
    struct kafka_place *place;
    int rc = place_take(log, &place, err);
    if (rc)
        return rc;
    rc = aff_kafka_pool_attach(place->pool, loop, err);
    if (rc) {
        place_give_back(log, place);
        return rc;
    }
    struct kafka_port *port = aff_xcalloc(1, sizeof *port);
    rc = aff_port_init(&port->port, loop, &ops, err);
    if (rc) {
        aff_kafka_pool_detach(place->pool);
        place_give_back(log, place);
        free(port);
        return rc;
    }
    port->log = log;
    port->place = place;
    pthread_mutex_init(&port->lock, NULL);
    aff_list_init(&port->ready);
    pthread_mutex_lock(&log->lock);
    aff_list_append(&log->ports, &port->link);
    pthread_mutex_unlock(&log->lock);
    *ret_port = port;
    return 0;
}

/* The last part of a loop is closed. */
static void port_close(struct kafka_port *port)
{
    struct kafka_log *log = port->log;
    aff_kafka_pool_detach(port->place->pool);
    place_give_back(log, port->place);
    pthread_mutex_lock(&log->lock);
    aff_list_remove(&port->link);
    pthread_mutex_unlock(&log->lock);
    aff_port_fini(&port->port);
}

/* ---- open and close ---- */

/* False: there is no such partition. */
static bool find_partition(struct kafka_log *log, const char *name, uint32_t index, uint64_t *ret_message_bytes)
{
    pthread_mutex_lock(&log->lock);
    const struct kafka_log_topic *topic = find_topic(log, name);
    bool found = topic && index < topic->partitions;
    if (found)
        *ret_message_bytes = topic->max_message_bytes;
    pthread_mutex_unlock(&log->lock);
    return found;
}

static int part_new(struct kafka_port *port, const char *topic, uint32_t index, uint64_t message_bytes,
                    struct aff_changelog_sink *sink, struct kafka_part **ret_part, aff_error *err)
{
    struct kafka_part *part = aff_xcalloc(1, sizeof *part);
    part->port = port;
    part->sink = sink;
    part->lane_user.reports = lane_reports;
    part->stream_user.ready = stream_ready;
    aff_list_init(&part->ready);
    int rc = aff_kafka_lane_open(port->place->pool, topic, index, message_bytes, &part->lane_user, &part->lane, err);
    if (rc) {
        free(part);
        return rc;
    }
    part->stream = aff_kafka_stream_open(port->log->reader, topic, index, &part->stream_user);
    *ret_part = part;
    return 0;
}

static int kafka_open(struct aff_changelog *base, const char *topic, uint32_t index, struct aff_loop *loop,
                      struct aff_changelog_sink *sink, struct aff_changelog_part **ret_part, aff_error *err)
{
    struct kafka_log *log = log_of(base);
    struct kafka_port *port = find_port(log, loop);
    struct kafka_part *part;
    uint64_t message_bytes;

    if (!find_partition(log, topic, index, &message_bytes))
        return aff_fail_with(err, AFF_ENOTFOUND, "changelog: there is no partition %u of a topic %s", index, topic);
    int rc = port ? 0 : port_new(log, loop, &port, err);
    if (rc)
        return rc;
    rc = part_new(port, topic, index, message_bytes, sink, &part, err);
    if (rc == 0) {
        port->users++;
        *ret_part = (struct aff_changelog_part *)(void *)part;
    } else if (port->users == 0) {
        port_close(port);
    }
    return rc;
}

static void kafka_close(struct aff_changelog_part *base)
{
    struct kafka_part *part = part_of(base);
    struct kafka_port *port = part->port;

    assert(aff_loop_here(port->port.loop));
    aff_kafka_lane_close(part->lane);
    aff_kafka_stream_close(part->stream);
    pthread_mutex_lock(&port->lock);
    make_unready(part);
    pthread_mutex_unlock(&port->lock);
    free(part);
    if (--port->users == 0)
        port_close(port);
}

/* ---- append, read, reset, keep_from ---- */

static int kafka_append(struct aff_changelog_part *base, const struct aff_entry *entry, uint64_t seq)
{
    struct kafka_part *part = part_of(base);
    if (!aff_kafka_admin_trusted(part->port->log->admin)) /* I0 */
        return AFF_EUNSAFE;
    return aff_kafka_lane_append(part->lane, entry, seq);
}

static void kafka_read(struct aff_changelog_part *base, int64_t from, size_t max_bytes, int mode, uint64_t ticket)
{
    struct kafka_part *part = part_of(base);
    assert(aff_loop_here(part->port->port.loop));
    aff_kafka_stream_read(part->stream, from < 0 ? 0 : from, max_bytes, mode, ticket,
                          aff_kafka_lane_confirmed_end(part->lane));
}

static void kafka_reset(struct aff_changelog_part *base)
{
    aff_kafka_lane_reset(part_of(base)->lane);
}

static void kafka_keep_from(struct aff_changelog_part *base, int64_t offset)
{
    (void)base;
    (void)offset; /* the brokers compact, and keep what is younger than the lag */
}

/* ---- what it tells ---- */

static int kafka_trouble(struct aff_changelog *base, aff_error *ret_err)
{
    aff_error trouble = { .code = 0 };
    aff_kafka_admin_trouble(log_of(base)->admin, &trouble);
    if (trouble.code == 0)
        return 0;
    return aff_fail_with(ret_err, AFF_EUNSAFE, "%s", trouble.text);
}

static void kafka_numbers(struct aff_changelog *base, struct aff_changelog_numbers *ret_numbers)
{
    *ret_numbers = (struct aff_changelog_numbers){ .producers_rebuilt = atomic_load(&log_of(base)->rebuilt) };
}

static int64_t kafka_heard_ns(struct aff_changelog *base)
{
    return aff_kafka_reader_heard_ns(log_of(base)->reader);
}

/* ---- life ---- */

static struct aff_changelog *kafka_free(struct aff_changelog *base)
{
    if (!base)
        return NULL;
    struct kafka_log *log = log_of(base);
    assert(aff_list_empty(&log->ports)); /* every partition is closed */
    aff_list_each(node, &log->idle) {
        struct kafka_place *place = aff_container_of(node, struct kafka_place, link);
        aff_kafka_pool_free(place->pool);
        free(place);
    }
    aff_list_each(node, &log->topics) {
        struct kafka_log_topic *topic = aff_container_of(node, struct kafka_log_topic, link);
        free(topic->name);
        free(topic);
    }
    aff_kafka_reader_free(log->reader);
    aff_kafka_admin_free(log->admin);
    aff_kafka_settings_free(log->settings);
    pthread_mutex_destroy(&log->lock);
    free(log);
    return NULL;
}

static const struct aff_changelog_ops kafka_ops = {
    .name = "kafka",
    .topic = kafka_topic,
    .open = kafka_open,
    .close = kafka_close,
    .append = kafka_append,
    .read = kafka_read,
    .reset = kafka_reset,
    .keep_from = kafka_keep_from,
    .trouble = kafka_trouble,
    .heard_ns = kafka_heard_ns,
    .numbers = kafka_numbers,
    .free = kafka_free,
};

static int make_parts(struct kafka_log *log, const struct aff_changelog_kafka_opts *opts, aff_error *err)
{
    int rc = aff_kafka_settings_new(opts->properties, opts->property_count, &log->settings, err);
    if (rc)
        return rc;
    const struct aff_kafka_admin_opts admin = {
        .settings = log->settings,
        .topic = opts->topic,
        .topic_count = opts->topic_count,
        .development = opts->development,
        .blind = opts->blind,
        .timeout_ms = opts->ask_timeout_ms,
        .verify_every_ms = opts->verify_every_ms,
        .logger = opts->logger,
    };
    rc = aff_kafka_admin_new(&admin, &log->admin, err);
    if (rc)
        return rc;
    const struct aff_kafka_reader_opts reader = {
        .settings = log->settings,
        .clock = log->opts.clock,
        .logger = opts->logger,
    };
    return aff_kafka_reader_new(&reader, &log->reader, err);
}

int aff_changelog_kafka_new(const struct aff_changelog_kafka_opts *opts, struct aff_changelog **ret_log, aff_error *err)
{
    struct kafka_log *log = aff_xcalloc(1, sizeof *log);
    log->base.ops = &kafka_ops;
    log->opts = *opts;
    log->opts.properties = log->opts.topic = NULL;
    log->opts.clock = opts->clock ? opts->clock : aff_clock_system();
    log->opts.max_in_flight = opts->max_in_flight ? opts->max_in_flight : DEFAULT_IN_FLIGHT;
    pthread_mutex_init(&log->lock, NULL);
    aff_list_init(&log->topics);
    aff_list_init(&log->ports);
    aff_list_init(&log->idle);
    int rc = make_parts(log, opts, err);
    if (rc == 0)
        *ret_log = &log->base;
    else
        kafka_free(&log->base);
    return rc;
}
