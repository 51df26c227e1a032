/*
 * changelog_client.h - a loop with one open partition that writes down what its sink is told. For tests of changelogs.
 *
 * A client belongs to one thread. It checks on its own what holds always: no callback from inside a call, none after close,
 * entries of a batch in order, `next` above them.
 */
#ifndef AFF_TESTS_LIB_CHANGELOG_CLIENT_H
#define AFF_TESTS_LIB_CHANGELOG_CLIENT_H

#include "base/buf.h"
#include "changelog/changelog.h"

/* An entry that was read, copied. */
struct seen {
    struct aff_entry entry;
    unsigned char *bytes;
};

struct client {
    struct aff_changelog_sink sink;
    struct aff_changelog *log;
    struct aff_loop *loop;
    bool owns_loop;
    struct aff_changelog_part *part;
    const char *failure; /* first thing that may never be; NULL: none */
    bool calling;

    struct aff_delivery_report *reports;
    size_t report_count;
    struct seen *seen;
    size_t seen_count;
    size_t batches, last_count;
    struct aff_batch last; /* without entries */
    bool read_on;          /* ask for what comes next as soon as a batch arrives */
    bool close_on_reports, close_on_entries;
    size_t read_bytes;
};

/* On a loop of its own, or on that of another client of the same thread. False: it cannot be opened. */
bool client_open(struct client *c, struct aff_changelog *log, const char *topic, uint32_t partition,
                 struct client *loop_of);
void client_close_part(struct client *c); /* the loop stays, to see that nothing comes any more */
void client_close(struct client *c);

int client_append(struct client *c, const struct aff_entry *entry, uint64_t seq);
int client_put(struct client *c, const char *key, const char *value, uint64_t seq); /* NULL: a tombstone */
void client_read(struct client *c, int64_t from, size_t max_bytes, int mode, uint64_t ticket);

/* Passes of the loop until there are that many; false after half a minute. Other clients of the loop go on too. */
bool client_await_reports(struct client *c, size_t count);
bool client_await_batches(struct client *c, size_t count);
bool client_await_seen(struct client *c, size_t count);
void client_pass(struct client *c); /* one pass, waiting a moment */

/* Appends and waits for the reports; false when a report did not come or says no. */
bool client_put_now(struct client *c, const char *key, const char *value);
/* Forgets what it has seen and reads all from `from` to the end. */
bool client_read_all(struct client *c, int64_t from);
void client_forget(struct client *c);

/* The last entry of a key among those seen, NULL: none. */
const struct aff_entry *client_last_of(const struct client *c, const char *key);
size_t client_count_of(const struct client *c, const char *key);

#endif
