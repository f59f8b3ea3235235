#include "tests/soak/guest.h"

#include "hostcall/v1/diagnostics.pb.h"
#include "tests/support/frames.h"
#include "tests/support/patience.h"

namespace hostcall::test {
namespace {

using wire::Shape;

constexpr char kSource[] = "hostcall.v1.Diagnostics/Source";
constexpr char kSink[] = "hostcall.v1.Diagnostics/Sink";
constexpr char kEcho[] = "hostcall.v1.Diagnostics/Echo";
constexpr char kEchoStream[] = "hostcall.v1.Diagnostics/EchoStream";
constexpr std::uint32_t kLongMs = 60'000;
constexpr unsigned kMostMessages = 40;
constexpr std::uint32_t kChunkBytes = 12'000;

v1::EchoRequest echo_request(std::size_t bytes, std::uint32_t delay_ms = 0) {
  v1::EchoRequest request;
  request.set_payload(std::string(bytes, 'e'));
  request.set_delay_ms(delay_ms);
  return request;
}

void require(bool condition, const char* otherwise) {
  if (!condition) throw Unexpected(otherwise);
}

}  // namespace

const std::vector<Guest::Action>& Guest::actions() {
  static const std::vector<Action> all = {
      {"ping", 10, &Guest::ping},
      {"whoami", 4, &Guest::whoami},
      {"list services", 2, &Guest::services},
      {"host info", 2, &Guest::info},
      {"host metrics", 1, &Guest::metrics},
      {"echo", 6, &Guest::echo},
      {"deadline that expires", 2, &Guest::deadline},
      {"abandoned call", 3, &Guest::abandon},
      {"source", 4, &Guest::source},
      {"sink", 4, &Guest::sink},
      {"echo stream", 4, &Guest::echo_stream},
      {"idle connection", 3, &Guest::idle},
      {"dropped connection", 4, &Guest::drop},
      {"half a frame", 2, &Guest::half_frame},
      {"reboot", 1, &Guest::reboot},
      {"durable write", 16, &Guest::write},
      {"get", 8, &Guest::get},
      {"list", 3, &Guest::list},
      {"key of a session", 4, &Guest::put_for_session},
      {"key of a boot", 3, &Guest::put_for_boot},
      {"watch", 10, &Guest::watch},
      {"watch left", 2, &Guest::leave_watch},
  };
  static_assert(kMostActions >= 22);
  return all;
}

Guest::Guest(Ledger& ledger, unsigned vm, const std::string& address, Random& random)
    : ledger_(ledger), random_(random), connections_(address, random), store_(ledger, vm, connections_, random) {}

void Guest::act() {
  static const unsigned total = [] {
    unsigned sum = 0;
    for (const auto& action : actions()) sum += action.weight;
    return sum;
  }();
  auto left = any_of(random_, total);
  std::size_t number = 0;
  for (; left >= actions()[number].weight; ++number) left -= actions()[number].weight;
  do_action(number);
}

void Guest::do_everything_once() {
  for (std::size_t i = 0; i < actions().size(); ++i)
    require(eventually([&] { return do_action(i); }), actions()[i].name);
}

bool Guest::do_action(std::size_t number) {
  const bool done = (this->*actions()[number].act)();
  if (done) ++ledger_.done[number];
  return done;
}

bool Guest::calls(const char* method) {
  auto* connection = connections_.any();
  return connection != nullptr && connection->call(method, v1::PingRequest()).status.ok();
}

bool Guest::ping() {
  auto* connection = connections_.any();
  if (connection == nullptr) return false;
  v1::PingRequest request;
  request.set_payload(std::to_string(random_()));
  const auto answer = connection->call("hostcall.v1.Session/Ping", request);
  if (!answer.arrived || !answer.status.ok()) return false;
  require(answer.payload == request.SerializeAsString(), "a ping has another answer");
  return true;
}

bool Guest::echo() {
  constexpr unsigned kMostBytes = 100'000, kMostDelayMs = 5;
  auto* connection = connections_.any();
  if (connection == nullptr) return false;
  const auto request = echo_request(any_of(random_, kMostBytes), any_of(random_, kMostDelayMs));
  const auto answer = connection->call(kEcho, request);
  if (!answer.arrived || !answer.status.ok()) return false;
  v1::EchoResponse response;
  require(response.ParseFromString(answer.payload) && response.payload() == request.payload(), "an echo differs");
  return true;
}

bool Guest::deadline() {
  constexpr unsigned kMostMs = 20;
  auto* connection = connections_.any();
  if (connection == nullptr) return false;
  const auto answer =
      connection->call(kEcho, echo_request(10, kLongMs), std::chrono::milliseconds(1 + any_of(random_, kMostMs)),
                       wire::Code::kDeadlineExceeded);
  require(!answer.arrived || !answer.status.ok(), "an expired call was answered");
  return answer.status.code == wire::Code::kDeadlineExceeded;
}

// Nobody waits for its answer.
bool Guest::abandon() {
  auto* connection = connections_.any();
  if (connection == nullptr) return false;
  const auto stream = connection->open(kEcho, echo_request(any_of(random_, 1000), kLongMs), Shape::kUnary);
  if (!chance(3)) connection->wire->cancel(stream);
  return true;
}

void Guest::leave(Connection& connection, std::uint32_t stream) {
  if (!chance(3)) return connection.wire->cancel(stream);
  // Else it stays open as long as its connection, or ends with it now.
  if (chance(2)) connections_.drop_any();
}

bool Guest::source() {
  auto* connection = connections_.any();
  if (connection == nullptr) return false;
  const auto messages = 1 + any_of(random_, kMostMessages);
  v1::SourceRequest request;
  request.set_chunk_bytes(kChunkBytes);
  request.set_total_bytes(std::uint64_t{messages} * kChunkBytes);
  const auto stream = connection->open(kSource, request, Shape::kServerStream);
  const auto wanted = chance(3) ? messages + 1 : any_of(random_, messages);
  unsigned received = 0;
  while (received < wanted && connection->wire->receive(stream)) ++received;
  if (wanted <= messages) {
    leave(*connection, stream);
    return received == wanted;
  }
  const auto answer = connection->wire->finish(stream);
  require_explained(kSource, answer);
  const bool ended = answer.arrived && answer.status.ok();
  require(!ended || received == messages, "a stream lacks messages");
  return ended;
}

bool Guest::sink() {
  auto* connection = connections_.any();
  if (connection == nullptr) return false;
  v1::Chunk chunk;
  chunk.set_data(std::string(1 + any_of(random_, kChunkBytes), 's'));
  const auto stream = connection->open(kSink, v1::PingRequest(), Shape::kClientStream);
  const auto messages = any_of(random_, kMostMessages);
  for (unsigned i = 0; i < messages; ++i)
    if (!connection->wire->send(stream, chunk)) break;
  if (chance(2)) {
    leave(*connection, stream);
    return true;
  }
  connection->wire->close_send(stream);
  const auto answer = connection->wire->finish(stream);
  require_explained(kSink, answer);
  if (!answer.arrived || !answer.status.ok()) return false;
  v1::SinkResponse response;
  require(response.ParseFromString(answer.payload) && response.messages() == messages, "a sink lost messages");
  return true;
}

bool Guest::echo_stream() {
  auto* connection = connections_.any();
  if (connection == nullptr) return false;
  const auto request = echo_request(any_of(random_, 2000));
  const auto stream = connection->open(kEchoStream, v1::PingRequest(), Shape::kBidiStream);
  const auto messages = any_of(random_, kMostMessages);
  bool goes_on = true;
  for (unsigned i = 0; i < messages && goes_on; ++i) {
    goes_on = connection->wire->send(stream, request);
    const auto bytes = goes_on && !chance(4) ? connection->wire->receive(stream) : std::nullopt;
    v1::EchoResponse response;
    require(!bytes || (response.ParseFromString(*bytes) && response.payload() == request.payload()),
            "a stream's echo differs");
  }
  leave(*connection, stream);
  return goes_on;
}

bool Guest::idle() {
  auto made = connections_.make();
  if (!made.wire) return false;
  connections_.leave_alone(std::move(made));
  return true;
}

bool Guest::drop() {
  connections_.drop_any();
  return true;
}

// The daemon waits for the rest, or the connection ends there.
bool Guest::half_frame() {
  auto made = connections_.make();
  if (!made.wire) return false;
  const auto whole = request(made.said_hello ? 3 : 1, 0, std::string(100, 'h'));
  made.wire->send_raw(whole.substr(0, 1 + any_of(random_, static_cast<unsigned>(whole.size()) - 1)));
  if (chance(2)) connections_.leave_alone(std::move(made));
  return true;
}

bool Guest::reboot() {
  connections_.reboot();
  return true;
}

bool Guest::with_any(bool (SoakStore::*act)(Connection&)) {
  auto* connection = connections_.any();
  return connection != nullptr && (store_.*act)(*connection);
}

}  // namespace hostcall::test
