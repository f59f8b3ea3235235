// One writer or one watcher of the store, which notes down all that it does and sees, for check.py:
//   client write ADDRESS SEED TRANSACTIONS KEYS   lines "T REVISION KEY=VALUE …": transactions, "KEY=" is a deletion
//   client put ADDRESS KEY VALUE                  one such line
//   client watch ADDRESS SEED PREFIX              until PREFIXend is written; lines
//     "S REVISION KEY=VALUE …"  a whole snapshot         "E REVISION KEY=VALUE …"  a message of events
//     "C REVISION KEY=VALUE …"  a coalesced set          "R"  the watch was begun again, from the revision behind the
//     last
// A write whose outcome is unknown is repeated under its idempotency key until it is known. Nothing is noted before it
// is certain; what is noted reaches the file in blocks, and the daemon is what gets killed, not this.
#include <hostcall/client.h>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <thread>

#include "hostcall/v1/store.hostcall.h"

namespace {

using namespace hostcall;
using std::chrono::milliseconds;
using std::chrono::seconds;

// For a call that must succeed; against hanging only.
constexpr auto kPatience = std::chrono::minutes(5);
constexpr unsigned kInFlight = 24;
constexpr unsigned kMaxOperations = 4;

[[noreturn]] void fail(const std::string& text) {
  std::cerr << text << '\n';
  std::exit(1);
}

Client make_client(const std::string& address) {
  auto client = Client::make({.address = address, .client_name = "history", .wait_for_ready = true});
  if (!client.ok()) fail(client.status().message);
  return *std::move(client);
}

// ---------------------------------------------------------------- writing

class Writer {
 public:
  Writer(const std::string& address, unsigned seed, unsigned transactions, unsigned keys)
      : client_(make_client(address)), random_(seed), seed_(seed), left_(transactions), keys_(keys) {}

  void run() {
    while (left_ != 0 || running_ != 0) {
      for (; left_ != 0 && running_ != kInFlight; --left_) begin(make_request());
      client_.wait(seconds(1));
    }
  }

 private:
  v1::TxnRequest make_request() {
    v1::TxnRequest request;
    const auto first = random_() % keys_;
    const auto count = 1 + random_() % kMaxOperations;
    for (unsigned i = 0; i < count; ++i) {
      // Neighbours, so that no key comes twice.
      const auto number = (first + i) % keys_;
      const auto key = (number % 2 == 0 ? "/shared/k/" : "/shared/k/odd/") + std::to_string(number);
      auto& operation = *request.add_then();
      if (random_() % 8 == 0) {
        operation.mutable_delete_()->set_key(key);
      } else {
        operation.mutable_put()->set_key(key);
        operation.mutable_put()->set_value("w" + std::to_string(seed_) + "." + std::to_string(next_) + "." +
                                           std::to_string(i));
      }
    }
    request.set_idempotency_key("w" + std::to_string(seed_) + "." + std::to_string(next_++));
    return request;
  }
  void begin(v1::TxnRequest request) {
    ++running_;
    const auto done = [this, request](const Reply<v1::TxnResponse>& reply) {
      --running_;
      if (!reply.ok()) {
        const auto code = reply.status().code;
        if (code != Code::kUnavailable && code != Code::kDeadlineExceeded)
          fail(std::string(code_name(code)) + ": " + reply.status().message);
        return begin(request);
      }
      note(request, *reply);
    };
    const auto begun = client_.start<v1::Store::Txn>(request, done, {.timeout = seconds(20), .wait_for_ready = true});
    if (!begun.ok()) fail(begun.message);
  }
  static void note(const v1::TxnRequest& request, const v1::TxnResponse& response) {
    std::string line;
    for (int i = 0; i < response.results_size(); ++i) {
      const auto& operation = request.then(i);
      if (operation.has_put())
        line += " " + operation.put().key() + "=" + operation.put().value();
      else if (response.results(i).delete_().deleted())
        line += " " + operation.delete_().key() + "=";
    }
    if (!line.empty()) std::cout << "T " << response.revision() << line << '\n';
  }

  Client client_;
  std::mt19937 random_;
  unsigned seed_, left_, keys_;
  unsigned running_ = 0;
  unsigned next_ = 0;
};

// ---------------------------------------------------------------- watching

class Watching {
 public:
  Watching(const std::string& address, unsigned seed, const std::string& prefix)
      : client_(make_client(address)), random_(seed), last_(prefix + "end") {
    request_.set_prefix(prefix);
    request_.set_snapshot(true);
  }

  void run() {
    while (!ended_) {
      auto stream = client_.open<v1::Store::Watch>(request_, {.timeout = seconds(60), .wait_for_ready = true});
      if (!stream.ok()) fail(stream.status().message);
      part_.clear();
      follow(*stream);
      if (ended_) break;
      std::cout << "R\n";
    }
  }

 private:
  // Until the stream ends, or for a while.
  void follow(Stream<v1::Store::Watch>& stream) {
    v1::WatchResponse message;
    for (auto left = 200 + random_() % 3000; left != 0; --left) {
      if (!stream.recv(message)) return again(stream.finish());
      take(message);
      if (ended_) break;
      // Now and then a reader stands still.
      if (random_() % 20'000 == 0) std::this_thread::sleep_for(milliseconds(200));
    }
    stream.cancel();
  }
  void again(const Status& status) {
    if (status.code == Code::kOutOfRange) {  // it was away for too long
      request_.set_snapshot(true);
      request_.set_from_revision(0);
    } else if (status.code != Code::kUnavailable && status.code != Code::kDeadlineExceeded) {
      fail(std::string(code_name(status.code)) + ": " + status.message);
    }
    std::this_thread::sleep_for(milliseconds(50));
  }
  void take(const v1::WatchResponse& message) {
    for (const auto& item : message.snapshot()) add(item.key(), item.value());
    for (const auto& event : message.events())
      add(event.item().key(), event.kind() == v1::Event::KIND_DELETE ? "" : event.item().value());
    if (message.revision() == 0) return;  // a part
    const char kind = message.snapshot_complete() ? 'S' : message.coalesced() ? 'C' : 'E';
    if (kind != 'E' || !part_.empty()) std::cout << kind << ' ' << message.revision() << part_ << '\n';
    part_.clear();
    request_.set_snapshot(false);
    request_.set_from_revision(message.revision() + 1);
  }
  void add(const std::string& key, const std::string& value) {
    part_ += " " + key + "=" + value;
    ended_ |= key == last_;
  }

  Client client_;
  v1::WatchRequest request_;
  std::mt19937 random_;
  std::string last_, part_;
  bool ended_ = false;
};

void put(const std::string& address, const std::string& key, const std::string& value) {
  auto client = make_client(address);
  v1::PutRequest request;
  request.set_key(key);
  request.set_value(value);
  const auto reply = client.call<v1::Store::Put>(request, {.timeout = kPatience});
  if (!reply.ok()) fail(reply.status().message);
  std::cout << "T " << reply->revision() << ' ' << key << '=' << value << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  const auto number = [&](int index) { return static_cast<unsigned>(std::atoi(argv[index])); };
  if (mode == "write" && argc == 6)
    Writer(argv[2], number(3), number(4), number(5)).run();
  else if (mode == "watch" && argc == 5)
    Watching(argv[2], number(3), argv[4]).run();
  else if (mode == "put" && argc == 5)
    put(argv[2], argv[3], argv[4]);
  else
    fail("usage: see the head of client.cc");
  std::cout.flush();
  return std::cout ? 0 : 1;
}
