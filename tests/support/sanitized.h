// How the test is built: with a sanitizer, memory is its own and not judged; times are compared with wider bounds where
// the code is not as it is shipped.
#pragma once

namespace hostcall::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

// Optimised, and without a sanitizer.
#if defined(__OPTIMIZE__)
inline constexpr bool kShipped = !kSanitized;
#else
inline constexpr bool kShipped = false;
#endif

}  // namespace hostcall::test
