#include "daemon/services/metrics_socket.h"

#include <grp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <utility>

namespace hostcall::daemon {
namespace {

constexpr mode_t kSocketMode = 0660;

}  // namespace

// Reads a request, and writes the reply one metric a turn, the next one when the socket has taken the last.
class MetricsConnection final : public IoHandler {
 public:
  MetricsConnection(MetricsSocket& owner, UniqueFd fd)
      : owner_(owner), fd_(std::move(fd)), deadline_(owner.reactor_, Callback::to<&MetricsConnection::close>(this)) {
    deadline_.set(owner.reactor_.now() + MetricsSocket::kRequestTime);
  }

  Done start() {
    HOSTCALL_TRY(owner_.reactor_.add(fd_.get(), kReadable, *this));
    watched_ = true;
    return done();
  }
  void stop() {
    deadline_.cancel();
    if (std::exchange(watched_, false)) owner_.reactor_.remove(fd_.get());
  }

  void on_io(std::uint32_t events) override {
    if (!watched_) return;
    if ((events & kError) != 0) return close();
    if (replies_)
      write();
    else
      read();
  }

 private:
  void read() {
    std::array<char, kMaxHttpHead> buffer;
    const auto received = net::receive(fd_.get(), std::span(buffer).first(kMaxHttpHead - bytes_.size()));
    if (!received.ok() || received->end || received->descriptors) return close();
    if (received->would_block) return;
    bytes_.append(buffer.data(), received->bytes);
    if (const auto outcome = answer_http(bytes_)) reply(*outcome);
  }

  void reply(const HttpOutcome& outcome) {
    replies_ = true;
    bytes_ = http_reply(outcome);
    if (outcome.ok()) text_.emplace(owner_.sources_, outcome.format);
    deadline_.set(owner_.reactor_.now() + MetricsSocket::kReplyTime);
    owner_.reactor_.change(fd_.get(), kWritable, *this);
  }

  void write() {
    if (sent_ == bytes_.size()) {
      bytes_.clear();
      sent_ = 0;
      if (!text_ || !text_->append_next(bytes_)) return close();
    }
    const iovec rest{bytes_.data() + sent_, bytes_.size() - sent_};
    const auto sent = net::send(fd_.get(), {&rest, 1});
    if (!sent.ok()) return close();
    sent_ += *sent;
  }

  void close() {
    stop();
    owner_.closed(*this);
  }

  MetricsSocket& owner_;
  const UniqueFd fd_;
  Timer deadline_;
  std::string bytes_;  // of the request, then those of the reply that come next
  std::size_t sent_ = 0;
  std::optional<MetricsText> text_;  // what is left of the reply
  bool replies_ = false;
  bool watched_ = false;
};

MetricsSocket::MetricsSocket(Reactor& reactor, Journal& journal, const MetricSources& sources)
    : reactor_(reactor), journal_(journal), sources_(sources) {}

MetricsSocket::~MetricsSocket() {
  for (const auto& [key, connection] : connections_) connection->stop();
}

void MetricsSocket::start(const std::string& path, const std::string& group) {
  const auto address = net::unix_address(path);
  if (const auto opened = open(address); !opened.ok())
    return journal_.write(Level::kError, MessageId::kSystemError,
                          "there are no metrics on " + address.to_string() + ": " + opened.error().message());
  share_with(path, group);
}

Done MetricsSocket::open(const net::Address& address) {
  auto fd = HOSTCALL_TRY(net::listen(address, kSocketMode));
  listener_ = std::make_unique<Listener>(reactor_, static_cast<Acceptor&>(*this), std::move(fd), address, false);
  return listener_->start();
}

// As with the admin socket, an ordinary user outside the group can't; then only that user and root can connect.
void MetricsSocket::share_with(const std::string& path, const std::string& group) {
  const auto* entry = group.empty() ? nullptr : ::getgrnam(group.c_str());
  if (entry == nullptr || entry->gr_gid == ::getegid()) return;
  if (::chown(path.c_str(), static_cast<uid_t>(-1), entry->gr_gid) == 0) return;
  journal_.write(
      Level::kNotice, MessageId::kSystemError,
      Error::from_errno("only root and this user can use the metrics socket: chown " + path + " to group " + group)
          .message());
}

void MetricsSocket::accepted(UniqueFd fd, const Listener& listener) {
  if (connections_.size() >= kMaxConnections) return;
  auto connection = std::make_unique<MetricsConnection>(*this, std::move(fd));
  if (const auto started = connection->start(); !started.ok()) return accept_failed(started.error(), listener);
  const auto* key = connection.get();
  connections_.emplace(key, std::move(connection));
}

// One record is enough: the server reports when descriptors run out.
void MetricsSocket::accept_failed(const Error& error, const Listener& listener) {
  if (std::exchange(failure_reported_, true)) return;
  journal_.write(Level::kError, MessageId::kSystemError,
                 "accept on " + listener.address().to_string() + ": " + error.message());
}

void MetricsSocket::closed(MetricsConnection& connection) {
  const auto at = connections_.find(&connection);
  reactor_.retire(std::move(at->second));
  connections_.erase(at);
}

}  // namespace hostcall::daemon
