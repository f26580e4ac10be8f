/* A disk that fails on demand, in front of the C library: the file named by DISK_UNDER_TEST says how.
   w: it works. f: every fsync fails. d: the first fsync fails, and then every write to the database's log.
   Used by sync.rs; no part of the program. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_int dead;

static char how(void) {
    const char *name = getenv("DISK_UNDER_TEST");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    char word = 'w';
    if (file >= 0) {
        if (read(file, &word, 1) != 1) word = 'w';
        close(file);
    }
    return word;
}

static int fails_to_sync(void) {
    char word = how();
    if (word == 'w') {
        atomic_store(&dead, 0);
        return 0;
    }
    if (word == 'd') atomic_store(&dead, 1);
    errno = EIO;
    return 1;
}

static int is_log(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path);
    return length > 4 && memcmp(path + length - 4, "-wal", 4) == 0;
}

static int fails_to_write(int file) {
    if (!atomic_load(&dead) || !is_log(file)) return 0;
    errno = EIO;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int file) { return fails_to_sync() ? -1 : REAL(fsync)(file); }
int fdatasync(int file) { return fails_to_sync() ? -1 : REAL(fdatasync)(file); }

ssize_t write(int file, const void *bytes, size_t count) {
    return fails_to_write(file) ? -1 : REAL(write)(file, bytes, count);
}
ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
    return fails_to_write(file) ? -1 : REAL(pwrite)(file, bytes, count, at);
}
ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    return fails_to_write(file) ? -1 : REAL(pwrite64)(file, bytes, count, at);
}
