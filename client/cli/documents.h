// Documents: JSON texts from standard input, or from an argument, one per line or as a whole.
#pragma once

#include <optional>
#include <string>

#include "client/cli/input.h"

namespace hostcall::cli {

class Documents {
 public:
  // The most bytes of one: a message of the largest size whose text is all escapes, with room for names.
  static constexpr std::size_t kMaxBytes = 32 * 1024 * 1024;

  // What the argument holds.
  explicit Documents(std::string text = {}) : text_(std::move(text)) {}
  explicit Documents(Input input) : input_(std::move(input)), name_("the JSON of " + input_.name()) {}
  // For the verbs' usual JSON argument: "-" stands for standard input.
  static Documents of_argument(const std::string& text);

  // For messages: "the JSON", or "the JSON of standard input".
  const std::string& name() const { return name_; }
  // Everything up to the end. Throws Failure: the deadline passed, it is larger than kMaxBytes, or a read failed.
  std::string all(TimePoint deadline);

  // The next line that is not blank, among those that are here. Nothing: read more, or there is none (ended()).
  std::optional<std::string> next_line();
  // Of the line that was given last: "document 2 of the JSON".
  std::string name_of_line() const { return "document " + std::to_string(lines_) + " of " + name_; }
  // Whether all lines have been given.
  bool ended() const { return input_.fd() < 0 && text_.empty(); }
  // What to wait for (POLLIN); -1: nothing.
  int fd() const { return input_.fd(); }
  // Takes what there is to read; call it when fd() is readable and next_line() has nothing. Throws Failure: also for a
  // line larger than kMaxBytes.
  void read_some() { input_.read_some(text_, kMaxBytes); }

 private:
  Input input_;
  std::string name_ = "the JSON";
  std::string text_;
  std::size_t searched_ = 0;  // bytes of text_ without a line end
  std::size_t lines_ = 0;     // given
};

}  // namespace hostcall::cli
