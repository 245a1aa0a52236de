#pragma once
#include <doctest/doctest.h>
#include <pthread.h>

#include <functional>

namespace assay::test {

#ifdef ASSAY_SANITIZED
inline constexpr size_t kFrame = 16;  // the frames of an unoptimised, sanitized build in those of a release build
#else
inline constexpr size_t kFrame = 1;
#endif

// Runs `f` on a thread with a stack of `bytes`, where a recursion that depends on the input ends in a crash.
inline void on_small_stack(size_t bytes, std::function<void()> f) {
  pthread_attr_t attributes;
  REQUIRE(pthread_attr_init(&attributes) == 0);
  REQUIRE(pthread_attr_setstacksize(&attributes, bytes * kFrame) == 0);
  pthread_t thread;
  auto body = [](void* p) -> void* {
    (*static_cast<std::function<void()>*>(p))();
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, body, &f) == 0);
  REQUIRE(pthread_join(thread, nullptr) == 0);
  pthread_attr_destroy(&attributes);
}

}  // namespace assay::test
