// The verbs of `hostcall`, one file each.
#pragma once

#include "client/cli/verb.h"

namespace hostcall::cli::guest {

extern const VerbEntry kCall;
extern const VerbEntry kConnect;
extern const VerbEntry kDescribe;
extern const VerbEntry kDoctor;
extern const VerbEntry kForward;
extern const VerbEntry kInfo;
extern const VerbEntry kPing;
extern const VerbEntry kRun;
extern const VerbEntry kServices;
extern const VerbEntry kSpeedTest;
extern const VerbEntry kWhoAmI;

// "kv get" and so on.
std::vector<VerbEntry> kv_verbs();

}  // namespace hostcall::cli::guest
