// Answers calls whose work takes long, because it reads and checks many files.
#pragma once

#include <exception>
#include <memory>
#include <string>

#include "daemon/calls/router.h"
#include "daemon/loop/background.h"
#include "daemon/services/late_answer.h"

namespace hostcall::daemon {

// Runs `outcome->find()` on the background thread, and answers with `outcome->found`, or with why it has thrown.
template <class Outcome>
Handler find_aside(Background& background, std::shared_ptr<Outcome> outcome) {
  auto answer = std::make_unique<LateAnswer>();
  const auto error = std::make_shared<std::string>();
  background.run(
      [outcome, error] {
        try {
          outcome->find();
        } catch (const std::exception& failure) {
          *error = failure.what();
        }
      },
      [outcome, error, to = answer->to()] {
        if (error->empty()) return to.reply(outcome->found);
        to.finish({Code::kInvalidArgument, *error});
      });
  return answer;
}

}  // namespace hostcall::daemon
