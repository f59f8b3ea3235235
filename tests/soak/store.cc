#include "tests/soak/store.h"

#include <vector>

#include "tests/soak/durable_write.h"

namespace hostcall::test {
namespace {

using std::chrono::milliseconds;

const std::string kService = kStoreService;

// Which durable key a name of the caller's is.
unsigned number_of_key(const std::string& name) {
  const auto number = std::stoul(name.substr(name.rfind('/') + 1));
  if (number >= kSoakKeys) throw Unexpected("the store shows " + name);
  return static_cast<unsigned>(number);
}

}  // namespace

void SoakStore::check(unsigned key, const KeyCheck& check, const std::optional<std::string>& value) const {
  if (check.allows(value)) return;
  const auto& state = ledger_.keys[vm_][key];
  throw Unexpected(soak_vm(vm_) + ", key " + std::to_string(key) + ": write " +
                   (value ? std::to_string(number_of(*value)) : "none") + " is there; acknowledged " +
                   std::to_string(state.acknowledged) + ", attempted " + std::to_string(state.attempted));
}

bool SoakStore::write(Connection& connection) {
  const auto key = any_of(random_, kSoakKeys);
  auto& state = ledger_.keys[vm_][key];
  if (state.attempted == state.acknowledged) ++state.attempted;
  if (!write_durably(connection, vm_, key, state.attempted)) return false;
  state.acknowledged = state.attempted.load();
  return true;
}

bool SoakStore::get(Connection& connection) {
  const auto key = any_of(random_, kSoakKeys);
  const KeyCheck allowed(ledger_, vm_, key);
  v1::GetRequest request;
  request.set_key(durable_key(vm_, key));
  const auto answer = connection.call(kService + "Get", request);
  if (!answer.arrived || !answer.status.ok()) return false;
  const auto reply = parsed<v1::GetResponse>(answer.payload);
  check(key, allowed, reply.has_item() ? std::optional(reply.item().value()) : std::nullopt);
  return true;
}

bool SoakStore::list(Connection& connection) {
  constexpr std::uint32_t kPage = 3;
  std::vector<KeyCheck> allowed;
  for (unsigned key = 0; key < kSoakKeys; ++key) allowed.emplace_back(ledger_, vm_, key);
  std::array<std::optional<std::string>, kSoakKeys> values;
  v1::ListRequest request;
  request.set_prefix(guest_folder(vm_) + kDurableFolder);
  request.set_limit(kPage);
  do {
    const auto answer = connection.call(kService + "List", request);
    if (!answer.arrived || !answer.status.ok()) return false;
    const auto page = parsed<v1::ListResponse>(answer.payload);
    for (const auto& item : page.items()) values[number_of_key(item.key())] = item.value();
    request.set_continuation(page.continuation());
  } while (!request.continuation().empty());
  for (unsigned key = 0; key < kSoakKeys; ++key) check(key, allowed[key], values[key]);
  return true;
}

bool SoakStore::put(Connection& connection, const char* folder, v1::Lifetime lifetime) {
  constexpr unsigned kKeys = 4, kMostBytes = 500;
  v1::PutRequest request;
  request.set_key(guest_folder(vm_) + folder + std::to_string(any_of(random_, kKeys)));
  request.set_value(std::string(any_of(random_, kMostBytes), 'p'));
  request.set_lifetime(lifetime);
  return connection.call(kService + "Put", request).status.ok();
}

bool SoakStore::put_for_session(Connection& connection) {
  return put(connection, kSessionFolder, v1::LIFETIME_SESSION);
}

bool SoakStore::put_for_boot(Connection& connection) {
  return connection.said_hello && put(connection, kBootFolder, v1::LIFETIME_BOOT);
}

// ---------------------------------------------------------------- the watch

bool SoakStore::watch() {
  if (!watching_.wire && !open_watch()) return false;
  while (watching_.wire->pump(milliseconds(0))) continue;
  bool told = false;
  while (watching_.wire->unread_bytes(stream_) != 0) {
    take(parsed<v1::WatchResponse>(watching_.wire->receive(stream_).value()));
    told = true;
  }
  if (!watching_.is_usable() || watching_.wire->ended(stream_)) end_watch();
  return told;
}

bool SoakStore::open_watch() {
  watching_ = connections_.make();
  if (!watching_.wire || !watching_.is_usable()) {
    watching_ = {};
    return false;
  }
  v1::WatchRequest request;
  request.set_prefix(guest_folder(vm_) + kDurableFolder);
  request.set_snapshot(revision_ == 0);
  if (revision_ != 0) request.set_from_revision(revision_ + 1);
  stream_ = watching_.open(kService + "Watch", request, wire::Shape::kServerStream);
  return true;
}

void SoakStore::take(const v1::WatchResponse& message) {
  if (message.revision() != 0) {
    if (message.revision() < revision_) throw Unexpected("a watch goes back to an older revision");
    revision_ = message.revision();
  }
  for (const auto& item : message.snapshot()) take(item);
  for (const auto& event : message.events())
    if (event.kind() == v1::Event::KIND_PUT) take(event.item());
  // Its changes are not kept any more: again from the beginning.
  if (message.compact_revision() != 0) revision_ = 0;
}

// A watch shows what is on the disk, and never goes back.
void SoakStore::take(const v1::Item& item) {
  const auto key = number_of_key(item.key());
  const auto number = number_of(item.value());
  if (number < seen_[key]) throw Unexpected("a watch goes back to an older write");
  if (number > ledger_.keys[vm_][key].attempted || item.value() != value_after(vm_, key, number))
    throw Unexpected("a watch shows what nobody has written");
  seen_[key] = number;
}

void SoakStore::end_watch() {
  if (watching_.wire->ended(stream_)) {
    const auto answer = watching_.wire->finish(stream_);
    require_explained("Watch", answer, wire::Code::kOutOfRange);
  }
  watching_ = {};
}

bool SoakStore::leave_watch() {
  const bool was_open = watching_.wire != nullptr;
  watching_ = {};
  return was_open;
}

}  // namespace hostcall::test
