/*
 * journal_folder.h - a data folder of the embedded log for one test: made, filled, looked into, damaged, copied, removed.
 */
#ifndef AFF_TESTS_UNIT_CHANGELOG_JOURNAL_FOLDER_H
#define AFF_TESTS_UNIT_CHANGELOG_JOURNAL_FOLDER_H

#include "changelog/changelog.h"
#include "lib/changelog_client.h"
#include "lib/virtual_clock.h"

#define FOLDER_TOPIC "test.topic"
enum { FOLDER_PARTITIONS = 3 };

struct folder {
    char path[256];
    struct aff_virtual_clock clock;
    struct aff_logger logger; /* writes to the file `log` beside the journal */
    struct aff_changelog_embedded_opts opts;
};

int folder_set_up(void **state);
int folder_tear_down(void **state);

/* Starts the log on it; folder_open() also declares the topic, and fails the test when it cannot. */
int folder_start(struct folder *f, struct aff_changelog **ret_log, aff_error *err);
struct aff_changelog *folder_open(struct folder *f);

/* Appends "key<i>" = "value<i>" for i in [from, to), one batch each, to partition 0. */
void folder_fill(struct aff_changelog *log, unsigned from, unsigned to);
/* Partition 0 has exactly the entries of folder_fill() from 0 up to the returned number. */
unsigned folder_count(struct aff_changelog *log);

/* Names of the segments, ascending; the count. */
size_t folder_segments(const struct folder *f, char names[][32], size_t most);
/* The bytes of a file; free() it. */
unsigned char *folder_read(const struct folder *f, const char *name, size_t *ret_len);
void folder_write(const struct folder *f, const char *name, const void *data, size_t len);
void folder_remove(const struct folder *f, const char *name);
bool folder_has(const struct folder *f, const char *name);
/* Does the program's log have a line with both texts? */
bool folder_logged(const struct folder *f, const char *event, const char *more);
void folder_forget_log(const struct folder *f);

/* Where the batches of a segment file begin, and behind the last where it ends; the number of batches. */
size_t folder_batches(const unsigned char *data, size_t len, size_t *ret_at, size_t most);

#endif
