// The table of metrics, the text of it, Admin/Metrics and metrics.sock.
#include "daemon/services/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "daemon/services/metrics_socket.h"
#include "hostcall/v1/admin.hostcall.h"
#include "hostcall/v1/session.hostcall.h"
#include "proto/net/socket.h"
#include "tests/unit/daemon/services/fixture.h"
#include "tests/unit/daemon/services/scripted_engine.h"

namespace hostcall::daemon {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class MetricsTest : public test::ServicesFixture {
 protected:
  MetricsTest() { serve(engine_); }

  std::string text(MetricsFormat format = MetricsFormat::kPrometheus) {
    MetricsText metrics(sources_, format);
    std::string text;
    while (metrics.append_next(text)) {
    }
    return text;
  }

  test::ScriptedEngine engine_;
  const v1::StoreCondition condition_;
  const MetricSources sources_ = test::metric_sources(rig_, host_calls_, engine_, condition_);
};

TEST_F(MetricsTest, TheTableIsSortedAndSaysWhatEachIs) {
  const auto metrics = all_metrics();
  EXPECT_TRUE(std::ranges::is_sorted(metrics, {}, &Metric::name));
  std::set<std::string> families;
  for (const auto& metric : metrics) {
    EXPECT_TRUE(families.insert(family_name(metric)).second) << metric.name;
    EXPECT_TRUE(metric.help.ends_with('.')) << metric.name;
    EXPECT_EQ(metric.help.find_first_of("\\\n\""), std::string_view::npos) << metric.name;
    EXPECT_FALSE(metric.name.ends_with("_total")) << metric.name;
  }
}

TEST_F(MetricsTest, TheFormatsDifferAsTheyMust) {
  const auto caller = peer("web1");
  must<v1::Session::Ping>(*caller);
  rig_.stats.limits_hit = {{"streams", 3}};
  const auto classic = text(), open = text(MetricsFormat::kOpenMetrics);
  for (const auto& format : {classic, open}) {
    EXPECT_THAT(format, HasSubstr("hostcall_calls_total{method=\"hostcall.v1.Session/Ping\",code=\"OK\"} 1\n"));
    EXPECT_THAT(format, HasSubstr("hostcall_calls_limited_total{limit=\"streams\"} 3\n"));
    EXPECT_THAT(format, HasSubstr("hostcall_call_duration_seconds_count{method=\"hostcall.v1.Session/Ping\"} 1\n"));
    EXPECT_THAT(
        format,
        HasSubstr("hostcall_call_duration_seconds_bucket{method=\"hostcall.v1.Session/Ping\",le=\"+Inf\"} 1\n"));
    EXPECT_THAT(format, HasSubstr("\n# TYPE hostcall_vms gauge\nhostcall_vms 2\n"));
    EXPECT_THAT(format, HasSubstr("\n# TYPE process_resident_memory_bytes gauge\n"));
    EXPECT_THAT(format, Not(HasSubstr("\n\n")));
    EXPECT_THAT(format, Not(HasSubstr("hostcall_vm_calls_total{")));
  }
  EXPECT_THAT(classic, HasSubstr("# TYPE hostcall_calls_total counter\n"));
  EXPECT_THAT(classic, HasSubstr("Ping\",le=\"1\"} 1\n"));
  EXPECT_THAT(classic, HasSubstr("Ping\",le=\"1e-05\"} 1\n"));
  EXPECT_THAT(classic, HasSubstr("Ping\",le=\"0.0001\"} 1\n"));
  EXPECT_THAT(classic, Not(HasSubstr("EOF")));
  EXPECT_THAT(open, HasSubstr("# TYPE hostcall_calls counter\n"));
  EXPECT_THAT(open, HasSubstr("Ping\",le=\"1.0\"} 1\n"));
  EXPECT_TRUE(open.ends_with("\n# EOF\n"));
}

TEST_F(MetricsTest, GuestTextIsNoLabel) {
  const auto caller = peer("web1");
  caller->call("my.Own\"\n/Method");
  EXPECT_THAT(text(), HasSubstr("hostcall_calls_total{method=\"_unknown\",code=\"UNIMPLEMENTED\"} 1\n"));
  EXPECT_THAT(text(), Not(HasSubstr("my.Own")));
}

TEST_F(MetricsTest, VmsHaveSeriesIfTheyShall) {
  const auto caller = peer("web1");
  must<v1::Session::Ping>(*caller);
  rig_.config.metrics_per_vm = true;
  EXPECT_THAT(text(), HasSubstr("hostcall_vm_calls_total{vm=\"db1\"} 0\nhostcall_vm_calls_total{vm=\"web1\"} 1\n"));
  EXPECT_THAT(text(), Not(HasSubstr("_other")));
}

TEST_F(MetricsTest, SeriesOfVmsAreBounded) {
  rig_.config.metrics_per_vm = true;
  for (std::size_t i = 0; i < kMaxVmSeries; ++i) {
    VmRecord record;
    record.name = "vm" + std::to_string(i);
    record.cid = static_cast<std::uint32_t>(1000 + i);
    ASSERT_TRUE(rig_.registry.add(record, false).vm != nullptr);
  }
  // The last by name.
  rig_.vm("web1").counts.calls = 7;
  const auto all = text();
  EXPECT_THAT(all, HasSubstr("hostcall_vm_calls_total{vm=\"_other\"} 7\n"));
  EXPECT_THAT(all, Not(HasSubstr("{vm=\"web1\"}")));
  std::size_t lines = 0;
  for (auto at = all.find("\nhostcall_vm_calls_total{"); at != std::string::npos;
       at = all.find("\nhostcall_vm_calls_total{", at + 1))
    ++lines;
  EXPECT_EQ(lines, kMaxVmSeries + 1);
}

TEST_F(MetricsTest, AdministratorsGetTheSameInParts) {
  const auto host = admin();
  host->hello();
  for (const auto format : {v1::MetricsTextRequest::FORMAT_PROMETHEUS, v1::MetricsTextRequest::FORMAT_OPENMETRICS}) {
    v1::MetricsTextRequest request;
    request.set_format(format);
    const auto stream =
        host->start("hostcall.v1.Admin/Metrics", request.SerializeAsString(), wire::Shape::kServerStream);
    std::string all;
    while (const auto message = host->receive(stream)) {
      v1::MetricsTextResponse part;
      ASSERT_TRUE(part.ParseFromString(*message));
      all += part.text();
    }
    EXPECT_TRUE(host->finish(stream).status.ok());
    EXPECT_THAT(all, HasSubstr("\nhostcall_vms 2\n"));
    EXPECT_EQ(all.ends_with("# EOF\n"), format == v1::MetricsTextRequest::FORMAT_OPENMETRICS);
  }
  v1::MetricsTextRequest unknown;
  unknown.set_format(static_cast<v1::MetricsTextRequest::Format>(7));
  const auto stream = host->start("hostcall.v1.Admin/Metrics", unknown.SerializeAsString(), wire::Shape::kServerStream);
  EXPECT_EQ(host->finish(stream).status.code, Code::kInvalidArgument);
}

// ---------------------------------------------------------------- the socket

// A scraper of metrics.sock.
class Scraper {
 public:
  explicit Scraper(const std::string& path)
      : fd_(net::start_connect(net::unix_address(path), milliseconds(0)).value()) {}

  void send(std::string_view bytes) {
    const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    (void)net::send(fd_.get(), {&piece, 1});
  }
  // Takes what has come. Returns false once the daemon has closed.
  bool receive() {
    std::array<char, 4096> buffer;
    for (;;) {
      const auto received = net::receive(fd_.get(), buffer);
      if (!received.ok() || received->end) return false;
      if (received->would_block) return true;
      got.append(buffer.data(), received->bytes);
    }
  }

  std::string got;

 private:
  UniqueFd fd_;
};

class MetricsSocketTest : public MetricsTest {
 protected:
  MetricsSocketTest() { socket_.start(path_, ""); }

  // Until the daemon closes, or has nothing more to do.
  void finish(Scraper& scraper) {
    do rig_.settle();
    while (scraper.receive() && !scraper.got.empty() && socket_.connections() != 0);
  }
  std::string reply_to(const std::string& request) {
    Scraper scraper(path_);
    scraper.send(request);
    finish(scraper);
    return scraper.got;
  }

  const std::string path_ = rig_.directory / "metrics.sock";
  MetricsSocket socket_{rig_.reactor, rig_.journal, sources_};
};

constexpr char kGet[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

TEST_F(MetricsSocketTest, AnswersEachScraper) {
  for (int i = 0; i < 3; ++i) {
    const auto reply = reply_to(kGet);
    EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"));
    EXPECT_THAT(reply, HasSubstr("\r\n\r\n# HELP hostcall_build_info"));
    EXPECT_TRUE(reply.ends_with("\nhostcall_vms 2\n"));
    EXPECT_EQ(socket_.connections(), 0u);
  }
}

TEST_F(MetricsSocketTest, OpenMetricsIsForWhoAcceptsIt) {
  const auto reply = reply_to("GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text\r\n\r\n");
  EXPECT_THAT(reply, HasSubstr("Content-Type: application/openmetrics-text; version=1.0.0"));
  EXPECT_TRUE(reply.ends_with("# EOF\n"));
}

TEST_F(MetricsSocketTest, IsForTheGroupOnly) {
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660u);
}

TEST_F(MetricsSocketTest, ErrorsAreTold) {
  EXPECT_THAT(reply_to("GET / HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(reply_to("PUT /metrics HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(reply_to("GET /metrics HTTP/1.1\r\nAccept: image/png\r\n\r\n"), StartsWith("HTTP/1.1 406 "));
  EXPECT_THAT(reply_to(std::string("GET /\0", 6)), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(reply_to(std::string(10'000, 'a')), StartsWith("HTTP/1.1 431 "));
  EXPECT_EQ(socket_.connections(), 0u);
}

TEST_F(MetricsSocketTest, ARequestMayComeByteByByte) {
  Scraper scraper(path_);
  for (const char c : std::string_view(kGet)) {
    EXPECT_TRUE(scraper.got.empty());
    scraper.send({&c, 1});
    rig_.settle();
    scraper.receive();
  }
  finish(scraper);
  EXPECT_TRUE(scraper.got.ends_with("\nhostcall_vms 2\n"));
}

TEST_F(MetricsSocketTest, WhoSendsSlowlyIsCutOff) {
  Scraper silent(path_), slow(path_);
  rig_.settle();
  EXPECT_EQ(socket_.connections(), 2u);
  for (int i = 0; i < 6; ++i) {
    slow.send("G");
    rig_.advance(seconds(1));
  }
  EXPECT_EQ(socket_.connections(), 0u);
  EXPECT_FALSE(silent.receive());
  EXPECT_FALSE(slow.receive());
}

TEST_F(MetricsSocketTest, WhoDoesNotReadIsCutOff) {
  rig_.config.metrics_per_vm = true;
  // More than a socket holds.
  for (int i = 0; i < 900; ++i) {
    VmRecord record;
    record.name = "vm-with-a-long-name-" + std::to_string(i);
    record.cid = static_cast<std::uint32_t>(1000 + i);
    ASSERT_TRUE(rig_.registry.add(record, false).vm != nullptr);
  }
  Scraper lazy(path_);
  lazy.send(kGet);
  rig_.settle();
  EXPECT_EQ(socket_.connections(), 1u);
  EXPECT_THAT(reply_to(kGet), StartsWith("HTTP/1.1 200 ")) << "others are served meanwhile";
  rig_.advance(seconds(6));
  EXPECT_EQ(socket_.connections(), 0u);
}

TEST_F(MetricsSocketTest, ConnectionsAreBounded) {
  std::vector<std::unique_ptr<Scraper>> crowd;
  for (int i = 0; i < 1000; ++i) crowd.push_back(std::make_unique<Scraper>(path_));
  rig_.settle();
  EXPECT_EQ(socket_.connections(), MetricsSocket::kMaxConnections);
  EXPECT_FALSE(crowd.back()->receive()) << "it is told at once";
  crowd.clear();
  rig_.settle();
  EXPECT_EQ(socket_.connections(), 0u);
  EXPECT_THAT(reply_to(kGet), StartsWith("HTTP/1.1 200 "));
}

TEST_F(MetricsSocketTest, APeerThatGoesIsForgotten) {
  {
    Scraper gone(path_);
    gone.send("GET /met");
    rig_.settle();
    EXPECT_EQ(socket_.connections(), 1u);
  }
  rig_.settle();
  EXPECT_EQ(socket_.connections(), 0u);
}

}  // namespace
}  // namespace hostcall::daemon
