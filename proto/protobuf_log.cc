#include "proto/protobuf_log.h"

#include <google/protobuf/stubs/logging.h>

#include <string>

#include "proto/base/bounded_text.h"
#include "proto/base/try_write.h"

namespace hostcall {
namespace {

constexpr std::size_t kMaxLine = 1024;

void on_message(google::protobuf::LogLevel level, const char* file, int line, const std::string& text) {
  if (level != google::protobuf::LOGLEVEL_FATAL) return;
  const auto what = std::string("libprotobuf: ") + file + ":" + std::to_string(line) + ": " + text;
  try_to_say(bounded_text(what, kMaxLine) + "\n");
}

}  // namespace

void quiet_protobuf() { google::protobuf::SetLogHandler(on_message); }

}  // namespace hostcall
