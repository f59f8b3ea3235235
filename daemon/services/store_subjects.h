// Subjects: what policy and the VM's rates decide by in requests to the store (see Subject in router.h). A name that no
// key can have is refused before policy decides, because no rule would help.
#pragma once

#include "daemon/calls/router.h"
#include "daemon/services/store_names.h"
#include "hostcall/v1/store.pb.h"

namespace hostcall::daemon {

struct KeySubject {
  static constexpr bool kHasResource = true;
  static Status check(const Caller& caller, std::string_view key) { return StoreNames(caller).check_key(key); }
};

struct PrefixSubject {
  static constexpr bool kHasResource = true;
  static Status check(const Caller& caller, std::string_view prefix) { return StoreNames(caller).check_prefix(prefix); }
};

struct GetSubject : KeySubject {
  static Status ask(const Method& self, const CallContext& context, const v1::GetRequest& request, Asks& asks);
};

// Put and Delete. Who wants to know what was before must be allowed to get it.
class WriteSubject : public KeySubject {
 public:
  explicit WriteSubject(const Router& router) : router_(router) {}
  template <class Request>
  Status ask(const Method& self, const CallContext& context, const Request& request, Asks& asks) const {
    asks.writes = 1;
    return ask_write(self, context, request.key(), request.previous(), asks);
  }

 private:
  Status ask_write(const Method& self, const CallContext& context, std::string_view key, bool previous,
                   Asks& asks) const;
  const Router& router_;
};

struct ListSubject : PrefixSubject {
  static Status ask(const Method& self, const CallContext& context, const v1::ListRequest& request, Asks& asks);
};

struct WatchSubject : PrefixSubject {
  // Scanning the keys or the history costs about as much as a write.
  static Status ask(const Method& self, const CallContext& context, const v1::WatchRequest& request, Asks& asks);
};

// Each step is a Get, Put or Delete of its key.
class TxnSubject {
 public:
  static constexpr bool kHasResource = false;
  explicit TxnSubject(const Router& router) : router_(router) {}
  static Status check(const Caller&, std::string_view) { return {}; }
  Status ask(const Method& self, const CallContext& context, const v1::TxnRequest& request, Asks& asks) const;

 private:
  using Operations = google::protobuf::RepeatedPtrField<v1::Operation>;
  Status ask_each(const StoreNames& names, const Operations& operations, Ask::Branch branch, Asks& asks) const;
  Status ask_step(const StoreNames& names, const v1::Operation& operation, Ask::Branch branch, Asks& asks) const;
  const Router& router_;
};

}  // namespace hostcall::daemon
