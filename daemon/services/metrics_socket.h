// MetricsSocket: metrics.sock, which answers HTTP GET with the metrics, for scrapers that know no hostcallctl. One
// request for each connection. A few connections at most, a few KiB of each, and little time: whoever sends slowly or
// reads slowly is cut off. Guests can't reach it: it is for root and admin_group.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "daemon/loop/journal.h"
#include "daemon/loop/listener.h"
#include "daemon/loop/reactor.h"
#include "daemon/services/http_request.h"
#include "daemon/services/metrics_text.h"

namespace hostcall::daemon {

// One connection of it.
class MetricsConnection;

class MetricsSocket final : private Acceptor {
 public:
  // At once; further ones are closed.
  static constexpr std::size_t kMaxConnections = 16;
  // For the request, and then for taking the reply.
  static constexpr Duration kRequestTime = seconds(5);
  static constexpr Duration kReplyTime = seconds(5);

  // All must outlive this.
  MetricsSocket(Reactor& reactor, Journal& journal, const MetricSources& sources);
  ~MetricsSocket();

  // Listens at the path; members of the group may connect. If it can't, it journals why.
  void start(const std::string& path, const std::string& group);
  std::size_t connections() const { return connections_.size(); }

 private:
  Done open(const net::Address& address);
  friend class MetricsConnection;
  void accepted(UniqueFd fd, const Listener& listener) override;
  void accept_failed(const Error& error, const Listener& listener) override;
  UniqueFd& spare_descriptor() override { return spare_; }
  void share_with(const std::string& path, const std::string& group);
  void closed(MetricsConnection& connection);

  Reactor& reactor_;
  Journal& journal_;
  const MetricSources& sources_;
  UniqueFd spare_ = open_spare();
  bool failure_reported_ = false;
  std::map<const MetricsConnection*, std::unique_ptr<MetricsConnection>> connections_;
  std::unique_ptr<Listener> listener_;
};

}  // namespace hostcall::daemon
