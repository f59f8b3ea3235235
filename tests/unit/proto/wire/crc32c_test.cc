// CRC32C against published vectors, and both implementations against each other.
#include "proto/wire/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/support/seed.h"

namespace hostcall::wire {
namespace {

std::string counting(int from, int step) {
  std::string bytes;
  for (int i = 0; i < 32; ++i) bytes.push_back(static_cast<char>(from + step * i));
  return bytes;
}

// RFC 3720, appendix B.4, and the customary check value.
TEST(Crc32c, HasTheValuesOfRfc3720) {
  const std::pair<std::string, std::uint32_t> vectors[] = {
      {"", 0},
      {"123456789", 0xE3069283},
      {std::string(32, '\0'), 0x8A9136AA},
      {std::string(32, '\xFF'), 0x62A8AB43},
      {counting(0, 1), 0x46DD794E},
      {counting(31, -1), 0x113FDB5C},
  };
  for (const auto& [bytes, expected] : vectors) {
    EXPECT_EQ(crc32c(0, bytes), expected);
    EXPECT_EQ(crc32c_portable(0, bytes), expected);
  }
}

TEST(Crc32c, BothImplementationsAgreeThroughEverySplit) {
  std::minstd_rand random(test::seed(1));
  std::string bytes(67, '\0');
  for (auto& byte : bytes) byte = static_cast<char>(random());
  const auto whole = crc32c_portable(0, bytes);
  for (std::size_t first = 0; first <= bytes.size(); ++first) {
    for (std::size_t second = first; second <= bytes.size(); ++second) {
      const std::string_view a(bytes.data(), first), b(bytes.data() + first, second - first),
          c(bytes.data() + second, bytes.size() - second);
      ASSERT_EQ(crc32c(crc32c(crc32c(0, a), b), c), whole) << first << ' ' << second;
      ASSERT_EQ(crc32c(crc32c_portable(crc32c(0, a), b), c), whole) << first << ' ' << second;
    }
  }
}

TEST(Crc32c, SeesEverySingleBitError) {
  std::string bytes = "a frame's header and data";
  const auto good = crc32c(0, bytes);
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    EXPECT_NE(crc32c(0, bytes), good) << bit;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  }
}

}  // namespace
}  // namespace hostcall::wire
