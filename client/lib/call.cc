#include "client/lib/call.h"

#include "client/lib/channel.h"
#include "proto/wire/frame.h"

namespace hostcall::client {

Call::~Call() {
  if (channel != nullptr) channel->forget(*this);
}

void Call::keep(Buffer& memory) {
  memory.clear();
  const std::size_t names = spec.service.size() + spec.method.size();
  // Channel::begin() refuses what no frame holds by its size alone, so the bytes are not read.
  const bool keeps_payload = spec.payload.size() <= wire::kMaxDataBytes;
  char* out = memory.extend(names + (keeps_payload ? spec.payload.size() : 0));
  spec.service.copy(out, spec.service.size());
  spec.method.copy(out + spec.service.size(), spec.method.size());
  spec.service = {out, spec.service.size()};
  spec.method = {out + spec.service.size(), spec.method.size()};
  if (!keeps_payload) return;
  spec.payload.write(out + names);
  spec.payload = wire::Payload(std::string_view(out + names, spec.payload.size()));
}

std::string Call::name() const {
  if (spec.service.empty()) return "the connection";
  return std::string(spec.service) + "/" + std::string(spec.method);
}

}  // namespace hostcall::client
