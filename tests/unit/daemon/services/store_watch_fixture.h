// Watches in few words.
#pragma once

#include <string>
#include <vector>

#include "tests/unit/daemon/services/store_fixture.h"

namespace hostcall::daemon::test {

inline v1::WatchRequest watch_request(const std::string& prefix, std::int64_t from_revision = 0) {
  v1::WatchRequest request;
  request.set_prefix(prefix);
  request.set_from_revision(from_revision);
  return request;
}

inline v1::WatchRequest snapshot_request(const std::string& prefix) {
  auto request = watch_request(prefix);
  request.set_snapshot(true);
  return request;
}

inline std::vector<std::string> keys_of(const v1::WatchResponse& message) {
  std::vector<std::string> keys;
  for (const auto& event : message.events()) keys.push_back(event.item().key());
  for (const auto& item : message.snapshot()) keys.push_back(item.key());
  return keys;
}

class StoreWatchFixture : public StoreServiceFixture {
 protected:
  // The next message, which must be there.
  v1::WatchResponse next(WireClient& caller, std::uint32_t stream) {
    auto message = receive<v1::Store::Watch>(caller, stream);
    EXPECT_TRUE(message) << "nothing has come";
    return message.value_or(v1::WatchResponse());
  }
  // Begins a watch of what comes, and takes the greeting.
  std::uint32_t watch(WireClient& caller, const v1::WatchRequest& request) {
    const auto stream = start<v1::Store::Watch>(caller, request);
    EXPECT_EQ(next(caller, stream).events_size(), 0);
    return stream;
  }
  // Until the caller's window is used up.
  void fill_window(WireClient& writer, const std::string& key) {
    for (int i = 0; i < 8; ++i) put(writer, key, std::string(64 * 1024, 'v'));
  }
  void expect_over(WireClient& caller, std::uint32_t stream, Code code, const std::string& text) {
    expect_refused(finish<v1::Store::Watch>(caller, stream).status, code, text);
    EXPECT_EQ(used("web1", Resource::kWatches), 0u);
    EXPECT_EQ(store_.engine().stats().watches, 0u);
  }
};

}  // namespace hostcall::daemon::test
