#include "tests/soak/connections.h"

#include "proto/wire/frame.h"
#include "proto/wire/status.h"

namespace hostcall::test {
namespace {

using wire::Code;

constexpr std::size_t kUsed = 3, kLeftAlone = 3;  // connections of a VM
// What the client does without, in Hello. All but the first lack something that most clients have.
constexpr std::uint64_t kWithout[] = {wire::kFeatureCrc32c, 0, wire::kFeatureCrc32c | wire::kFeatureWindow,
                                      wire::kFeatureCrc32c | wire::kFeatureCancel,
                                      wire::kFeatureCrc32c | wire::kFeaturePing | wire::kFeatureGoaway};

}  // namespace

void require_explained(const std::string& method, const Answer& answer, Code expected) {
  if (!answer.arrived) return;
  for (const auto code : {Code::kOk, Code::kUnavailable, Code::kResourceExhausted, expected})
    if (answer.status.code == code) return;
  const char* name = wire::find_code_name(answer.status.code);
  throw Unexpected(method + ": " + (name == nullptr ? "an unknown code" : name) + ": " + answer.status.message);
}

Answer Connection::call(const std::string& method, const google::protobuf::MessageLite& request,
                        std::chrono::nanoseconds timeout, Code expected) {
  if (!is_usable()) return {};
  auto answer = wire->call(method, request, timeout);
  require_explained(method, answer, expected);
  return answer;
}

std::uint32_t Connection::open(const std::string& method, const google::protobuf::MessageLite& request,
                               wire::Shape shape) {
  return wire->start(method, request.SerializeAsString(), shape);
}

Connection Connections::make() {
  constexpr unsigned kPlain = 6;  // one of so many says no Hello
  Connection made{nullptr, any_of(random_, kPlain) != 0};
  try {
    made.wire = std::make_unique<WireClient>(address_);
    if (made.said_hello)
      made.wire->hello("boot-" + std::to_string(boot_), kWithout[any_of(random_, std::size(kWithout))]);
  } catch (const std::runtime_error& error) {
    if (std::string_view(error.what()).starts_with("the host broke")) throw;
    made.wire = nullptr;
  }
  return made;
}

Connection* Connections::any() {
  std::erase_if(open_, [](Connection& connection) { return !connection.is_usable(); });
  if (open_.size() < kUsed) {
    auto made = make();
    if (made.wire) open_.push_back(std::move(made));
  }
  return open_.empty() ? nullptr : &open_[any_of(random_, static_cast<unsigned>(open_.size()))];
}

void Connections::leave_alone(Connection connection) {
  if (left_alone_.size() == kLeftAlone) left_alone_.erase(left_alone_.begin());
  left_alone_.push_back(std::move(connection));
}

void Connections::drop_any() {
  if (!open_.empty()) open_.erase(open_.begin() + any_of(random_, static_cast<unsigned>(open_.size())));
}

}  // namespace hostcall::test
