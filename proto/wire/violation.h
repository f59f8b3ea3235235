// Violation: what the peer did that the protocol forbids. The connection is lost by then; the owner
// of the engine says why, once, and closes.
#pragma once

#include <string>

namespace hostcall::wire {

struct Violation {
  enum class Kind {
    kNotTtrpc,   // the first bytes are another protocol's
    kBadFrame,   // length, type, flags or body of a frame
    kBadState,   // a frame that its stream's state does not allow
    kBadWindow,  // more bytes than credit, or more credit than 2^31
    kBadCrc,     // checksum mismatch
  };
  Kind kind;
  std::string text;  // one line, no peer text in it
};

}  // namespace hostcall::wire
