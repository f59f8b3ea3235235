// Fuzzes the descriptors of a routed service: whatever the bytes are, they are refused, or are a set with a method of
// the service whose name lies within them.
//
// Input: the set.
#include "daemon/config/service_descriptors.h"

#include <string>

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using hostcall::fuzz::require;
  const std::string set(reinterpret_cast<const char*>(bytes), size);
  const auto found = hostcall::daemon::find_service(set, "acme.v1.Inventory");
  if (!found.ok()) {
    require(!found.error().message().empty(), "a refusal says why");
    return 0;
  }
  require(found->set == set, "the set stays as it is");
  require(!found->methods.empty(), "a service has methods");
  for (const auto& [name, shape] : found->methods)
    require(set.find(name) != std::string::npos, "names come from the set");
  return 0;
}
