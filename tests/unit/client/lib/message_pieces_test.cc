// Messages as pieces: the same bytes as serialising, and large fields where the message has them.
#include <gtest/gtest.h>
#include <hostcall/message_pieces.h>

#include <cstdint>
#include <random>
#include <string>

#include "hostcall/v1/diagnostics.pb.h"
#include "hostcall/v1/session.pb.h"
#include "tests/support/seed.h"

namespace hostcall::detail {
namespace {

std::string joined(const MessagePieces& pieces) {
  std::string bytes;
  for (const auto& piece : pieces.view()) bytes.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  return bytes;
}

bool has_piece(const MessagePieces& pieces, const std::string& field) {
  return std::ranges::any_of(pieces.view(), [&](const iovec& piece) {
    return piece.iov_base == field.data() && piece.iov_len == field.size();
  });
}

TEST(MessagePieces, SuitNeitherSmallMessagesNorWhatNoHostTakes) {
  EXPECT_FALSE(MessagePieces::suit(0));
  EXPECT_FALSE(MessagePieces::suit(16 * 1024 - 1));
  EXPECT_TRUE(MessagePieces::suit(16 * 1024));
  EXPECT_TRUE(MessagePieces::suit(4 << 20));
  EXPECT_FALSE(MessagePieces::suit((4 << 20) + 1));
  EXPECT_FALSE(MessagePieces::suit(SIZE_MAX)) << "protobuf would leave out what is above 2 GiB";
}

TEST(MessagePieces, LeavesALargeFieldWhereItIs) {
  v1::Chunk chunk;
  chunk.set_data(std::string(65'536, 'c'));
  const MessagePieces pieces(chunk, chunk.ByteSizeLong());
  EXPECT_EQ(pieces.view().size(), 2u);
  EXPECT_TRUE(has_piece(pieces, chunk.data()));
  EXPECT_EQ(joined(pieces), chunk.SerializeAsString());
}

TEST(MessagePieces, WritesWhatIsBehindALargeField) {
  v1::EchoRequest request;
  request.set_payload(std::string(20'000, 'p'));
  request.set_delay_ms(7);
  const MessagePieces pieces(request, request.ByteSizeLong());
  EXPECT_TRUE(has_piece(pieces, request.payload()));
  EXPECT_EQ(joined(pieces), request.SerializeAsString());
}

TEST(MessagePieces, AnEmptyMessageHasNone) {
  const v1::Chunk chunk;
  EXPECT_TRUE(MessagePieces(chunk, chunk.ByteSizeLong()).view().empty());
}

TEST(MessagePieces, NeverMakesMoreThanASystemCallTakes) {
  v1::WhoAmIResponse response;
  response.set_vm_name(std::string(1'000, 'v'));
  response.set_uuid(std::string(1'000, 'u'));
  response.set_evidence(std::string(1'000, 'e'));
  response.set_unix_path(std::string(1'000, 'p'));
  response.set_boot_id(std::string(1'000, 'b'));
  response.set_session_id(1);
  const MessagePieces pieces(response, response.ByteSizeLong());
  EXPECT_LE(pieces.view().size(), std::size_t{HOSTCALL_MAX_PIECES});
  EXPECT_TRUE(has_piece(pieces, response.vm_name()));
  EXPECT_FALSE(has_piece(pieces, response.boot_id())) << "copied: there are not pieces enough";
  EXPECT_EQ(joined(pieces), response.SerializeAsString());
}

TEST(MessagePieces, AreTheSameBytesWhateverTheFieldsAre) {
  std::minstd_rand random(test::seed(3));
  for (int round = 0; round < 3'000; ++round) {
    v1::ListServicesResponse response;
    for (auto methods = random() % 12; methods != 0; --methods) {
      auto& method = *response.add_methods();
      const auto most = random() % 4 == 0 ? 3'000u : 40u;
      method.set_method(std::string(random() % most, 'm'));
      for (auto resources = random() % 5; resources != 0; --resources)
        method.add_resources(std::string(random() % (2 * most), 'r'));
      method.set_rate_per_second(random() % 2 == 0 ? 0.5 : 0);
    }
    const MessagePieces pieces(response, response.ByteSizeLong());
    ASSERT_LE(pieces.view().size(), std::size_t{HOSTCALL_MAX_PIECES});
    ASSERT_EQ(joined(pieces), response.SerializeAsString()) << "round " << round;
  }
}

}  // namespace
}  // namespace hostcall::detail
