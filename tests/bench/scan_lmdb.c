/*
 * scan_lmdb.c - the least that a scan can cost: the stores of a keyspace are walked by cursors of LMDB, merged, and written as the same
 * lines to a socket. scripts/bench scan measures Affinity against it; doc/performance.md says how.
 *
 *   scan_lmdb FOLDER IDENTITY...    the folder of the stores, one for each partition: FOLDER/0, FOLDER/1, ...; and for each the
 *                                   eight digits that its entity tags begin with
 *
 * It holds one snapshot of each store for as long as it writes, which a server cannot afford, checks nothing, knows JSON values with
 * plain keys only, and sends no chunks. Listens on a free port of 127.0.0.1, prints {"http":["127.0.0.1:PORT"],"pid":PID}
 * when it serves, and runs until it is killed. One thread, one client at a time.
 */
#include <arpa/inet.h>
#include <lmdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PARTS_MAX = 64,
    BUFFER = 65536,
    ITEM_HEAD = 18 /* of a stored item without times, of a common type: core/store/item.h */
};

struct part {
    MDB_env *env;
    MDB_dbi values;
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, item;
    const char *identity;
    int more;
};

static struct part parts[PARTS_MAX];
static int count;
static char buffer[BUFFER];
static size_t used;

static void must(int rc, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "scan_lmdb: %s: %s\n", what, mdb_strerror(rc));
    exit(1);
}

/* ---- output ---- */

static int flush(int fd)
{
    for (size_t sent = 0; sent < used;) {
        ssize_t n = write(fd, buffer + sent, used - sent);
        if (n <= 0)
            return -1;
        sent += (size_t)n;
    }
    used = 0;
    return 0;
}

static void put(const void *data, size_t len)
{
    memcpy(buffer + used, data, len);
    used += len;
}

static void put_decimal(uint64_t number)
{
    char digits[20];
    size_t n = sizeof digits;
    do
        digits[--n] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    put(digits + n, sizeof digits - n);
}

static uint64_t offset_of(const unsigned char *item)
{
    uint64_t offset = 0;
    for (int i = 2; i < 10; i++)
        offset = offset << 8 | item[i];
    return offset;
}

#define PUT_TEXT(text) put(text, sizeof(text) - 1)

static int put_line(int fd, const struct part *p)
{
    const unsigned char *item = p->item.mv_data;
    if (used + p->key.mv_size + p->item.mv_size + 128 > BUFFER && flush(fd) != 0)
        return -1;
    PUT_TEXT("{\"key\":\"");
    put(p->key.mv_data, p->key.mv_size);
    PUT_TEXT("\",\"value\":");
    put(item + ITEM_HEAD, p->item.mv_size - ITEM_HEAD);
    PUT_TEXT(",\"etag\":\"\\\"");
    put(p->identity, 8);
    PUT_TEXT("-");
    put_decimal((uint64_t)(p - parts));
    PUT_TEXT("-");
    put_decimal(offset_of(item));
    PUT_TEXT("\\\"\"}\n");
    return 0;
}

/* ---- the walk ---- */

static void open_part(struct part *p, const char *folder, const char *identity)
{
    char path[4096];
    MDB_txn *txn;
    snprintf(path, sizeof path, "%s/%d", folder, (int)(p - parts));
    p->identity = identity;
    must(mdb_env_create(&p->env), "mdb_env_create");
    must(mdb_env_set_maxdbs(p->env, 16), "mdb_env_set_maxdbs");
    must(mdb_env_open(p->env, path, MDB_RDONLY, 0600), path);
    must(mdb_txn_begin(p->env, NULL, MDB_RDONLY, &txn), "mdb_txn_begin");
    must(mdb_dbi_open(txn, "values", 0, &p->values), "mdb_dbi_open");
    must(mdb_txn_commit(txn), "mdb_txn_commit");
}

static void step(struct part *p, MDB_cursor_op op)
{
    p->more = mdb_cursor_get(p->cursor, &p->key, &p->item, op) == 0;
}

static int before(const struct part *a, const struct part *b)
{
    size_t n = a->key.mv_size < b->key.mv_size ? a->key.mv_size : b->key.mv_size;
    int order = memcmp(a->key.mv_data, b->key.mv_data, n);
    return order ? order < 0 : a->key.mv_size < b->key.mv_size;
}

static struct part *first(void)
{
    struct part *best = NULL;
    for (struct part *p = parts; p < parts + count; p++)
        if (p->more && (!best || before(p, best)))
            best = p;
    return best;
}

static void walk(int fd)
{
    struct part *p;
    for (p = parts; p < parts + count; p++) {
        must(mdb_txn_begin(p->env, NULL, MDB_RDONLY, &p->txn), "mdb_txn_begin");
        must(mdb_cursor_open(p->txn, p->values, &p->cursor), "mdb_cursor_open");
        step(p, MDB_FIRST);
    }
    used = 0;
    PUT_TEXT("HTTP/1.0 200 OK\r\nContent-Type: application/jsonl\r\n\r\n");
    while ((p = first()) != NULL && put_line(fd, p) == 0)
        step(p, MDB_NEXT);
    (void)flush(fd);
    for (p = parts; p < parts + count; p++) {
        mdb_cursor_close(p->cursor);
        mdb_txn_abort(p->txn);
    }
}

/* ---- serving ---- */

static int serve_on(struct sockaddr_in *address)
{
    socklen_t len = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (fd < 0 || bind(fd, (struct sockaddr *)address, len) != 0 || listen(fd, 8) != 0 ||
        getsockname(fd, (struct sockaddr *)address, &len) != 0) {
        perror("scan_lmdb");
        exit(1);
    }
    return fd;
}

static int read_head(int fd)
{
    size_t len = 0;
    ssize_t n;
    while ((n = read(fd, buffer + len, BUFFER - 1 - len)) > 0) {
        len += (size_t)n;
        buffer[len] = 0;
        if (strstr(buffer, "\r\n\r\n"))
            return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    if (argc < 3 || argc - 2 > PARTS_MAX) {
        fputs("usage: scan_lmdb FOLDER IDENTITY...\n", stderr);
        return 2;
    }
    for (count = 0; count < argc - 2; count++)
        open_part(&parts[count], argv[1], argv[2 + count]);
    int listener = serve_on(&address);
    printf("{\"http\":[\"127.0.0.1:%u\"],\"pid\":%d}\n", (unsigned)ntohs(address.sin_port), (int)getpid());
    fflush(stdout);
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0; close(fd))
        if (read_head(fd))
            walk(fd);
    return 1;
}
