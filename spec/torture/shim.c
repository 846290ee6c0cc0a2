/*
 * A library that is preloaded (LD_PRELOAD) into a process that uses a store. It counts the calls of libc that touch
 * files below one directory, and makes one of them, or all from that one on, fail:
 *
 *   kill before or after the call       the process ends as by `kill -9`
 *   fail with an errno                  as a bad disk, a full disk or a limit would
 *   write half                          a short write, which POSIX allows at any time
 *   pause before the call               the process gets SIGSTOP; the test sends SIGCONT later
 *
 * It can also shift the wall clock: TORTURE_CLOCK=seconds, or the command `clock`.
 *
 * A process gives it commands by opening a file that does not exist:
 *
 *   /torture.shim:arm ACTION ERRNO KINDS CALL REPEAT NOTES DIRECTORY
 *   /torture.shim:ready                 does nothing
 *   /torture.shim:clock SECONDS
 *
 * CALL is the number of the call that fails, from 0. Only calls of KINDS (bits, see below) are counted. NOTES is a
 * file that gets the name of that call, so that a failure can be understood. With -1 all calls are only counted, and
 * NOTES gets a line with the number of each kind when the process ends.
 *
 * Only the process that gave the command is struck: children that it forks run undisturbed.
 * Descriptors are known by number: those that were opened below the directory after `arm`.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* RELEASE: the calls that do not fail in practice, the release of a lock and closedir. */
enum kind {
  OPEN = 1, CREATE = 2, READ = 4, WRITE = 8, TRUNCATE = 16, SYNC = 32, RENAME = 64, UNLINK = 128,
  MKDIR = 256, MMAP = 512, CLOSE = 1024, LOCK = 2048, CHMOD = 4096, STAT = 8192, RELEASE = 16384
};

enum action { PASS, KILL_BEFORE, KILL_AFTER, FAIL, SHORT, PAUSE };

#define COMMAND "/torture.shim:"
#define DESCRIPTORS 4096

static struct {
  pid_t process;
  enum action action;
  int error;
  unsigned kinds;
  long call;
  int repeat;
  char notes[PATH_MAX];
  char directory[PATH_MAX];
  size_t length;
} armed;

static atomic_long count;
static atomic_long counts[16]; /* By kind: the number of its bit. */
static atomic_char inside[DESCRIPTORS];
static atomic_llong shift;

__attribute__((constructor)) static void begin(void) {
  const char *seconds = getenv("TORTURE_CLOCK");
  if (seconds) shift = atoll(seconds);
}

/* Looked up once per function; a race looks it up twice. */
#define REAL(name) ({ \
  static void *found; \
  if (!found) found = dlsym(RTLD_NEXT, #name); \
  (__typeof__(&name))found; })

static int below(int folder, const char *path) {
  char whole[PATH_MAX];
  if (!armed.length || !path) return 0;
  if (path[0] != '/') {
    if (folder != AT_FDCWD) return folder >= 0 && folder < DESCRIPTORS && inside[folder];
    size_t length;
    if (!getcwd(whole, sizeof whole)) return 0;
    length = strlen(whole);
    if (length + strlen(path) + 2 > sizeof whole) return 0;
    whole[length] = '/';
    strcpy(whole + length + 1, path);
    path = whole;
  }
  return strncmp(path, armed.directory, armed.length) == 0 && (path[armed.length] == 0 || path[armed.length] == '/');
}

static int held(int descriptor) {
  return descriptor >= 0 && descriptor < DESCRIPTORS && inside[descriptor];
}

/* With an empty path a call is about the descriptor itself; Rust's std passes no path to find out whether the kernel has
   statx. */
static int known(int folder, const char *path) {
  return path && (path[0] ? below(folder, path) : held(folder));
}

static void hold(int descriptor, int yes) {
  if (descriptor >= 0 && descriptor < DESCRIPTORS) inside[descriptor] = (char)yes;
}

/* System calls rather than functions: these calls are not to be counted. */
static void note(const char *text, int size) {
  int file = (int)syscall(SYS_openat, AT_FDCWD, armed.notes, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file >= 0) {
    syscall(SYS_write, file, text, (size_t)size);
    syscall(SYS_close, file);
  }
}

static void note_call(const char *name, const char *path, int descriptor, long call) {
  char line[PATH_MAX + 64], link[64], target[PATH_MAX];
  if ((!path || !path[0]) && descriptor >= 0) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, target, sizeof target - 1);
    target[length > 0 ? length : 0] = 0;
    path = target;
  }
  if (path && strncmp(path, armed.directory, armed.length) == 0) path += armed.length;
  note(line, snprintf(line, sizeof line, "%s %.200s (call %ld)\n", name, path ? path : "", call));
}

/* A store is closed when its process ends, after the last line of Ruby. So the numbers are written even later. */
__attribute__((destructor)) static void end(void) {
  char line[64];
  if (armed.call >= 0 || armed.process != getpid()) return;
  for (int bit = 0; bit < 16; bit++) note(line, snprintf(line, sizeof line, "%ld\n", counts[bit]));
}

static void die(void) {
  syscall(SYS_kill, getpid(), SIGKILL);
  for (;;) pause();
}

/* Decides the fate of a call: whether it is carried out, fails, or stops or ends the process. */
static enum action strike(enum kind kind, const char *name, const char *path, int descriptor) {
  int saved = errno;
  if (!(armed.kinds & kind) || armed.process != getpid()) return PASS;
  long call = count++;
  counts[__builtin_ctz(kind)]++;
  if (armed.call < 0 || (armed.repeat ? call < armed.call : call != armed.call)) return PASS;
  if (call == armed.call) note_call(name, path, descriptor, call);
  if (armed.action == KILL_BEFORE) die();
  if (armed.action == PAUSE) syscall(SYS_kill, getpid(), SIGSTOP);
  errno = saved;
  return armed.action;
}

/* Carries out `call` unless it is to fail. `close` is always carried out, as Linux does. */
#define STRUCK(ours, kind, path, descriptor, anyway, failed, call) \
  enum action action = (ours) ? strike(kind, __func__, path, descriptor) : PASS; \
  __typeof__(call) answer = failed; \
  if (action != FAIL || (anyway)) answer = (call); \
  if (action == KILL_AFTER) die(); \
  if (action == FAIL) { answer = failed; errno = armed.error; }

#define ON_PATH(kind, folder, path, call) \
  STRUCK(below(folder, path), kind, path, -1, 0, -1, call) \
  return answer;

#define ON_DESCRIPTOR(kind, descriptor, call) \
  STRUCK(held(descriptor), kind, NULL, descriptor, 0, -1, call) \
  return answer;

static int obey(const char *command) {
  if (sscanf(command, "clock %lld", (long long *)&shift) == 1) return open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (strcmp(command, "ready") == 0) return open("/dev/null", O_RDONLY | O_CLOEXEC);
  armed.length = 0;
  if (sscanf(command, "arm %d %d %u %ld %d %4095s %4095[^\n]", (int *)&armed.action, &armed.error, &armed.kinds, &armed.call,
             &armed.repeat, armed.notes, armed.directory) != 7) {
    errno = EINVAL;
    return -1;
  }
  armed.process = getpid();
  count = 0;
  armed.length = strlen(armed.directory);
  return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

#define MODE(flags) \
  mode_t mode = 0; \
  if (flags & (O_CREAT | __O_TMPFILE)) { \
    va_list list; \
    va_start(list, flags); \
    mode = va_arg(list, mode_t); \
    va_end(list); \
  }

#define OPENING(folder, path, flags, call) \
  if (strncmp(path, COMMAND, sizeof COMMAND - 1) == 0) return obey(path + sizeof COMMAND - 1); \
  int ours = below(folder, path); \
  STRUCK(ours, (flags) & O_CREAT ? CREATE : OPEN, path, -1, 0, -1, call) \
  if (answer >= 0) hold(answer, ours); \
  return answer;

int open(const char *path, int flags, ...) { MODE(flags) OPENING(AT_FDCWD, path, flags, REAL(open)(path, flags, mode)) }
int open64(const char *path, int flags, ...) { MODE(flags) OPENING(AT_FDCWD, path, flags, REAL(open64)(path, flags, mode)) }
int openat(int folder, const char *path, int flags, ...) { MODE(flags) OPENING(folder, path, flags, REAL(openat)(folder, path, flags, mode)) }
int openat64(int folder, const char *path, int flags, ...) { MODE(flags) OPENING(folder, path, flags, REAL(openat64)(folder, path, flags, mode)) }
int creat(const char *path, mode_t mode) { OPENING(AT_FDCWD, path, O_CREAT, REAL(creat)(path, mode)) }
int creat64(const char *path, mode_t mode) { OPENING(AT_FDCWD, path, O_CREAT, REAL(creat64)(path, mode)) }

DIR *opendir(const char *path) {
  int ours = below(AT_FDCWD, path);
  STRUCK(ours, OPEN, path, -1, 0, NULL, REAL(opendir)(path))
  if (answer) hold(dirfd(answer), ours);
  return answer;
}

int close(int descriptor) {
  int ours = held(descriptor);
  STRUCK(ours, CLOSE, NULL, descriptor, 1, -1, (hold(descriptor, 0), REAL(close)(descriptor)))
  return answer;
}

int closedir(DIR *folder) {
  int descriptor = dirfd(folder), ours = held(descriptor);
  STRUCK(ours, RELEASE, NULL, descriptor, 1, -1, (hold(descriptor, 0), REAL(closedir)(folder)))
  return answer;
}

int dup(int descriptor) {
  int copy = REAL(dup)(descriptor);
  if (copy >= 0) hold(copy, held(descriptor));
  return copy;
}

int dup2(int descriptor, int other) {
  int copy = REAL(dup2)(descriptor, other);
  if (copy >= 0) hold(copy, held(descriptor));
  return copy;
}

int dup3(int descriptor, int other, int flags) {
  int copy = REAL(dup3)(descriptor, other, flags);
  if (copy >= 0) hold(copy, held(descriptor));
  return copy;
}

ssize_t read(int fd, void *bytes, size_t size) { ON_DESCRIPTOR(READ, fd, REAL(read)(fd, bytes, size)) }
ssize_t readv(int fd, const struct iovec *parts, int many) { ON_DESCRIPTOR(READ, fd, REAL(readv)(fd, parts, many)) }
ssize_t pread(int fd, void *bytes, size_t size, off_t at) { ON_DESCRIPTOR(READ, fd, REAL(pread)(fd, bytes, size, at)) }
ssize_t pread64(int fd, void *bytes, size_t size, off64_t at) { ON_DESCRIPTOR(READ, fd, REAL(pread64)(fd, bytes, size, at)) }
struct dirent64 *readdir64(DIR *folder) {
  STRUCK(held(dirfd(folder)), READ, NULL, dirfd(folder), 0, NULL, REAL(readdir64)(folder))
  return answer;
}
struct dirent *readdir(DIR *folder) {
  STRUCK(held(dirfd(folder)), READ, NULL, dirfd(folder), 0, NULL, REAL(readdir)(folder))
  return answer;
}

#define LESS(size) (action == SHORT && (size) > 1 ? (size) / 2 : (size))
ssize_t write(int fd, const void *bytes, size_t size) { ON_DESCRIPTOR(WRITE, fd, REAL(write)(fd, bytes, LESS(size))) }
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) { ON_DESCRIPTOR(WRITE, fd, REAL(pwrite)(fd, bytes, LESS(size), at)) }
ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) { ON_DESCRIPTOR(WRITE, fd, REAL(pwrite64)(fd, bytes, LESS(size), at)) }
ssize_t writev(int fd, const struct iovec *parts, int many) { ON_DESCRIPTOR(WRITE, fd, REAL(writev)(fd, parts, LESS(many))) }

int ftruncate(int fd, off_t size) { ON_DESCRIPTOR(TRUNCATE, fd, REAL(ftruncate)(fd, size)) }
int ftruncate64(int fd, off64_t size) { ON_DESCRIPTOR(TRUNCATE, fd, REAL(ftruncate64)(fd, size)) }
int truncate(const char *path, off_t size) { ON_PATH(TRUNCATE, AT_FDCWD, path, REAL(truncate)(path, size)) }
int fallocate(int fd, int mode, off_t at, off_t size) { ON_DESCRIPTOR(WRITE, fd, REAL(fallocate)(fd, mode, at, size)) }
int fsync(int fd) { ON_DESCRIPTOR(SYNC, fd, REAL(fsync)(fd)) }
int fdatasync(int fd) { ON_DESCRIPTOR(SYNC, fd, REAL(fdatasync)(fd)) }

int rename(const char *from, const char *to) { ON_PATH(RENAME, AT_FDCWD, from, REAL(rename)(from, to)) }
int renameat(int a, const char *from, int b, const char *to) { ON_PATH(RENAME, a, from, REAL(renameat)(a, from, b, to)) }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) { ON_PATH(RENAME, a, from, REAL(renameat2)(a, from, b, to, flags)) }
int link(const char *from, const char *to) { ON_PATH(RENAME, AT_FDCWD, to, REAL(link)(from, to)) }
int linkat(int a, const char *from, int b, const char *to, int flags) { ON_PATH(RENAME, b, to, REAL(linkat)(a, from, b, to, flags)) }
int unlink(const char *path) { ON_PATH(UNLINK, AT_FDCWD, path, REAL(unlink)(path)) }
int unlinkat(int folder, const char *path, int flags) { ON_PATH(UNLINK, folder, path, REAL(unlinkat)(folder, path, flags)) }
int rmdir(const char *path) { ON_PATH(UNLINK, AT_FDCWD, path, REAL(rmdir)(path)) }
int mkdir(const char *path, mode_t mode) { ON_PATH(MKDIR, AT_FDCWD, path, REAL(mkdir)(path, mode)) }
int mkdirat(int folder, const char *path, mode_t mode) { ON_PATH(MKDIR, folder, path, REAL(mkdirat)(folder, path, mode)) }
int chmod(const char *path, mode_t mode) { ON_PATH(CHMOD, AT_FDCWD, path, REAL(chmod)(path, mode)) }
int fchmod(int fd, mode_t mode) { ON_DESCRIPTOR(CHMOD, fd, REAL(fchmod)(fd, mode)) }
int fchmodat(int folder, const char *path, mode_t mode, int flags) { ON_PATH(CHMOD, folder, path, REAL(fchmodat)(folder, path, mode, flags)) }
int fchown(int fd, uid_t user, gid_t group) { ON_DESCRIPTOR(CHMOD, fd, REAL(fchown)(fd, user, group)) }
int utimes(const char *path, const struct timeval at[2]) { ON_PATH(CHMOD, AT_FDCWD, path, REAL(utimes)(path, at)) }
int utimensat(int folder, const char *path, const struct timespec at[2], int flags) { ON_PATH(CHMOD, folder, path, REAL(utimensat)(folder, path, at, flags)) }
int futimens(int fd, const struct timespec at[2]) { ON_DESCRIPTOR(CHMOD, fd, REAL(futimens)(fd, at)) }

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t from) {
  STRUCK(held(fd), MMAP, NULL, fd, 0, MAP_FAILED, REAL(mmap)(at, size, protection, flags, fd, from))
  return answer;
}
void *mmap64(void *at, size_t size, int protection, int flags, int fd, off64_t from) {
  STRUCK(held(fd), MMAP, NULL, fd, 0, MAP_FAILED, REAL(mmap64)(at, size, protection, flags, fd, from))
  return answer;
}

static int locks(int command) {
  return command == F_GETLK || command == F_SETLK || command == F_SETLKW
#ifdef F_OFD_SETLK
         || command == F_OFD_GETLK || command == F_OFD_SETLK || command == F_OFD_SETLKW
#endif
    ;
}

static enum kind locking(int command, const void *argument) {
  return command != F_GETLK && ((const struct flock *)argument)->l_type == F_UNLCK ? RELEASE : LOCK;
}

/* The argument is an int or a pointer; both travel in a register of that size. */
#define CONTROL(name) \
  va_list list; \
  va_start(list, command); \
  void *argument = va_arg(list, void *); \
  va_end(list); \
  STRUCK(held(fd) && locks(command), locking(command, argument), NULL, fd, 0, -1, REAL(name)(fd, command, argument)) \
  if (answer >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC)) hold(answer, held(fd)); \
  return answer;
int fcntl(int fd, int command, ...) { CONTROL(fcntl) }
int fcntl64(int fd, int command, ...) { CONTROL(fcntl64) }
int flock(int, int);
int flock(int fd, int how) { ON_DESCRIPTOR(LOCK, fd, REAL(flock)(fd, how)) }

int stat(const char *path, struct stat *data) { ON_PATH(STAT, AT_FDCWD, path, REAL(stat)(path, data)) }
int stat64(const char *path, struct stat64 *data) { ON_PATH(STAT, AT_FDCWD, path, REAL(stat64)(path, data)) }
int lstat(const char *path, struct stat *data) { ON_PATH(STAT, AT_FDCWD, path, REAL(lstat)(path, data)) }
int lstat64(const char *path, struct stat64 *data) { ON_PATH(STAT, AT_FDCWD, path, REAL(lstat64)(path, data)) }
int fstat(int fd, struct stat *data) { ON_DESCRIPTOR(STAT, fd, REAL(fstat)(fd, data)) }
int fstat64(int fd, struct stat64 *data) { ON_DESCRIPTOR(STAT, fd, REAL(fstat64)(fd, data)) }
#define AT(folder, path, call) STRUCK(known(folder, path), STAT, path, folder, 0, -1, call) return answer;
int fstatat(int folder, const char *path, struct stat *data, int flags) { AT(folder, path, REAL(fstatat)(folder, path, data, flags)) }
int fstatat64(int folder, const char *path, struct stat64 *data, int flags) { AT(folder, path, REAL(fstatat64)(folder, path, data, flags)) }
int statx(int folder, const char *path, int flags, unsigned mask, struct statx *data) {
  AT(folder, path, REAL(statx)(folder, path, flags, mask, data))
}
int access(const char *path, int mode) { ON_PATH(STAT, AT_FDCWD, path, REAL(access)(path, mode)) }

/* Without a shift these are the calls of the system. */
int clock_gettime(clockid_t clock, struct timespec *now) {
  int answer = REAL(clock_gettime)(clock, now);
  if (answer == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += shift;
  return answer;
}
int gettimeofday(struct timeval *now, void *zone) {
  int answer = REAL(gettimeofday)(now, zone);
  if (answer == 0) now->tv_sec += shift;
  return answer;
}
time_t time(time_t *at) {
  time_t now = REAL(time)(NULL) + shift;
  if (at) *at = now;
  return now;
}
