// Protobuf messages made of choices: the bytes of any message type of our .proto files, with values at the edges of
// their types and texts that mean something to the receiver; now and then damaged afterwards.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/fuzz.h"

namespace hostcall::fuzz {

// All rpcs of our services, in the order of the files.
const std::vector<const google::protobuf::MethodDescriptor*>& all_methods();
// Null: there is none of this name.
const google::protobuf::MethodDescriptor* find_method(std::string_view service, std::string_view method);
// Null: the bytes are no such message.
std::unique_ptr<google::protobuf::Message> parse_as(const google::protobuf::Descriptor& type, std::string_view bytes);

class MessageMaker {
 public:
  // `words`: texts for fields. Must outlive this, as must the choices.
  MessageMaker(Choices& choices, const std::vector<std::string>& words) : choices_(choices), words_(words) {}

  // Mostly what a parser accepts.
  std::string make(const google::protobuf::Descriptor& type);

 private:
  std::string message(const google::protobuf::Descriptor& type, int depth);
  void add_field(const google::protobuf::FieldDescriptor& field, int depth, std::string& out);
  std::uint64_t number(const google::protobuf::FieldDescriptor& field);
  std::string text();
  void damage(std::string& bytes);

  Choices& choices_;
  const std::vector<std::string>& words_;
};

}  // namespace hostcall::fuzz
