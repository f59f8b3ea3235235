// Texts of failures: what happened, and what the reader can do about it.
#pragma once

#include <string>
#include <string_view>

#include "client/lib/channel_options.h"
#include "proto/base/result.h"

namespace hostcall::client {

// A connect() that failed: the error with a hint.
std::string explain_connect(const Error& error, const ChannelOptions& options);
// No answer to Hello in time.
std::string explain_silence(const ChannelOptions& options);
// The connection takes no new calls, and the text of its Goaway if there was one.
std::string explain_leaving(std::string_view goaway);
// The connection ended although nobody said Goaway, or after this Goaway text. `heard`: something had come on it.
std::string explain_end(bool heard, std::string_view goaway);

}  // namespace hostcall::client
