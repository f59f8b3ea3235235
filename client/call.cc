#include "client/call.h"

#include "client/channel.h"

namespace hostcall::client {

Call::~Call() {
  if (channel != nullptr) channel->forget(*this);
}

void Call::keep(Buffer memory) {
  kept_ = std::move(memory);
  kept_.clear();
  const std::size_t names = spec.service.size() + spec.method.size();
  char* out = kept_.extend(names + spec.payload.size());
  spec.service.copy(out, spec.service.size());
  spec.method.copy(out + spec.service.size(), spec.method.size());
  spec.payload.write(out + names);
  const auto all = kept_.view();
  spec.service = all.substr(0, spec.service.size());
  spec.method = all.substr(spec.service.size(), spec.method.size());
  spec.payload = wire::Payload(all.substr(names));
}

Buffer Call::take_memory() {
  if (kept_.capacity() > Reply::kMaxKeptBytes) kept_.reset();
  return std::move(kept_);
}

std::string Call::name() const {
  if (spec.service.empty()) return "the connection";
  return std::string(spec.service) + "/" + std::string(spec.method);
}

}  // namespace hostcall::client
