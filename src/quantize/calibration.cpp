#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "octavo/core/error.h"
#include "octavo/quantize/ptq.h"

namespace octavo {
namespace {

/// splitmix64 (Steele et al. 2014): the same numbers on every platform, which the standard library's shuffle
/// does not promise.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t operator()() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }

  /// Fisher and Yates. The bias of the remainder is below 2^-30 for any data set that fits in memory.
  template <typename T>
  void shuffle(std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[(*this)() % i]);
  }

 private:
  std::uint64_t state_;
};

}  // namespace

std::vector<std::int64_t> calibration_indices(const Dataset& train, std::int64_t samples,
                                              std::uint64_t seed) {
  if (samples < 1 || samples > train.size()) {
    throw Error(ErrorCode::kUsage, "calibration samples",
                fmt::format("out of range; expected 1 to {} (the images of {} {}), got {}", train.size(),
                            train.name, train.split, samples));
  }
  std::map<std::int32_t, std::vector<std::int64_t>> by_label;
  for (std::int64_t i = 0; i < train.size(); ++i)
    by_label[train.labels[static_cast<std::size_t>(i)]].push_back(i);
  std::vector<std::vector<std::int64_t>> classes;
  Random random(seed);
  for (auto& [label, members] : by_label) {
    random.shuffle(members);
    classes.push_back(std::move(members));
  }
  random.shuffle(classes);  // which classes give one more where the samples do not divide evenly

  std::vector<std::int64_t> chosen;
  for (std::size_t round = 0; std::ssize(chosen) < samples; ++round) {
    for (const auto& members : classes) {
      if (round < members.size() && std::ssize(chosen) < samples) chosen.push_back(members[round]);
    }
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace octavo
