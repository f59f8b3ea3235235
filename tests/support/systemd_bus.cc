#include "tests/support/systemd_bus.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-id128.h>

#include <stdexcept>
#include <utility>

#include "proto/net/socket.h"

namespace hostcall::test {
namespace {

constexpr char kUnit[] = "/org/freedesktop/systemd1/unit/hostcalld_2eservice";
constexpr char kJob[] = "/org/freedesktop/systemd1/job/7";

void require(int result, const char* what) {
  if (result < 0) throw std::runtime_error(std::string(what) + ": error " + std::to_string(-result));
}

int on_any(sd_bus_message* message, void* self, sd_bus_error*) {
  return static_cast<SystemdBus*>(self)->on_message(message);
}

// A connection whose other end is a client of a bus.
sd_bus* serve(int socket, SystemdBus& self) {
  sd_id128_t id{};
  id.bytes[0] = 1;
  sd_bus* bus = nullptr;
  require(sd_bus_new(&bus), "new");
  require(sd_bus_set_fd(bus, socket, socket), "fd");
  require(sd_bus_set_server(bus, 1, id), "server");
  require(sd_bus_negotiate_fds(bus, 1), "descriptors");
  require(sd_bus_start(bus), "start");
  require(sd_bus_add_filter(bus, nullptr, &on_any, &self), "filter");
  return bus;
}

}  // namespace

SystemdBus::SystemdBus(const std::string& path, BusKind kind, std::size_t store_max)
    : kind_(kind), store_max_(store_max) {
  if (kind == BusKind::kNone) return;
  const auto address = net::unix_address(path);
  auto listener = net::listen(address);
  if (!listener.ok()) throw std::runtime_error(listener.error().message());
  listener_ = std::move(*listener);
  if (kind != BusKind::kFull) return;
  ::listen(listener_.get(), 0);
  for (auto one = net::start_connect(address, seconds(1)); one.ok(); one = net::start_connect(address, seconds(1)))
    others_.push_back(std::move(*one));
}

SystemdBus::~SystemdBus() {
  for (auto* const bus : connections_) sd_bus_close_unref(bus);
}

std::vector<int> SystemdBus::descriptors() const {
  std::vector<int> all;
  if (listener_ && kind_ != BusKind::kFull) all.push_back(listener_.get());
  for (auto* const bus : connections_) all.push_back(sd_bus_get_fd(bus));
  return all;
}

void SystemdBus::accept() {
  if (!listener_ || kind_ == BusKind::kFull) return;
  for (auto peer = net::accept(listener_.get()); peer.ok(); peer = net::accept(listener_.get())) {
    if (kind_ == BusKind::kGood || kind_ == BusKind::kHelloOnly) {
      connections_.push_back(serve(peer->release(), *this));
    } else if (kind_ != BusKind::kClosing) {
      if (kind_ == BusKind::kHalf) (void)::send(peer->get(), "OK 01", 5, MSG_NOSIGNAL);
      others_.push_back(std::move(*peer));
    }
  }
}

void SystemdBus::process() {
  accept();
  std::erase_if(connections_, [](sd_bus* bus) {
    int more = 1;
    while (more > 0) more = sd_bus_process(bus, nullptr);
    if (more < 0) sd_bus_close_unref(bus);
    return more < 0;
  });
}

int SystemdBus::on_message(sd_bus_message* message) {
  const char* const member = sd_bus_message_get_member(message);
  if (member == nullptr || sd_bus_message_is_method_call(message, nullptr, nullptr) <= 0) return 0;
  if (std::string(member) == "Hello") return sd_bus_reply_method_return(message, "s", ":1.1");
  return kind_ == BusKind::kGood ? answer(message, member) : 1;
}

int SystemdBus::answer(sd_bus_message* message, const std::string& member) {
  if (member == "Get") return answer_property(message);
  if (member == "GetUnitByPID") return sd_bus_reply_method_return(message, "o", kUnit);
  return sd_bus_reply_method_errorf(message, SD_BUS_ERROR_UNKNOWN_METHOD, "no %s here", member.c_str());
}

int SystemdBus::answer_property(sd_bus_message* message) {
  const char* interface = nullptr;
  const char* name = nullptr;
  require(sd_bus_message_read(message, "ss", &interface, &name), "property");
  const std::string path = sd_bus_message_get_path(message), property = std::string(interface) + "." + name;
  if (path == kUnit && property == "org.freedesktop.systemd1.Unit.Job")
    return sd_bus_reply_method_return(message, "v", "(uo)", job_.empty() ? 0U : 7U, job_.empty() ? "/" : kJob);
  if (path == kUnit && property == "org.freedesktop.systemd1.Service.FileDescriptorStoreMax")
    return sd_bus_reply_method_return(message, "v", "u", static_cast<unsigned>(store_max_));
  if (path == kJob && property == "org.freedesktop.systemd1.Job.JobType" && !job_.empty())
    return sd_bus_reply_method_return(message, "v", "s", job_.c_str());
  return sd_bus_reply_method_errorf(message, SD_BUS_ERROR_UNKNOWN_PROPERTY, "no %s here", property.c_str());
}

}  // namespace hostcall::test
