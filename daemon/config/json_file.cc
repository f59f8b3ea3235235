#include "daemon/config/json_file.h"

#include <dirent.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <variant>

#include "daemon/config/nearest.h"
#include "daemon/config/trusted_path.h"
#include "proto/base/bounded_text.h"
#include "proto/base/escape.h"
#include "proto/base/read_file.h"

namespace hostcall::daemon {
namespace {

std::string place(std::string_view file, unsigned line) {
  return line == 0 ? std::string(file) : std::string(file) + ":" + std::to_string(line);
}

std::string joined(std::initializer_list<std::string_view> words) {
  std::string text;
  for (const auto word : words) (text += text.empty() ? "" : ", ") += word;
  return text;
}

// " (did you mean "allow"?)", or nothing.
std::string hint(std::string_view wrong, std::initializer_list<std::string_view> known) {
  const auto near = nearest(wrong, std::set<std::string, std::less<>>(known.begin(), known.end()));
  return near.empty() ? "" : " (did you mean " + in_quotes(near) + "?)";
}

// Throws unless nobody else can change what is at the path. The error names it once.
void require_trusted(const std::string& path) {
  const auto trusted = check_trusted(path);
  if (trusted.ok()) return;
  auto why = trusted.error().message();
  if (const auto name = escape(path) + " "; why.starts_with(name)) why.erase(0, name.size());
  throw ConfigError(path, 0, why);
}

// Feeds the parser and knows the line of the last character that it took. This is exact for every token, even for a
// number, which ends with the character after it, because a line break belongs to the line that it ends.
class LineCountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  struct Counter {
    unsigned line = 1;
    bool break_taken = false;
  };
  LineCountingIterator(const char* at, Counter* counter) : at_(at), counter_(counter) {}

  reference operator*() const { return *at_; }
  LineCountingIterator& operator++() {
    if (counter_->break_taken) ++counter_->line;
    counter_->break_taken = *at_++ == '\n';
    return *this;
  }
  LineCountingIterator operator++(int) {
    auto before = *this;
    ++*this;
    return before;
  }
  bool operator==(const LineCountingIterator& other) const { return at_ == other.at_; }

 private:
  const char* at_;
  Counter* counter_;
};

// The library's message without its prefix and its own line number. It quotes bytes of the file as they are.
std::string plain_reason(std::string_view message) {
  if (const auto at = message.find("] "); at != std::string_view::npos) message.remove_prefix(at + 2);
  constexpr std::string_view kColumn = ", column ";
  if (const auto at = message.find(kColumn); at != std::string_view::npos)
    if (const auto colon = message.find(": ", at); colon != std::string_view::npos) message.remove_prefix(colon + 2);
  return std::string(message);
}

}  // namespace

ConfigError::ConfigError(std::string_view file, unsigned line, std::string_view reason)
    : ConfigError(place(file, line) + ": " + bounded_text(reason)) {}

void require(const Done& checked, std::string_view file, unsigned line) {
  if (!checked.ok()) throw ConfigError(file, line, checked.error().message());
}

struct JsonValue::Node {
  using List = std::vector<Node>;
  using Object = std::vector<Member>;
  // A number with fraction or exponent, or one that is too large for an integer.
  struct Fraction {
    double value = 0;
    std::string text;  // as it is written
  };
  unsigned line = 0;
  std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, Fraction, std::string, List, Object> value;

  nlohmann::json to_json() const;
  const char* kind() const {
    constexpr const char* kKinds[] = {"null",     "true or false", "a negative number", "a number", "a number",
                                      "a string", "a list",        "an object"};
    return kKinds[value.index()];
  }
};

struct JsonValue::Member {
  std::string key;
  Node node;
};

// The library's objects are sorted by key.
nlohmann::json JsonValue::Node::to_json() const {
  if (const auto* object = std::get_if<Object>(&value)) {
    auto json = nlohmann::json::object();
    for (const auto& member : *object) json[member.key] = member.node.to_json();
    return json;
  }
  if (const auto* list = std::get_if<List>(&value)) {
    auto json = nlohmann::json::array();
    for (const auto& node : *list) json.push_back(node.to_json());
    return json;
  }
  if (const auto* fraction = std::get_if<Fraction>(&value)) return fraction->text;
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  if (const auto* number = std::get_if<std::int64_t>(&value)) return *number;
  if (const auto* number = std::get_if<std::uint64_t>(&value)) return *number;
  return nullptr;
}

struct JsonValue::Document {
  std::string file;
  Node root;
};

// Builds the tree from the parser's events.
class JsonValue::Builder {
 public:
  Builder(std::string_view file, Node& root, const LineCountingIterator::Counter& counter)
      : file_(file), root_(root), counter_(counter) {}

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(std::int64_t value) { return add(value); }
  bool number_unsigned(std::uint64_t value) { return add(value); }
  bool number_float(double value, const std::string& text) { return add(Node::Fraction{value, text}); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(std::vector<std::uint8_t>&) { return false; }  // not in JSON text
  bool start_object(std::size_t) { return open(Node::Object{}); }
  bool end_object() { return close(); }
  bool start_array(std::size_t) { return open(Node::List{}); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    auto& scope = scopes_.back();
    if (!scope.keys.insert(name).second) fail("the key " + in_quotes(name) + " appears twice in one object");
    auto& members = std::get<Node::Object>(scope.node->value);
    members.push_back(Member{std::move(name), Node{counter_.line, nullptr}});
    slot_ = &members.back().node;
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const std::exception& error) {
    fail("not valid JSON: " + escape_message(plain_reason(error.what())));
  }

 private:
  struct Scope {
    Node* node;
    std::set<std::string> keys;
  };

  [[noreturn]] void fail(std::string_view reason) const { throw ConfigError(file_, counter_.line, reason); }

  // Where the next value belongs. A list grows only while none of its elements is open, so the pointers in scopes_ stay
  // valid.
  Node& next_slot() {
    if (slot_ != nullptr) return *std::exchange(slot_, nullptr);
    if (scopes_.empty()) {
      root_.line = counter_.line;
      return root_;
    }
    auto& list = std::get<Node::List>(scopes_.back().node->value);
    return list.emplace_back(Node{counter_.line, nullptr});
  }

  template <class T>
  bool add(T value) {
    next_slot().value = std::move(value);
    return true;
  }

  template <class T>
  bool open(T container) {
    if (scopes_.size() == kMaxJsonDepth)
      fail("objects and lists are nested more than " + std::to_string(kMaxJsonDepth) + " deep");
    Node& node = next_slot();
    node.value = std::move(container);
    scopes_.push_back(Scope{&node, {}});
    return true;
  }

  bool close() {
    scopes_.pop_back();
    return true;
  }

  std::string_view file_;
  Node& root_;
  const LineCountingIterator::Counter& counter_;
  Node* slot_ = nullptr;  // of the member whose key was read last
  std::vector<Scope> scopes_;
};

JsonValue::JsonValue(std::shared_ptr<const Document> document, const Node& node, std::string_view key)
    : document_(std::move(document)), node_(&node), key_(key) {}

JsonValue JsonValue::parse(std::string_view file, std::string_view text) {
  // The parser takes a NUL for the end and would ignore what follows.
  if (const auto nul = text.find('\0'); nul != std::string_view::npos)
    throw ConfigError(file, static_cast<unsigned>(1 + std::count(text.begin(), text.begin() + nul, '\n')),
                      "not valid JSON: a NUL byte");
  auto document = std::make_shared<Document>(Document{std::string(file), {}});
  LineCountingIterator::Counter counter;
  Builder builder(document->file, document->root, counter);
  constexpr bool kStrict = true;
  constexpr bool kComments = true;
  nlohmann::json::sax_parse(LineCountingIterator(text.data(), &counter),
                            LineCountingIterator(text.data() + text.size(), &counter), &builder,
                            nlohmann::json::input_format_t::json, kStrict, kComments);
  const Node& root = document->root;
  return JsonValue(std::move(document), root);
}

JsonValue JsonValue::read(const std::string& path) {
  require_trusted(path);
  const auto text = read_file(path, kMaxFileBytes, FileKind::kRegular);
  if (!text.ok()) throw ConfigError(text.error().message());
  return parse(path, text.value());
}

const std::string& JsonValue::file() const { return document_->file; }

unsigned JsonValue::line() const { return node_->line; }

void JsonValue::fail(std::string_view reason) const {
  throw ConfigError(file(), line(), (key_.empty() ? std::string() : std::string(key_) + ": ").append(reason));
}

template <class T>
const T& JsonValue::as(std::string_view expected) const {
  if (const T* value = std::get_if<T>(&node_->value)) return *value;
  fail("expected " + std::string(expected) + ", but this is " + node_->kind());
}

const JsonValue::Member* JsonValue::find(std::string_view key) const {
  const auto& members = as<Node::Object>("an object");
  const auto at = std::ranges::find(members, key, &Member::key);
  return at == members.end() ? nullptr : &*at;
}

void JsonValue::allow_keys(std::initializer_list<std::string_view> keys) const {
  for (const auto& [key, node] : as<Node::Object>("an object"))
    if (std::ranges::find(keys, key) == keys.end())
      JsonValue(document_, node)
          .fail("unknown key " + in_quotes(key) + hint(key, keys) +
                (keys.size() == 1 ? "; the only known key is " : "; known are ") + joined(keys));
}

bool JsonValue::has(std::string_view key) const {
  return std::holds_alternative<Node::Object>(node_->value) && find(key) != nullptr;
}

JsonValue JsonValue::at(std::string_view key) const {
  const Member* member = find(key);
  if (member == nullptr) fail("the key " + in_quotes(key) + " is missing");
  return JsonValue(document_, member->node, member->key);
}

std::vector<std::pair<std::string, JsonValue>> JsonValue::members() const {
  std::vector<std::pair<std::string, JsonValue>> all;
  for (const auto& [key, node] : as<Node::Object>("an object")) all.emplace_back(key, JsonValue(document_, node, key));
  return all;
}

std::vector<JsonValue> JsonValue::elements() const {
  std::vector<JsonValue> all;
  for (const auto& node : as<Node::List>("a list"))
    all.push_back(JsonValue(document_, node, std::holds_alternative<Node::Object>(node.value) ? "" : key_));
  return all;
}

std::string JsonValue::string() const { return as<std::string>("a string"); }

bool JsonValue::boolean() const { return as<bool>("true or false"); }

double JsonValue::number() const {
  if (const auto* value = std::get_if<std::int64_t>(&node_->value)) return static_cast<double>(*value);
  if (const auto* value = std::get_if<std::uint64_t>(&node_->value)) return static_cast<double>(*value);
  return as<Node::Fraction>("a number").value;
}

std::uint64_t JsonValue::integer(std::uint64_t min, std::uint64_t max) const {
  const auto expected = "a whole number from " + std::to_string(min) + " to " + std::to_string(max);
  if (const auto* fraction = std::get_if<Node::Fraction>(&node_->value))
    fail("expected " + expected + ", written without fraction and exponent, but this is " + fraction->text);
  const auto value = as<std::uint64_t>(expected);
  if (value < min || value > max) fail("expected " + expected + ", but this is " + std::to_string(value));
  return value;
}

std::vector<std::string> JsonValue::strings() const {
  std::vector<std::string> all;
  for (const auto& node : as<Node::List>("a list of strings"))
    all.push_back(JsonValue(document_, node, key_).as<std::string>("a string"));
  return all;
}

std::string JsonValue::absolute_path() const {
  auto path = string();
  if (!path.starts_with('/') || path.find('\0') != std::string::npos)
    fail("expected an absolute path, but this is " + in_quotes(path));
  return path;
}

std::string JsonValue::scalar_text() const {
  if (const auto* text = std::get_if<std::string>(&node_->value)) return *text;
  if (const auto* value = std::get_if<bool>(&node_->value)) return *value ? "yes" : "no";
  if (const auto* value = std::get_if<std::int64_t>(&node_->value)) return std::to_string(*value);
  if (const auto* value = std::get_if<std::uint64_t>(&node_->value)) return std::to_string(*value);
  return as<Node::Fraction>("a string, a number, true or false").text;
}

std::string JsonValue::canonical_text() const { return node_->to_json().dump(); }

std::vector<std::string> json_files(const std::string& directory) {
  std::vector<std::string> paths;
  require_trusted(directory);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), ::closedir);
  if (stream == nullptr) {
    if (errno == ENOENT) return paths;
    throw ConfigError(directory, 0, Error::from_errno("cannot be opened").message());
  }
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name.ends_with(".json") && !name.starts_with('.')) paths.push_back(directory + "/" + std::string(name));
  }
  if (errno != 0) throw ConfigError(directory, 0, Error::from_errno("cannot be read").message());
  std::ranges::sort(paths);
  return paths;
}

}  // namespace hostcall::daemon
