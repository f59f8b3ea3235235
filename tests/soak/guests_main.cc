// The guests of some VMs, as one process that the soak starts, and kills whenever it likes. Usage:
//   soak-guests LEDGER DIRECTORY FIRST COUNT SEED
// DIRECTORY has the sockets of the VMs. Exit code 1: a guest saw what must not be, and says what.
#include <chrono>
#include <iostream>
#include <thread>

#include "tests/soak/guest.h"
#include "tests/support/shared_memory.h"

namespace hostcall::test {
namespace {

// So that the daemon is busy, but others have the processor too.
constexpr std::chrono::milliseconds kPause(1);

void run(Ledger& ledger, const std::string& directory, unsigned first, unsigned count, std::uint32_t seed) {
  Random random(seed);
  std::vector<std::unique_ptr<Guest>> guests;
  for (unsigned vm = first; vm < first + count; ++vm)
    guests.push_back(std::make_unique<Guest>(ledger, vm, "unix:" + directory + "/" + soak_vm(vm) + ".sock", random));
  while (!ledger.stopping) {
    guests[any_of(random, count)]->act();
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace
}  // namespace hostcall::test

int main(int argc, char** argv) {
  using namespace hostcall::test;
  try {
    if (argc != 6) throw std::runtime_error("usage: soak-guests LEDGER DIRECTORY FIRST COUNT SEED");
    const auto number = [&](int i) { return static_cast<unsigned>(std::stoul(argv[i])); };
    SharedMemory<Ledger> ledger(argv[1]);
    run(*ledger, argv[2], number(3), number(4), number(5));
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
