#include "daemon/config/service_record.h"

#include <algorithm>
#include <utility>

#include "proto/base/count.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

struct Piece {
  std::string_view literal;      // then
  std::string_view placeholder;  // without braces; empty: none
};

constexpr std::string_view kPlaceholders[] = {"vm", "uuid", "service"};

// Takes a piece off the text's front.
Result<Piece> take_piece(std::string_view& text) {
  const auto brace = text.find_first_of("{}");
  if (brace == std::string_view::npos) return Piece{std::exchange(text, {}), {}};
  if (text.substr(brace, 2) == "{{" || text.substr(brace, 2) == "}}") {
    const Piece piece{text.substr(0, brace + 1), {}};
    text.remove_prefix(brace + 2);
    return piece;
  }
  const auto end = text.find('}', brace);
  if (text[brace] == '}' || end == std::string_view::npos)
    return Error{0, "a brace alone; write {{ or }} for a brace itself"};
  const Piece piece{text.substr(0, brace), text.substr(brace + 1, end - brace - 1)};
  if (std::ranges::find(kPlaceholders, piece.placeholder) == std::end(kPlaceholders))
    return Error{0,
                 "there is no placeholder {" + escape(piece.placeholder) + "}; known are {vm}, {uuid} and {service}"};
  text.remove_prefix(end + 1);
  return piece;
}

std::string_view value_of(std::string_view placeholder, const PlaceholderValues& values) {
  if (placeholder == "vm") return values.vm;
  if (placeholder == "uuid") return values.uuid;
  return values.service;
}

Error no_argument(std::size_t position, const std::string& argument, std::string_view why) {
  return {0, "argument " + std::to_string(position + 1) + ", " + in_quotes(argument) + ", " + std::string(why)};
}

}  // namespace

std::string SocketService::address() const {
  if (!unix_path.empty()) return "unix:" + unix_path;
  const bool is_v6 = tcp_host.find(':') != std::string::npos;
  return "tcp:" + (is_v6 ? "[" + tcp_host + "]" : tcp_host) + ":" + std::to_string(tcp_port);
}

bool is_own_metadata(std::string_view key) {
  constexpr std::string_view kOwn = "hostcall";
  const auto plain = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  if (!std::ranges::equal(key.substr(0, kOwn.size()), kOwn, {}, plain)) return false;
  return key.size() == kOwn.size() || std::string_view("-_.").find(key[kOwn.size()]) != std::string_view::npos;
}

bool RoutedService::takes_metadata(std::string_view key) const {
  return std::ranges::any_of(metadata, [key](std::string_view pattern) {
    return pattern.ends_with('*') ? key.starts_with(pattern.substr(0, pattern.size() - 1)) : key == pattern;
  });
}

const char* ServiceRecord::kind_text() const {
  if (program() != nullptr) return "a program";
  return socket() != nullptr ? "a socket" : "a server";
}

std::vector<std::string> ServiceRecord::method_names() const {
  if (routed() == nullptr) return {};
  if (!routed()->described) return {name + "/*"};
  std::vector<std::string> names;
  for (const auto& [method, shape] : routed()->described->methods) names.push_back(name + "/" + method);
  return names;
}

Done check_placeholders(std::string_view text) {
  while (!text.empty()) HOSTCALL_TRY(take_piece(text));
  return done();
}

std::string filled_in(std::string_view text, const PlaceholderValues& values) {
  std::string filled;
  while (!text.empty()) {
    const auto piece = take_piece(text);
    if (!piece.ok()) return filled;
    filled += piece->literal;
    if (!piece->placeholder.empty()) filled += value_of(piece->placeholder, values);
  }
  return filled;
}

Done check_arguments(const ProgramService& program, const std::vector<std::string>& arguments) {
  const auto patterns = program.arguments.size();
  const bool too_many = program.rest ? arguments.size() > kMaxArguments : arguments.size() > patterns;
  const auto required = program.rest ? patterns - 1 : patterns;
  if (too_many || arguments.size() < required)
    return Error{0, "it takes " + std::string(program.rest ? "at least " : "") + count(required, "argument") +
                        ", but " + std::to_string(arguments.size()) +
                        (arguments.size() == 1 ? " was given" : " were given")};
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const auto& argument = arguments[i];
    if (argument.find('\0') != std::string::npos) return no_argument(i, argument, "has a NUL");
    if (argument.size() > kMaxMatchedBytes) return no_argument(i, argument.substr(0, 64), "has more than 4,096 bytes");
    if (!program.dashes && argument.starts_with('-')) return no_argument(i, argument, "begins with \"-\"");
    const auto& pattern = program.arguments[std::min(i, patterns - 1)];
    if (!pattern.matches(argument))
      return no_argument(i, argument, "does not match " + in_quotes(pattern.expression()));
  }
  return done();
}

}  // namespace hostcall::daemon
