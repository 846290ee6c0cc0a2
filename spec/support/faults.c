/* Preloaded into a Ruby: makes system calls fail, or the process end, as environment variables say.
 *
 * FAULT_LOCK=<errno>: the file system has no open file description locks.
 * FAULT_OPEN=<errno>: no file of a large value can be opened for reading.
 * FAULT_READ=<errno>: no database can be read.
 * FAULT_DIE=<n>: the n-th call that changes a file ends the process instead. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static long fault(const char *name) {
    const char *value = getenv(name);
    return value && *value ? atol(value) : 0;
}

static void step(void) {
    static long calls;
    long last = fault("FAULT_DIE");
    if (!last) calls = 0;
    else if (++calls >= last) _exit(99);
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name);

#define LOCKED(name) \
    int name(int fd, int command, ...) { \
        REAL(int, name, int, int, ...) \
        va_list list; \
        va_start(list, command); \
        void *argument = va_arg(list, void *); \
        va_end(list); \
        if (command == F_OFD_SETLK && fault("FAULT_LOCK")) { errno = (int)fault("FAULT_LOCK"); return -1; } \
        return real(fd, command, argument); \
    }
LOCKED(fcntl)
LOCKED(fcntl64)

#define OPENED(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, name, const char *, int, ...) \
        va_list list; \
        va_start(list, flags); \
        int mode = va_arg(list, int); \
        va_end(list); \
        const char *end = strrchr(path, '.'); \
        if (end && !strcmp(end, ".blob") && fault("FAULT_OPEN")) { errno = (int)fault("FAULT_OPEN"); return -1; } \
        return real(path, flags, mode); \
    }
OPENED(open)
OPENED(open64)

#define READ(name) \
    ssize_t name(int fd, void *bytes, size_t size, off_t offset) { \
        REAL(ssize_t, name, int, void *, size_t, off_t) \
        if (fault("FAULT_READ")) { errno = (int)fault("FAULT_READ"); return -1; } \
        return real(fd, bytes, size, offset); \
    }
READ(pread)
READ(pread64)

#define CHANGE(type, name, parameters, arguments, ...) \
    type name parameters { \
        REAL(type, name, __VA_ARGS__) \
        step(); \
        return real arguments; \
    }
CHANGE(int, unlink, (const char *path), (path), const char *)
CHANGE(int, rename, (const char *from, const char *to), (from, to), const char *, const char *)
CHANGE(int, ftruncate, (int fd, off_t size), (fd, size), int, off_t)
CHANGE(int, ftruncate64, (int fd, off_t size), (fd, size), int, off_t)
CHANGE(int, fdatasync, (int fd), (fd), int)
CHANGE(int, fsync, (int fd), (fd), int)
CHANGE(ssize_t, pwrite, (int fd, const void *bytes, size_t size, off_t at), (fd, bytes, size, at), int, const void *, size_t, off_t)
CHANGE(ssize_t, pwrite64, (int fd, const void *bytes, size_t size, off_t at), (fd, bytes, size, at), int, const void *, size_t, off_t)
