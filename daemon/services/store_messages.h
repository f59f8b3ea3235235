// Converts between the store's records, outcomes and transactions and hostcall.v1.Store's messages.
#pragma once

#include "daemon/services/store_names.h"
#include "daemon/store/engine.h"
#include "hostcall/v1/store.pb.h"

namespace hostcall::daemon {

void fill_item(const StoreNames& names, const store::Record& record, bool with_value, v1::Item& item);
void fill_event(const StoreNames& names, const store::Event& event, bool with_previous, v1::Event& event_message);

// Fills in the result of one operation. `previous`: whether the request asked for the replaced item.
void fill_result(const StoreNames& names, const store::OperationResult& result, bool previous,
                 v1::OperationResult& message);
// The bytes of this result in a message, or somewhat more.
std::size_t most_bytes_of(const store::OperationResult& result, bool previous);

// Read and check one step of a transaction: INVALID_ARGUMENT for a bad key, RESOURCE_EXHAUSTED for a value over the
// caller's limit.
Status read_put(const StoreNames& names, const CallContext& context, const v1::PutRequest& request,
                store::Operation& operation);
Status read_delete(const StoreNames& names, const v1::DeleteRequest& request, store::Operation& operation);
Status read_get(const StoreNames& names, const v1::GetRequest& request, store::Operation& operation);
Status read_compare(const StoreNames& names, const v1::Compare& request, store::Compare& compare);

// Why a transaction failed, in the caller's names; OK if it did not.
Status status_of(const StoreNames& names, const Caller& caller, const store::Outcome& outcome);

}  // namespace hostcall::daemon
