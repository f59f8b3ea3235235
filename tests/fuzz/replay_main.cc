// Runs a fuzz target over the files of its corpus, without a fuzzer: a regression test for every build. A corpus that
// is missing or empty is a failure, or the test would pass without testing.
#include <filesystem>

#include "tests/fuzz/fuzz.h"
#include "tests/support/contents.h"

int main(int argc, char** argv) {
  int files = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
      if (!entry.is_regular_file()) continue;
      const auto bytes = hostcall::test::contents_of(entry.path());
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
      ++files;
    }
  }
  std::printf("%d inputs replayed\n", files);
  return files == 0 ? 1 : 0;
}
