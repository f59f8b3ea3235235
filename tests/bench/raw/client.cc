// The raw client, see server.cc for the modes.
#include "tests/bench/harness/client.h"

#include <fcntl.h>
#include <sys/epoll.h>

#include <vector>

#include "proto/net/socket.h"
#include "tests/bench/raw/message.h"

namespace hostcall::bench::raw {
namespace {

constexpr int kEvents = 256;
// With one write per message both sides write before they read: all calls in flight have to fit into the buffers.
constexpr int kSendBuffer = 212'992;

// A connection with calls side by side: what was begun in a turn goes out with one write.
struct Pipe {
  UniqueFd fd;
  Input in;
  std::string out;
};

class RawClient final : public Client {
 public:
  RawClient(const Arguments& arguments, Ends& ends)
      : arguments_(arguments),
        ends_(ends),
        single_(arguments.mode == "single"),
        spin_(arguments.mode == "spin"),
        payload_(pattern(arguments.payload)),
        chunk_(pattern(arguments.chunk)) {}

  void call() override { call_on(first()); }
  void connect() override { call_on(make_connection(0).get()); }

  void open(unsigned connections) override {
    if (connections > 1 && spin_) throw Unsupported("spinning is for one connection");
    epoll_ = UniqueFd::adopt(::epoll_create1(EPOLL_CLOEXEC));
    pipes_.resize(connections);
    for (unsigned i = 0; i < connections; ++i) {
      pipes_[i].fd = make_connection(i);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u32 = i;
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, pipes_[i].fd.get(), &event);
    }
  }
  void start(unsigned slot) override {
    auto& pipe = pipes_[pipes_.size() == 1 ? 0 : slot];
    if (pipes_.size() == 1) slots_.push_back(slot);
    append_message(pipe.out, payload_);
    if (single_) flush(pipe);
  }
  void wait() override {
    for (auto& pipe : pipes_) flush(pipe);
    if (pipes_.size() == 1) return read(0);
    epoll_event events[kEvents];
    const int count = ::epoll_wait(epoll_.get(), events, kEvents, -1);
    for (int i = 0; i < count; ++i) {
      read(events[i].data.u32);
      flush(pipes_[events[i].data.u32]);
    }
  }

  void download() override {
    ask({arguments_.bytes, arguments_.chunk, 0});
    for (std::uint64_t got = 0; got < arguments_.bytes;) {
      const auto most = std::min<std::uint64_t>(chunk_.size(), arguments_.bytes - got);
      const auto size = receive_some(first(), chunk_.data(), most, spin_);
      got += size;
      require(chunk_[size - 1] == static_cast<char>((got - 1) % arguments_.chunk), "the stream is not the pattern");
    }
  }
  void upload() override {
    ask({arguments_.bytes, arguments_.chunk, 1});
    for (std::uint64_t sent = 0; sent < arguments_.bytes; sent += chunk_.size()) send_all(first(), chunk_, spin_);
    std::uint64_t taken = 0;
    receive_all(first(), reinterpret_cast<char*>(&taken), sizeof taken, spin_);
    check_total(taken, arguments_.bytes);
  }

 private:
  // Blocking, because that is the fastest way to wait for one reply.
  UniqueFd make_connection(unsigned number) {
    const auto address = net::Address::parse(arguments_.address_of(number));
    require(address.ok(), "cannot understand the address");
    auto fd = net::start_connect(address.value(), seconds(5));
    require(fd.ok(), "cannot connect");
    wait_for(fd.value().get(), POLLOUT, false);
    require(net::finish_connect(fd.value().get(), address.value()).ok(), "cannot connect");
    ::fcntl(fd.value().get(), F_SETFL, ::fcntl(fd.value().get(), F_GETFL) & ~O_NONBLOCK);
    if (single_) ::setsockopt(fd.value().get(), SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof kSendBuffer);
    return std::move(fd).value();
  }
  int first() {
    if (!connection_) connection_ = make_connection(0);
    return connection_.get();
  }
  void call_on(int fd) {
    out_.clear();
    append_message(out_, payload_);
    send_all(fd, out_, spin_);
    in_.resize(out_.size());
    receive_all(fd, in_.data(), in_.size(), spin_);
    check_reply(std::string_view(in_).substr(kPrefix), payload_);
  }
  void ask(const Bulk& bulk) {
    out_.assign(reinterpret_cast<const char*>(&kBulk), kPrefix);
    out_.append(reinterpret_cast<const char*>(&bulk), sizeof bulk);
    send_all(first(), out_, spin_);
  }
  // Replies come in the order of the requests. A full socket cannot block this for ever: the server writes only what it
  // has read, and all requests in flight fit into the two sockets' buffers and its memory.
  void flush(Pipe& pipe) {
    if (pipe.out.empty()) return;
    send_all(pipe.fd.get(), pipe.out, spin_);
    pipe.out.clear();
  }
  void read(unsigned number) {
    auto& pipe = pipes_[number];
    pipe.in.receive(pipe.fd.get(), spin_);
    const auto all = pipe.in.view();
    auto rest = all;
    while (rest.size() >= kPrefix) {
      const auto size = length_at(rest.data());
      if (rest.size() < kPrefix + size) break;
      end_call(number, rest.substr(kPrefix, size));
      rest.remove_prefix(kPrefix + size);
    }
    pipe.in.take(all.size() - rest.size());
  }
  void end_call(unsigned number, std::string_view reply) {
    if (pipes_.size() > 1) return ends_.finished(number, reply);
    const auto slot = slots_[oldest_++];
    if (oldest_ == slots_.size()) slots_.clear(), oldest_ = 0;
    ends_.finished(slot, reply);
  }

  const Arguments& arguments_;
  Ends& ends_;
  const bool single_, spin_;
  const std::string payload_;
  std::string chunk_, in_, out_;
  UniqueFd connection_, epoll_;
  std::vector<Pipe> pipes_;
  std::vector<unsigned> slots_;  // of the calls on the one connection, in their order
  std::size_t oldest_ = 0;
};

}  // namespace
}  // namespace hostcall::bench::raw

int main(int argc, char** argv) {
  using namespace hostcall::bench;
  return run_client(argc, argv, [](const Arguments& arguments, Ends& ends) {
    return std::make_unique<raw::RawClient>(arguments, ends);
  });
}
