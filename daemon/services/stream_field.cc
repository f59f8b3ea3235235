#include "daemon/services/stream_field.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include "daemon/calls/router.h"

namespace hostcall::daemon {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;

bool read_field(CodedInputStream& in, std::string_view message, std::uint32_t tag, MessageField& field) {
  field = {.number = static_cast<unsigned>(WireFormatLite::GetTagFieldNumber(tag)), .integer = 0, .bytes = {}};
  switch (WireFormatLite::GetTagWireType(tag)) {
    case WireFormatLite::WIRETYPE_VARINT: return in.ReadVarint64(&field.integer);
    case WireFormatLite::WIRETYPE_LENGTH_DELIMITED: {
      std::uint32_t length = 0;
      if (!in.ReadVarint32(&length)) return false;
      const auto at = static_cast<std::size_t>(in.CurrentPosition());
      if (length > message.size() - at || !in.Skip(static_cast<int>(length))) return false;
      field.bytes = message.substr(at, length);
      return true;
    }
    default: return WireFormatLite::SkipField(&in, tag);
  }
}

}  // namespace

std::string_view with_field_header(std::span<char> buffer, unsigned number, std::size_t bytes) {
  const auto tag = WireFormatLite::MakeTag(static_cast<int>(number), WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  std::uint8_t header[kFieldHeaderBytes];
  auto* end = CodedOutputStream::WriteTagToArray(tag, header);
  end = CodedOutputStream::WriteVarint32ToArray(static_cast<std::uint32_t>(bytes), end);
  const auto size = static_cast<std::size_t>(end - header);
  auto* const at = buffer.data() + kFieldHeaderBytes - size;
  std::copy_n(header, size, at);
  return {at, size + bytes};
}

bool for_each_field(std::string_view message, const std::function<bool(const MessageField&)>& visit) {
  CodedInputStream in(reinterpret_cast<const std::uint8_t*>(message.data()), static_cast<int>(message.size()));
  MessageField field;
  std::size_t fields = 0;
  while (const auto tag = in.ReadTag()) {
    if (++fields > kMaxFields || !read_field(in, message, tag, field) || !visit(field)) return false;
  }
  return in.ConsumedEntireMessage();
}

}  // namespace hostcall::daemon
