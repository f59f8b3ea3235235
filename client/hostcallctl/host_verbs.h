// The verbs of `hostcallctl`, one file for each group.
#pragma once

#include "client/cli/verb.h"

namespace hostcall::cli::host {

extern const VerbEntry kConfigCheck;
extern const VerbEntry kDoctor;
extern const VerbEntry kEvents;
extern const VerbEntry kMetrics;
extern const VerbEntry kPolicyCheck;
extern const VerbEntry kPolicyExplain;
extern const VerbEntry kPolicyReload;
extern const VerbEntry kRunKill;
extern const VerbEntry kRunList;
extern const VerbEntry kServiceCheck;
extern const VerbEntry kServiceList;
extern const VerbEntry kServiceShow;
extern const VerbEntry kSessionClose;
extern const VerbEntry kSessionList;
extern const VerbEntry kStats;
extern const VerbEntry kStatus;
extern const VerbEntry kStoreBackup;
extern const VerbEntry kStoreRestore;
extern const VerbEntry kTop;
extern const VerbEntry kVmAdd;
extern const VerbEntry kVmList;
extern const VerbEntry kVmRemove;
extern const VerbEntry kVmSet;
extern const VerbEntry kVmShow;

// "kv get" and so on.
std::vector<VerbEntry> kv_verbs();

}  // namespace hostcall::cli::host
