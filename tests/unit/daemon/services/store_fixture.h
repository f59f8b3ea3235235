// Requests to the store in few words.
#pragma once

#include <string>

#include "hostcall/v1/store.hostcall.h"
#include "tests/unit/daemon/services/fixture.h"

namespace hostcall::daemon::test {

inline v1::GetRequest get_request(const std::string& key) {
  v1::GetRequest request;
  request.set_key(key);
  return request;
}

inline v1::PutRequest put_request(const std::string& key, const std::string& value,
                                  v1::Lifetime lifetime = v1::LIFETIME_PERSISTENT) {
  v1::PutRequest request;
  request.set_key(key);
  request.set_value(value);
  request.set_lifetime(lifetime);
  return request;
}

inline v1::DeleteRequest delete_request(const std::string& key) {
  v1::DeleteRequest request;
  request.set_key(key);
  return request;
}

// Puts all keys with the same value.
inline v1::TxnRequest put_all(const std::vector<std::string>& keys, const std::string& value) {
  v1::TxnRequest request;
  for (const auto& key : keys) *request.add_then()->mutable_put() = put_request(key, value);
  return request;
}

class StoreServiceFixture : public ServicesTest {
 protected:
  // The revision of the write.
  std::int64_t put(WireClient& caller, const std::string& key, const std::string& value,
                   v1::Lifetime lifetime = v1::LIFETIME_PERSISTENT) {
    return must<v1::Store::Put>(caller, put_request(key, value, lifetime)).revision();
  }
  // "(none)": there is no such key.
  std::string get(WireClient& caller, const std::string& key) {
    const auto response = must<v1::Store::Get>(caller, get_request(key));
    return response.has_item() ? response.item().value() : "(none)";
  }
};

}  // namespace hostcall::daemon::test
