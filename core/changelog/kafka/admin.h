/*
 * kafka/admin.h - topics: made when new, checked when not, looked at again each minute (I0).
 *
 * Which settings a topic must have is said in wanted.h, how the cluster is asked in ask.h. All functions but the last two
 * block: any thread that may. The watch has a thread of its own. Brokers without the admin interface (librdkafka's mock) are
 * served by aff_kafka_admin_opts.blind: metadata is asked, settings are not.
 */
#ifndef AFF_CHANGELOG_KAFKA_ADMIN_H
#define AFF_CHANGELOG_KAFKA_ADMIN_H

#include "changelog/kafka/kafka.h"
#include "changelog/kafka/settings.h"

struct aff_kafka_admin;

struct aff_kafka_admin_opts {
    const struct aff_kafka_settings *settings;
    const struct aff_kafka_property *topic; /* overrides, copied */
    size_t topic_count;
    bool development;
    bool blind;              /* tests with brokers that cannot describe topics */
    int64_t timeout_ms;      /* of aff_kafka_admin_topic() and of a look of the watch at a topic; 0: 30 s */
    int64_t verify_every_ms; /* 0: 60 s */
    const struct aff_logger *logger;
};
/* AFF_ECONFIG names the override that cannot be. No broker is asked yet. */
int aff_kafka_admin_new(const struct aff_kafka_admin_opts *opts, struct aff_kafka_admin **ret_admin, aff_error *err);
struct aff_kafka_admin *aff_kafka_admin_free(struct aff_kafka_admin *admin); /* ends the watch first */

/* What the driver needs to know of a topic that was found right. */
struct aff_kafka_topic_facts {
    uint64_t max_message_bytes; /* of one batch, as the topic takes it */
    int32_t replication;        /* of the partition with the fewest replicas */
};

/*
 * Makes the topic when it is new, and checks it in any case: partition count, replicas and every setting of
 * doc/changelog.md. AFF_ECONFIG names each one that differs, what was found and what is wanted, or why the cluster refuses to
 * make it; AFF_EIO names the brokers that could not be asked. Several nodes may do this at once.
 */
int aff_kafka_admin_topic(struct aff_kafka_admin *admin, const struct aff_topic *topic,
                          struct aff_kafka_topic_facts *ret_facts, aff_error *err);

/* Starts the thread that looks at all topics that aff_kafka_admin_topic() found right again and again. */
int aff_kafka_admin_watch(struct aff_kafka_admin *admin, aff_error *err);

/*
 * Is everything as it was verified? False: a setting differs by now, and nothing may be acknowledged until it is right again
 * (fail closed); aff_kafka_admin_trouble() then tells which, as AFF_EUNSAFE. A topic that is gone is trouble as well. A cluster
 * that cannot be asked changes nothing. Any thread.
 */
bool aff_kafka_admin_trusted(const struct aff_kafka_admin *admin);
void aff_kafka_admin_trouble(struct aff_kafka_admin *admin, aff_error *ret_err); /* code 0: no trouble */

#endif
