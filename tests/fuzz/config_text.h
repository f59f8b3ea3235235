// The texts of administrators' files: as the fuzzer writes them, or JSON made of choices; and what must hold for the
// error about one that is refused.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "daemon/config/json_file.h"
#include "proto/base/bounded_text.h"
#include "proto/base/escape.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/json_text.h"

namespace hostcall::fuzz {

inline std::string config_text(Choices& choices, const JsonText::Words& words) {
  if (choices.byte() == kPlainText) return std::string(choices.rest());
  return JsonText(choices, words).document();
}

// Runs `use`; a ConfigError must name the file, and be a text of bounded length that a journal takes as it is.
template <class Use>
void check_config(std::string_view file, Use use) {
  try {
    use();
  } catch (const daemon::ConfigError& error) {
    const std::string_view text = error.what();
    require(text.starts_with(file), "an error names its file");
    require(text.size() <= file.size() + 32 + kMaxToldText, "an error is bounded");
    require(is_plain(text), "an error is plain text");
  }
}

}  // namespace hostcall::fuzz
