// The services of the daemon as callers see them: a Rig with all that main registers, and calls by their types. At its
// end every test has all charges back.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/services/store_host.h"
#include "hostcall/v1/diagnostics.hostcall.h"
#include "tests/support/services.h"

namespace hostcall::daemon::test {

template <class M>
struct Reply {
  Status status;
  typename M::Response message;
};

class ServicesFixture : public testing::Test {
 protected:
  explicit ServicesFixture(const RigOptions& options = {}) : rig_(options) {}

  void serve(store::Engine& engine, const v1::StoreCondition& condition = v1::StoreCondition::default_instance()) {
    register_services(rig_, runner_, host_calls_, engine, condition);
    rig_.start();
  }
  void serve(StoreHost& store) { serve(store.engine(), store.condition()); }

  void TearDown() override {
    rig_.stop();
    for (const auto& [name, vm] : rig_.registry.all())
      for (std::size_t i = 0; i < kResources; ++i)
        EXPECT_EQ(vm->quota.used(static_cast<Resource>(i)), 0u) << name << " is still charged, resource " << i;
  }

  // Lets everything happen that can at this time.
  virtual void settle() { rig_.settle(); }
  void advance(Duration time) {
    rig_.advance(time);
    settle();
  }

  // A plain caller, and one that has said Hello.
  std::unique_ptr<WireClient> peer(const std::string& vm) {
    return std::make_unique<WireClient>("unix:" + rig_.path_of(vm), [this] { settle(); });
  }
  std::unique_ptr<WireClient> guest(const std::string& vm, const std::string& boot_id = "boot-1") {
    auto made = peer(vm);
    made->hello(boot_id);
    return made;
  }
  std::unique_ptr<WireClient> admin() { return peer("admin"); }

  template <class M>
  std::uint32_t start(WireClient& caller, const typename M::Request& request = {}, Duration timeout = {}) {
    const auto stream = caller.start(M::kFullName, request.SerializeAsString(), shape_of<M>(), timeout);
    settle();
    return stream;
  }
  template <class M>
  Reply<M> finish(WireClient& caller, std::uint32_t stream) {
    const auto answer = caller.finish(stream);
    EXPECT_TRUE(answer.arrived) << M::kFullName << " was not answered";
    Reply<M> reply{answer.status, {}};
    EXPECT_TRUE(reply.message.ParseFromString(answer.payload));
    return reply;
  }
  template <class M>
  Reply<M> call(WireClient& caller, const typename M::Request& request = {}, Duration timeout = {}) {
    return finish<M>(caller, start<M>(caller, request, timeout));
  }
  // What must succeed.
  template <class M>
  typename M::Response must(WireClient& caller, const typename M::Request& request = {}) {
    auto reply = call<M>(caller, request);
    EXPECT_TRUE(reply.status.ok()) << M::kFullName << ": " << reply.status.message;
    return std::move(reply.message);
  }
  // The next message of a streamed reply; nothing: it has ended, or there is none at this time.
  template <class M>
  std::optional<typename M::Response> receive(WireClient& caller, std::uint32_t stream) {
    const auto bytes = caller.receive(stream);
    if (!bytes) return std::nullopt;
    typename M::Response message;
    EXPECT_TRUE(message.ParseFromString(*bytes));
    return message;
  }
  // Whether nothing more comes to the caller at this time.
  bool is_quiet(WireClient& caller) {
    const auto before = caller.endpoint().frames_received();
    while (caller.pump()) {
    }
    return caller.endpoint().frames_received() == before;
  }

  // Uses up the window of the caller's connection by streams that it does not take. Returns them.
  std::vector<std::uint32_t> flood(WireClient& caller) {
    v1::SourceRequest request;
    request.set_total_bytes(1'000'000'000);
    request.set_chunk_bytes(64'000);
    std::vector<std::uint32_t> sources;
    for (int i = 0; i < 3; ++i) sources.push_back(start<v1::Diagnostics::Source>(caller, request));
    while (caller.pump()) {
    }
    return sources;
  }

  std::uint64_t used(const std::string& vm, Resource resource) { return rig_.vm(vm).quota.used(resource); }
  // Changes limits for what begins after it: change(Limits&).
  template <class Change>
  void limit(const std::string& vm, Change change) {
    auto limits = rig_.vm(vm).quota.limits();
    change(limits);
    rig_.vm(vm).set_limits(limits);
  }
  // Puts other rules in force.
  void policy(const std::string& rules) {
    rig_.access.replace(Policy::parse({{"policy.d/50-test.json", R"({"rules": [)" + rules + "]}"}}));
  }

  static void expect_refused(const Status& status, Code code, const std::string& text) {
    EXPECT_EQ(status.code, code) << status.message;
    EXPECT_THAT(status.message, testing::HasSubstr(text));
  }

  HostCalls host_calls_;
  Rig rig_;
  ScriptedRunner runner_;
};

// With a store on a disk.
class ServicesTest : public ServicesFixture {
 protected:
  explicit ServicesTest(const RigOptions& options = {}) : ServicesFixture(options) {
    rig_.lifetimes.next = &store_;
    serve(store_);
  }
  ~ServicesTest() override {
    rig_.stop();
    rig_.lifetimes.next = nullptr;
  }

  void settle() override { settle_with(rig_, store_); }

  StoreHost store_{rig_.reactor, rig_.journal, rig_.directory.path()};
};

}  // namespace hostcall::daemon::test
