// Which kernel runs, and which faults its number stands for.
#include <gtest/gtest.h>

#include <algorithm>

#include "client/hostcallctl/checks.h"
#include "client/hostcallctl/kernel_version.h"
#include "tests/support/temp_dir.h"

namespace hostcall::cli::host {
namespace {

struct Kernel {
  std::string release;
  std::string build = "#1 SMP PREEMPT_DYNAMIC";
  std::string signature{};
};

class KernelCheck : public testing::Test {
 protected:
  Machine machine(const Kernel& kernel) {
    tree_.write("proc/sys/kernel/osrelease", kernel.release + "\n");
    tree_.write("proc/sys/kernel/version", kernel.build + "\n");
    if (!kernel.signature.empty()) tree_.write("proc/version_signature", kernel.signature + "\n");
    return Machine(tree_.path());
  }
  // "CVE-2024-50264 CVE-2025-21756"
  std::string faults(const Kernel& kernel) {
    std::string ids;
    for (const auto& finding : check_kernel(machine(kernel)))
      if (finding.state != Finding::State::kOk) ids += (ids.empty() ? "" : " ") + finding.check.substr(7);
    return ids;
  }
  test::TempDir tree_;
};

TEST_F(KernelCheck, ReadsVersions) {
  EXPECT_EQ(KernelVersion::parse("6.1.106-3"), (KernelVersion{6, 1, 106}));
  EXPECT_EQ(KernelVersion::parse("6.12"), (KernelVersion{6, 12, 0}));
  EXPECT_EQ(KernelVersion::parse("7.0.0-rc3+"), (KernelVersion{7, 0, 0}));
  for (const auto* text : {"", "x", "-1.2", "0.1"}) EXPECT_EQ(KernelVersion::parse(text), std::nullopt) << text;
}

TEST_F(KernelCheck, EachFaultHasItsRange) {
  EXPECT_EQ(faults({"4.7.9"}), "");
  EXPECT_EQ(faults({"4.8.0"}), "CVE-2024-50264");
  EXPECT_EQ(faults({"5.4.285"}), "CVE-2024-50264");
  EXPECT_EQ(faults({"5.4.286"}), "");
  EXPECT_EQ(faults({"5.10.12"}), "CVE-2021-26708 CVE-2024-50264 CVE-2025-21756");
  EXPECT_EQ(faults({"5.10.13"}), "CVE-2024-50264 CVE-2025-21756");
  EXPECT_EQ(faults({"5.10.230"}), "CVE-2025-21756");
  EXPECT_EQ(faults({"5.10.235"}), "");
  EXPECT_EQ(faults({"6.12.15"}), "CVE-2025-21756");
  EXPECT_EQ(faults({"6.12.16"}), "");
  EXPECT_EQ(faults({"6.14.0"}), "");
  EXPECT_EQ(faults({"7.0.1"}), "");
}

TEST_F(KernelCheck, ABranchWithoutFixesStaysFaulty) {
  EXPECT_EQ(faults({"6.5.13"}), "CVE-2024-50264 CVE-2025-21756");
  EXPECT_EQ(faults({"5.9.16"}), "CVE-2021-26708 CVE-2024-50264 CVE-2025-21756");
}

TEST_F(KernelCheck, DebianSaysTheReleaseInItsBuild) {
  EXPECT_EQ(faults({"6.1.0-25-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.106-3 (2024-08-26)"}),
            "CVE-2024-50264 CVE-2025-21756");
  EXPECT_EQ(faults({"6.1.0-34-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.135-1 (2025-04-25)"}), "");
}

TEST_F(KernelCheck, UbuntuSaysTheReleaseInItsSignature) {
  EXPECT_EQ(faults({"5.15.0-91-generic", "#101-Ubuntu SMP", "Ubuntu 5.15.0-91.101-generic 5.15.131"}),
            "CVE-2024-50264 CVE-2025-21756");
  EXPECT_EQ(faults({"5.15.0-140-generic", "#150-Ubuntu SMP", "Ubuntu 5.15.0-140.150-generic 5.15.179"}), "");
}

TEST_F(KernelCheck, AVendorsNumberIsNotJudged) {
  const auto findings = check_kernel(machine({"5.14.0-427.13.1.el9_4.x86_64"}));
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].state, Finding::State::kOk);
  EXPECT_NE(findings[0].text.find("security tracker"), std::string::npos);
}

TEST_F(KernelCheck, WithoutProcItSaysSo) {
  const auto findings = check_kernel(Machine(tree_.path()));
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].state, Finding::State::kWarn);
}

TEST_F(KernelCheck, FindingsSayThatFixesAreTakenBack) {
  const auto findings = check_kernel(machine({"6.5.13"}));
  EXPECT_TRUE(std::ranges::all_of(
      findings, [](const Finding& finding) { return finding.advice.find("older kernels") != std::string::npos; }));
}

}  // namespace
}  // namespace hostcall::cli::host
