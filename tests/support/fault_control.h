/* What fault_shim.c and the test that preloads it share: a file of one struct fault_control, mapped by both. */
#pragma once

#include <errno.h>
#include <stdint.h>

/* An entry of fault_kind.errors: the call transfers one byte only. */
#define FAULT_SHORT (-1)

/* Kinds of calls that can fail, and with what. A read or write is told by its descriptor; those of event and timer
 * descriptors do not fail. The first error stands for all of them where one must do. */
struct fault_kind {
  const char* name;
  int errors[8]; /* 0 ends the list */
};

static const struct fault_kind fault_kinds[] = {
    {"none", {0}},
    {"read of a file", {EIO, EINTR, FAULT_SHORT}},
    {"write to a file", {ENOSPC, EIO, EDQUOT, EINTR, FAULT_SHORT}},
    {"write to a pipe", {EAGAIN, EPIPE, EINTR}},
    {"recv", {ECONNRESET, EINTR, ENOMEM, ETIMEDOUT, FAULT_SHORT}},
    {"send", {EPIPE, ECONNRESET, EAGAIN, EINTR, ENOBUFS, ENOMEM, FAULT_SHORT}},
    {"accept", {EMFILE, ENFILE, ENOMEM, ENOBUFS, ECONNABORTED, EINTR, EPROTO, EPERM}},
    {"open", {EMFILE, ENFILE, ENOMEM, EACCES, EIO, EINTR}},
    {"opendir", {EMFILE, EACCES, ENOMEM}},
    {"readdir", {EIO}},
    {"stat", {EACCES, ENOMEM, EIO}},
    {"sync", {EIO, ENOSPC}},
    {"truncate", {EIO, ENOSPC}},
    {"rename", {ENOSPC, EIO, EACCES}},
    {"unlink", {EACCES, EIO}},
    {"mkdir", {ENOSPC, EACCES}},
    {"chmod", {EPERM, EROFS}},
    {"lock of a file", {ENOLCK, EACCES}},
    {"duplicate of a descriptor", {EMFILE}},
    {"mmap", {ENOMEM}},
    {"socket", {EMFILE, ENOBUFS, EAFNOSUPPORT}},
    {"bind", {EADDRINUSE, EACCES, ENOSPC}},
    {"listen", {EADDRINUSE}},
    {"connect", {ECONNREFUSED, EAGAIN}},
    {"option of a socket", {ENOBUFS}},
    {"name of a socket", {ENOBUFS}},
    {"epoll_create", {EMFILE, ENOMEM}},
    {"epoll_ctl", {ENOMEM, ENOSPC}},
    {"epoll_wait", {EINTR}},
    {"timerfd_create", {EMFILE, ENOMEM}},
    {"signalfd", {EMFILE}},
    {"eventfd", {EMFILE}},
    {"pthread_create", {EAGAIN}},
};

enum fault_number {
  FAULT_NONE,
  FAULT_READ_FILE,
  FAULT_WRITE_FILE,
  FAULT_WRITE_PIPE,
  FAULT_RECV,
  FAULT_SEND,
  FAULT_ACCEPT,
  FAULT_OPEN,
  FAULT_OPENDIR,
  FAULT_READDIR,
  FAULT_STAT,
  FAULT_SYNC,
  FAULT_TRUNCATE,
  FAULT_RENAME,
  FAULT_UNLINK,
  FAULT_MKDIR,
  FAULT_CHMOD,
  FAULT_LOCK,
  FAULT_DUP,
  FAULT_MMAP,
  FAULT_SOCKET,
  FAULT_BIND,
  FAULT_LISTEN,
  FAULT_CONNECT,
  FAULT_OPTION,
  FAULT_NAME,
  FAULT_EPOLL_CREATE,
  FAULT_EPOLL_CTL,
  FAULT_EPOLL_WAIT,
  FAULT_TIMERFD,
  FAULT_SIGNALFD,
  FAULT_EVENTFD,
  FAULT_THREAD,
  FAULT_KINDS
};

enum { FAULT_FRAMES = 12, FAULT_SITES = 4096 };

/* A call site: a kind of call and who called, as a hash. `frames` are offsets in the program, innermost first, for
 * addr2line; those in libraries are 0. */
struct fault_site {
  uint64_t id; /* 0: unused */
  uint32_t kind;
  uint32_t phase; /* when it was first seen */
  uint32_t calls;
  uint32_t unused;
  uint64_t frames[FAULT_FRAMES];
};

struct fault_control {
  /* Set by the test. Each call that matches counts `countdown` down; the one that reaches 0 fails. */
  uint32_t countdown;      /* 0: nothing fails */
  int32_t error;           /* errno, FAULT_SHORT, or 0: the first error of the call's kind */
  uint64_t site;           /* 0: any call that can fail */
  int64_t clock_offset_ns; /* is added to CLOCK_REALTIME */
  uint32_t phase;
  uint32_t depth; /* how many frames make a site, at most FAULT_FRAMES */

  /* Set by the shim. */
  uint32_t failures;
  uint32_t failed_kind; /* of the last one */
  uint64_t failed_site;
  struct fault_site sites[FAULT_SITES];
};
