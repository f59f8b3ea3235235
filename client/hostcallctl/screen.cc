#include "client/hostcallctl/screen.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "client/cli/output.h"

namespace hostcall::cli::host {
namespace {

// Of xterm, which all terminals of today understand: a page of its own, without a cursor; and back.
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l";
constexpr std::string_view kLeave = "\x1b[?25h\x1b[?1049l";
constexpr std::string_view kHome = "\x1b[H";
constexpr std::string_view kEndOfLine = "\x1b[K\r\n";
constexpr std::string_view kClearBelow = "\x1b[J";
// Where the terminal does not tell.
constexpr winsize kUsualSize{.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};

winsize size() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row != 0 && size.ws_col != 0 ? size : kUsualSize;
}

}  // namespace

Screen::Screen() {
  if (::tcgetattr(STDIN_FILENO, &before_) == 0) {
    auto single = before_;
    single.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    single.c_cc[VMIN] = 0;  // read() does not wait
    single.c_cc[VTIME] = 0;
    has_keyboard_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &single) == 0;
  }
  print(kEnter);
}

Screen::~Screen() {
  if (::write(STDOUT_FILENO, kLeave.data(), kLeave.size()) < 0) return;  // it has gone
  if (has_keyboard_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

std::string Screen::keys() {
  pollfd keyboard{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  if (!has_keyboard_ || ::poll(&keyboard, 1, 0) <= 0) return {};
  char keys[64];
  const auto got = ::read(STDIN_FILENO, keys, sizeof keys);
  if (got > 0) return {keys, static_cast<std::size_t>(got)};
  has_keyboard_ = false;  // it has gone, and would be readable for ever
  return {};
}

std::size_t Screen::rows() const { return size().ws_row; }

std::size_t Screen::columns() const { return size().ws_col; }

void Screen::show(std::string_view page) const {
  std::string text(kHome);
  const auto width = columns();
  while (!page.empty()) {
    const auto end = std::min(page.find('\n'), page.size());
    text.append(page.substr(0, std::min(end, width)));
    page.remove_prefix(std::min(end + 1, page.size()));
    text.append(page.empty() ? "\x1b[K" : kEndOfLine);
  }
  print(text.append(kClearBelow));
}

}  // namespace hostcall::cli::host
