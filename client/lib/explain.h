// Error texts: what happened and what to do about it.
#pragma once

#include <string>
#include <string_view>

#include "client/lib/channel_options.h"
#include "proto/base/result.h"

namespace hostcall::client {

// A failed connect(): the error and a hint.
std::string explain_connect(const Error& error, const ChannelOptions& options);
// No answer to Hello in time.
std::string explain_silence(const ChannelOptions& options);
// The connection takes no new calls; with the text of its Goaway, if any.
std::string explain_leaving(std::string_view goaway);
// The connection ended; `goaway`: the text of its Goaway, if any. `heard`: it had received bytes.
std::string explain_end(bool heard, std::string_view goaway);

}  // namespace hostcall::client
