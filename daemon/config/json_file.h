// JSON text with comments, read so that every complaint can name file, line and reason. The only
// way configuration, VM and policy files are read.
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
// Objects and lists inside each other.
inline constexpr std::size_t kMaxJsonDepth = 32;

// "/etc/hostcall/policy.d/10-web.json:7: unknown key "alow"; known are …"
class ConfigError : public std::runtime_error {
 public:
  // Line 0: the complaint is about the file as a whole. A reason that quotes the file is cut at kMaxToldText.
  ConfigError(std::string_view file, unsigned line, std::string_view reason);
  explicit ConfigError(const std::string& text) : std::runtime_error(text) {}
};

// Throws ConfigError for the place if the check failed.
void require(const Done& checked, std::string_view file, unsigned line);

// A value of a document, with the place it stands at. Cheap to copy; keeps the document alive.
class JsonValue {
 public:
  // Parses the text of `file` (the name is for messages): JSON in UTF-8, // and /* comments */ allowed, no key twice in
  // an object. Throws ConfigError.
  static JsonValue parse(std::string_view file, std::string_view text);
  // Reads and parses a regular file of at most kMaxFileBytes; throws ConfigError.
  static JsonValue read(const std::string& path);

  const std::string& file() const;
  // Of a member, the line of its key.
  unsigned line() const;
  // Always throws ConfigError for this place.
  [[noreturn]] void fail(std::string_view reason) const;
  // The same if the check failed.
  void require(const Done& checked) const { daemon::require(checked, file(), line()); }

  // Throws unless this is an object all of whose keys are in the list.
  void allow_keys(std::initializer_list<std::string_view> keys) const;
  // Whether this is an object with a member of the name.
  bool has(std::string_view key) const;
  // The member; throws if this is no object or has none of the name.
  JsonValue at(std::string_view key) const;
  // In the order of the file.
  std::vector<std::pair<std::string, JsonValue>> members() const;
  std::vector<JsonValue> elements() const;

  // The value in the form asked for; throws ConfigError where it has another.
  std::string string() const;
  bool boolean() const;
  double number() const;
  // Both bounds are allowed values.
  std::uint64_t integer(std::uint64_t min, std::uint64_t max) const;
  std::vector<std::string> strings() const;

 private:
  struct Node;
  struct Member;
  struct Document;
  class Builder;
  JsonValue(std::shared_ptr<const Document> document, const Node& node);
  // The value as a T; throws, saying that `expected` was.
  template <class T>
  const T& as(std::string_view expected) const;
  const Node* find(std::string_view key) const;

  std::shared_ptr<const Document> document_;
  const Node* node_;
};

// The paths of a directory's *.json files in C-locale order, hidden ones left out; empty if the directory is
// missing. Throws ConfigError if it can't be read.
std::vector<std::string> json_files(const std::string& directory);

}  // namespace hostcall::daemon
