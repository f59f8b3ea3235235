// Proto text: see proto_text.h. Protobuf prints the single service, message or enum; what is here decides which, and in
// which file. Types are named in full, so that names of several packages do not clash.
#include "client/cli/proto_text.h"

#include <algorithm>
#include <list>
#include <set>
#include <vector>

#include "proto/base/escape.h"

namespace hostcall::cli {

namespace pb = google::protobuf;

namespace {

constexpr char kOptionsFile[] = "google/protobuf/descriptor.proto";

template <class Descriptor>
std::string text_of(const Descriptor& descriptor) {
  pb::DebugStringOptions options;
  options.include_comments = true;
  return descriptor.DebugStringWithOptions(options);
}

std::string indented(const std::string& text) {
  std::string out;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    out += "  " + text.substr(begin, end - begin);
    begin = end;
  }
  return out;
}

std::string text_of(const pb::ServiceDescriptor& service, const pb::MethodDescriptor* only) {
  return only == nullptr ? text_of(service) : "service " + service.name() + " {\n" + indented(text_of(*only)) + "}\n";
}

// Comments are anybody's text.
std::string harmless(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto end = std::min(text.find_first_of("\n\t"), text.size());
    out += escape_message(text.substr(0, end));
    if (end < text.size()) out += text[end];
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

bool imports(const pb::FileDescriptor& file, std::string_view name) {
  for (int i = 0; i < file.dependency_count(); ++i)
    if (file.dependency(i)->name() == name) return true;
  return false;
}

bool is_options(const pb::Descriptor& message) { return message.file()->name() == kOptionsFile; }

// A file of the text.
struct Part {
  const pb::FileDescriptor* file;
  std::set<std::string> imports;
  std::string body;

  std::string to_string() const {
    auto text = "// " + escape(file->name(), kWholeText) + "\nsyntax = \"" +
                pb::FileDescriptor::SyntaxName(file->syntax()) + "\";\n";
    if (!file->package().empty()) text += "\npackage " + file->package() + ";\n";
    if (!imports.empty()) text += '\n';
    for (const auto& import : imports) text += "import " + in_quotes(import, kWholeText) + ";\n";
    return text + body;
  }
};

class ProtoText {
 public:
  void add(const pb::ServiceDescriptor& service, const pb::MethodDescriptor* only);
  std::string to_string() const;

 private:
  // One of the two.
  struct Type {
    const pb::Descriptor* message = nullptr;
    const pb::EnumDescriptor* enumeration = nullptr;
  };
  // The part of a file, begun if it is new. Valid as long as this object.
  Part& part_of(const pb::FileDescriptor& file);
  void begin(Part& part);
  void use_types(Part& user, const pb::MethodDescriptor& method);
  void use_types(Part& user, const pb::FieldDescriptor& field);
  void use_types(Part& user, const pb::Descriptor& message);
  void use_extended(Part& user, const pb::Descriptor& message);
  void use(Part& user, const pb::Descriptor& message);
  void use(Part& user, const pb::EnumDescriptor& enumeration);
  // `outermost`: the type itself, for comparison.
  void use(Part& user, const pb::FileDescriptor& file, const void* outermost, Type type);
  void show(Type type);

  std::list<Part> parts_;
  std::set<const void*> used_;
  std::vector<Type> order_;  // of use
};

void ProtoText::add(const pb::ServiceDescriptor& service, const pb::MethodDescriptor* only) {
  auto& part = part_of(*service.file());
  part.body += '\n' + text_of(service, only);
  for (int i = 0; i < service.method_count(); ++i)
    if (only == nullptr || only == service.method(i)) use_types(part, *service.method(i));
  for (std::size_t i = 0; i < order_.size(); ++i) show(order_[i]);
}

std::string ProtoText::to_string() const {
  std::string text;
  for (const auto& part : parts_) text += (text.empty() ? "" : "\n") + part.to_string();
  return harmless(text);
}

Part& ProtoText::part_of(const pb::FileDescriptor& file) {
  for (auto& part : parts_)
    if (part.file == &file) return part;
  parts_.push_back({.file = &file, .imports = {}, .body = {}});
  auto& part = parts_.back();
  begin(part);
  return part;
}

// Options of the file's own making belong to the text of whatever has them, so they are defined before all else; those
// of a file that it imports, there.
void ProtoText::begin(Part& part) {
  const auto& file = *part.file;
  for (int i = 0; i < file.dependency_count(); ++i) {
    const auto& other = *file.dependency(i);
    if (!imports(other, kOptionsFile)) continue;
    part.imports.insert(other.name());
    part_of(other);
  }
  for (int i = 0; i < file.extension_count(); ++i) {
    const auto& option = *file.extension(i);
    if (!is_options(*option.containing_type())) continue;
    part.body += '\n' + text_of(option);
    use_types(part, option);
  }
}

void ProtoText::use_types(Part& user, const pb::MethodDescriptor& method) {
  use(user, *method.input_type());
  use(user, *method.output_type());
}

void ProtoText::use_types(Part& user, const pb::FieldDescriptor& field) {
  if (field.is_extension()) use_extended(user, *field.containing_type());
  if (field.message_type() != nullptr) use(user, *field.message_type());
  if (field.enum_type() != nullptr) use(user, *field.enum_type());
}

void ProtoText::use_types(Part& user, const pb::Descriptor& message) {
  for (int i = 0; i < message.field_count(); ++i) use_types(user, *message.field(i));
  for (int i = 0; i < message.extension_count(); ++i) use_types(user, *message.extension(i));
  for (int i = 0; i < message.nested_type_count(); ++i) use_types(user, *message.nested_type(i));
}

// Everybody has descriptor.proto, and its many messages say nothing of a service.
void ProtoText::use_extended(Part& user, const pb::Descriptor& message) {
  if (is_options(message))
    user.imports.insert(kOptionsFile);
  else
    use(user, message);
}

// A nested type is shown within its own.
void ProtoText::use(Part& user, const pb::Descriptor& message) {
  const auto* outermost = &message;
  while (outermost->containing_type() != nullptr) outermost = outermost->containing_type();
  use(user, *message.file(), outermost, {.message = outermost});
}

void ProtoText::use(Part& user, const pb::EnumDescriptor& enumeration) {
  if (enumeration.containing_type() != nullptr) return use(user, *enumeration.containing_type());
  use(user, *enumeration.file(), &enumeration, {.enumeration = &enumeration});
}

void ProtoText::use(Part& user, const pb::FileDescriptor& file, const void* outermost, Type type) {
  if (user.file != &file) user.imports.insert(file.name());
  if (used_.insert(outermost).second) order_.push_back(type);
}

void ProtoText::show(Type type) {
  if (type.message == nullptr) {
    part_of(*type.enumeration->file()).body += '\n' + text_of(*type.enumeration);
    return;
  }
  auto& part = part_of(*type.message->file());
  part.body += '\n' + text_of(*type.message);
  use_types(part, *type.message);
}

}  // namespace

std::string proto_text(const pb::ServiceDescriptor& service, const pb::MethodDescriptor* only) {
  ProtoText text;
  text.add(service, only);
  return text.to_string();
}

}  // namespace hostcall::cli
