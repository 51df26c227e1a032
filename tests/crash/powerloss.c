/*
 * powerloss.c - a library to preload: keeps a journal of what a process did to the files of one folder and had not synced.
 *
 * After the process was killed, powerloss.py reads the journal and makes the folder look as a machine could find it after
 * its power failed: what was synced is there; what was not is there, torn, or as it was before.
 *
 *   POWERLOSS_ROOT      the folder; absolute, without links in its path
 *   POWERLOSS_JOURNAL   the journal, outside of it on the same file system; "<journal>.graves" holds files that lost their
 *                       last name, and images of mapped files
 *   POWERLOSS_BOOT_ID   read in place of /proc/sys/kernel/random/boot_id
 *
 * The model. fsync() and fdatasync() of a file make durable what was written to it before they began, and its size; of a
 * folder, its names. Nothing else makes anything durable: a file may lose its name, a rename may not have happened. A
 * shared mapping that can be written becomes durable by msync(MS_SYNC) or the file's fsync(); its pages may reach the disk
 * at any other time as well.
 *
 * The journal outlives processes: another process that is started before the power fails goes on with it. A change is
 * written to the journal before it is made (a name: after), a sync after it succeeded; so a kill between the two only makes
 * the loss a little larger than it could be.
 *
 * Any thread; one lock around a change and its record, none around a sync.
 */
#undef _FILE_OFFSET_BITS /* names with and without 64 are defined here */
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES_MAX = 65536, MAPS_MAX = 4096, NAME_ROOM = 256 };

enum kind {
    KIND_WRITE = 1,  /* a: place, b: size of the file before; payload: the bytes before, the bytes written */
    KIND_SIZE = 2,   /* a: size before, b: size after; payload: the bytes that were cut off */
    KIND_SYNC = 3,   /* a: what came before this number is durable */
    KIND_CREATE = 4, /* ino: of the folder, a: of the file; payload: name */
    KIND_MKDIR = 5,  /* likewise */
    KIND_RENAME = 6, /* ino: of the folder, a: of the file, b: of the file that was replaced or 0; payload: two names */
    KIND_UNLINK = 7, /* ino: of the folder, a: of the file; payload: name */
    KIND_MAP = 8,    /* mapped so that it can be written */
    KIND_IMAGE = 9,  /* the mapping is durable as it was when the image "<ino>.<a>" was made */
};

struct record {
    uint32_t kind, length; /* of the payload, that follows */
    uint64_t number, ino, a, b;
    uint32_t first, second; /* length of the payload's parts */
};

/* A preloaded library has nobody to hand its state to it. */
static char root[PATH_MAX], journal_path[PATH_MAX], graves[PATH_MAX], boot_id_path[PATH_MAX];
static size_t root_len;
static int journal = -1;
static uint64_t last_number;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool tracked[FILES_MAX];
static struct mapping {
    const char *start;
    size_t len;
    uint64_t ino;
    int fd; /* of our own */
} mappings[MAPS_MAX];

static __attribute__((noreturn)) void die(const char *what)
{
    dprintf(STDERR_FILENO, "powerloss: %s: %s\n", what, strerror(errno));
    abort();
}

/* ---- the functions behind ours ---- */

static int (*real_openat)(int, const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static int (*real_fsync)(int), (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_fallocate)(int, int, off_t, off_t);
static int (*real_posix_fallocate)(int, off_t, off_t);
static int (*real_renameat)(int, const char *, int, const char *);
static int (*real_unlinkat)(int, const char *, int);
static int (*real_mkdirat)(int, const char *, mode_t);
static void *(*real_mmap)(void *, size_t, int, int, int, off_t);
static int (*real_munmap)(void *, size_t);
static int (*real_msync)(void *, size_t, int);

static void find(void *function, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        die(name);
    memcpy(function, &found, sizeof found);
}

static void take_path(const char *variable, char *to)
{
    const char *value = getenv(variable);
    if (value && strlen(value) < PATH_MAX - 16)
        strcpy(to, value);
}

/* The number of the journal's last record: processes before this one wrote some. A torn last record is cut off. */
static void find_end(void)
{
    struct record r;
    off_t at = 0, size = lseek(journal, 0, SEEK_END);
    while (pread(journal, &r, sizeof r, at) == sizeof r && at + (off_t)(sizeof r + r.length) <= size) {
        last_number = r.number;
        at += (off_t)(sizeof r + r.length);
    }
    if (real_ftruncate(journal, at) != 0)
        die("cannot cut the journal");
}

__attribute__((constructor)) static void begin(void)
{
    find(&real_openat, "openat64");
    find(&real_close, "close");
    find(&real_pwritev, "pwritev64");
    find(&real_writev, "writev");
    find(&real_fsync, "fsync");
    find(&real_fdatasync, "fdatasync");
    find(&real_ftruncate, "ftruncate64");
    find(&real_fallocate, "fallocate64");
    find(&real_posix_fallocate, "posix_fallocate64");
    find(&real_renameat, "renameat");
    find(&real_unlinkat, "unlinkat");
    find(&real_mkdirat, "mkdirat");
    find(&real_mmap, "mmap64");
    find(&real_munmap, "munmap");
    find(&real_msync, "msync");
    take_path("POWERLOSS_ROOT", root);
    take_path("POWERLOSS_JOURNAL", journal_path);
    take_path("POWERLOSS_BOOT_ID", boot_id_path);
    root_len = strlen(root);
    if (!root_len || !journal_path[0])
        return;
    snprintf(graves, sizeof graves, "%.*s.graves", PATH_MAX - 16, journal_path);
    (void)real_mkdirat(AT_FDCWD, graves, 0700);
    journal = real_openat(AT_FDCWD, journal_path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (journal < 0)
        die(journal_path);
    find_end();
}

/* ---- the journal ---- */

/* Lock held. */
static void note(enum kind kind, uint64_t ino, uint64_t a, uint64_t b, const void *first, size_t first_len,
                 const struct iovec *second, int count)
{
    struct record r = {
        .kind = kind, .number = ++last_number, .ino = ino, .a = a, .b = b, .first = (uint32_t)first_len
    };
    struct iovec *parts = calloc((size_t)count + 2, sizeof *parts);
    if (!parts)
        die("no memory");
    parts[1] = (struct iovec){ (void *)(uintptr_t)first, first_len };
    for (int i = 0; i < count; i++) {
        parts[i + 2] = second[i];
        r.second += (uint32_t)second[i].iov_len;
    }
    r.length = r.first + r.second;
    parts[0] = (struct iovec){ &r, sizeof r };
    if (real_writev(journal, parts, count + 2) != (ssize_t)(sizeof r + r.length))
        die("cannot write the journal");
    free(parts);
}

static void note_name(enum kind kind, uint64_t folder, uint64_t ino, const char *name)
{
    note(kind, folder, ino, 0, name, strlen(name), NULL, 0);
}

/* ---- descriptors and folders ---- */

static bool is_tracked(int fd)
{
    return journal >= 0 && fd >= 0 && fd < FILES_MAX && __atomic_load_n(&tracked[fd], __ATOMIC_RELAXED);
}

static bool in_root(const char *path)
{
    return strncmp(path, root, root_len) == 0 && (path[root_len] == '/' || path[root_len] == '\0');
}

/* Is what the descriptor stands for in the folder? Remembers it. */
static bool track(int fd)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len < 0 || fd >= FILES_MAX)
        return false;
    path[len] = '\0';
    tracked[fd] = in_root(path);
    return tracked[fd];
}

static struct stat stat_of(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        die("fstat");
    return st;
}

/* The folder that `path` stands in, opened; and the last part of the path. -1: not in the root, or there is none. */
static int folder_of(int at, const char *path, char name[NAME_ROOM])
{
    char before[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (journal < 0 || strlen(path) >= sizeof before || strlen(slash ? slash + 1 : path) >= NAME_ROOM)
        return -1;
    strcpy(name, slash ? slash + 1 : path);
    snprintf(before, sizeof before, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
    int fd = real_openat(at, before, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (!track(fd)) {
        real_close(fd);
        return -1;
    }
    tracked[fd] = false; /* ours */
    return fd;
}

static uint64_t ino_at(int folder, const char *name)
{
    struct stat st;
    return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_ino : 0;
}

/* Gives a file that loses its name another one in the graves. */
static void bury(int folder, const char *name, uint64_t ino)
{
    char grave[PATH_MAX + 32];
    snprintf(grave, sizeof grave, "%s/%llu", graves, (unsigned long long)ino);
    if (linkat(folder, name, AT_FDCWD, grave, 0) != 0 && errno != EEXIST)
        die("cannot keep a file that is removed");
}

/* ---- opening ---- */

/* The bytes from `from` on, without the zeros at their end; to be freed. */
static char *tail_of(int fd, off_t from, off_t to, size_t *ret_len)
{
    char *bytes = NULL;
    size_t len = 0;
    for (off_t at = from; at < to;) {
        off_t data = lseek(fd, at, SEEK_DATA);
        if (data < 0 || data >= to)
            break;
        off_t hole = lseek(fd, data, SEEK_HOLE);
        size_t end = (size_t)((hole < to ? hole : to) - from);
        bytes = realloc(bytes, end);
        if (!bytes)
            die("no memory");
        memset(bytes + len, 0, (size_t)(data - from) - len);
        if (pread(fd, bytes + (data - from), end - (size_t)(data - from), data) < 0)
            die("pread");
        len = end;
        at = from + (off_t)end;
    }
    while (len > 0 && bytes[len - 1] == 0)
        len--;
    *ret_len = len;
    return bytes;
}

/* Lock held; before the size changes. */
static void note_size(int fd, uint64_t ino, off_t before, off_t after)
{
    size_t len = 0;
    char *cut = after < before ? tail_of(fd, after, before, &len) : NULL;
    note(KIND_SIZE, ino, (uint64_t)before, (uint64_t)after, cut, len, NULL, 0);
    free(cut);
}

static void note_truncation(int folder, const char *name)
{
    int fd = real_openat(folder, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    struct stat st = stat_of(fd);
    if (st.st_size > 0)
        note_size(fd, st.st_ino, st.st_size, 0);
    real_close(fd);
}

static int open_in_root(int folder, const char *name, int flags, mode_t mode)
{
    pthread_mutex_lock(&lock);
    uint64_t before = ino_at(folder, name);
    if (before && (flags & O_TRUNC))
        note_truncation(folder, name);
    int fd = real_openat(folder, name, flags, mode);
    int error = errno;
    if (fd >= 0 && !before)
        note_name(KIND_CREATE, stat_of(folder).st_ino, stat_of(fd).st_ino, name);
    if (fd >= 0)
        track(fd);
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

static int open_any(int at, const char *path, int flags, mode_t mode)
{
    char name[NAME_ROOM];
    if (boot_id_path[0] && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0)
        path = boot_id_path;
    int folder = flags & (O_CREAT | O_TRUNC) ? folder_of(at, path, name) : -1;
    if (folder >= 0) {
        int fd = open_in_root(folder, name, flags, mode);
        int error = errno;
        real_close(folder);
        errno = error;
        return fd;
    }
    int fd = real_openat(at, path, flags, mode);
    if (fd >= 0 && journal >= 0)
        track(fd);
    return fd;
}

#define OPEN_MODE(flags)                                                                                               \
    mode_t mode = 0;                                                                                                   \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                             \
        va_list args;                                                                                                  \
        va_start(args, flags);                                                                                         \
        mode = va_arg(args, mode_t);                                                                                   \
        va_end(args);                                                                                                  \
    }

int open(const char *path, int flags, ...)
{
    OPEN_MODE(flags)
    return open_any(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...)
{
    OPEN_MODE(flags)
    return open_any(AT_FDCWD, path, flags, mode);
}
int openat(int at, const char *path, int flags, ...)
{
    OPEN_MODE(flags)
    return open_any(at, path, flags, mode);
}
int openat64(int at, const char *path, int flags, ...)
{
    OPEN_MODE(flags)
    return open_any(at, path, flags, mode);
}
/* What _FORTIFY_SOURCE makes of calls with flags that the compiler does not know. */
int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}
int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}
int __openat_2(int at, const char *path, int flags);
int __openat_2(int at, const char *path, int flags)
{
    return open_any(at, path, flags, 0);
}
int __openat64_2(int at, const char *path, int flags);
int __openat64_2(int at, const char *path, int flags)
{
    return open_any(at, path, flags, 0);
}

int close(int fd)
{
    if (fd >= 0 && fd < FILES_MAX)
        __atomic_store_n(&tracked[fd], false, __ATOMIC_RELAXED);
    return real_close(fd);
}

/* ---- writing ---- */

static size_t length_of(const struct iovec *parts, int count)
{
    size_t len = 0;
    for (int i = 0; i < count; i++)
        len += parts[i].iov_len;
    return len;
}

/* Lock held. */
static void note_write(int fd, const struct iovec *parts, int count, off_t at)
{
    struct stat st = stat_of(fd);
    size_t len = length_of(parts, count), old_len = 0;
    char *old = malloc(len + 1);
    if (!old)
        die("no memory");
    int reader = fd;
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY)
        reader = real_openat(AT_FDCWD, self, O_RDONLY | O_CLOEXEC);
    ssize_t n = pread(reader, old, len, at);
    old_len = n > 0 ? (size_t)n : 0;
    if (reader != fd)
        real_close(reader);
    note(KIND_WRITE, st.st_ino, (uint64_t)at, (uint64_t)st.st_size, old, old_len, parts, count);
    free(old);
}

static ssize_t write_at(int fd, const struct iovec *parts, int count, off_t at)
{
    if (!is_tracked(fd))
        return real_pwritev(fd, parts, count, at);
    pthread_mutex_lock(&lock);
    note_write(fd, parts, count, at);
    ssize_t n = real_pwritev(fd, parts, count, at);
    pthread_mutex_unlock(&lock);
    return n;
}

static ssize_t write_on(int fd, const struct iovec *parts, int count)
{
    if (!is_tracked(fd))
        return real_writev(fd, parts, count);
    pthread_mutex_lock(&lock);
    note_write(fd, parts, count, fcntl(fd, F_GETFL) & O_APPEND ? stat_of(fd).st_size : lseek(fd, 0, SEEK_CUR));
    ssize_t n = real_writev(fd, parts, count);
    pthread_mutex_unlock(&lock);
    return n;
}

#define ONE_PART(data, len) (&(struct iovec){ (void *)(uintptr_t)(data), (len) })

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    return write_at(fd, ONE_PART(data, len), 1, at);
}
ssize_t pwrite64(int fd, const void *data, size_t len, off_t at)
{
    return write_at(fd, ONE_PART(data, len), 1, at);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    return write_at(fd, parts, count, at);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at)
{
    return write_at(fd, parts, count, at);
}
ssize_t write(int fd, const void *data, size_t len)
{
    return write_on(fd, ONE_PART(data, len), 1);
}
ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return write_on(fd, parts, count);
}

/* ---- sizes ---- */

static int change_size(int fd, off_t size)
{
    if (!is_tracked(fd))
        return real_ftruncate(fd, size);
    pthread_mutex_lock(&lock);
    struct stat st = stat_of(fd);
    if (st.st_size != size)
        note_size(fd, st.st_ino, st.st_size, size);
    int rc = real_ftruncate(fd, size);
    pthread_mutex_unlock(&lock);
    return rc;
}

static void note_allocation(int fd, off_t end)
{
    struct stat st = stat_of(fd);
    if (end > st.st_size)
        note_size(fd, st.st_ino, st.st_size, end);
}

static int allocate(int fd, int mode, off_t from, off_t len)
{
    if (!is_tracked(fd))
        return real_fallocate(fd, mode, from, len);
    if (mode & ~FALLOC_FL_KEEP_SIZE)
        die("fallocate() in this mode is not modelled");
    pthread_mutex_lock(&lock);
    if (mode == 0)
        note_allocation(fd, from + len);
    int rc = real_fallocate(fd, mode, from, len);
    pthread_mutex_unlock(&lock);
    return rc;
}

static int allocate_posix(int fd, off_t from, off_t len)
{
    if (!is_tracked(fd))
        return real_posix_fallocate(fd, from, len);
    pthread_mutex_lock(&lock);
    note_allocation(fd, from + len);
    int rc = real_posix_fallocate(fd, from, len);
    pthread_mutex_unlock(&lock);
    return rc;
}

int ftruncate(int fd, off_t size)
{
    return change_size(fd, size);
}
int ftruncate64(int fd, off_t size)
{
    return change_size(fd, size);
}
int fallocate(int fd, int mode, off_t from, off_t len)
{
    return allocate(fd, mode, from, len);
}
int fallocate64(int fd, int mode, off_t from, off_t len)
{
    return allocate(fd, mode, from, len);
}
int posix_fallocate(int fd, off_t from, off_t len)
{
    return allocate_posix(fd, from, len);
}
int posix_fallocate64(int fd, off_t from, off_t len)
{
    return allocate_posix(fd, from, len);
}

/* ---- mappings ---- */

/* Lock held. A copy of what is in the file, holes left out. */
static void take_image(int fd, uint64_t ino)
{
    char path[PATH_MAX + 64];
    uint64_t number = last_number + 1;
    snprintf(path, sizeof path, "%s/%llu.%llu", graves, (unsigned long long)ino, (unsigned long long)number);
    int to = real_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct stat st = stat_of(fd);
    if (to < 0 || real_ftruncate(to, st.st_size) != 0)
        die("cannot make an image");
    for (off_t at = 0, data; (data = lseek(fd, at, SEEK_DATA)) >= 0;) {
        off_t in = data, out = data;
        at = lseek(fd, data, SEEK_HOLE);
        while (in < at)
            if (copy_file_range(fd, &in, to, &out, (size_t)(at - in), 0) <= 0)
                die("cannot copy an image");
    }
    real_close(to);
    note(KIND_IMAGE, ino, number, 0, NULL, 0, NULL, 0);
}

static void *map(void *where, size_t len, int protection, int flags, int fd, off_t at)
{
    void *start = real_mmap(where, len, protection, flags, fd, at);
    if (start == MAP_FAILED || !is_tracked(fd) || !(flags & MAP_SHARED) || !(protection & PROT_WRITE))
        return start;
    pthread_mutex_lock(&lock);
    struct mapping *m = mappings;
    while (m < mappings + MAPS_MAX && m->start)
        m++;
    if (m == mappings + MAPS_MAX)
        die("too many mappings");
    *m = (struct mapping){ start, len, stat_of(fd).st_ino, fcntl(fd, F_DUPFD_CLOEXEC, FILES_MAX / 2) };
    if (m->fd < 0) /* where the limit of open files is low */
        m->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    note(KIND_MAP, m->ino, 0, 0, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return start;
}

void *mmap(void *where, size_t len, int protection, int flags, int fd, off_t at)
{
    return map(where, len, protection, flags, fd, at);
}
void *mmap64(void *where, size_t len, int protection, int flags, int fd, off_t at)
{
    return map(where, len, protection, flags, fd, at);
}

int munmap(void *start, size_t len)
{
    pthread_mutex_lock(&lock);
    for (struct mapping *m = mappings; journal >= 0 && m < mappings + MAPS_MAX; m++)
        if (m->start && m->start == start) {
            real_close(m->fd);
            m->start = NULL;
        }
    pthread_mutex_unlock(&lock);
    return real_munmap(start, len);
}

int msync(void *start, size_t len, int flags)
{
    int rc = real_msync(start, len, flags);
    if (rc != 0 || journal < 0 || !(flags & MS_SYNC))
        return rc;
    pthread_mutex_lock(&lock);
    for (struct mapping *m = mappings; m < mappings + MAPS_MAX; m++)
        if (m->start && m->start <= (char *)start && (char *)start < m->start + m->len)
            take_image(m->fd, m->ino);
    pthread_mutex_unlock(&lock);
    return rc;
}

/* ---- syncing ---- */

static bool is_mapped(uint64_t ino)
{
    for (struct mapping *m = mappings; m < mappings + MAPS_MAX; m++)
        if (m->start && m->ino == ino)
            return true;
    return false;
}

static int sync_file(int fd, int (*real)(int))
{
    if (!is_tracked(fd))
        return real(fd);
    pthread_mutex_lock(&lock);
    uint64_t before = last_number, ino = stat_of(fd).st_ino;
    pthread_mutex_unlock(&lock);
    int rc = real(fd);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&lock);
    note(KIND_SYNC, ino, before, 0, NULL, 0, NULL, 0);
    if (is_mapped(ino))
        take_image(fd, ino);
    pthread_mutex_unlock(&lock);
    return rc;
}

int fsync(int fd)
{
    return sync_file(fd, real_fsync);
}
int fdatasync(int fd)
{
    return sync_file(fd, real_fdatasync);
}

/* ---- names ---- */

static int rename_in_root(int folder, const char *from, const char *to)
{
    pthread_mutex_lock(&lock);
    uint64_t moved = ino_at(folder, from), replaced = ino_at(folder, to);
    if (replaced)
        bury(folder, to, replaced);
    int rc = real_renameat(folder, from, folder, to);
    if (rc == 0)
        note(KIND_RENAME, stat_of(folder).st_ino, moved, replaced, from, strlen(from), ONE_PART(to, strlen(to)), 1);
    pthread_mutex_unlock(&lock);
    return rc;
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
    char from_name[NAME_ROOM], to_name[NAME_ROOM];
    int folder = folder_of(from_at, from, from_name), other = folder_of(to_at, to, to_name), rc;
    if (folder < 0 && other < 0)
        return real_renameat(from_at, from, to_at, to);
    if (folder < 0 || other < 0 || stat_of(folder).st_ino != stat_of(other).st_ino)
        die("a rename from one folder to another is not modelled");
    rc = rename_in_root(folder, from_name, to_name);
    int error = errno;
    real_close(folder);
    real_close(other);
    errno = error;
    return rc;
}

int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int unlinkat(int at, const char *path, int flags)
{
    char name[NAME_ROOM];
    int folder = folder_of(at, path, name);
    if (folder < 0)
        return real_unlinkat(at, path, flags);
    if (flags & AT_REMOVEDIR)
        die("removing a folder is not modelled");
    pthread_mutex_lock(&lock);
    uint64_t ino = ino_at(folder, name);
    if (ino)
        bury(folder, name, ino);
    int rc = real_unlinkat(folder, name, 0);
    int error = errno;
    if (rc == 0)
        note_name(KIND_UNLINK, stat_of(folder).st_ino, ino, name);
    pthread_mutex_unlock(&lock);
    real_close(folder);
    errno = error;
    return rc;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int mkdirat(int at, const char *path, mode_t mode)
{
    char name[NAME_ROOM];
    int folder = folder_of(at, path, name);
    if (folder < 0)
        return real_mkdirat(at, path, mode);
    pthread_mutex_lock(&lock);
    int rc = real_mkdirat(folder, name, mode);
    int error = errno;
    if (rc == 0)
        note_name(KIND_MKDIR, stat_of(folder).st_ino, ino_at(folder, name), name);
    pthread_mutex_unlock(&lock);
    real_close(folder);
    errno = error;
    return rc;
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}
