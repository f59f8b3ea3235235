// Fuzzes Endpoint in three ways. "Hostile": one endpoint of either role gets any bytes in any pieces while its owner
// does what owners do. "Ids": a server gets well-formed calls whose ids lie near 0, near the newest one and near 2^32.
// "Duplex": two endpoints talk over a pipe while the input scripts both owners; as both keep the rules, neither may
// ever see a violation, and every credit comes back. Invariants: budgets return to zero, output stays in proportion to
// input, a closed side stays closed, an id begins one call at most.
//
// Input: one byte for the mode, one for the features, then commands; see hostile(), ids() and Duplex::step.
#include "proto/wire/endpoint.h"

#include <algorithm>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "tests/support/counting_budget.h"
#include "tests/support/frames.h"

namespace hostcall::fuzz {
namespace {

using wire::Code;
using wire::Endpoint;
using wire::EndpointOptions;
using wire::Shape;
using wire::Stream;
using Role = EndpointOptions::Role;

constexpr std::size_t kMaxMessage = 600;

std::string_view letters(std::size_t bytes) {
  static const std::string text(kMaxMessage, 'm');
  return std::string_view(text).substr(0, bytes);
}

// A method has its shape as its name.
constexpr const char* kMethods[] = {"0", "1", "2", "3"};

// What an owner keeps of a stream; the messages are those that it has not consumed yet.
struct Call {
  Shape shape = Shape::kUnary;
  std::deque<std::size_t> unread;
  bool closed = false;
};

// An owner that checks the order of its events.
class Owner final : public wire::EndpointEvents {
 public:
  std::unordered_map<std::uint32_t, Call> calls;
  std::size_t refusals = 0;
  std::vector<std::uint32_t> refused_answers;  // until forget_refused()

  void on_request(Stream& stream, const wire::RequestView& request, bool) override {
    const auto method = std::ranges::find(kMethods, request.method);
    const auto shape = method == std::end(kMethods) ? Shape::kUnary : static_cast<Shape>(method - kMethods);
    require(begun_.insert(stream.id()).second, "an id begins one call");
    calls.emplace(stream.id(), Call{.shape = shape});
    require(request.service.size() + request.method.size() + request.payload.size() <= wire::kMaxDataBytes,
            "in the frame");
    (void)request.metadata("key");
  }
  void on_response(Stream& stream, const wire::ResponseView& response) override {
    (void)response.status();
    require(calls.erase(stream.id()) == 1, "an answer belongs to a call");
  }
  void on_data(Stream& stream, std::string_view data) override {
    auto& call = at(stream);
    require(!call.closed && !stream.cancelled, "no data after its sender's end");
    call.unread.push_back(data.size());
  }
  void on_remote_closed(Stream& stream) override {
    require(!std::exchange(at(stream).closed, true), "one end");
    if (is_client) calls.erase(stream.id());
  }
  void on_refused(Stream& stream, wire::Refusal, wire::FrameType type) override {
    ++refusals;
    if (type == wire::FrameType::kRequest) calls.emplace(stream.id(), Call{});
    if (type == wire::FrameType::kResponse) refused_answers.push_back(stream.id());
  }
  void on_cancel(Stream& stream, Code) override {
    require(stream.cancelled && calls.contains(stream.id()), "of a call");
  }
  void on_writable(Stream& stream) override { require(stream.local_open && !stream.cancelled, "only who may send"); }
  void on_goaway(const wire::Goaway& goaway) override {
    require(goaway.text.size() <= wire::kMaxGoawayText, "bounded");
  }

  bool is_client = false;

 private:
  std::set<std::uint32_t> begun_;  // by Requests, also of calls that have ended

  Call& at(Stream& stream) {
    const auto found = calls.find(stream.id());
    require(found != calls.end(), "events of known calls only");
    return found->second;
  }
};

// An endpoint, its owner, and what owners do.
class Side {
 public:
  explicit Side(const EndpointOptions& options) : endpoint(options, owner) {
    owner.is_client = options.role == Role::kClient;
  }

  Owner owner;
  Endpoint endpoint;

  // Any open stream; null: there is none.
  Stream* pick(std::uint8_t choice) {
    Stream* chosen = nullptr;
    std::size_t left = endpoint.open_streams() == 0 ? 0 : choice % endpoint.open_streams();
    endpoint.for_each_stream([&](Stream& stream) {
      if (left-- == 0) chosen = &stream;
    });
    return chosen;
  }
  void open(std::uint8_t choice) {
    if (!owner.is_client || !endpoint.can_open()) return;
    const auto shape = static_cast<Shape>(choice % 4);
    auto& stream = endpoint.open({.service = "a.B", .method = kMethods[choice % 4]}, letters(choice), shape);
    owner.calls.emplace(stream.id(), Call{.shape = shape});
  }
  void send(Stream& stream, std::size_t bytes) {
    // The engine of a callee does not know which methods stream their replies; its owner does.
    if (!owner.is_client && !streams_replies(stream)) return;
    const bool may = stream.local_open;
    require((endpoint.send_data(stream, letters(bytes)) == wire::SendOutcome::kEnded) == !may,
            "a closed side stays closed");
  }
  // Ends a call in one of the ways that its side has.
  void finish(Stream& stream, std::uint8_t way) {
    const bool streamed = streams_replies(stream);
    owner.calls.erase(stream.id());
    if (owner.is_client) return endpoint.cancel(stream, Code::kCancelled);
    if (way % 3 == 0 && streamed) return endpoint.close_stream(stream);
    if (way % 3 == 1 && stream.cancelled) return endpoint.forget(stream);
    endpoint.respond(stream,
                     {.code = static_cast<Code>(way % 17), .message = "text", .retry_after = milliseconds(way)});
  }
  void consume(Stream& stream) {
    auto& unread = owner.calls.at(stream.id()).unread;
    if (unread.empty()) return;
    endpoint.consumed(stream, unread.front());
    unread.pop_front();
  }
  // With a refused answer the engine ends its call, unless the connection ends with it.
  void forget_refused() {
    for (const auto id : std::exchange(owner.refused_answers, {})) {
      bool is_open = false;
      endpoint.for_each_stream([&](const Stream& stream) { is_open |= stream.id() == id; });
      require(!is_open || endpoint.violation() != nullptr, "a call ends with its answer");
      if (!is_open) owner.calls.erase(id);
    }
  }
  bool streams_replies(const Stream& stream) const { return wire::server_streams(owner.calls.at(stream.id()).shape); }
  std::string take(std::size_t bytes) {
    std::string out;
    iovec pieces[4];
    const auto count = endpoint.output().gather(pieces);
    for (std::size_t i = 0; i < count && out.size() < bytes; ++i)
      out.append(static_cast<const char*>(pieces[i].iov_base), std::min(pieces[i].iov_len, bytes - out.size()));
    endpoint.output().consume(out.size());
    if (!out.empty()) endpoint.output_drained();
    return out;
  }
};

wire::Extension extension(std::uint64_t features) {
  return {.features = features & wire::kAllFeatures, .stream_window = 300u, .connection_window = 700u};
}

bool feed(Endpoint& endpoint, std::string_view bytes) {
  const bool good = endpoint.receive(bytes);
  require(good == !endpoint.violation(), "a violation is told");
  return good;
}

void hostile(Choices& choices, Role role) {
  test::CountingBudget budget(2'000);
  {
    Side side({.role = role, .max_message_bytes = kMaxMessage, .output_watermark = 500, .budget = &budget});
    const auto features = choices.byte();
    // Any bytes hardly ever have a right checksum: the reader's own target knows how to make them.
    if ((features & 0x80) != 0) side.endpoint.enable(extension(features & ~std::uint64_t{wire::kFeatureCrc32c}));
    std::size_t fed = 0, written = 0;
    while (!choices.empty() && !side.endpoint.violation()) {
      const auto command = choices.byte();
      auto* stream = side.pick(command >> 4);
      switch (command & 7) {
        case 0: side.open(command); break;
        case 1: stream == nullptr ? void() : side.send(*stream, command); break;
        case 2: stream == nullptr ? void() : side.finish(*stream, command >> 3); break;
        case 3: stream == nullptr ? void() : side.consume(*stream); break;
        case 4: written += side.take(SIZE_MAX).size(); break;
        default: {
          const auto bytes = choices.take(choices.byte());
          fed += bytes.size();
          feed(side.endpoint, bytes);
          side.forget_refused();
        }
      }
      require(side.endpoint.open_streams() == side.owner.calls.size(),
              "both sides of the interface know the same calls");
      require(budget.peak() <= 2'000, "the budget holds");
    }
    require(written + side.endpoint.output().bytes() <= (fed + 1) * 1'000 + 1'000'000, "output in proportion to input");
  }
  require(budget.charged() == 0, "the budget returns to zero");
}

std::string request(std::uint32_t stream, std::uint8_t shape) {
  return test::request_frame(stream, {.service = "a.B", .method = kMethods[shape % 4]}, {},
                             (shape & 1) != 0 ? wire::kRemoteOpen : 0);
}

void ids(Choices& choices) {
  Side side({.role = Role::kServer});
  const auto features = choices.byte();
  if ((features & 0x80) != 0) side.endpoint.enable(extension(features & ~std::uint64_t{wire::kFeatureCrc32c}));
  std::uint32_t newest = 0;
  while (!choices.empty() && !side.endpoint.violation()) {
    const auto command = choices.byte();
    const std::uint32_t bases[] = {0, newest, UINT32_MAX};
    const auto near = static_cast<std::int8_t>(choices.byte());
    const auto id = bases[(command >> 2) % 3] + static_cast<std::uint32_t>(near);
    auto* stream = side.pick(command >> 4);
    switch (command & 3) {
      case 0: stream == nullptr ? void() : side.finish(*stream, command >> 4); break;
      case 1: feed(side.endpoint, test::frame(wire::FrameType::kData, id, wire::kRemoteClosed, {})); break;
      default:
        if (feed(side.endpoint, request(id, command >> 4))) newest = std::max(newest, id);
    }
    require(side.endpoint.open_streams() == side.owner.calls.size(), "every open call has a stream of its own");
  }
}

class Duplex {
 public:
  explicit Duplex(std::uint8_t features) {
    if ((features & 0x80) == 0) return;
    for (auto* side : {&client_, &server_}) side->endpoint.enable(extension(features));
  }

  void step(std::uint8_t command, std::uint8_t argument) {
    Side& side = (command & 8) != 0 ? server_ : client_;
    auto* stream = side.pick(command >> 4);
    switch (command & 7) {
      case 0:
      case 1: return move(side, argument + 1u);
      case 2: return client_.open(argument);
      case 3: return side.endpoint.send_ping(argument);
      default: break;
    }
    if (stream == nullptr) return;
    switch (command & 7) {
      case 4: return side.send(*stream, argument * 2u);
      case 5: return side.consume(*stream);
      case 6: return side.finish(*stream, argument);
      default: return close_or_drain(side, *stream, argument);
    }
  }
  // Lets everything arrive and be consumed, and ends all calls: after that each side may send again.
  void settle() {
    do {
      for (auto* side : {&client_, &server_})
        while (auto* stream = side->pick(0)) side->finish(*stream, 2);
    } while (move_all());
    require(client_.endpoint.open_streams() + server_.endpoint.open_streams() == 0, "all calls end");
    if (!client_.endpoint.can_open()) return;
    client_.open(static_cast<std::uint8_t>(Shape::kBidiStream));
    client_.send(*client_.pick(0), 1);
    move_all();
    require(server_.pick(0) != nullptr && server_.owner.calls.begin()->second.unread.size() == 1, "no credit is lost");
  }

 private:
  void close_or_drain(Side& side, Stream& stream, std::uint8_t argument) {
    if (argument == 0xFF) return side.endpoint.send_goaway(wire::GoawayReason::kShutdown, 0, letters(300));
    if (&side == &client_) side.endpoint.close_send(stream);
  }
  void move(Side& from, std::size_t bytes) {
    auto& to = &from == &client_ ? server_ : client_;
    require(to.endpoint.receive(from.take(bytes)), "a peer that keeps the rules breaks none");
    require(to.owner.refusals == 0, "nor is anything refused");
  }
  bool move_all() {
    bool moved = false;
    while (!client_.endpoint.output().empty() || !server_.endpoint.output().empty()) {
      moved = true;
      move(client_, 4'096);
      move(server_, 4'096);
    }
    return moved;
  }
  Side client_{{.role = Role::kClient, .output_watermark = 500}};
  Side server_{{.role = Role::kServer, .output_watermark = 500}};
};

void duplex(Choices& choices) {
  Duplex both(choices.byte());
  while (!choices.empty()) {
    const auto command = choices.byte();
    both.step(command, choices.byte());
  }
  both.settle();
}

}  // namespace
}  // namespace hostcall::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace hostcall::fuzz;
  constexpr std::uint8_t kIdsFrom = 0xF0;
  Choices choices(bytes, size);
  const auto mode = choices.byte();
  if (mode >= kIdsFrom) return ids(choices), 0;
  switch (mode % 3) {
    case 0: hostile(choices, Role::kServer); break;
    case 1: hostile(choices, Role::kClient); break;
    default: duplex(choices);
  }
  return 0;
}
