// The services of services.d. An error disables its own service, or the file if it can't be read, and nothing else.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/json_file.h"
#include "daemon/config/service_record.h"

namespace hostcall::daemon {

// The services by name. Immutable: a reload makes new ones, and running calls keep their own.
class Services {
 public:
  // A service that can't be used.
  struct Disabled {
    std::string name;  // empty: a file whose services are not known
    std::string why;   // with file and line

    std::string warning() const { return why + (name.empty() ? "" : "; the service " + name + " is disabled"); }
  };

  Services() = default;
  // Reads all *.json files of the directories. A name in an earlier directory takes precedence over later ones, even if
  // its entry is broken; twice in one directory, the second is an error. Never throws.
  static Services read(const std::vector<std::string>& directories);

  // Null: there is no such service, or it is disabled.
  std::shared_ptr<const ServiceRecord> find(std::string_view name) const;
  // Why the service is disabled. Null: it is not.
  const Disabled* disabled(std::string_view name) const;
  std::size_t size() const { return by_name_.size(); }
  // Visits the services with names after this one, in their order, until `visit` returns false; then returns false.
  template <class Visit>
  bool for_each(std::string_view after, Visit visit) const {
    return std::all_of(by_name_.upper_bound(after), by_name_.end(),
                       [&](const auto& entry) { return visit(*entry.second); });
  }
  // Sorted by name.
  std::vector<std::shared_ptr<const ServiceRecord>> all() const;
  const std::vector<Disabled>& disabled() const { return disabled_; }
  // Of those that are disabled, one line each.
  std::vector<std::string> warnings() const;

 private:
  using Places = std::map<std::string, std::string>;  // of names
  void read_file(const std::string& path, Places& here, const Places& before);
  void read_entry(const JsonValue& entry, Places& here, const Places& before);

  std::map<std::string, std::shared_ptr<const ServiceRecord>, std::less<>> by_name_;
  std::vector<Disabled> disabled_;
};

// Reads one entry. Throws ConfigError.
ServiceRecord read_service(const JsonValue& entry);

}  // namespace hostcall::daemon
