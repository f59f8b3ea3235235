// hostcall doctor on trees of files that stand for a guest.
#include "client/hostcall/guest_checks.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "tests/support/temp_dir.h"

namespace hostcall::cli::guest {
namespace {

using State = Finding::State;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kNow = 1'700'000'000 * kSecond;

TEST(GuestChecks, AKernelWithoutVsockFails) {
  EXPECT_EQ(check_vsock_family(done()).state, State::kOk);
  const auto finding = check_vsock_family(Error{EAFNOSUPPORT, "socket"});
  EXPECT_EQ(finding.state, State::kFail);
  EXPECT_NE(finding.advice.find("modprobe"), std::string::npos);
  EXPECT_EQ(check_vsock_family(Error{EPERM, "socket"}).state, State::kFail);
}

TEST(GuestChecks, AVsockDeviceWithItsDriverIsFine) {
  test::TempDir tree;
  tree.write("sys/bus/virtio/devices/virtio0/device", "0x0002\n");
  tree.write("sys/bus/virtio/devices/virtio3/device", "0x0013\n");
  tree.write("sys/bus/virtio/devices/virtio3/driver/uevent", "");
  const auto finding = check_vsock_device(Machine(tree.path()));
  EXPECT_EQ(finding.state, State::kOk);
  EXPECT_NE(finding.text.find("virtio3"), std::string::npos);
}

TEST(GuestChecks, AVsockDeviceWithoutDriverFails) {
  test::TempDir tree;
  tree.write("sys/bus/virtio/devices/virtio3/device", "0x0013\n");
  const auto finding = check_vsock_device(Machine(tree.path()));
  EXPECT_EQ(finding.state, State::kFail);
  EXPECT_NE(finding.advice.find("modprobe vmw_vsock_virtio_transport"), std::string::npos);
}

TEST(GuestChecks, AMachineWithoutVsockDeviceFails) {
  test::TempDir tree;
  tree.write("sys/bus/virtio/devices/virtio0/device", "0x0002\n");
  const auto finding = check_vsock_device(Machine(tree.path()));
  EXPECT_EQ(finding.state, State::kFail);
  EXPECT_NE(finding.advice.find("vhost-vsock-pci"), std::string::npos);
}

TEST(GuestChecks, OnlyCid2IsTheHost) {
  const auto state = [](const char* text) { return check_address(net::Address::parse(text).value()).state; };
  EXPECT_EQ(state("vsock:2:18499"), State::kOk);
  EXPECT_EQ(state("unix:/run/x.sock"), State::kOk);
  EXPECT_EQ(state("vsock:1:18499"), State::kWarn);
  EXPECT_EQ(state("vsock:42:18499"), State::kWarn);
}

TEST(GuestChecks, AConnectionThatFailsHasTheAdviceForItsReason) {
  const auto advice = [](Code code, const char* text) {
    Status status;
    status.code = code;
    status.message = text;
    return advice_for_connection(status);
  };
  EXPECT_NE(advice(Code::kUnavailable, "").find("systemctl status hostcalld.socket"), std::string::npos);
  EXPECT_NE(advice(Code::kPermissionDenied, "CID 7 is not registered").find("do what the text says"),
            std::string::npos);
  EXPECT_EQ(advice(Code::kPermissionDenied, "VM \"web1\": hostcall.v1.Session/Hello is denied by a.json:1"),
            "allow hostcall.v1.Session/Hello in the host's policy");
  const auto limit = advice(Code::kResourceExhausted, "VM \"web1\": the limit connections (1) is reached");
  EXPECT_NE(limit.find("raise it: in this VM's record"), std::string::npos) << limit;
}

TEST(GuestChecks, ClocksMayDifferByASecondAndTheRoundTrip) {
  EXPECT_EQ(check_clock(kNow, kNow, kNow).state, State::kOk);
  EXPECT_EQ(check_clock(kNow + kSecond, kNow, kNow).state, State::kOk);
  EXPECT_EQ(check_clock(kNow + 3 * kSecond, kNow, kNow + 2 * kSecond).state, State::kOk);
}

TEST(GuestChecks, AClockThatIsOffIsAWarningWithItsDirection) {
  const auto behind = check_clock(kNow + 90 * kSecond, kNow, kNow);
  EXPECT_EQ(behind.state, State::kWarn);
  EXPECT_NE(behind.text.find("1m 30s behind"), std::string::npos) << behind.text;
  const auto ahead = check_clock(kNow - 90 * kSecond, kNow, kNow);
  EXPECT_NE(ahead.text.find("1m 30s ahead"), std::string::npos) << ahead.text;
}

}  // namespace
}  // namespace hostcall::cli::guest
