/*
 * libhostcall's C interface: call the host of this virtual machine. C11 and C++ can include it; the
 * C++ interface hostcall/client.h is built on it and adds no symbols of its own.
 *
 * A client connects at its first call, agrees with the host on hostcall's wire extension (a plain ttrpc
 * server does too), reconnects when it must, and gives every call a deadline. Blocking calls and an event loop can
 * be mixed on one client: blocking calls run the same machine, and also run the callbacks that are due.
 *
 * Threads: a client, its streams and its results belong to one thread at a time; different clients are
 * independent. The library has no global state, starts no thread and installs no signal handler.
 * fork: only one side may go on using a client; the other must not call anything on it, not even
 * hostcall_client_free(). All descriptors are close-on-exec.
 *
 * Errors: functions that return int give a status code, a value of hostcall_code or another number that the
 * host chose, or one of the negative HOSTCALL_STREAM_END and HOSTCALL_WOULD_BLOCK. A null or malformed
 * argument gives HOSTCALL_INVALID_ARGUMENT and has no effect; lack of memory HOSTCALL_RESOURCE_EXHAUSTED. Nothing
 * aborts, nothing throws. Accessors accept null and then return 0, an empty string or null.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#if defined(__GNUC__)
#define HOSTCALL_API __attribute__((visibility("default")))
#else
#define HOSTCALL_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ codes */

/* How a call ended, in gRPC's numbers. */
typedef enum hostcall_code {
  HOSTCALL_OK = 0,
  HOSTCALL_CANCELLED = 1,
  HOSTCALL_UNKNOWN = 2,
  HOSTCALL_INVALID_ARGUMENT = 3,
  HOSTCALL_DEADLINE_EXCEEDED = 4,
  HOSTCALL_NOT_FOUND = 5,
  HOSTCALL_ALREADY_EXISTS = 6,
  HOSTCALL_PERMISSION_DENIED = 7,
  HOSTCALL_RESOURCE_EXHAUSTED = 8,
  HOSTCALL_FAILED_PRECONDITION = 9,
  HOSTCALL_ABORTED = 10,
  HOSTCALL_OUT_OF_RANGE = 11,
  HOSTCALL_UNIMPLEMENTED = 12,
  HOSTCALL_INTERNAL = 13,
  HOSTCALL_UNAVAILABLE = 14,
  HOSTCALL_DATA_LOSS = 15,
  HOSTCALL_UNAUTHENTICATED = 16
} hostcall_code;

/* The stream has no more messages; hostcall_stream_finish() tells how it ended. */
#define HOSTCALL_STREAM_END (-1)
/* A try_ function can do nothing now; wait with hostcall_wait() or the event loop. */
#define HOSTCALL_WOULD_BLOCK (-2)

/* "PERMISSION_DENIED"; "UNKNOWN_CODE" for a number that hostcall_code does not list. Static. */
HOSTCALL_API const char* hostcall_code_name(int code);

/* Version of the library, "MAJOR.MINOR.PATCH". Static. */
HOSTCALL_API const char* hostcall_version(void);

/* ------------------------------------------------------------------ options */

/* A time-out that never ends. Meant for streams, such as a watch; a call that waits for ever hangs. */
#define HOSTCALL_NO_TIMEOUT UINT32_MAX

/*
 * What a client is made with. Set `size` to sizeof(hostcall_options) and leave the rest zero for the defaults;
 * later versions add fields at the end only. Strings are copied.
 */
typedef struct hostcall_options {
  size_t size;
  /* "vsock:CID:PORT", "unix:/path" or "unix:@abstract"; null: $HOSTCALL_ADDRESS, else "vsock:2:18499". */
  const char* address;
  /* Shown in the host's journal; at most 64 printable ASCII characters each. Null: the program's name; an empty
   * version. */
  const char* client_name;
  const char* client_version;
  /* Deadline of calls that name none, ms; 0: 30,000. */
  uint32_t call_timeout_ms;
  /* One vsock connect() in the kernel, ms; 0: 2,000. */
  uint32_t connect_timeout_ms;
  /* From the start of one connection attempt to the host's answer to Hello, ms; 0: 20,000, longer than a host
   * takes to restart: systemd holds the socket meanwhile, and a connection that stands is answered then. */
  uint32_t hello_timeout_ms;
  /* How long a call waits for a connection through errors that may pass by themselves, ms; 0: 5,000. An attempt
   * that only waits for the host's answer to Hello goes on after it. The call's deadline bounds it too. */
  uint32_t connect_budget_ms;
  /* Pause between attempts: drawn evenly from 0 to min(cap, base * 2^attempts), ms; 0: 50 and 5,000. */
  uint32_t backoff_base_ms;
  uint32_t backoff_cap_ms;
  /* Calls that may wait for a connection, or for room on it, at once; one more is refused with
   * RESOURCE_EXHAUSTED. 0: 1,024. */
  uint32_t max_queued_calls;
  /* Bytes of stream messages kept for an owner that does not take them; above this the client stops
   * reading from the host. Matters with a plain ttrpc server only, which has no flow control: ALL calls
   * of the client wait until messages are taken. 0: 1 MiB. */
  uint32_t max_unread_bytes;
  /* Source port on vsock. Below 1,024 it needs CAP_NET_BIND_SERVICE and proves root to the host. 0: any. Only
   * one connection at a time can have a port, and what the host has not given up yet counts, from before a
   * reboot of the guest too. */
  uint32_t source_port;
  /* Not 0: every frame carries a CRC32C, where the host agrees; for VMMs that lose or change bytes. */
  int crc;
  /* Not 0: calls wait for a connection until their deadline, whatever the error is. */
  int wait_for_ready;
  /* Not 0: every connection has a source port below 1,024, a free one from 512 up, for policy that requires it.
   * On vsock only, and not together with source_port: INVALID_ARGUMENT. Without CAP_NET_BIND_SERVICE in the
   * initial user namespace calls end with UNAVAILABLE at once. */
  int privileged_port;
  /* Blocking functions look for the host's answer for so long before they sleep, microseconds; 0: they sleep at
   * once. It saves the wake-up of a core, some 50 us, and burns CPU time meanwhile; where that is in vain, as on a
   * core that both sides share, it is tried less and less. At most 1,000. */
  uint32_t busy_poll_usec;
} hostcall_options;

/* What one call may differ in. Null or zero: the client's options. Set `size` as above. */
typedef struct hostcall_call_options {
  size_t size;
  /* Deadline from now, ms; 0: the client's call_timeout_ms; HOSTCALL_NO_TIMEOUT: none. */
  uint32_t timeout_ms;
  /* Not 0: as wait_for_ready of the client, for this call. */
  int wait_for_ready;
} hostcall_call_options;

/* ------------------------------------------------------------------ payloads and results */

/* A message to send: bytes, or something that writes itself in place, once or more often. The library reads
 * it during the call that takes it and keeps a copy where it needs one later. */
typedef struct hostcall_payload {
  const void* source; /* the bytes, or what `write` understands */
  size_t size;        /* bytes; with the call's envelope at most 4 MiB, and the host's max_message_bytes */
  /* Null: `source` is the bytes. Else writes exactly `size` bytes to `out`; must not fail, throw or call
   * the library. */
  void (*write)(const void* source, size_t size, char* out);
} hostcall_payload;

/* The payload of `size` bytes at `data`. */
static inline hostcall_payload hostcall_bytes(const void* data, size_t size) {
  hostcall_payload payload = {data, size, NULL};
  return payload;
}

/* How a call ended and what it returned. Reusable: a call replaces what was in it. */
typedef struct hostcall_result hostcall_result;

/* Null: no memory. The caller frees it; freeing null does nothing. */
HOSTCALL_API hostcall_result* hostcall_result_new(void);
HOSTCALL_API void hostcall_result_free(hostcall_result* result);
/* The status code; HOSTCALL_OK for a new result. */
HOSTCALL_API int hostcall_result_code(const hostcall_result* result);
/* What happened and what to do, for people. Valid until the result changes. The text of a failed call may come
 * from the host: do not use it as a format. */
HOSTCALL_API const char* hostcall_result_message(const hostcall_result* result);
/* When a repetition can succeed, ms from the end of the call, rounded up; 0: not known. */
HOSTCALL_API uint32_t hostcall_result_retry_after_ms(const hostcall_result* result);
/* 1: the request went out and no answer came, so the host may have carried it out or not. 0: the answer is
 * the host's, or the host has certainly not begun. */
HOSTCALL_API int hostcall_result_outcome_unknown(const hostcall_result* result);
/* The reply's bytes; empty unless the code is HOSTCALL_OK. Valid until the result changes. `size` may not be null. */
HOSTCALL_API const void* hostcall_result_payload(const hostcall_result* result, size_t* size);

/* ------------------------------------------------------------------ client */

/* A connection to one host that is made and made again as needed. */
typedef struct hostcall_client hostcall_client;

/*
 * Makes a client in *client; connects to nothing yet. `options` may be null. `result` may be null; it
 * receives the text of an error.
 * Errors: INVALID_ARGUMENT for a malformed address, name or size.
 */
HOSTCALL_API int hostcall_client_new(const hostcall_options* options, hostcall_client** client,
                                     hostcall_result* result);
/* Ends every call with CANCELLED, runs the callbacks of those begun by hostcall_start(), tells the host, and frees the
 * client. Streams stay valid handles that have ended; free them too. Not from a callback. Null: nothing. */
HOSTCALL_API void hostcall_client_free(hostcall_client* client);

/* Waits until the connection is ready or certainly fails; needed only to learn it before the first call.
 * `options` and `result` may be null. Errors: as hostcall_call(). */
HOSTCALL_API int hostcall_connect(hostcall_client* client, const hostcall_call_options* options,
                                  hostcall_result* result);

/* The agreement of the connection in use. */
typedef struct hostcall_session {
  size_t size;                    /* set it to sizeof(hostcall_session) before asking */
  uint64_t session_id;            /* names the session in the host's journal */
  uint64_t features;              /* bits of hostcall.v1.Feature in force; 0: a plain ttrpc server */
  const char* vm_name;            /* the name under which the host knows this VM; never null */
  const char* daemon_epoch;       /* changes when the daemon restarts; never null */
  const char* daemon_version;     /* never null */
  uint32_t max_message_bytes;     /* largest message that the host accepts */
  uint32_t max_streams;           /* open calls that the host allows this VM; 0: not told */
  uint32_t heartbeat_interval_ms; /* 0: none */
} hostcall_session;

/* Fills *session; its strings are valid until the next call of any function on the client.
 * Errors: UNAVAILABLE when there is no ready connection (it does not connect). */
HOSTCALL_API int hostcall_get_session(const hostcall_client* client, hostcall_session* session);

/* ------------------------------------------------------------------ unary calls */

/*
 * Calls "package.Service/Method" and waits for the reply. `options` and `result` may be null. Returns
 * the code that the result has too:
 * - UNAVAILABLE: no connection, with address, reason and advice; or it broke, see outcome_unknown. A
 *   request that the host has certainly not begun is repeated on a new connection by itself.
 * - DEADLINE_EXCEEDED: no reply in time. The host is told to stop.
 * - RESOURCE_EXHAUSTED: the message is too large, or too many calls wait.
 * - PERMISSION_DENIED, UNIMPLEMENTED and the rest: the host's own answer.
 */
HOSTCALL_API int hostcall_call(hostcall_client* client, const char* method, hostcall_payload request,
                               const hostcall_call_options* options, hostcall_result* result);

/* Runs once when a call begun by hostcall_start() has ended. `result` is valid during the callback only. May call
 * every function on the client but hostcall_client_free(). */
typedef void (*hostcall_callback)(void* user, const hostcall_result* result);

/*
 * Begins a call and returns at once. On HOSTCALL_OK the callback runs exactly once, later, inside hostcall_process(),
 * a blocking call or hostcall_client_free(); on an error it never runs. *id (may be null) names
 * the call for hostcall_cancel(). Errors: INVALID_ARGUMENT; RESOURCE_EXHAUSTED as hostcall_call(); CANCELLED
 * while the client is being freed.
 */
HOSTCALL_API int hostcall_start(hostcall_client* client, const char* method, hostcall_payload request,
                                const hostcall_call_options* options, hostcall_callback callback, void* user,
                                uint64_t* id);

/* Gives a started call up: its callback runs with CANCELLED. An id that has ended already is no error. */
HOSTCALL_API int hostcall_cancel(hostcall_client* client, uint64_t id);

/* ------------------------------------------------------------------ streams */

/* A call that streams in one direction or both. */
typedef struct hostcall_stream hostcall_stream;

/* Which side sends a stream of messages; the other sends one. */
typedef enum hostcall_shape {
  HOSTCALL_CLIENT_STREAM = 1,
  HOSTCALL_SERVER_STREAM = 2,
  HOSTCALL_BIDI_STREAM = 3
} hostcall_shape;

/*
 * Begins a streaming call; does not wait for the host. `request` is the one message of a SERVER_STREAM, and
 * empty for the others. The deadline bounds the whole stream. The caller frees *stream.
 * A stream is never repeated by itself on another connection.
 * Errors: INVALID_ARGUMENT, RESOURCE_EXHAUSTED; whatever happens later is told by the functions below.
 */
HOSTCALL_API int hostcall_stream_open(hostcall_client* client, const char* method, int shape, hostcall_payload request,
                                      const hostcall_call_options* options, hostcall_stream** stream,
                                      hostcall_result* result);

/* Sends one message; waits while the host grants no credit. Returns HOSTCALL_OK once it is on its way;
 * HOSTCALL_STREAM_END if the stream has ended, and a message that is too large ends it with RESOURCE_EXHAUSTED;
 * FAILED_PRECONDITION after close_send or on a SERVER_STREAM. */
HOSTCALL_API int hostcall_stream_send(hostcall_stream* stream, hostcall_payload message);
/* The same without waiting: HOSTCALL_WOULD_BLOCK, and a HOSTCALL_WRITABLE event later. */
HOSTCALL_API int hostcall_stream_try_send(hostcall_stream* stream, hostcall_payload message);

/* The same for a message that lies in `count` pieces of memory, one behind the other. Large ones are sent from where
 * they lie, as far as the socket takes them; the rest is copied before the function returns. INVALID_ARGUMENT for more
 * than HOSTCALL_MAX_PIECES. */
#define HOSTCALL_MAX_PIECES 8
HOSTCALL_API int hostcall_stream_sendv(hostcall_stream* stream, const struct iovec* pieces, size_t count);
HOSTCALL_API int hostcall_stream_try_sendv(hostcall_stream* stream, const struct iovec* pieces, size_t count);

/* This side sends no more. Repeating it does nothing. */
HOSTCALL_API int hostcall_stream_close_send(hostcall_stream* stream);

/* Waits for the next message; *data is valid until the next receive on this stream, whatever that returns, or its end
 * of life. Returns HOSTCALL_OK with a message, else HOSTCALL_STREAM_END; messages that came before the end are given
 * first. Taking a message is what lets the host send more. */
HOSTCALL_API int hostcall_stream_recv(hostcall_stream* stream, const void** data, size_t* size);
/* The same without waiting: HOSTCALL_WOULD_BLOCK, and a HOSTCALL_READABLE event later. */
HOSTCALL_API int hostcall_stream_try_recv(hostcall_stream* stream, const void** data, size_t* size);

/* Closes this side, drops messages that were not taken, waits for the end, and returns how the
 * call ended; a CLIENT_STREAM's one reply is the result's payload. May be repeated. `result` may be null. */
HOSTCALL_API int hostcall_stream_finish(hostcall_stream* stream, hostcall_result* result);

/* Gives the stream up; it ends with CANCELLED, and the host is told. After the end it does nothing. */
HOSTCALL_API void hostcall_stream_cancel(hostcall_stream* stream);
/* Cancels it if it runs, and frees it. Null: nothing. May be called in the stream's own callback, but not in one
 * that runs inside a blocking function on the same stream. */
HOSTCALL_API void hostcall_stream_free(hostcall_stream* stream);

/* Events of a stream, joined. */
#define HOSTCALL_READABLE 1u /* hostcall_stream_try_recv() has something */
#define HOSTCALL_WRITABLE 2u /* the stream can be sent on: at its beginning, and after a refused try_send */
#define HOSTCALL_CLOSED 4u   /* the stream has ended; the last event, told once */

/* Runs inside hostcall_process() or a blocking call when something has changed, once for each change: go on until
 * HOSTCALL_WOULD_BLOCK or HOSTCALL_STREAM_END. May call every function but hostcall_client_free(). */
typedef void (*hostcall_stream_callback)(void* user, hostcall_stream* stream, unsigned events);
/* Sets the stream's callback; null removes it. What is already there is told at the next process. */
HOSTCALL_API int hostcall_stream_set_callback(hostcall_stream* stream, hostcall_stream_callback callback, void* user);

/* ------------------------------------------------------------------ event loop */

/*
 * The loop: wait until hostcall_fd() is readable (POLLIN) or hostcall_timeout_ms() has passed, then call
 * hostcall_process(); ask for the time-out (or hostcall_due_ns()) again after every call on the client.
 * A client that is not processed for three heartbeat intervals is closed by the host. That is harmless: the
 * next call connects again.
 */

/* A descriptor for poll, epoll or sd-event that stays the same for the client's life, across all its connections.
 * Only wait on it; the client owns it. -1: it could not be made (no descriptors left), ask again later. */
HOSTCALL_API int hostcall_fd(hostcall_client* client);
/* For a loop that has many clients in an epoll set: instead of a descriptor of its own, which would be a set within the
 * set, the client keeps its sockets in the caller's by itself, level-triggered and with `data` in the events. Such an
 * event means hostcall_process(); one client may have several in one turn. The time-out counts as before. The set must
 * stay open as long as the client lives; hostcall_fd() gives -1 from then on.
 * Errors: INVALID_ARGUMENT; FAILED_PRECONDITION: hostcall_fd() or this was called before. */
HOSTCALL_API int hostcall_watch(hostcall_client* client, int epoll_fd, uint64_t data);
/* How long the loop may wait at most, ms, rounded up; -1: for ever. */
HOSTCALL_API int hostcall_timeout_ms(const hostcall_client* client);
/* The same as a moment, for timers that are set to one: nanoseconds of CLOCK_MONOTONIC, which it does not read. In the
 * past: now; 0: at once, there is more to do already; INT64_MAX: never. */
HOSTCALL_API int64_t hostcall_due_ns(const hostcall_client* client);
/* Does what can be done now, runs callbacks, never blocks. Errors: INVALID_ARGUMENT, RESOURCE_EXHAUSTED. */
HOSTCALL_API int hostcall_process(hostcall_client* client);
/* Waits at most timeout_ms (HOSTCALL_NO_TIMEOUT: for ever) for something to do, and processes it: one round
 * of a loop that has nothing else to watch. Errors: as hostcall_process(). */
HOSTCALL_API int hostcall_wait(hostcall_client* client, uint32_t timeout_ms);

#ifdef __cplusplus
}
#endif
