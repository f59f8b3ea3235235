// SharedMemory: an object in a file that several processes map, so that what one wrote outlives its SIGKILL.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <type_traits>

#include "proto/base/unique_fd.h"

namespace hostcall::test {

template <class T>
class SharedMemory {
 public:
  static_assert(std::is_trivially_destructible_v<T>);

  // Maps the file, which it makes as large as a T if it is new: a T of zeros.
  explicit SharedMemory(const std::string& path) {
    const auto fd = UniqueFd::adopt(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd || ::ftruncate(fd.get(), sizeof(T)) != 0) throw std::runtime_error("can't make " + path);
    void* mapped = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (mapped == MAP_FAILED) throw std::runtime_error("can't map " + path);
    object_ = static_cast<T*>(mapped);
  }
  ~SharedMemory() { ::munmap(object_, sizeof(T)); }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  T* operator->() { return object_; }
  const T* operator->() const { return object_; }
  T& operator*() { return *object_; }

 private:
  T* object_;
};

}  // namespace hostcall::test
