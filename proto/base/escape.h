// Text of guests and administrators made fit to be shown: in log records, in errors, on terminals.
#pragma once

#include <string>
#include <string_view>

namespace hostcall {

// Replaces control characters, and bytes that are not UTF-8, by \xNN for each byte. A result longer than `max` bytes is
// cut and ends with "...", which comes on top.
std::string escape(std::string_view text, std::size_t max = 256);
// The same in double quotes; one inside becomes \x22, so that the text can't end its own quotation.
std::string in_quotes(std::string_view text, std::size_t max = 256);

}  // namespace hostcall
