#include "client/lib/call.h"

#include "client/lib/channel.h"

namespace hostcall::client {

Call::~Call() {
  if (channel != nullptr) channel->forget(*this);
}

void Call::keep(Buffer& memory) {
  memory.clear();
  const std::size_t names = spec.service.size() + spec.method.size();
  char* out = memory.extend(names + spec.payload.size());
  spec.service.copy(out, spec.service.size());
  spec.method.copy(out + spec.service.size(), spec.method.size());
  spec.payload.write(out + names);
  spec.service = {out, spec.service.size()};
  spec.method = {out + spec.service.size(), spec.method.size()};
  spec.payload = wire::Payload(std::string_view(out + names, spec.payload.size()));
}

std::string Call::name() const {
  if (spec.service.empty()) return "the connection";
  return std::string(spec.service) + "/" + std::string(spec.method);
}

}  // namespace hostcall::client
