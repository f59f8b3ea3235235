// What names of methods tell of their services.
#include "client/hostcall/method_list.h"

#include <gmock/gmock.h>

namespace hostcall::cli::guest {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(MethodList, TellsTheServicesThatTheHostDescribes) {
  v1::ListServicesResponse listed;
  for (const auto* name : {"acme.v1.Inventory/*", "acme.v1.Stock/List", "acme.v1.Stock/Put", "hostcall.v1.Host/Info"})
    listed.add_methods()->set_method(name);
  const MethodList methods(listed);
  EXPECT_THAT(methods.services(), ElementsAre("acme.v1.Inventory", "acme.v1.Stock", "hostcall.v1.Host"));
  EXPECT_THAT(methods.described().services(), ElementsAre("acme.v1.Stock", "hostcall.v1.Host"));
  EXPECT_THAT(methods.described().names(),
              ElementsAre("acme.v1.Stock/List", "acme.v1.Stock/Put", "hostcall.v1.Host/Info"));
  EXPECT_TRUE(methods.lacks_descriptors("acme.v1.Inventory"));
  for (const auto* name : {"acme.v1.Stock", "acme.v1", "acme.v1.Inventory/*", ""})
    EXPECT_FALSE(methods.lacks_descriptors(name)) << name;
}

TEST(MethodList, MayBeEmpty) {
  EXPECT_THAT(MethodList().services(), IsEmpty());
  EXPECT_THAT(MethodList().described().names(), IsEmpty());
}

}  // namespace
}  // namespace hostcall::cli::guest
