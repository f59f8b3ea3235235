// JSON text made of choices: mostly well-formed, with the keys and values that its reader knows.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "tests/fuzz/fuzz.h"

namespace hostcall::fuzz {

// An input that begins with this byte is the text itself, so that files can be seeds.
inline constexpr std::uint8_t kPlainText = '\n';

class JsonText {
 public:
  struct Words {
    std::span<const std::string_view> keys, values;
  };
  JsonText(Choices& choices, const Words& words) : choices_(choices), words_(words) {}

  std::string document() {
    text_.clear();
    add_object();
    return text_;
  }

 private:
  // A bit deeper than readers allow.
  static constexpr int kMaxDepth = 40;

  void add_value() {
    switch (choices_.byte() % 8) {
      case 0: return add_number();
      case 1: return add_word();
      case 2: return add_quoted(choices_.text());
      case 3:
      case 4: return add_object();
      case 5: return add_list();
      case 6: return add_quoted(choices_.of(words_.values));
      default: text_ += choices_.text();
    }
  }
  void add_quoted(std::string_view text) { ((text_ += '"') += text) += '"'; }
  void add_number() {
    const auto number = choices_.number();
    const auto way = choices_.byte();
    text_ += way % 4 == 1 ? std::to_string(static_cast<std::int64_t>(number)) : std::to_string(number);
    if (way % 4 == 2) text_ += ".5";
    if (way % 4 == 3) text_ += "e2";
  }
  void add_word() {
    static constexpr std::string_view kWords[] = {"true",    "false", "null",        "// comment\n1",
                                                  "/* */ 2", "-0",    "\xEF\xBB\xBF"};
    text_ += choices_.of(kWords);
  }
  void add_object() {
    add_sequence('{', '}', [this] {
      add_quoted(choices_.of(words_.keys));
      text_ += ": ";
      add_value();
    });
  }
  void add_list() {
    add_sequence('[', ']', [this] { add_value(); });
  }
  template <class Add>
  void add_sequence(char begin, char end, Add add) {
    text_ += begin;
    const int elements = depth_ < kMaxDepth ? choices_.byte() % 8 : 0;
    ++depth_;
    for (int i = 0; i < elements; ++i) {
      if (i != 0) text_ += ",\n";
      add();
    }
    --depth_;
    text_ += end;
  }

  Choices& choices_;
  const Words words_;
  std::string text_;
  int depth_ = 0;
};

}  // namespace hostcall::fuzz
