// Documents: see documents.h.
#include "client/cli/documents.h"

#include <utility>

namespace hostcall::cli {

Documents Documents::of_argument(const std::string& text) {
  return text == "-" ? Documents(Input::standard_input()) : Documents(text);
}

std::string Documents::all(TimePoint deadline) {
  if (input_.fd() >= 0) return input_.all(kMaxBytes, deadline);
  return std::exchange(text_, {});
}

std::optional<std::string> Documents::next_line() {
  for (;;) {
    const auto end = text_.find('\n', searched_);
    if (end == std::string::npos && input_.fd() >= 0) {  // the line may go on
      searched_ = text_.size();
      return std::nullopt;
    }
    auto line = text_.substr(0, end);
    text_.erase(0, end == std::string::npos ? end : end + 1);
    searched_ = 0;
    if (line.find_first_not_of(" \t\r") != std::string::npos) {
      ++lines_;
      return line;
    }
    if (text_.empty()) return std::nullopt;
  }
}

}  // namespace hostcall::cli
