// The names of gRPC's codes.
#include "proto/wire/status.h"

#include <gtest/gtest.h>

namespace hostcall::wire {
namespace {

TEST(Status, NamesEveryCode) {
  EXPECT_EQ(code_name(Code::kOk), "OK");
  EXPECT_EQ(code_name(Code::kPermissionDenied), "PERMISSION_DENIED");
  EXPECT_EQ(code_name(Code::kResourceExhausted), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(code_name(Code::kUnauthenticated), "UNAUTHENTICATED");
}

TEST(Status, ShowsNumbersThatGrpcDoesNotKnow) {
  EXPECT_EQ(code_name(static_cast<Code>(17)), "CODE_17");
  EXPECT_EQ(code_name(static_cast<Code>(-1)), "CODE_-1");
  EXPECT_EQ(code_name(static_cast<Code>(INT32_MIN)), "CODE_-2147483648");
}

TEST(Status, IsOkByItsCodeOnly) {
  EXPECT_TRUE((Status{.message = "text"}).ok());
  EXPECT_FALSE((Status{.code = Code::kInternal}).ok());
}

}  // namespace
}  // namespace hostcall::wire
