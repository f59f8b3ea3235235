// Large Data that goes out past the queue: the same bytes as any other, in the same order.
#include <gtest/gtest.h>

#include "proto/wire/endpoint.h"
#include "tests/support/wire_peer.h"

namespace hostcall::wire {
namespace {

using test::Pair;
using test::take_output;
using Log = std::vector<std::string>;
constexpr RequestFields kCall{.service = "a.B", .method = "C"};

// Takes all as long as it has room.
struct Sender final : DirectSender {
  std::size_t send_now(std::span<iovec> pieces) override {
    std::size_t taken = 0;
    for (const auto& piece : pieces) {
      const auto bytes = std::min(piece.iov_len, room);
      sent.append(static_cast<const char*>(piece.iov_base), bytes);
      room -= bytes;
      taken += bytes;
    }
    return taken;
  }
  std::size_t room = SIZE_MAX;
  std::string sent;
};

struct Direct : testing::Test {
  Sender sender;
  Pair pair{{.role = EndpointOptions::Role::kClient, .sender = &sender}, {.role = EndpointOptions::Role::kServer}};
  Endpoint& client = pair.client.endpoint;
  Endpoint& server = pair.server.endpoint;
  std::vector<std::string> got;

  void SetUp() override { enable(kFeatureWindow); }
  void enable(std::uint64_t features) {
    pair.enable({.features = features, .stream_window = 1 << 20, .connection_window = 1 << 20});
  }
  // What the server has taken of all that the client has sent, directly or not.
  Log deliver() {
    EXPECT_TRUE(server.receive(sender.sent + take_output(client)));
    sender.sent.clear();
    return std::exchange(pair.server.events.log, {});
  }
};

TEST_F(Direct, LargeDataGoesPastTheQueueBehindWhatWaits) {
  auto& stream = client.open(kCall, {}, Shape::kClientStream);
  const std::string large(20'000, 'l');
  EXPECT_EQ(client.send_data(stream, std::string_view("small")), SendOutcome::kSent);
  EXPECT_TRUE(sender.sent.empty()) << "not worth a system call of its own";
  EXPECT_EQ(client.send_data(stream, std::string_view(large)), SendOutcome::kSent);
  EXPECT_TRUE(client.output().empty());
  EXPECT_EQ(deliver(), (Log{"request 1 a.B/C open", "data 1 small", "data 1 20000 bytes"}));
}

TEST_F(Direct, PiecesAreOneMessage) {
  for (const auto features : {std::uint64_t{kFeatureWindow}, std::uint64_t{kFeatureWindow | kFeatureCrc32c}}) {
    enable(features);
    for (const std::size_t room : {SIZE_MAX, std::size_t{0}, std::size_t{5}, std::size_t{9'000}, std::size_t{20'010}}) {
      auto& stream = client.open(kCall, {}, Shape::kClientStream);
      ASSERT_FALSE(deliver().empty());
      std::string first(4, 'f'), second(20'000, 's');
      const iovec list[] = {{first.data(), first.size()}, {second.data(), second.size()}};
      sender.room = room;
      EXPECT_EQ(client.send_data(stream, Pieces{list, 20'004}), SendOutcome::kSent);
      EXPECT_EQ(sender.sent.empty(), room == 0);
      const auto id = std::to_string(stream.id());
      EXPECT_EQ(deliver(), Log{"data " + id + " 20004 bytes"}) << "room " << room << ", features " << features;
      sender.room = SIZE_MAX;
    }
  }
}

TEST_F(Direct, PaysItsCredit) {
  pair.enable({.features = kFeatureWindow, .stream_window = 1'000, .connection_window = 1 << 20});
  auto& stream = client.open(kCall, {}, Shape::kClientStream);
  const std::string large(20'000, 'l');
  EXPECT_EQ(client.send_data(stream, std::string_view(large)), SendOutcome::kSent);
  EXPECT_EQ(client.send_data(stream, std::string_view(large)), SendOutcome::kBlocked);
}

TEST_F(Direct, WhatHasToBeWrittenFirstIsQueued) {
  auto& stream = client.open(kCall, {}, Shape::kClientStream);
  const Payload written(&stream, 20'000, [](const void*, std::size_t size, char* out) { std::fill_n(out, size, 'w'); });
  EXPECT_EQ(client.send_data(stream, written), SendOutcome::kSent);
  EXPECT_TRUE(sender.sent.empty());
  EXPECT_EQ(deliver(), (Log{"request 1 a.B/C open", "data 1 20000 bytes"}));
}

}  // namespace
}  // namespace hostcall::wire
