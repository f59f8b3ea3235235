// KeptCallbacks: the callbacks of start() until their calls have ended, in blocks of memory that later calls reuse, so
// that a call allocates nothing. Include client.h instead.
#pragma once

#include <hostcall/hostcall.h>

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace hostcall {
inline namespace abi0 {
namespace detail {

// Must outlive the calls. A function that does not fit into a block gets memory of its own.
class KeptCallbacks {
 public:
  KeptCallbacks() = default;
  KeptCallbacks(const KeptCallbacks&) = delete;
  KeptCallbacks& operator=(const KeptCallbacks&) = delete;
  ~KeptCallbacks() {
    while (spares_ != nullptr) ::operator delete(std::exchange(spares_, spares_->next));
  }

  // The callback for hostcall_start(), with `user` from keep(): runs the function once and destroys it.
  template <class Function>
  static void on_end(void* user, const hostcall_result* result) noexcept {
    const Owner<Function> kept(static_cast<Kept<Function>*>(user));
    kept->function(result);
  }
  // Keeps the function. The returned owner destroys it, unless it is released to on_end().
  template <class Function>
  auto keep(Function function) {
    static_assert(alignof(Kept<Function>) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    void* block = take(sizeof(Kept<Function>));
    return Owner<Function>(new (block) Kept<Function>{*this, std::move(function)});
  }

 private:
  static constexpr std::size_t kBlockBytes = 64;
  static constexpr std::size_t kMaxSpares = 1024;

  struct Spare {
    Spare* next;
  };
  template <class Function>
  struct Kept {
    KeptCallbacks& home;
    Function function;
  };
  struct Drop {
    template <class Function>
    void operator()(Kept<Function>* kept) const {
      auto& home = kept->home;
      std::destroy_at(kept);
      home.give_back(kept, sizeof *kept);
    }
  };
  template <class Function>
  using Owner = std::unique_ptr<Kept<Function>, Drop>;

  void* take(std::size_t bytes) {
    if (bytes > kBlockBytes || spares_ == nullptr) return ::operator new(bytes > kBlockBytes ? bytes : kBlockBytes);
    --spare_count_;
    return std::exchange(spares_, spares_->next);
  }
  void give_back(void* block, std::size_t bytes) {
    if (bytes > kBlockBytes || spare_count_ == kMaxSpares) return ::operator delete(block);
    ++spare_count_;
    spares_ = new (block) Spare{spares_};
  }

  Spare* spares_ = nullptr;
  std::size_t spare_count_ = 0;
};

}  // namespace detail
}  // namespace abi0
}  // namespace hostcall
