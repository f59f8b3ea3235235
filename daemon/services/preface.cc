#include "daemon/services/preface.h"

#include <string_view>

namespace hostcall::daemon {
namespace {

// proxy-protocol.txt, section 2.2.
constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr char kVersion2Proxy = 0x21;
constexpr char kUnspecified = 0x00;

std::string big_endian(std::size_t number) {
  return {static_cast<char>(number >> 8 & 0xFF), static_cast<char>(number & 0xFF)};
}

// The values have at most 64 bytes.
std::string tlv(unsigned char type, std::string_view value) {
  return std::string(1, static_cast<char>(type)) + big_endian(value.size()) + std::string(value);
}

std::string proxy_header(const Caller& caller) {
  auto values = tlv(kTlvVmName, caller.name());
  if (caller.vm && !caller.vm->record.uuid.empty()) values += tlv(kTlvVmUuid, caller.vm->record.uuid);
  return std::string(kSignature) + kVersion2Proxy + kUnspecified + big_endian(values.size()) + values;
}

}  // namespace

std::string preface_of(const ServiceRecord& service, const Caller& caller) {
  switch (service.socket()->preface) {
    case Preface::kNone: break;
    case Preface::kQrexec: return service.name + " " + caller.name() + '\0';
    case Preface::kProxyV2: return proxy_header(caller);
  }
  return {};
}

}  // namespace hostcall::daemon
