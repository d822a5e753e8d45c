/// Random numbers that are the same on every platform, which the standard library's distributions and shuffle
/// do not promise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace octavo {

/// SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators"): 2^64 numbers a
/// seed.
class SplitMix64 {
 public:
  /// What the state advances by: 2^64 divided by the golden ratio, made odd.
  static constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15U;

  /// A permutation of the 64-bit numbers in which each bit of `z` changes about half of the result's.
  static constexpr std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }

  explicit constexpr SplitMix64(std::uint64_t seed) : state_(seed) {}
  constexpr std::uint64_t operator()() { return mix(state_ += kStep); }

  /// Puts `items` into random order (Fisher and Yates). The bias of the remainder is below 2^-30 for as many
  /// items as fit in memory.
  template <typename T>
  void shuffle(std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[(*this)() % i]);
  }

 private:
  std::uint64_t state_;
};

}  // namespace octavo
