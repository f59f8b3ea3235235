#include "tests/fuzz/messages.h"

#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>

#include "proto/descriptors.h"
#include "proto/protobuf_log.h"

namespace hostcall::fuzz {
namespace {

namespace pb = google::protobuf;

constexpr int kMaxDepth = 5;
// A message above it gets no more fields: its fields' sizes multiply.
constexpr std::size_t kEnoughBytes = 16 * 1024;
constexpr std::uint8_t kManyTimes = 0xFF;
constexpr int kMany = 130;  // more than any list of a request may have

const pb::DescriptorPool& pool() {
  static const auto* made = [] {
    quiet_protobuf();
    pb::FileDescriptorSet set;
    const auto bytes = descriptor_set();
    require(set.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())), "the built-in descriptors are readable");
    auto* filled = new pb::DescriptorPool;  // lives as long as the program
    for (const auto& file : set.file()) require(filled->BuildFile(file) != nullptr, "and complete");
    return filled;
  }();
  return *made;
}

void add_varint(std::uint64_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void add_tag(int field, unsigned wire_type, std::string& out) {
  add_varint(static_cast<std::uint64_t>(field) << 3 | wire_type, out);
}

void add_bytes(int field, std::string_view bytes, std::string& out) {
  add_tag(field, 2, out);
  add_varint(bytes.size(), out);
  out += bytes;
}

}  // namespace

const std::vector<const pb::MethodDescriptor*>& all_methods() {
  static const auto methods = [] {
    std::vector<const pb::MethodDescriptor*> all;
    for (const auto* name : {"Session", "Host", "Diagnostics", "Store", "Admin"}) {
      const auto* service = pool().FindServiceByName(std::string("hostcall.v1.") + name);
      for (int i = 0; i < service->method_count(); ++i) all.push_back(service->method(i));
    }
    return all;
  }();
  return methods;
}

const pb::MethodDescriptor* find_method(std::string_view service, std::string_view method) {
  return pool().FindMethodByName(std::string(service).append(1, '.').append(method));
}

std::unique_ptr<pb::Message> parse_as(const pb::Descriptor& type, std::string_view bytes) {
  static auto* const factory = new pb::DynamicMessageFactory(&pool());
  std::unique_ptr<pb::Message> message(factory->GetPrototype(&type)->New());
  if (!message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return nullptr;
  return message;
}

std::string MessageMaker::make(const pb::Descriptor& type) {
  auto bytes = message(type, 0);
  damage(bytes);
  return bytes;
}

std::string MessageMaker::message(const pb::Descriptor& type, int depth) {
  std::string out;
  if (depth == kMaxDepth) return out;
  for (int i = 0; i < type.field_count(); ++i) {
    const auto& field = *type.field(i);
    const int times = choices_.byte();
    if (field.is_repeated() && times == kManyTimes) {
      std::string element;
      add_field(field, depth, element);
      for (int copies = 0; copies < kMany && out.size() < kEnoughBytes; ++copies) out += element;
      continue;
    }
    const int wanted = field.is_repeated() ? times % 5 : times % 2;
    for (int left = wanted; left > 0 && out.size() < kEnoughBytes; --left) add_field(field, depth, out);
  }
  return out;
}

// Of the kinds that our .proto files use.
void MessageMaker::add_field(const pb::FieldDescriptor& field, int depth, std::string& out) {
  switch (field.cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      return add_bytes(field.number(), message(*field.message_type(), depth + 1), out);
    case pb::FieldDescriptor::CPPTYPE_STRING: return add_bytes(field.number(), text(), out);
    case pb::FieldDescriptor::CPPTYPE_DOUBLE: {
      const auto bits = choices_.number();
      add_tag(field.number(), 1, out);
      return (void)out.append(reinterpret_cast<const char*>(&bits), sizeof bits);
    }
    default: add_tag(field.number(), 0, out); add_varint(number(field), out);
  }
}

std::uint64_t MessageMaker::number(const pb::FieldDescriptor& field) {
  if (field.cpp_type() != pb::FieldDescriptor::CPPTYPE_ENUM) return choices_.number();
  const auto choice = choices_.byte();
  return choice < 0xF0 ? choice % (static_cast<unsigned>(field.enum_type()->value_count()) + 1) : choices_.number();
}

std::string MessageMaker::text() {
  constexpr std::uint8_t kWordsBelow = 200, kBytesBelow = 250;
  const auto choice = choices_.byte();
  if (choice < kWordsBelow) return words_[choice % words_.size()];
  if (choice < kBytesBelow) return std::string(choices_.text());
  return std::string(choices_.byte() * 256u, 'x');
}

void MessageMaker::damage(std::string& bytes) {
  constexpr std::uint8_t kSoundBelow = 0xF0;
  const auto choice = choices_.byte();
  if (choice < kSoundBelow || bytes.empty()) return;
  const auto at = choices_.byte() % bytes.size();
  switch (choice % 4) {
    case 0: bytes.resize(at); break;
    case 1: bytes[at] = static_cast<char>(choices_.byte()); break;
    case 2: bytes.insert(at, choices_.text()); break;
    default: bytes += choices_.text();
  }
}

}  // namespace hostcall::fuzz
