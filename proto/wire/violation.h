// Violation: how the peer broke the protocol. The connection is lost; the engine's owner reports the reason once and
// closes.
#pragma once

#include <string>

namespace hostcall::wire {

struct Violation {
  enum class Kind {
    kNotTtrpc,   // the first bytes belong to another protocol
    kBadFrame,   // wrong length, type, flags or body of a frame
    kBadState,   // a frame that the stream's state does not allow
    kBadWindow,  // more bytes than credit, or more credit than 2^31
    kBadCrc,     // checksum mismatch
  };
  Kind kind;
  std::string text;  // one line, without any text from the peer
};

}  // namespace hostcall::wire
