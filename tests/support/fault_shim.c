// An LD_PRELOAD library between a program and the kernel: makes chosen calls fail, records from where each call comes,
// sets the wall clock forward or back, and leads records for journald to another socket.
//
// FAULT_SHIM_CONTROL  file of a struct fault_control (fault_control.h), which the test fills and reads
// FAULT_SHIM_JOURNAL  socket in place of journald's; the program's standard error counts as journald's stream then
//
// Calls that the C library makes by itself (malloc's mmap, for one) do not pass through here.
#define _GNU_SOURCE
#undef _FILE_OFFSET_BITS  // would give two replacements one name
#undef _FORTIFY_SOURCE
#include "fault_control.h"

#include <dirent.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static struct fault_control* control;
static const void* own_base;      // of this library
static const void* program_base;  // of the program
static __thread int inside;       // a call of this library's own

// ---------------------------------------------------------------- sites

static uint64_t mix(uint64_t hash, uint64_t value) {
  hash ^= value;
  return hash * 0x100000001b3u ^ hash >> 29;
}

static uint64_t hash_of_name(const char* path) {
  const char* slash = strrchr(path, '/');
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char* c = slash != NULL ? slash + 1 : path; *c != '\0'; ++c) hash = mix(hash, (unsigned char)*c);
  return hash;
}

// Addresses count from the beginning of their library, because libraries move from run to run.
static uint64_t look_up_site(uint32_t kind, uint64_t* frames) {
  void* stack[FAULT_FRAMES + 8];
  const int found = backtrace(stack, FAULT_FRAMES + 8);
  uint64_t id = mix(0xcbf29ce484222325u, kind);
  for (uint32_t i = 0, used = 0; i < (uint32_t)found && used < control->depth; ++i) {
    Dl_info info;
    if (dladdr(stack[i], &info) == 0 || info.dli_fbase == own_base) continue;
    const uint64_t offset = (uint64_t)((const char*)stack[i] - (const char*)info.dli_fbase);
    frames[used++] = info.dli_fbase == program_base ? offset : 0;
    id = mix(mix(id, hash_of_name(info.dli_fname)), offset);
  }
  return id != 0 ? id : 1;
}

static void record(uint64_t id, uint32_t kind, const uint64_t* frames) {
  for (uint32_t i = 0; i < FAULT_SITES; ++i) {
    struct fault_site* site = &control->sites[(id + i) % FAULT_SITES];
    uint64_t expected = 0;
    const int is_new = __atomic_compare_exchange_n(&site->id, &expected, id, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    if (!is_new && expected != id) continue;
    if (is_new) {
      site->kind = kind;
      site->phase = control->phase;
      memcpy(site->frames, frames, sizeof site->frames);
    }
    __atomic_add_fetch(&site->calls, 1, __ATOMIC_RELAXED);
    return;
  }
  abort();  // FAULT_SITES is too small
}

// ---------------------------------------------------------------- faults

static int counts_down_to_zero(void) {
  uint32_t left = __atomic_load_n(&control->countdown, __ATOMIC_ACQUIRE);
  while (left != 0)
    if (__atomic_compare_exchange_n(&control->countdown, &left, left - 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
      return left == 1;
  return 0;
}

// What this call must do: 0 works, FAULT_SHORT transfers one byte, otherwise fails with this errno.
static int fault(uint32_t kind) {
  if (control == NULL || inside || kind == FAULT_NONE) return 0;
  const int saved = errno;
  uint64_t frames[FAULT_FRAMES] = {0};
  inside = 1;
  const uint64_t id = look_up_site(kind, frames);
  record(id, kind, frames);
  inside = 0;
  errno = saved;
  if (control->site != 0 && control->site != id) return 0;
  if (!counts_down_to_zero()) return 0;
  control->failed_kind = kind;
  control->failed_site = id;
  __atomic_add_fetch(&control->failures, 1, __ATOMIC_ACQ_REL);
  return control->error != 0 ? control->error : fault_kinds[kind].errors[0];
}

static uint32_t kind_of_fd(int fd, uint32_t file, uint32_t socket_kind, uint32_t pipe_kind) {
  struct stat status;
  if (control == NULL || syscall(SYS_newfstatat, fd, "", &status, AT_EMPTY_PATH) != 0) return FAULT_NONE;
  switch (status.st_mode & S_IFMT) {
    case S_IFREG: return file;
    case S_IFSOCK: return socket_kind;
    case S_IFIFO: return pipe_kind;
    default: return FAULT_NONE;
  }
}

static uint32_t kind_of_read(int fd) { return kind_of_fd(fd, FAULT_READ_FILE, FAULT_RECV, FAULT_NONE); }
static uint32_t kind_of_write(int fd) { return kind_of_fd(fd, FAULT_WRITE_FILE, FAULT_SEND, FAULT_WRITE_PIPE); }

static size_t short_of(int error, size_t size) { return error == FAULT_SHORT && size > 1 ? 1 : size; }

// A replacement `name`: fails if it must, otherwise calls the real function.
#define REAL(name) (*(__typeof__(&name)*)&(void*){real(#name)})
#define FAIL_OR(kind, failed, call) \
  do {                              \
    const int error = fault(kind);  \
    if (error > 0) {                \
      errno = error;                \
      return failed;                \
    }                               \
    return call;                    \
  } while (0)
#define EXPORTED __attribute__((visibility("default")))

static void* real(const char* name) {
  void* found = dlsym(RTLD_NEXT, name);
  if (found == NULL) abort();
  return found;
}

// ---------------------------------------------------------------- files

EXPORTED ssize_t read(int fd, void* data, size_t size) {
  FAIL_OR(kind_of_read(fd), -1, syscall(SYS_read, fd, data, short_of(error, size)));
}
EXPORTED ssize_t __read_chk(int fd, void* data, size_t size, size_t room) {
  if (size > room) abort();
  FAIL_OR(kind_of_read(fd), -1, syscall(SYS_read, fd, data, short_of(error, size)));
}
EXPORTED ssize_t pread64(int fd, void* data, size_t size, off64_t at) {
  FAIL_OR(FAULT_READ_FILE, -1, syscall(SYS_pread64, fd, data, short_of(error, size), at));
}
EXPORTED ssize_t __pread64_chk(int fd, void* data, size_t size, off64_t at, size_t room) {
  if (size > room) abort();
  FAIL_OR(FAULT_READ_FILE, -1, syscall(SYS_pread64, fd, data, short_of(error, size), at));
}
EXPORTED ssize_t write(int fd, const void* data, size_t size) {
  FAIL_OR(kind_of_write(fd), -1, syscall(SYS_write, fd, data, short_of(error, size)));
}
EXPORTED ssize_t pwrite64(int fd, const void* data, size_t size, off64_t at) {
  FAIL_OR(FAULT_WRITE_FILE, -1, syscall(SYS_pwrite64, fd, data, short_of(error, size), at));
}
EXPORTED int fsync(int fd) { FAIL_OR(FAULT_SYNC, -1, (int)syscall(SYS_fsync, fd)); }
EXPORTED int fdatasync(int fd) { FAIL_OR(FAULT_SYNC, -1, (int)syscall(SYS_fdatasync, fd)); }
EXPORTED int ftruncate64(int fd, off64_t size) { FAIL_OR(FAULT_TRUNCATE, -1, (int)syscall(SYS_ftruncate, fd, size)); }

static int open_at(int directory, const char* path, int flags, mode_t mode) {
  FAIL_OR(FAULT_OPEN, -1, (int)syscall(SYS_openat, directory, path, flags, mode));
}

static mode_t mode_of(int flags, va_list more) {
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(more, mode_t) : 0;
}

#define OPEN(name, directory, ...)                 \
  EXPORTED int name(__VA_ARGS__, int flags, ...) { \
    va_list more;                                  \
    va_start(more, flags);                         \
    const mode_t mode = mode_of(flags, more);      \
    va_end(more);                                  \
    return open_at(directory, path, flags, mode);  \
  }
OPEN(open, AT_FDCWD, const char* path)
OPEN(open64, AT_FDCWD, const char* path)
OPEN(openat, directory, int directory, const char* path)
OPEN(openat64, directory, int directory, const char* path)
EXPORTED int __open_2(const char* path, int flags) { return open_at(AT_FDCWD, path, flags, 0); }
EXPORTED int __open64_2(const char* path, int flags) { return open_at(AT_FDCWD, path, flags, 0); }
EXPORTED int __openat_2(int directory, const char* path, int flags) { return open_at(directory, path, flags, 0); }
EXPORTED int __openat64_2(int directory, const char* path, int flags) { return open_at(directory, path, flags, 0); }

EXPORTED DIR* opendir(const char* path) { FAIL_OR(FAULT_OPENDIR, NULL, REAL(opendir)(path)); }
EXPORTED struct dirent* readdir(DIR* stream) { FAIL_OR(FAULT_READDIR, NULL, REAL(readdir)(stream)); }
EXPORTED struct dirent64* readdir64(DIR* stream) { FAIL_OR(FAULT_READDIR, NULL, REAL(readdir64)(stream)); }

#define STAT(name, type, ...)                                          \
  EXPORTED int name(__VA_ARGS__, struct type* status) {                \
    FAIL_OR(FAULT_STAT, -1, (int)syscall(SYS_newfstatat, STAT_PLACE)); \
  }
#define STAT_PLACE AT_FDCWD, path, status, 0
STAT(stat, stat, const char* path)
STAT(stat64, stat64, const char* path)
#undef STAT_PLACE
#define STAT_PLACE AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW
STAT(lstat, stat, const char* path)
STAT(lstat64, stat64, const char* path)
#undef STAT_PLACE
#define STAT_PLACE fd, "", status, AT_EMPTY_PATH
STAT(fstat, stat, int fd)
STAT(fstat64, stat64, int fd)

EXPORTED int rename(const char* from, const char* to) {
  FAIL_OR(FAULT_RENAME, -1, (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to));
}
EXPORTED int unlink(const char* path) { FAIL_OR(FAULT_UNLINK, -1, (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0)); }
EXPORTED int mkdir(const char* path, mode_t mode) {
  FAIL_OR(FAULT_MKDIR, -1, (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}
EXPORTED int chmod(const char* path, mode_t mode) {
  FAIL_OR(FAULT_CHMOD, -1, (int)syscall(SYS_fchmodat, AT_FDCWD, path, mode));
}
EXPORTED int fchmod(int fd, mode_t mode) { FAIL_OR(FAULT_CHMOD, -1, (int)syscall(SYS_fchmod, fd, mode)); }

static uint32_t kind_of_control(int command) {
  switch (command) {
    case F_SETLK:
    case F_SETLKW: return FAULT_LOCK;
    case F_DUPFD:
    case F_DUPFD_CLOEXEC: return FAULT_DUP;
    default: return FAULT_NONE;
  }
}

#define CONTROL(name)                                                                      \
  EXPORTED int name(int fd, int command, ...) {                                            \
    va_list more;                                                                          \
    va_start(more, command);                                                               \
    void* argument = va_arg(more, void*);                                                  \
    va_end(more);                                                                          \
    FAIL_OR(kind_of_control(command), -1, (int)syscall(SYS_fcntl, fd, command, argument)); \
  }
CONTROL(fcntl)
CONTROL(fcntl64)

EXPORTED void* mmap(void* wish, size_t size, int protection, int flags, int fd, off_t at) {
  FAIL_OR(FAULT_MMAP, MAP_FAILED, (void*)syscall(SYS_mmap, wish, size, protection, flags, fd, at));
}
EXPORTED void* mmap64(void* wish, size_t size, int protection, int flags, int fd, off64_t at) {
  FAIL_OR(FAULT_MMAP, MAP_FAILED, (void*)syscall(SYS_mmap, wish, size, protection, flags, fd, at));
}

// ---------------------------------------------------------------- sockets

EXPORTED int socket(int family, int type, int protocol) {
  FAIL_OR(FAULT_SOCKET, -1, (int)syscall(SYS_socket, family, type, protocol));
}
EXPORTED int bind(int fd, __CONST_SOCKADDR_ARG address, socklen_t size) {
  FAIL_OR(FAULT_BIND, -1, (int)syscall(SYS_bind, fd, address.__sockaddr__, size));
}
EXPORTED int listen(int fd, int backlog) { FAIL_OR(FAULT_LISTEN, -1, (int)syscall(SYS_listen, fd, backlog)); }
EXPORTED int connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t size) {
  FAIL_OR(FAULT_CONNECT, -1, (int)syscall(SYS_connect, fd, address.__sockaddr__, size));
}
EXPORTED int accept4(int fd, __SOCKADDR_ARG address, socklen_t* size, int flags) {
  FAIL_OR(FAULT_ACCEPT, -1, (int)syscall(SYS_accept4, fd, address.__sockaddr__, size, flags));
}
EXPORTED int getsockopt(int fd, int level, int option, void* value, socklen_t* size) {
  FAIL_OR(FAULT_OPTION, -1, (int)syscall(SYS_getsockopt, fd, level, option, value, size));
}
EXPORTED int setsockopt(int fd, int level, int option, const void* value, socklen_t size) {
  FAIL_OR(FAULT_OPTION, -1, (int)syscall(SYS_setsockopt, fd, level, option, value, size));
}
EXPORTED int getsockname(int fd, __SOCKADDR_ARG address, socklen_t* size) {
  FAIL_OR(FAULT_NAME, -1, (int)syscall(SYS_getsockname, fd, address.__sockaddr__, size));
}
EXPORTED ssize_t recv(int fd, void* data, size_t size, int flags) {
  FAIL_OR(FAULT_RECV, -1, syscall(SYS_recvfrom, fd, data, short_of(error, size), flags, NULL, NULL));
}
EXPORTED ssize_t __recv_chk(int fd, void* data, size_t size, size_t room, int flags) {
  if (size > room) abort();
  FAIL_OR(FAULT_RECV, -1, syscall(SYS_recvfrom, fd, data, short_of(error, size), flags, NULL, NULL));
}

// One byte into the first piece instead of all that fits.
static ssize_t receive_short(int fd, struct msghdr* message, int flags) {
  const size_t whole = message->msg_iov[0].iov_len;
  message->msg_iov[0].iov_len = whole != 0;
  const ssize_t got = syscall(SYS_recvmsg, fd, message, flags);
  message->msg_iov[0].iov_len = whole;
  return got;
}

EXPORTED ssize_t recvmsg(int fd, struct msghdr* message, int flags) {
  FAIL_OR(FAULT_RECV, -1,
          error == FAULT_SHORT ? receive_short(fd, message, flags) : syscall(SYS_recvmsg, fd, message, flags));
}

// What is sent to no socket is none of its faults: the daemon tries send() before write() on its standard error.
static uint32_t kind_of_send(int fd) { return kind_of_fd(fd, FAULT_NONE, FAULT_SEND, FAULT_NONE); }

EXPORTED ssize_t send(int fd, const void* data, size_t size, int flags) {
  FAIL_OR(kind_of_send(fd), -1, syscall(SYS_sendto, fd, data, short_of(error, size), flags, NULL, 0));
}

// One byte of the first piece instead of all.
static ssize_t send_short(int fd, const struct msghdr* message, int flags) {
  for (size_t i = 0; i < message->msg_iovlen; ++i)
    if (message->msg_iov[i].iov_len != 0)
      return syscall(SYS_sendto, fd, message->msg_iov[i].iov_base, 1, flags, message->msg_name, message->msg_namelen);
  return syscall(SYS_sendmsg, fd, message, flags);
}

EXPORTED ssize_t sendmsg(int fd, const struct msghdr* message, int flags) {
  FAIL_OR(kind_of_send(fd), -1,
          error == FAULT_SHORT ? send_short(fd, message, flags) : syscall(SYS_sendmsg, fd, message, flags));
}

static int is_journal(const struct sockaddr* address) {
  static const char kJournal[] = "/run/systemd/journal/socket";
  return address != NULL && address->sa_family == AF_UNIX &&
         strcmp(((const struct sockaddr_un*)address)->sun_path, kJournal) == 0;
}

// A datagram is sent whole or not at all.
EXPORTED ssize_t sendto(int fd, const void* data, size_t size, int flags, __CONST_SOCKADDR_ARG to, socklen_t to_size) {
  const char* journal = getenv("FAULT_SHIM_JOURNAL");
  const struct sockaddr* address = to.__sockaddr__;
  struct sockaddr_un other = {.sun_family = AF_UNIX};
  if (journal != NULL && is_journal(address)) {
    if (snprintf(other.sun_path, sizeof other.sun_path, "%s", journal) >= (int)sizeof other.sun_path) abort();
    address = (const struct sockaddr*)&other;
    to_size = sizeof other;
  }
  FAIL_OR(kind_of_send(fd), -1, syscall(SYS_sendto, fd, data, size, flags, address, to_size));
}

// ---------------------------------------------------------------- events, threads, time

EXPORTED int epoll_create1(int flags) { FAIL_OR(FAULT_EPOLL_CREATE, -1, (int)syscall(SYS_epoll_create1, flags)); }
EXPORTED int epoll_ctl(int epoll, int operation, int fd, struct epoll_event* event) {
  const uint32_t kind = operation == EPOLL_CTL_ADD ? FAULT_EPOLL_CTL : FAULT_NONE;  // others take no memory
  FAIL_OR(kind, -1, (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event));
}
EXPORTED int epoll_pwait(int epoll, struct epoll_event* events, int count, int timeout, const sigset_t* mask) {
  FAIL_OR(FAULT_EPOLL_WAIT, -1,
          (int)syscall(SYS_epoll_pwait, epoll, events, count, timeout, mask, (size_t)(_NSIG / 8)));
}
EXPORTED int timerfd_create(int clock, int flags) {
  FAIL_OR(FAULT_TIMERFD, -1, (int)syscall(SYS_timerfd_create, clock, flags));
}
EXPORTED int signalfd(int fd, const sigset_t* signals, int flags) {
  FAIL_OR(FAULT_SIGNALFD, -1, REAL(signalfd)(fd, signals, flags));
}
EXPORTED int eventfd(unsigned count, int flags) {
  FAIL_OR(FAULT_EVENTFD, -1, (int)syscall(SYS_eventfd2, count, flags));
}
EXPORTED int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*), void* argument) {
  const int error = fault(FAULT_THREAD);
  if (error > 0) return error;
  return REAL(pthread_create)(thread, attributes, run, argument);
}

EXPORTED int clock_gettime(clockid_t clock, struct timespec* now) {
  const int result = (int)syscall(SYS_clock_gettime, clock, now);
  if (result != 0 || clock != CLOCK_REALTIME || control == NULL) return result;
  const int64_t second = 1000000000;
  const int64_t nanoseconds = now->tv_nsec + __atomic_load_n(&control->clock_offset_ns, __ATOMIC_RELAXED) % second;
  now->tv_sec += control->clock_offset_ns / second + (nanoseconds < 0 ? -1 : nanoseconds / second);
  now->tv_nsec = (nanoseconds + second) % second;
  return result;
}

// ---------------------------------------------------------------- start

// The program comes first.
static int note_program(struct dl_phdr_info* info, size_t size, void* unused) {
  (void)size, (void)unused;
  program_base = (const void*)info->dlpi_addr;
  return 1;
}

static void note_own(void) {
  Dl_info info;
  if (dladdr(&control, &info) == 0) abort();
  own_base = info.dli_fbase;
}

// As systemd tells a program whose output it leads to journald.
static void set_journal_stream(void) {
  struct stat status;
  char stream[64];
  if (getenv("FAULT_SHIM_JOURNAL") == NULL || syscall(SYS_newfstatat, 2, "", &status, AT_EMPTY_PATH) != 0) return;
  snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)status.st_dev, (unsigned long long)status.st_ino);
  setenv("JOURNAL_STREAM", stream, 1);
}

__attribute__((constructor)) static void begin(void) {
  set_journal_stream();
  const char* path = getenv("FAULT_SHIM_CONTROL");
  if (path == NULL) return;
  const int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
  if (fd < 0) abort();
  void* mapped = (void*)syscall(SYS_mmap, NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) abort();
  syscall(SYS_close, fd);
  note_own();
  dl_iterate_phdr(note_program, NULL);
  void* stack[4];
  backtrace(stack, 4);  // loads the unwinder now
  control = mapped;
}
