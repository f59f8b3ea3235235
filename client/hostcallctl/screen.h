// Screen: the terminal of a verb that shows a table and is told by single keys. Whatever ends the verb, the terminal is
// as it was.
#pragma once

#include <termios.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace hostcall::cli::host {

class Screen {
 public:
  // Takes the terminal: standard input, if it is one, gives single keys, and standard output has a page of its own.
  Screen();
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // Readable when a key is pressed; -1: there is no keyboard.
  int keyboard() const { return has_keyboard_ ? 0 : -1; }
  // The keys since the last call; empty: none. At the end of input there is no keyboard any more.
  std::string keys();
  std::size_t rows() const;
  std::size_t columns() const;
  // Replaces the page. Longer lines are cut.
  void show(std::string_view page) const;

 private:
  bool has_keyboard_ = false;
  termios before_{};
};

}  // namespace hostcall::cli::host
