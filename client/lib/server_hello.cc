#include "client/lib/server_hello.h"

#include "hostcall/v1/session.hostcall.h"

namespace hostcall::server {
namespace {

// As hostcalld's: a whole stream window fits into the buffer of its socket.
constexpr std::uint32_t kStreamWindow = 384 * 1024;
constexpr std::uint32_t kConnectionWindow = 1024 * 1024;
constexpr std::size_t kMaxHelloField = 64;
constexpr std::size_t kMaxHelloBytes = 1024;

}  // namespace

bool is_hello(const wire::RequestView& request) {
  using v1::Session::Hello;
  return request.method == Hello::kMethod && request.service == Hello::kService;
}

wire::Status agree(std::string_view payload, Hello& hello) {
  v1::HelloRequest request;
  if (payload.size() > kMaxHelloBytes || !request.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
    return {wire::Code::kInvalidArgument,
            "the request is not a HelloRequest of at most " + std::to_string(kMaxHelloBytes) + " bytes"};
  for (const auto* field :
       {&request.client_name(), &request.client_version(), &request.boot_id(), &request.vm_generation()})
    if (field->size() > kMaxHelloField)
      return {wire::Code::kInvalidArgument,
              "a text in Hello has more than " + std::to_string(kMaxHelloField) + " bytes"};
  hello.extension = {.features = request.features() & wire::kAllFeatures,
                     .stream_window = kStreamWindow,
                     .connection_window = kConnectionWindow};
  v1::HelloResponse response;
  response.set_features(hello.extension.features);
  response.set_session_id(hello.session_id);
  response.set_max_message_bytes(hello.max_message_bytes);
  response.set_max_streams(hello.max_streams);
  response.set_initial_stream_window(kStreamWindow);
  response.set_initial_connection_window(kConnectionWindow);
  response.set_daemon_version(HOSTCALL_VERSION);
  hello.response = response.SerializeAsString();
  return {};
}

}  // namespace hostcall::server
