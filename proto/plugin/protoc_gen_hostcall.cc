// protoc-gen-hostcall: writes X.hostcall.h beside X.pb.h, with a type for each rpc that names its messages, names and
// shape. client.h and the daemon's router make typed calls from these types.
#include <google/protobuf/compiler/code_generator.h>
#include <google/protobuf/compiler/plugin.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/printer.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <memory>
#include <string>

#include "proto/base/standard_fds.h"

namespace {

namespace pb = google::protobuf;

std::string replace_all(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

std::string cpp_name(const std::string& full_name) { return "::" + replace_all(full_name, ".", "::"); }

// The C++ name of a message; a nested one is Outer_Inner in generated code.
std::string cpp_type(const pb::Descriptor& message) {
  const auto& package = message.file()->package();
  const auto local = message.full_name().substr(package.empty() ? 0 : package.size() + 1);
  return (package.empty() ? "" : cpp_name(package)) + "::" + replace_all(local, ".", "_");
}

void write_method(const pb::MethodDescriptor& method, pb::io::Printer& out) {
  out.Print(
      "struct $name$ {\n"
      "  using Request = $request$;\n"
      "  using Response = $response$;\n"
      "  static constexpr char kService[] = \"$service$\";\n"
      "  static constexpr char kMethod[] = \"$name$\";\n"
      "  static constexpr char kFullName[] = \"$service$/$name$\";\n"
      "  static constexpr bool kClientStreams = $client$;\n"
      "  static constexpr bool kServerStreams = $server$;\n"
      "};\n",
      "name", method.name(), "request", cpp_type(*method.input_type()), "response", cpp_type(*method.output_type()),
      "service", method.service()->full_name(), "client", method.client_streaming() ? "true" : "false", "server",
      method.server_streaming() ? "true" : "false");
}

void write_service(const pb::ServiceDescriptor& service, pb::io::Printer& out) {
  const auto space = replace_all(service.full_name(), ".", "::");
  out.Print("\nnamespace $space$ {\n\n", "space", space);
  for (int i = 0; i < service.method_count(); ++i) write_method(*service.method(i), out);
  out.Print("\ninline constexpr const char* kAllMethods[] = {\n");
  for (int i = 0; i < service.method_count(); ++i)
    out.Print("    $name$::kFullName,\n", "name", service.method(i)->name());
  out.Print("};\n\n}  // namespace $space$\n", "space", space);
}

class Generator : public pb::compiler::CodeGenerator {
 public:
  bool Generate(const pb::FileDescriptor* file, const std::string&, pb::compiler::GeneratorContext* context,
                std::string*) const override {
    const auto base = file->name().substr(0, file->name().rfind(".proto"));
    const std::unique_ptr<pb::io::ZeroCopyOutputStream> stream(context->Open(base + ".hostcall.h"));
    pb::io::Printer out(stream.get(), '$');
    out.Print(
        "// Generated from $file$ by protoc-gen-hostcall; do not edit.\n#pragma once\n\n#include \"$base$.pb.h\"\n",
        "file", file->name(), "base", base);
    for (int i = 0; i < file->service_count(); ++i) write_service(*file->service(i), out);
    return true;
  }
  std::uint64_t GetSupportedFeatures() const override { return FEATURE_PROTO3_OPTIONAL; }
};

}  // namespace

int main(int argc, char** argv) {
  hostcall::open_standard_fds();
  const Generator generator;
  return pb::compiler::PluginMain(argc, argv, &generator);
}
