// Schema: see schema.h. JSON goes straight between text and wire bytes, through descriptors, without a message in
// between.
#include "client/cli/schema.h"

#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <utility>

#include "proto/base/escape.h"
#include "proto/base/utf8.h"
#include "proto/descriptors.h"

namespace hostcall::cli {

namespace pb = google::protobuf;

namespace {

constexpr char kTypePrefix[] = "type.googleapis.com";

std::string type_url(std::string_view type) { return std::string(kTypePrefix) + "/" + std::string(type); }

// In one line: of what is wrong at "PATH: what is wrong", where the path of the document itself is empty; or of "what
// is wrong", a line end, a piece of the document, a line end, and a caret below the place.
std::string reason_of(const std::string& message) {
  std::istringstream lines(message);
  std::string what, piece, caret;
  std::getline(lines, what), std::getline(lines, piece), std::getline(lines, caret);
  if (what.starts_with(": ")) what.erase(0, 2);
  while (what.ends_with('.')) what.pop_back();
  if (what.ends_with("for type TYPE_BYTES")) what += "; bytes are written in base64";
  const auto rest = caret.find('^') < piece.size() ? piece.substr(caret.find('^')) : "";
  return escape_message(what) + (rest.empty() ? "" : ", at: " + escape_message(rest));
}

constexpr std::string_view kBlanks = " \t\r\n";

// A string with its quotes, a mark, or what stands between marks: the first of a text that is not empty.
std::string_view first_token(std::string_view json) {
  constexpr std::string_view kMarks = "{}[]:,\"' \t\r\n";
  const char quote = json.front();
  if (kMarks.find(quote) == kMarks.npos) return json.substr(0, json.find_first_of(kMarks));
  if (quote != '"' && quote != '\'') return json.substr(0, 1);
  std::size_t end = 1;
  while (end < json.size() && json[end] != quote) end += json[end] == '\\' ? 2 : 1;
  return json.substr(0, end + 1);
}

std::string_view without_quotes(std::string_view token) {
  const bool quoted = token.size() >= 2 && (token.front() == '"' || token.front() == '\'');
  return quoted ? token.substr(1, token.size() - 2) : token;
}

// The name of a member that is twice in one object, of JSON that the parser takes: that is also with names in single
// quotes, or without. Of two such members the parser keeps the last, or of lists both.
std::optional<std::string_view> find_repeated_member(std::string_view json) {
  std::vector<std::set<std::string_view>> open;  // the objects and lists around, with the names so far
  std::string_view last;
  while (!json.empty()) {
    const auto token = first_token(json);
    json.remove_prefix(token.size());
    if (token == "{" || token == "[") open.emplace_back();
    if ((token == "}" || token == "]") && !open.empty()) open.pop_back();
    if (token == ":" && !open.empty() && !open.back().insert(last).second) return last;
    if (kBlanks.find(token) == kBlanks.npos) last = without_quotes(token);
  }
  return std::nullopt;
}

// What a field is called in JSON unless its .proto file says otherwise.
std::string default_json_name(std::string_view name) {
  std::string json_name;
  bool begins_word = false;
  for (const char c : name) {
    if (c != '_') json_name += begins_word && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    begins_word = c == '_';
  }
  return json_name;
}

template <class Fields>
void drop_default_json_names(Fields& fields) {
  for (auto& field : fields)
    if (field.json_name() == default_json_name(field.name())) field.clear_json_name();
}

void drop_default_json_names(pb::DescriptorProto& message) {
  drop_default_json_names(*message.mutable_field());
  drop_default_json_names(*message.mutable_extension());
  for (auto& nested : *message.mutable_nested_type()) drop_default_json_names(nested);
}

// protoc keeps the blank behind each //, and the text of a comment has another one.
void drop_margin(std::string& comment) {
  char before = '\0';
  std::erase_if(comment, [&before](char c) { return std::exchange(before, c) == '\n' && c == ' '; });
}

// Of what protoc adds, what would be shown as if the author had written it.
void clean(pb::FileDescriptorProto& file) {
  drop_default_json_names(*file.mutable_extension());
  for (auto& message : *file.mutable_message_type()) drop_default_json_names(message);
  if (!file.has_source_code_info()) return;
  for (auto& location : *file.mutable_source_code_info()->mutable_location())
    if (location.has_leading_comments()) drop_margin(*location.mutable_leading_comments());
}

// Where the first byte is that belongs to no code point.
std::optional<std::size_t> find_non_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto point = utf8::decode(text.substr(at));
    if (!point) return at;
    at += point->bytes;
  }
  return std::nullopt;
}

}  // namespace

Schema::Schema() : types_(pb::util::NewTypeResolverForDescriptorPool(kTypePrefix, &pool_)) {}

std::unique_ptr<Schema> Schema::parse(std::string_view file_descriptor_set) {
  pb::FileDescriptorSet set;
  if (!set.ParseFromArray(file_descriptor_set.data(), static_cast<int>(file_descriptor_set.size()))) return nullptr;
  if (set.file_size() > kMaxFiles) return nullptr;
  std::unique_ptr<Schema> schema(new Schema);
  // A database, not the pool itself: files may come in any order, and only those in use are built.
  for (auto& file : *set.mutable_file()) {
    clean(file);
    schema->files_.Add(file);
  }
  return schema;
}

const Schema& Schema::built_in() {
  static const auto schema = parse(descriptor_set());
  return *schema;
}

const pb::ServiceDescriptor* Schema::find_service(std::string_view name) const {
  return pool_.FindServiceByName(std::string(name));
}

const pb::MethodDescriptor* Schema::find_method(std::string_view name) const {
  const auto slash = name.find('/');
  if (slash == std::string_view::npos) return nullptr;
  const auto* service = find_service(name.substr(0, slash));
  return service == nullptr ? nullptr : service->FindMethodByName(std::string(name.substr(slash + 1)));
}

bool Schema::is_broken(std::string_view service) const {
  pb::FileDescriptorProto file;
  const std::string name(service);
  if (pool_.FindFileContainingSymbol(name) != nullptr || !files_.FindFileContainingSymbol(name, &file)) return false;
  const auto prefix = file.package().empty() ? "" : file.package() + ".";
  return std::ranges::any_of(file.service(), [&](const auto& one) { return prefix + one.name() == name; });
}

std::vector<std::string> Schema::services() const {
  std::vector<std::string> names, found;
  files_.FindAllFileNames(&names);
  for (const auto& name : names) {
    const auto* file = pool_.FindFileByName(name);
    for (int i = 0; file != nullptr && i < file->service_count(); ++i) found.push_back(file->service(i)->full_name());
  }
  return found;
}

std::vector<std::string> Schema::methods(std::string_view service) const {
  std::vector<std::string> found;
  const auto* descriptor = find_service(service);
  for (int i = 0; descriptor != nullptr && i < descriptor->method_count(); ++i)
    found.push_back(descriptor->full_name() + "/" + descriptor->method(i)->name());
  return found;
}

std::vector<std::string> Schema::near(std::string_view name) const {
  const auto service = name.substr(0, name.find('/'));
  return find_service(service) == nullptr ? services() : methods(service);
}

// What a message's own parser takes the bytes for, written down again. The JSON writer takes them as they are: it
// passes over bytes that end early, and writes a field that comes twice, or two fields of a oneof, one after the other.
std::optional<std::string> Schema::canonical(std::string_view type, std::string_view bytes) const {
  const auto* descriptor = pool_.FindMessageTypeByName(std::string(type));
  if (descriptor == nullptr) return std::nullopt;
  const std::unique_ptr<pb::Message> message(messages_.GetPrototype(descriptor)->New());
  if (!message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  return message->SerializeAsString();
}

std::optional<std::string> Schema::to_json(std::string_view type, std::string_view bytes, JsonStyle style) const {
  const auto message = canonical(type, bytes);
  if (!message) return std::nullopt;
  pb::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.add_whitespace = style == JsonStyle::kPretty;
  std::string json;
  if (!pb::util::BinaryToJsonString(types_.get(), type_url(type), *message, &json, options).ok()) return std::nullopt;
  while (json.ends_with('\n')) json.pop_back();
  return escape_json(json);
}

Result<std::string> Schema::from_json(std::string_view type, std::string_view json) const {
  if (const auto at = find_non_utf8(json))
    return Error{0, "it is not UTF-8: byte " + std::to_string(*at + 1) + " is " + escape(json.substr(*at, 1))};
  std::string bytes;
  const auto status =
      pb::util::JsonToBinaryString(types_.get(), type_url(type), pb::StringPiece(json.data(), json.size()), &bytes);
  if (status.ok() && !canonical(type, bytes)) return Error{0, "a text in it has half of a surrogate pair"};
  if (status.ok()) {
    if (const auto name = find_repeated_member(json)) return Error{0, in_quotes(*name) + " is twice in one object"};
    return bytes;
  }
  if (json.find_first_not_of(kBlanks) == json.npos) return Error{0, "it is empty"};
  return Error{0, reason_of(std::string(status.message()))};
}

}  // namespace hostcall::cli
