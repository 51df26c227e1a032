/*
 * kafka/rules.c - see kafka/rules.h. doc/changelog.md has the same table for users.
 *
 * The defaults of librdkafka 2.0.2 that bite are why most of the chosen ones are here: Nagle's algorithm is on, a leader
 * change is noticed after seconds, a silent broker blocks a minute, messages wait 5 ms for company.
 */
#include "changelog/kafka/rules.h"

enum {
    PRODUCER = 1 << AFF_KAFKA_PRODUCER,
    TAIL = 1 << AFF_KAFKA_TAIL,
    CATCH_UP = 1 << AFF_KAFKA_CATCH_UP,
    READERS = TAIL | CATCH_UP,
    ALL = PRODUCER | READERS | 1 << AFF_KAFKA_ADMIN,
};

#define FIXED(name, value, roles, why)                                                                                 \
    {                                                                                                                  \
        (name), (value), AFF_KAFKA_FIXED, (roles), (why)                                                               \
    }
#define CHOSEN(name, value, roles, why)                                                                                \
    {                                                                                                                  \
        (name), (value), AFF_KAFKA_CHOSEN, (roles), (why)                                                              \
    }
#define OPTIONAL(name, value, roles, why)                                                                              \
    {                                                                                                                  \
        (name), (value), AFF_KAFKA_OPTIONAL, (roles), (why)                                                            \
    }

static const struct aff_kafka_rule rules[] = {
    /* ---- what the protocol stands on ---- */
    FIXED("enable.idempotence", "true", PRODUCER, "without it a resent record can land twice or out of order"),
    FIXED("acks", "all", PRODUCER, "a write is only acknowledged when every replica in sync has it"),
    FIXED("enable.gapless.guarantee", "true", PRODUCER, "after a record that failed none behind it may land"),
    FIXED("message.timeout.ms", "0", PRODUCER,
          "a record that librdkafka gives up may be in the log already; deadlines are kept above it"),
    FIXED("message.send.max.retries", "2147483647", PRODUCER,
          "a record that librdkafka gives up may be in the log already; deadlines are kept above it"),
    FIXED("delivery.report.only.error", "false", PRODUCER, "a write is answered when its delivery is reported"),
    FIXED("message.max.bytes", "2228224", PRODUCER,
          "the size of a record is checked against the topic before it is sent"),
    FIXED("transactional.id", NULL, PRODUCER, "masterships are told apart by the log itself, not by transactions"),
    FIXED("enable.auto.commit", "false", READERS, "how far the log is applied is kept with the data"),
    FIXED("enable.auto.offset.store", "false", READERS, "how far the log is applied is kept with the data"),
    FIXED("auto.offset.reset", "error", READERS, "a position that is gone must be told, never jumped over"),
    FIXED("isolation.level", "read_uncommitted", READERS, "a foreign transaction must not hold up the log"),
    FIXED("check.crcs", "true", READERS, "damaged records must be told, never applied"),
    FIXED("enable.partition.eof", "true", READERS, "the end of the log is found by this event"),
    FIXED("allow.auto.create.topics", "false", ALL, "a topic is made with its settings, never by being asked for"),
    FIXED("api.version.request", "true", ALL, "what a broker can must be known to append safely"),
    FIXED("log.queue", "false", ALL, "log lines go to the log of the node"),
    FIXED("enabled_events", "0", ALL, "the driver chooses the events that it takes"),

    /* ---- all connections ---- */
    CHOSEN("log.thread.name", "false", ALL, "log lines tell which client it is about"),
    CHOSEN("client.id", "affinity", ALL, "the name in the brokers' logs and quotas"),
    CHOSEN("socket.nagle.disable", "true", ALL, "Nagle's algorithm costs up to 40 ms a request"),
    CHOSEN("socket.keepalive.enable", "true", ALL, "a dead peer is noticed on a quiet connection"),
    CHOSEN("socket.timeout.ms", "10000", ALL, "a silent broker is given up after it"),
    CHOSEN("socket.connection.setup.timeout.ms", "10000", ALL, "an address that does not answer is given up after it"),
    CHOSEN("reconnect.backoff.ms", "20", ALL, "a broker that restarted is found again soon"),
    CHOSEN("reconnect.backoff.max.ms", "1000", ALL, "a broker that was away for long is found again soon"),
    CHOSEN("topic.metadata.refresh.fast.interval.ms", "50", ALL, "a leader that moved is found soon"),

    /* ---- appends ---- */
    CHOSEN("enable.sparse.connections", "false", PRODUCER,
           "the first record of a partition that has just moved here finds its broker connected"),
    CHOSEN("linger.ms", "0", PRODUCER, "batches form while requests are under way"),
    CHOSEN("max.in.flight.requests.per.connection", "5", PRODUCER, "the most that idempotence allows"),
    CHOSEN("retry.backoff.ms", "20", PRODUCER, "the wait before a record is sent again"),
    CHOSEN("request.timeout.ms", "5000", PRODUCER,
           "a broker that waits for its replicas answers before the socket times out"),
    CHOSEN("queue.buffering.max.messages", "0", PRODUCER, "the driver bounds what is in flight by bytes"),
    CHOSEN("queue.buffering.max.kbytes", "2097151", PRODUCER, "the driver bounds what is in flight by bytes"),

    /* ---- reads ---- */
    CHOSEN("group.id", "affinity", READERS,
           "partitions are assigned by hand and nothing is committed: no group is joined"),
    CHOSEN("fetch.wait.max.ms", "100", TAIL, "a partition that joins waits for the fetch that is under way"),
    CHOSEN("fetch.wait.max.ms", "10", CATCH_UP, "the end of a log is known soon"),
    CHOSEN("fetch.error.backoff.ms", "20", READERS, "a leader that moved is asked soon"),
    OPTIONAL("fetch.queue.backoff.ms", "10", READERS, "reading goes on soon after the queue was full"),
    CHOSEN("fetch.max.bytes", "8388608", READERS, "memory of one answer; a record of it in use keeps all of it"),
    CHOSEN("queued.min.messages", "2000", TAIL, "records read ahead"),
    CHOSEN("queued.min.messages", "8000", CATCH_UP, "records read ahead"),
    CHOSEN("queued.max.messages.kbytes", "1024", TAIL, "memory of records read ahead"),
    CHOSEN("queued.max.messages.kbytes", "4096", CATCH_UP, "memory of records read ahead"),
};

const struct aff_kafka_rule *aff_kafka_rules(size_t *ret_count)
{
    *ret_count = sizeof rules / sizeof *rules;
    return rules;
}
