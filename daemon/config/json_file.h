// Reads JSON with comments, so that every error names file, line and reason. Configuration, VM and policy files are
// read only this way.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/base/result.h"

namespace hostcall::daemon {

inline constexpr std::size_t kMaxFileBytes = 16 * 1024 * 1024;
// Nested objects and lists.
inline constexpr std::size_t kMaxJsonDepth = 32;

// "/etc/hostcall/policy.d/10-web.json:7: unknown key "alow"; known are …"
class ConfigError : public std::runtime_error {
 public:
  // Line 0: the error concerns the whole file. A reason that quotes the file is cut at kMaxToldText.
  ConfigError(std::string_view file, unsigned line, std::string_view reason);
  explicit ConfigError(const std::string& text) : std::runtime_error(text) {}
};

// Throws ConfigError with this place if the check failed.
void require(const Done& checked, std::string_view file, unsigned line);

// A value in a document, with its place. Cheap to copy; keeps the document alive.
class JsonValue {
 public:
  // Parses the text of `file` (the name is for messages): JSON in UTF-8, // and /* comments */ allowed, no duplicate
  // keys. Throws ConfigError.
  static JsonValue parse(std::string_view file, std::string_view text);
  // Reads and parses a regular file of at most kMaxFileBytes that nobody else can change (trusted_path.h); throws
  // ConfigError.
  static JsonValue read(const std::string& path);

  const std::string& file() const;
  // For a member, the line of its key.
  unsigned line() const;
  // Always throws ConfigError with this place and, for a member, its key.
  [[noreturn]] void fail(std::string_view reason) const;
  // Throws the same if the check failed.
  void require(const Done& checked) const { daemon::require(checked, file(), line()); }

  // Throws unless this is an object with no keys outside the list.
  void allow_keys(std::initializer_list<std::string_view> keys) const;
  // Whether this is an object with this member.
  bool has(std::string_view key) const;
  // The member. Throws if this is not an object or lacks the member.
  JsonValue at(std::string_view key) const;
  // In file order.
  std::vector<std::pair<std::string, JsonValue>> members() const;
  std::vector<JsonValue> elements() const;

  // The value as the given type; throws ConfigError if it has another.
  std::string string() const;
  bool boolean() const;
  double number() const;
  // The bounds are inclusive.
  std::uint64_t integer(std::uint64_t min, std::uint64_t max) const;
  std::vector<std::string> strings() const;
  // A string that is an absolute path.
  std::string absolute_path() const;
  // The text of a string, a number as it is written, or "yes" or "no".
  std::string scalar_text() const;
  // JSON without white space and comments, keys sorted: equal for files that say the same.
  std::string canonical_text() const;

 private:
  struct Node;
  struct Member;
  struct Document;
  class Builder;
  JsonValue(std::shared_ptr<const Document> document, const Node& node, std::string_view key = {});
  // The value as a T. Otherwise throws an error that `expected` was expected.
  template <class T>
  const T& as(std::string_view expected) const;
  const Member* find(std::string_view key) const;

  std::shared_ptr<const Document> document_;
  const Node* node_;
  std::string_view key_;  // of a member, in the document
};

// The paths of a directory's *.json files in C-locale order, without hidden ones; empty if the directory is missing.
// Throws ConfigError if it can't be read, or if others could change it (trusted_path.h).
std::vector<std::string> json_files(const std::string& directory);

}  // namespace hostcall::daemon
