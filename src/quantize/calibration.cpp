#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "octavo/core/error.h"
#include "octavo/core/random.h"
#include "octavo/quantize/ptq.h"

namespace octavo {
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
  SplitMix64 random(seed);
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
