// A verb of hostcall, the real program, against a host in a process of its own that answers as the test wants.
// HOSTCALL_PROGRAM is the program's path.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/client/hostcall/scripted_services.h"
#include "tests/unit/client/lib/server_process.h"

namespace hostcall::test {

using Words = std::vector<std::string>;

class VerbFixture : public testing::Test {
 protected:
  explicit VerbFixture(std::string verb, Script script = services_script())
      : verb_(std::move(verb)), host_(std::move(script)) {}

  Words words(const Words& more) const {
    Words all{HOSTCALL_PROGRAM, "--address", host_.address(), verb_};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Finished run(const Words& more, const std::string& input = {}) const {
    return test::run(words(more), {.environment = {}, .input = input});
  }
  // $VERB is the command line with the verb. Descriptor 3 is an input that has nothing and does not end.
  Finished shell(const std::string& script) const {
    return test::run({"/bin/bash", "-c", "mkfifo $DIR/silent; exec 3<> $DIR/silent; " + script},
                     {.environment = {{"VERB", HOSTCALL_PROGRAM " --address " + host_.address() + " " + verb_},
                                      {"DIR", directory_.path()}},
                      .input = {}});
  }

  const std::string verb_;
  const TempDir directory_;
  const ServerProcess host_;
};

}  // namespace hostcall::test
