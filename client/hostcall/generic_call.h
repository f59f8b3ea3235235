// GenericCall: calls a method known only from a description, with JSON documents.
#pragma once

#include <optional>
#include <string>

#include "client/cli/documents.h"
#include "client/cli/invocation.h"
#include "client/cli/schema.h"
#include "client/hostcall/description.h"

namespace hostcall::cli::guest {

class GenericCall {
 public:
  // Takes the method from the file of descriptors, without one from the host; throws Failure if it is not there.
  GenericCall(Invocation& invocation, const std::string& method, const std::optional<std::string>& descriptors);

  bool client_streams() const { return method_.client_streaming(); }
  // Prints each reply as it comes. For unary and server-streaming methods the input is one document;
  // for client-streaming ones it has one document per line. Throws Failure.
  void run(Documents input);

 private:
  // `source` names the document in messages.
  std::string request_of(const std::string& source, const std::string& json) const;
  void print_reply(std::string_view bytes, JsonStyle style) const;
  // The same for a reply that ends the call; a Failure says that the host has answered.
  void print_last_reply(std::string_view bytes) const;
  void run_unary(const std::string& request);
  void run_streaming(ByteStream stream, Documents input);
  ByteStream open(Shape shape, std::string_view request);

  Invocation& invocation_;
  std::string name_;
  Description description_;
  const google::protobuf::MethodDescriptor& method_;
};

}  // namespace hostcall::cli::guest
