/*
 * config.h - the configuration of a node: read from a YAML file, checked as a whole, kept in one plain struct.
 *
 * settings.def says what settings exist; this struct has a member for each, and the table fills it. Members of durations
 * end in `_ms`; sizes are bytes. Reading goes document.c (YAML to a tree with positions), override.c (`--set`),
 * fill.c (tree to struct, by the table), properties.c (names that the table does not know), check.c (what concerns several
 * settings). print.c prints a configuration, describe.c the reference.
 *
 * One thread while it is loaded; afterwards it never changes, so any thread reads it.
 */
#ifndef AFF_CONFIG_CONFIG_H
#define AFF_CONFIG_CONFIG_H

#include "base/cleanup.h"
#include "base/log.h"
#include "base/key_route.h"

#include <affinity/bytes.h>
#include <affinity/error.h>
#include <stdint.h>
#include <stdio.h>

enum aff_config_mode { AFF_MODE_PRODUCTION, AFF_MODE_DEVELOPMENT };
enum aff_config_changelog { AFF_CHANGELOG_EMBEDDED, AFF_CHANGELOG_MEMORY, AFF_CHANGELOG_KAFKA };
enum aff_config_coordinator { AFF_COORDINATOR_EMBEDDED, AFF_COORDINATOR_ZOOKEEPER };
enum aff_config_peer_security { AFF_PEER_TLS, AFF_PEER_PLAIN };
enum aff_config_sync { AFF_SYNC_FDATASYNC };

/* A place: of the file when `set` is 0 (line 0: no place in it), else of the set-th `--set`. */
struct aff_mark {
    unsigned set, line, column;
};

/* A property that belongs to somebody else, such as librdkafka: its name and its value as text. */
struct aff_config_property {
    char *name, *value;
    struct aff_mark mark; /* of the value */
};

struct aff_config_properties {
    struct aff_config_property *items; /* each name once, as the file has them */
    size_t count;
};

/* In YAML a list, or one text with commas. */
struct aff_config_list {
    char **items;
    size_t count;
};

struct aff_config_address {
    char *text;    /* as it was written: "127.0.0.1:8080", "[::1]:8080" */
    char *host;    /* a name or address, without brackets */
    uint16_t port; /* 0: any free one */
};

/* Is it one that listens on all addresses ("0.0.0.0:80")? */
bool aff_config_is_any(const struct aff_config_address *address);

struct aff_config_http {
    struct aff_config_address listen, advertise; /* advertise.text NULL: not given */
};

struct aff_config_limits {
    uint64_t head, target, body; /* bytes of one request */
    uint64_t bulk;               /* of the body of a bulk write */
    int64_t head_timeout_ms, exchange_timeout_ms, idle_timeout_ms;
    unsigned connections, connections_per_address;
    unsigned rate, burst, concurrent; /* requests of a client; 0: any, `rate`, any */
    uint64_t bodies;                  /* bytes of all bodies in flight */
    uint64_t body_min_rate;           /* bytes a second; 0: any */
    int64_t stall_timeout_ms;
    int64_t master_wait_ms;
};

struct aff_config_keyspace {
    char *name;
    unsigned partitions, replicas;
    struct aff_key_route route;
    int64_t ttl_ms; /* 0: values do not expire by themselves */
    bool require_match;
    int64_t compaction_lag_ms, tombstone_retention_ms;
    uint64_t max_value; /* bytes */
    struct aff_config_properties indexes; /* name: a JSON pointer, or AFF_INDEX_OF_EVENT_TIME */
    struct aff_config_properties assign;  /* partitions: nodes; see aff_config_assigned() */
};
#define AFF_INDEX_OF_EVENT_TIME "event-time"

struct aff_config {
    char *file; /* its name as given, for what is found wrong later */
    char *cluster;
    enum aff_config_mode mode;
    struct {
        char *name, *data;
        char *zone;     /* NULL: none */
        unsigned loops; /* 0: one per core */
    } node;
    struct aff_config_http *http;
    size_t http_count;
    struct aff_config_limits limits;
    enum aff_config_changelog changelog;
    struct {
        uint64_t segment; /* bytes */
        enum aff_config_sync sync;
        bool compaction;
        int64_t compaction_interval_ms;
    } embedded;
    struct {
        struct aff_config_properties properties, topic;
        unsigned producers;
        int64_t start_timeout_ms; /* 0: none */
    } kafka;
    enum aff_config_coordinator coordinator;
    struct {
        char *connect, *auth; /* NULL: not given */
        int64_t session_ms, tick_ms, away_ms;
    } zookeeper;
    struct {
        struct aff_config_address listen, advertise; /* advertise.text NULL: not given */
        enum aff_config_peer_security security;
        char *certificate, *key, *ca; /* NULL: not given */
    } peer;
    struct {
        enum aff_log_format format;
        enum aff_log_level level;
    } log;
    struct {
        unsigned max_depth;
    } json;
    struct {
        struct aff_config_list origins, methods, headers; /* no origins: off */
        bool credentials;
        int64_t max_age_ms;
    } cors;
    struct {
        unsigned level;    /* 0: off */
        uint64_t min, max; /* bytes */
    } gzip;
    struct aff_config_keyspace *keyspaces;
    size_t keyspaces_count;
};

/* ---- errors: all of them, in the order of the file ---- */

struct aff_config_error {
    char *file;            /* its name as given */
    unsigned set;          /* the error is in the set-th `--set`; 0: in the file */
    unsigned line, column; /* in the file, from 1; 0: no place in it */
    size_t order;          /* as it was found, among errors of one place */
    char *text;            /* "keyspaces.accounts.partitions: 0 is below the minimum 1" */
};

/* Start with { 0 }. */
struct aff_config_errors {
    struct aff_config_error *items;
    size_t count, capacity;
    bool more; /* there were too many to keep (1,000) */
};

/* A line each: "file:line:column: text", "--set 2: text", "file: text". */
void aff_config_errors_print(const struct aff_config_errors *errors, FILE *to);
void aff_config_errors_fini(struct aff_config_errors *errors);

/* ---- loading ---- */

/*
 * Reads `file` (NULL: no file, the defaults), then the overrides "path=value" in their order. 0, or AFF_ECONFIG with at
 * least one entry added to `errors` and nothing in `*ret_config`.
 */
int aff_config_load(const char *file, const char *const *sets, size_t nsets, struct aff_config **ret_config,
                    struct aff_config_errors *errors);
/* The same from text in memory; `name` stands in the errors where a file's name would. */
int aff_config_parse(const char *name, aff_bytes text, const char *const *sets, size_t nsets,
                     struct aff_config **ret_config, struct aff_config_errors *errors);
struct aff_config *aff_config_free(struct aff_config *config); /* accepts NULL, returns NULL */
AFF_CLEANUP_OF(struct aff_config, aff_config_free)

/*
 * The keyspace of this name; added with its defaults when the file does not have it. NULL when the name cannot be one.
 * Only while nobody else uses the configuration, and pointers to other keyspaces are void after it.
 */
struct aff_config_keyspace *aff_config_keyspace(struct aff_config *config, const char *name);

/*
 * The static lists of a keyspace: for each partition its nodes, as many as replicas. NULL when it has none. One block of
 * memory, to be freed by free().
 */
const char *const *const *aff_config_assigned(const struct aff_config_keyspace *keyspace);

/*
 * Adds what the changelog's driver found wrong with the configuration: with its place when the text begins with a property
 * ("kafka: acks cannot be ...", "kafka.topic.cleanup.policy cannot be ...").
 */
void aff_config_refuse(const struct aff_config *config, const char *text, struct aff_config_errors *errors);

/* ---- printing ---- */

/* Every setting with its effective value, as YAML that loads again to the same; but secrets, such as passwords, are ***. */
void aff_config_print(const struct aff_config *config, FILE *to);
/* The reference of all settings: doc/configuration.md. */
void aff_config_describe(FILE *to);

#endif
