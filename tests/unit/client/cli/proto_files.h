// .proto files as a test writes them, as the descriptor set that protoc would make of them.
#pragma once

#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace hostcall::test {

// Names and texts; each file behind those that it imports.
using ProtoFiles = std::vector<std::pair<std::string, std::string>>;

class ProtoErrors : public google::protobuf::io::ErrorCollector,
                    public google::protobuf::DescriptorPool::ErrorCollector {
 public:
  void AddError(int line, int, const std::string& message) override { ADD_FAILURE() << line + 1 << ": " << message; }
  void AddError(const std::string& file, const std::string& element, const google::protobuf::Message*, ErrorLocation,
                const std::string& message) override {
    ADD_FAILURE() << file << ": " << element << ": " << message;
  }
};

inline google::protobuf::FileDescriptorProto parse_proto(const std::string& name, const std::string& text) {
  ProtoErrors errors;
  google::protobuf::io::ArrayInputStream in(text.data(), static_cast<int>(text.size()));
  google::protobuf::io::Tokenizer tokens(&in, &errors);
  google::protobuf::compiler::Parser parser;
  parser.RecordErrorsTo(&errors);
  google::protobuf::FileDescriptorProto file;
  EXPECT_TRUE(parser.Parse(&tokens, &file)) << text;
  file.set_name(name);
  return file;
}

// Adds the files, and descriptor.proto for their options.
inline void build(const ProtoFiles& files, google::protobuf::DescriptorPool& pool) {
  ProtoErrors errors;
  google::protobuf::FileDescriptorProto options;
  google::protobuf::FileDescriptorProto::descriptor()->file()->CopyTo(&options);
  ASSERT_NE(pool.BuildFileCollectingErrors(options, &errors), nullptr);
  for (const auto& [name, text] : files)
    ASSERT_NE(pool.BuildFileCollectingErrors(parse_proto(name, text), &errors), nullptr) << text;
}

// With comments, imports and JSON names.
inline std::string descriptor_set_of(const ProtoFiles& files) {
  google::protobuf::DescriptorPool pool;
  build(files, pool);
  google::protobuf::FileDescriptorSet set;
  for (const auto& [name, text] : files) {
    const auto* file = pool.FindFileByName(name);
    if (file == nullptr) return {};
    auto& proto = *set.add_file();
    file->CopyTo(&proto);
    file->CopyJsonNameTo(&proto);
    file->CopySourceCodeInfoTo(&proto);
  }
  google::protobuf::FileDescriptorProto::descriptor()->file()->CopyTo(set.add_file());
  return set.SerializeAsString();
}

}  // namespace hostcall::test
