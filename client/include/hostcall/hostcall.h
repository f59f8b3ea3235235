/*
 * libhostcall's C interface: calls the host of this virtual machine. For C11 and C++; the C++ interface
 * hostcall/client.h is built on it and adds no symbols.
 *
 * A client connects on its first call, agrees with the host on hostcall's wire extension (a plain ttrpc server works
 * too), reconnects when necessary, and gives every call a deadline. Blocking calls and an event loop can share a
 * client: a blocking call does all of the client's work, which includes running callbacks that are due.
 *
 * Threads: a client with its streams and results belongs to one thread at a time; different clients are independent.
 * The library has no global state, starts no threads and installs no signal handlers.
 * fork: only one process may go on using a client; the other must not call anything on it, not even
 * hostcall_client_free(). All descriptors are close-on-exec.
 *
 * Errors: functions that return int return a status code: a value of hostcall_code, another number that the host
 * chose, or the negative HOSTCALL_STREAM_END or HOSTCALL_WOULD_BLOCK. A null or malformed argument returns
 * HOSTCALL_INVALID_ARGUMENT and has no effect; lack of memory returns HOSTCALL_RESOURCE_EXHAUSTED. Nothing aborts,
 * nothing throws. Accessors accept null and then return 0, an empty string or null.
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

/* The stream has no more messages; hostcall_stream_finish() returns how it ended. */
#define HOSTCALL_STREAM_END (-1)
/* A try_ function would have to wait; use hostcall_wait() or the event loop. */
#define HOSTCALL_WOULD_BLOCK (-2)

/* "PERMISSION_DENIED"; "UNKNOWN_CODE" for a number not in hostcall_code. Static. */
HOSTCALL_API const char* hostcall_code_name(int code);

/* Version of the library, "MAJOR.MINOR.PATCH". Static. */
HOSTCALL_API const char* hostcall_version(void);

/* ------------------------------------------------------------------ options */

/* No timeout. Meant for streams such as a watch: a call without a deadline can hang. */
#define HOSTCALL_NO_TIMEOUT UINT32_MAX

/*
 * Options of a client. Set `size` to sizeof(hostcall_options); fields that are zero take their default. Later versions
 * add fields at the end only. Strings are copied.
 */
typedef struct hostcall_options {
  size_t size;
  /* "vsock:CID:PORT", "unix:/path" or "unix:@abstract". Defaults to $HOSTCALL_ADDRESS, else "vsock:2:18499". */
  const char* address;
  /* Shown in the host's journal; at most 64 printable ASCII characters each. Default to the program's name and an empty
   * version. */
  const char* client_name;
  const char* client_version;
  /* Timeout of calls that set none, ms. Defaults to 30,000. */
  uint32_t call_timeout_ms;
  /* Timeout of one vsock connect() in the kernel, ms. Defaults to 2,000. */
  uint32_t connect_timeout_ms;
  /* From the start of a connection attempt to the host's answer to Hello, ms. Defaults to 20,000, longer than the
   * daemon takes to restart: systemd holds the socket meanwhile, and the new daemon answers its connections. */
  uint32_t hello_timeout_ms;
  /* How long a call waits for a connection while errors look transient, ms. Defaults to 5,000. Does not end an attempt
   * that only waits for the host's answer to Hello. The call's deadline takes precedence. */
  uint32_t connect_budget_ms;
  /* Pause between attempts: uniform between 0 and min(cap, base * 2^attempts), ms. Default to 50 and 5,000. */
  uint32_t backoff_base_ms;
  uint32_t backoff_cap_ms;
  /* Most calls that may wait for a connection, or for room on it; more are refused with RESOURCE_EXHAUSTED. Defaults to
   * 1,024. */
  uint32_t max_queued_calls;
  /* Most bytes of stream messages kept for an owner that does not take them; above this the client stops reading, and
   * ALL its calls wait until messages are taken. Defaults to 1 MiB, which matters only with a plain ttrpc server, which
   * has no flow control. With hostcalld each stream has a window of its own (384 KiB), and all share the connection's
   * (1 MiB), so that a few streams whose messages are not taken hold up all others. More than the default widens the
   * connection's window to so many bytes: with one window and one message for each stream, none waits for another. */
  uint32_t max_unread_bytes;
  /* Source port on vsock; 0: any. A port below 1,024 needs CAP_NET_BIND_SERVICE and proves root to the host. Only one
   * connection at a time can use a port, and connections that the host still holds count, even those from before a
   * reboot of the guest. */
  uint32_t source_port;
  /* Not 0: every frame carries a CRC32C, if the host agrees; for VMMs that lose or change bytes. */
  int crc;
  /* Not 0: calls wait for a connection until their deadline, whatever the error. */
  int wait_for_ready;
  /* Not 0: every connection uses a free source port from 512 to 1,023, for policy that requires it. Only on vsock and
   * without source_port, otherwise INVALID_ARGUMENT. Without CAP_NET_BIND_SERVICE in the initial user namespace calls
   * fail with UNAVAILABLE at once. */
  int privileged_port;
  /* Opt-in: blocking functions poll for the host's answer this long before they sleep, microseconds; at most 1,000.
   * Saves waking a core, some 50 us, and burns CPU time meanwhile. Where polling fails, as on a core that both sides
   * share, it is tried less and less often. */
  uint32_t busy_poll_usec;
  /* For later versions; must be 0, otherwise INVALID_ARGUMENT. Keeps the struct free of padding, whose bytes an old
   * program leaves undefined. */
  uint32_t reserved;
} hostcall_options;

/* Options of one call; a null pointer or zero fields mean the client's options. Set `size` as above. */
typedef struct hostcall_call_options {
  size_t size;
  /* Timeout from now, ms. Defaults to the client's call_timeout_ms. HOSTCALL_NO_TIMEOUT: none. */
  uint32_t timeout_ms;
  /* Not 0: wait for a connection until the deadline, whatever the error. */
  int wait_for_ready;
} hostcall_call_options;

/* ------------------------------------------------------------------ payloads and results */

/* A message to send: bytes, or an object that a function writes in place, perhaps more than once. The library reads it
 * only during the call that takes it, and copies what it needs later. */
typedef struct hostcall_payload {
  const void* source; /* the bytes, or the object for `write` */
  size_t size;        /* with the call's envelope at most 4 MiB and the host's max_message_bytes */
  /* Null: `source` points to the bytes. Else writes exactly `size` bytes to `out`; must not fail, throw or call the
   * library. */
  void (*write)(const void* source, size_t size, char* out);
} hostcall_payload;

/* The payload of `size` bytes at `data`. */
static inline hostcall_payload hostcall_bytes(const void* data, size_t size) {
  hostcall_payload payload = {data, size, NULL};
  return payload;
}

/* How a call ended and what it returned. Reusable: the next call replaces its contents. */
typedef struct hostcall_result hostcall_result;

/* Returns null if there is no memory. The caller frees it; freeing null does nothing. */
HOSTCALL_API hostcall_result* hostcall_result_new(void);
HOSTCALL_API void hostcall_result_free(hostcall_result* result);
/* The status code; HOSTCALL_OK for a new result. */
HOSTCALL_API int hostcall_result_code(const hostcall_result* result);
/* What happened and what to do, for people. Valid until the result changes. May be text from the host: do not use it as
 * a format string. */
HOSTCALL_API const char* hostcall_result_message(const hostcall_result* result);
/* When a retry can succeed, ms from the end of the call, rounded up; 0: unknown. */
HOSTCALL_API uint32_t hostcall_result_retry_after_ms(const hostcall_result* result);
/* 1: the request was sent and no answer came, so the host may or may not have carried it out. 0: the host answered, or
 * it has certainly not begun. */
HOSTCALL_API int hostcall_result_outcome_unknown(const hostcall_result* result);
/* The reply's bytes; empty unless the code is HOSTCALL_OK. Valid until the result changes. `size` must not be null. */
HOSTCALL_API const void* hostcall_result_payload(const hostcall_result* result, size_t* size);

/* ------------------------------------------------------------------ client */

/* A client of one host; connects and reconnects as needed. */
typedef struct hostcall_client hostcall_client;

/*
 * Stores a new client in *client; does not connect yet. `options` and `result` may be null; `result` receives the error
 * text. Errors: INVALID_ARGUMENT for a malformed address, name or size.
 */
HOSTCALL_API int hostcall_client_new(const hostcall_options* options, hostcall_client** client,
                                     hostcall_result* result);
/* Ends every call with CANCELLED, runs the callbacks of hostcall_start(), tells the host, and frees the client. Its
 * streams have ended but stay valid handles; free them too. Must not be called from a callback. Null: does nothing. */
HOSTCALL_API void hostcall_client_free(hostcall_client* client);

/* Waits until the connection is ready or certainly fails. Calls connect on their own; use it to learn of a failure
 * before the first call. `options` and `result` may be null. Errors: as hostcall_call(). */
HOSTCALL_API int hostcall_connect(hostcall_client* client, const hostcall_call_options* options,
                                  hostcall_result* result);

/* What both sides agreed on for the current connection. */
typedef struct hostcall_session {
  size_t size;                    /* set to sizeof(hostcall_session) by the caller */
  uint64_t session_id;            /* identifies the session in the host's journal */
  uint64_t features;              /* agreed bits of hostcall.v1.Feature; 0: a plain ttrpc server */
  const char* vm_name;            /* the name under which the host knows this VM; never null */
  const char* daemon_epoch;       /* changes when the daemon restarts; never null */
  const char* daemon_version;     /* never null */
  uint32_t max_message_bytes;     /* largest message that the host accepts */
  uint32_t max_streams;           /* open calls that the host allows this VM; 0: unknown */
  uint32_t heartbeat_interval_ms; /* 0: none */
  uint32_t reserved;              /* for later versions; 0 */
} hostcall_session;

/* Fills *session; its strings are valid until the next function call on the client. Does not connect.
 * Errors: UNAVAILABLE when there is no ready connection. */
HOSTCALL_API int hostcall_get_session(const hostcall_client* client, hostcall_session* session);

/* ------------------------------------------------------------------ unary calls */

/*
 * Calls "package.Service/Method" and waits for the reply. `options` and `result` may be null. Returns the code of the
 * result:
 * - UNAVAILABLE: no connection, with address, reason and advice; or it broke, see outcome_unknown. The library repeats
 *   a request that the host has certainly not begun on a new connection.
 * - DEADLINE_EXCEEDED: no reply in time. The library tells the host to stop.
 * - RESOURCE_EXHAUSTED: the message is too large, or too many calls are waiting.
 * - PERMISSION_DENIED, UNIMPLEMENTED and others: the host's own answer.
 */
HOSTCALL_API int hostcall_call(hostcall_client* client, const char* method, hostcall_payload request,
                               const hostcall_call_options* options, hostcall_result* result);

/* Runs once when a call of hostcall_start() has ended. `result` is valid only during the callback, which may call every
 * function on the client except hostcall_client_free(). */
typedef void (*hostcall_callback)(void* user, const hostcall_result* result);

/*
 * Begins a call and returns at once. On HOSTCALL_OK the callback runs exactly once, later, inside hostcall_process(), a
 * blocking call or hostcall_client_free(); on an error it never runs. *id identifies the call for hostcall_cancel();
 * `id` may be null. Errors: INVALID_ARGUMENT; RESOURCE_EXHAUSTED as hostcall_call(); CANCELLED while the client is
 * being freed.
 */
HOSTCALL_API int hostcall_start(hostcall_client* client, const char* method, hostcall_payload request,
                                const hostcall_call_options* options, hostcall_callback callback, void* user,
                                uint64_t* id);

/* Cancels a call of hostcall_start(): its callback runs with CANCELLED. The id of an ended call is no error. */
HOSTCALL_API int hostcall_cancel(hostcall_client* client, uint64_t id);

/* ------------------------------------------------------------------ streams */

/* A call that streams in one or both directions. */
typedef struct hostcall_stream hostcall_stream;

/* Which side sends a stream of messages; the other side sends one message. */
typedef enum hostcall_shape {
  HOSTCALL_CLIENT_STREAM = 1,
  HOSTCALL_SERVER_STREAM = 2,
  HOSTCALL_BIDI_STREAM = 3
} hostcall_shape;

/*
 * Begins a streaming call without waiting for the host. `request` is the one message of a SERVER_STREAM and empty for
 * the others. The deadline bounds the whole stream. The caller frees *stream. The library does not repeat a stream that
 * the host may have begun. Errors: INVALID_ARGUMENT, RESOURCE_EXHAUSTED; the functions below report what happens later.
 */
HOSTCALL_API int hostcall_stream_open(hostcall_client* client, const char* method, int shape, hostcall_payload request,
                                      const hostcall_call_options* options, hostcall_stream** stream,
                                      hostcall_result* result);

/* Sends one message; waits for the host to grant credit. Returns HOSTCALL_OK once the message is on its way;
 * HOSTCALL_STREAM_END if the stream has ended (a message that is too large ends it with RESOURCE_EXHAUSTED);
 * FAILED_PRECONDITION after close_send or on a SERVER_STREAM. */
HOSTCALL_API int hostcall_stream_send(hostcall_stream* stream, hostcall_payload message);
/* The same without waiting: returns HOSTCALL_WOULD_BLOCK, and a HOSTCALL_WRITABLE event follows. */
HOSTCALL_API int hostcall_stream_try_send(hostcall_stream* stream, hostcall_payload message);

/* The same for a message in `count` pieces of memory, in order. Sends large pieces without copying them, as far as the
 * socket takes them, and copies the rest before it returns. INVALID_ARGUMENT for more than HOSTCALL_MAX_PIECES. */
#define HOSTCALL_MAX_PIECES 8
HOSTCALL_API int hostcall_stream_sendv(hostcall_stream* stream, const struct iovec* pieces, size_t count);
HOSTCALL_API int hostcall_stream_try_sendv(hostcall_stream* stream, const struct iovec* pieces, size_t count);

/* Closes this side: it sends no more. Repeating it does nothing. */
HOSTCALL_API int hostcall_stream_close_send(hostcall_stream* stream);

/* Waits for the next message; *data is valid until the next receive on this stream, whatever that returns, or until it
 * is freed. Returns HOSTCALL_OK with a message, or HOSTCALL_STREAM_END after all messages. Taking messages lets the
 * host send more. */
HOSTCALL_API int hostcall_stream_recv(hostcall_stream* stream, const void** data, size_t* size);
/* The same without waiting: returns HOSTCALL_WOULD_BLOCK, and a HOSTCALL_READABLE event follows. */
HOSTCALL_API int hostcall_stream_try_recv(hostcall_stream* stream, const void** data, size_t* size);

/* Closes this side, drops messages that were not taken, waits for the end, and returns how the call ended. The payload
 * of `result` is the one reply of a CLIENT_STREAM. May be repeated. `result` may be null. */
HOSTCALL_API int hostcall_stream_finish(hostcall_stream* stream, hostcall_result* result);

/* Ends the stream with CANCELLED and tells the host. Does nothing if it has ended. */
HOSTCALL_API void hostcall_stream_cancel(hostcall_stream* stream);
/* Cancels the stream unless it has ended, and frees it. Null: does nothing. Allowed in the stream's own callback, but
 * not in one that runs inside a blocking function on the same stream. */
HOSTCALL_API void hostcall_stream_free(hostcall_stream* stream);

/* Events of a stream, a bit mask. */
#define HOSTCALL_READABLE 1u /* hostcall_stream_try_recv() has a message */
#define HOSTCALL_WRITABLE 2u /* the stream takes messages: at its start, and after try_send would have blocked */
#define HOSTCALL_CLOSED 4u   /* the stream has ended; the last event, sent once */

/* Runs inside hostcall_process() or a blocking call, once per change (edge-triggered): repeat try_ functions until
 * HOSTCALL_WOULD_BLOCK or HOSTCALL_STREAM_END. May call every function except hostcall_client_free(). */
typedef void (*hostcall_stream_callback)(void* user, hostcall_stream* stream, unsigned events);
/* Sets the stream's callback; null removes it. The next process reports what is there already. */
HOSTCALL_API int hostcall_stream_set_callback(hostcall_stream* stream, hostcall_stream_callback callback, void* user);

/* ------------------------------------------------------------------ event loop */

/*
 * The loop: wait until hostcall_fd() is readable (POLLIN) or hostcall_timeout_ms() has passed, then call
 * hostcall_process(). Ask for the timeout (or hostcall_due_ns()) again after every function call on the client. The
 * host disconnects a client that is not processed for three heartbeat intervals. That is harmless: the next call
 * reconnects.
 */

/* A descriptor for poll, epoll or sd-event that stays the same across all connections of the client, which owns it:
 * only wait on it. -1: no descriptors are left, try again later. */
HOSTCALL_API int hostcall_fd(hostcall_client* client);
/* Alternative to hostcall_fd() for a loop with many clients: the client adds its sockets to the caller's epoll set,
 * level-triggered and with `data` in the events, which avoids a set within a set. On such an event, call
 * hostcall_process(); one client may have several events per turn. The timeout still applies. The set must stay open
 * while the client lives; hostcall_fd() returns -1 from then on. Calls on a connection that the set can't take (ENOSPC)
 * end with UNAVAILABLE.
 * Errors: INVALID_ARGUMENT; FAILED_PRECONDITION: hostcall_fd() or hostcall_watch() was called before. */
HOSTCALL_API int hostcall_watch(hostcall_client* client, int epoll_fd, uint64_t data);
/* How long the loop may wait, ms, rounded up; -1: forever. */
HOSTCALL_API int hostcall_timeout_ms(const hostcall_client* client);
/* The same as a point in time, nanoseconds of CLOCK_MONOTONIC, for absolute timers; does not read the clock. In the
 * past: now; 0: now, there is work already; INT64_MAX: never. */
HOSTCALL_API int64_t hostcall_due_ns(const hostcall_client* client);
/* Does all work that is due and runs callbacks; never blocks. Errors: INVALID_ARGUMENT, RESOURCE_EXHAUSTED. */
HOSTCALL_API int hostcall_process(hostcall_client* client);
/* Waits at most timeout_ms (HOSTCALL_NO_TIMEOUT: forever) for work and does it: one turn of a loop that watches nothing
 * else. Errors: as hostcall_process(). */
HOSTCALL_API int hostcall_wait(hostcall_client* client, uint32_t timeout_ms);

#ifdef __cplusplus
}
#endif
