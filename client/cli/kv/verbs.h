// The verbs of the host's key/value store, for the command lines of guest and host: each program names them and gives
// examples of its own.
#pragma once

#include <vector>

#include "client/cli/kv/key_space.h"
#include "client/cli/verb.h"

namespace hostcall::cli::kv {

extern const char kGetHelp[];
extern const char kPutHelp[];
extern const char kDeleteHelp[];
extern const char kListHelp[];
extern const char kWatchHelp[];
extern const char kTxnHelp[];

std::unique_ptr<Verb> make_get(Keys keys);
std::unique_ptr<Verb> make_put(Keys keys);
std::unique_ptr<Verb> make_delete(Keys keys);
std::unique_ptr<Verb> make_list(Keys keys);
std::unique_ptr<Verb> make_watch(Keys keys);
std::unique_ptr<Verb> make_txn(Keys keys);

// Of one program.
struct Examples {
  const char *get, *put, *erase, *list, *watch, *txn;
};

template <class OwnKeys, std::unique_ptr<Verb> (*make)(Keys)>
std::unique_ptr<Verb> make_verb() {
  return make(std::make_unique<OwnKeys>());
}

// All verbs, for a program whose users name keys by OwnKeys.
template <class OwnKeys>
std::vector<VerbEntry> verbs(const Examples& examples) {
  return {{"kv get", "the value of a key", kGetHelp, examples.get, make_verb<OwnKeys, make_get>},
          {"kv put", "write a key", kPutHelp, examples.put, make_verb<OwnKeys, make_put>},
          {"kv delete", "delete a key", kDeleteHelp, examples.erase, make_verb<OwnKeys, make_delete>},
          {"kv list", "the keys below a prefix", kListHelp, examples.list, make_verb<OwnKeys, make_list>},
          {"kv watch", "changes as they come", kWatchHelp, examples.watch, make_verb<OwnKeys, make_watch>},
          {"kv txn", "compare, then write, all or nothing", kTxnHelp, examples.txn, make_verb<OwnKeys, make_txn>}};
}

}  // namespace hostcall::cli::kv
