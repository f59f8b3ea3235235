// The golden vectors: one frame of each kind, byte for byte, as annotated hexadecimal. golden_test.cc encodes and
// decodes each, and checks that proto/PROTOCOL.md shows the same text; tests/fuzz/make_seeds.py makes seeds of them.
// The bytes come from the specification through an encoder of their own, never from the code that they test.
#pragma once

namespace hostcall::wire::golden {

// A unary call without payload.
inline constexpr char kRequestUnary[] = R"(
00 00 00 18 00 00 00 01 01 00                    ; length 24, stream 1, Request, no flags
0a 10 68 6f 73 74 63 61 6c 6c 2e 76 31 2e 48 6f  ; service = "hostcall.v1.Host"
73 74
12 04 49 6e 66 6f                                ; method = "Info"
)";

// A unary call with every field.
inline constexpr char kRequestFull[] = R"(
00 00 00 37 00 00 00 03 01 00                    ; length 55, stream 3, Request, no flags
0a 17 68 6f 73 74 63 61 6c 6c 2e 76 31 2e 44 69  ; service = "hostcall.v1.Diagnostics"
61 67 6e 6f 73 74 69 63 73
12 04 45 63 68 6f                                ; method = "Echo"
1a 04 0a 02 68 69                                ; payload = EchoRequest{payload = "hi"}
20 80 e4 97 d0 12                                ; timeout_nano = 5,000,000,000
2a 0a 0a 05 74 72 61 63 65 12 01 37              ; metadata = {"trace", "7"}
)";

// A call with a streamed reply.
inline constexpr char kRequestServerStream[] = R"(
00 00 00 27 00 00 00 05 01 01                    ; length 39, stream 5, Request, remote closed
0a 17 68 6f 73 74 63 61 6c 6c 2e 76 31 2e 44 69  ; service = "hostcall.v1.Diagnostics"
61 67 6e 6f 73 74 69 63 73
12 06 53 6f 75 72 63 65                          ; method = "Source"
1a 04 08 03 10 01                                ; payload = SourceRequest{total_bytes = 3, chunk_bytes = 1}
)";

// A call whose caller will send Data.
inline constexpr char kRequestClientStream[] = R"(
00 00 00 1f 00 00 00 07 01 02                    ; length 31, stream 7, Request, remote open
0a 17 68 6f 73 74 63 61 6c 6c 2e 76 31 2e 44 69  ; service = "hostcall.v1.Diagnostics"
61 67 6e 6f 73 74 69 63 73
12 04 53 69 6e 6b                                ; method = "Sink"
)";

// Hello: the first call of a client that knows the extension.
inline constexpr char kRequestHello[] = R"(
00 00 00 2f 00 00 00 01 01 00                    ; length 47, stream 1, Request, no flags
0a 13 68 6f 73 74 63 61 6c 6c 2e 76 31 2e 53 65  ; service = "hostcall.v1.Session"
73 73 69 6f 6e
12 05 48 65 6c 6c 6f                             ; method = "Hello"
1a 11 0a 04 64 65 6d 6f 12 03 31 2e 30 18 1f 22  ; payload = HelloRequest{"demo", "1.0", features = 31, boot_id = "b1"}
02 62 31
)";

// Its answer; the extension is in force behind it.
inline constexpr char kResponseHello[] = R"(
00 00 00 29 00 00 00 01 02 00                    ; length 41, stream 1, Response, no flags
12 27 08 1f 10 07 1a 02 65 30 22 04 77 65 62 31  ; payload = HelloResponse
28 80 80 10 30 80 02 38 90 4e 40 80 80 04 48 80
80 10 52 05 30 2e 31 2e 30
)";

// OK and an empty reply message.
inline constexpr char kResponseEmpty[] = R"(
00 00 00 00 00 00 00 01 02 00                    ; length 0, stream 1, Response, no flags
)";

// OK and a reply message.
inline constexpr char kResponsePayload[] = R"(
00 00 00 06 00 00 00 03 02 00                    ; length 6, stream 3, Response, no flags
12 04 0a 02 68 69                                ; payload = EchoResponse{payload = "hi"}
)";

// A refusal.
inline constexpr char kResponseDenied[] = R"(
00 00 00 17 00 00 00 05 02 00                    ; length 23, stream 5, Response, no flags
0a 15 08 07 12 11 6e 6f 20 72 75 6c 65 20 61 6c  ; status = {7 PERMISSION_DENIED, "no rule allows it"}
6c 6f 77 73 20 69 74
)";

// A refusal that says when to repeat.
inline constexpr char kResponseRetry[] = R"(
00 00 00 52 00 00 00 03 02 00                    ; length 82, stream 3, Response, no flags
0a 50                                            ; status of 80 bytes
08 08                                            ;   code = 8, RESOURCE_EXHAUSTED
12 14 63 61 6c 6c 73 3a 20 35 30 20 70 65 72 20  ;   message = "calls: 50 per second"
73 65 63 6f 6e 64
1a 36                                            ;   details[0], an Any of 54 bytes
0a 28 74 79 70 65 2e 67 6f 6f 67 6c 65 61 70 69  ;     type_url = "type.googleapis.com/google.rpc.RetryInfo"
73 2e 63 6f 6d 2f 67 6f 6f 67 6c 65 2e 72 70 63
2e 52 65 74 72 79 49 6e 66 6f
12 0a 0a 08 08 01 10 80 ca b5 ee 01              ;     value = RetryInfo{retry_delay = 1.5 s}
)";

// A message of a stream.
inline constexpr char kData[] = R"(
00 00 00 05 00 00 00 07 03 00                    ; length 5, stream 7, Data, no flags
0a 03 61 62 63                                   ; Chunk{data = "abc"}
)";

// The last message, which closes its sender's side.
inline constexpr char kDataLast[] = R"(
00 00 00 03 00 00 00 07 03 01                    ; length 3, stream 7, Data, remote closed
0a 01 7a                                         ; Chunk{data = "z"}
)";

// The bare end of a sender's side; free of credit.
inline constexpr char kDataEnd[] = R"(
00 00 00 00 00 00 00 07 03 05                    ; length 0, stream 7, Data, remote closed, no data
)";

// The caller gives call 7 up.
inline constexpr char kCancel[] = R"(
00 00 00 04 00 00 00 07 10 00                    ; length 4, stream 7, Cancel, no flags
00 00 00 01                                      ; code = 1, CANCELLED
)";

// Credit for stream 7.
inline constexpr char kWindowStream[] = R"(
00 00 00 04 00 00 00 07 11 00                    ; length 4, stream 7, Window, no flags
00 00 80 00                                      ; credit = 32,768
)";

// Credit for the connection.
inline constexpr char kWindowConnection[] = R"(
00 00 00 04 00 00 00 00 11 00                    ; length 4, stream 0, Window, no flags
00 02 00 00                                      ; credit = 131,072
)";

// A sign of life is asked for.
inline constexpr char kPing[] = R"(
00 00 00 08 00 00 00 00 12 00                    ; length 8, stream 0, Ping, no flags
01 02 03 04 05 06 07 08                          ; token
)";

// And given.
inline constexpr char kPong[] = R"(
00 00 00 08 00 00 00 00 13 00                    ; length 8, stream 0, Pong, no flags
01 02 03 04 05 06 07 08                          ; the same token
)";

// The daemon stops; calls after stream 7 were not looked at.
inline constexpr char kGoaway[] = R"(
00 00 00 1b 00 00 00 00 14 00                    ; length 27, stream 0, Goaway, no flags
00 00 00 07                                      ; last_stream = 7
00 00 00 00                                      ; reason = 0, shutdown
00 00 07 d0                                      ; retry_after_ms = 2,000
68 6f 73 74 63 61 6c 6c 64 20 73 74 6f 70 73     ; text = "hostcalld stops"
)";

// The message of kData with a checksum; the length does not count it.
inline constexpr char kDataCrc[] = R"(
00 00 00 05 00 00 00 07 03 00                    ; length 5, stream 7, Data, no flags
0a 03 61 62 63                                   ; Chunk{data = "abc"}
64 ac e1 81                                      ; CRC32C of all bytes above
)";

// All of them, to go through.
inline constexpr const char* kAll[] = {
    kRequestUnary,  kRequestFull,     kRequestServerStream, kRequestClientStream, kRequestHello, kResponseHello,
    kResponseEmpty, kResponsePayload, kResponseDenied,      kResponseRetry,       kData,         kDataLast,
    kDataEnd,       kCancel,          kWindowStream,        kWindowConnection,    kPing,         kPong,
    kGoaway,        kDataCrc,
};

}  // namespace hostcall::wire::golden
