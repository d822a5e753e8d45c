#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "octavo/core/error.h"
#include "octavo/quantize/ptq.h"

namespace octavo {
namespace {

Dataset labelled(std::vector<std::int32_t> labels) {
  Dataset data;
  data.name = "toy";
  data.split = "train";
  data.labels = std::move(labels);
  return data;
}

Dataset balanced(int count, int classes) {
  std::vector<std::int32_t> labels;
  for (int i = 0; i < count; ++i) labels.push_back(i % classes);
  return labelled(std::move(labels));
}

std::map<std::int32_t, int> per_class(const Dataset& data, const std::vector<std::int64_t>& indices) {
  std::map<std::int32_t, int> counts;
  for (const std::int64_t i : indices) ++counts[data.labels.at(static_cast<std::size_t>(i))];
  return counts;
}

TEST(CalibrationIndices, HonourTheSizeExactly) {
  const Dataset data = balanced(50'000, 10);
  for (const std::int64_t samples : {1, 9, 10, 1000, 1003, 49'999, 50'000}) {
    const auto indices = calibration_indices(data, samples, 42);
    EXPECT_EQ(std::ssize(indices), samples);
    EXPECT_TRUE(std::ranges::is_sorted(indices));
    EXPECT_EQ(std::set<std::int64_t>(indices.begin(), indices.end()).size(), indices.size());
    EXPECT_GE(indices.front(), 0);
    EXPECT_LT(indices.back(), 50'000);
  }
}

TEST(CalibrationIndices, SpreadEvenlyOverTheClasses) {
  const Dataset data = balanced(50'000, 10);
  for (const auto& [label, count] : per_class(data, calibration_indices(data, 1000, 42)))
    EXPECT_EQ(count, 100);
  int with_one_more = 0;
  for (const auto& [label, count] : per_class(data, calibration_indices(data, 1003, 42))) {
    EXPECT_TRUE(count == 100 || count == 101);
    with_one_more += count == 101 ? 1 : 0;
  }
  EXPECT_EQ(with_one_more, 3);
}

TEST(CalibrationIndices, TakeMoreOfOthersWhereAClassIsShort) {
  std::vector<std::int32_t> labels(100, 7);
  labels[40] = 3;
  labels[41] = 3;
  labels[99] = 5;
  const Dataset data = labelled(labels);
  EXPECT_EQ(per_class(data, calibration_indices(data, 30, 1)),
            (std::map<std::int32_t, int>{{3, 2}, {5, 1}, {7, 27}}));
}

TEST(CalibrationIndices, DependOnTheSeedAlone) {
  const Dataset data = balanced(1000, 10);
  EXPECT_EQ(calibration_indices(data, 100, 1), calibration_indices(data, 100, 1));
  EXPECT_NE(calibration_indices(data, 100, 1), calibration_indices(data, 100, 2));
  // The same on every platform: from an implementation of splitmix64 and Fisher-Yates in another language.
  EXPECT_EQ(calibration_indices(balanced(20, 2), 4, 42), (std::vector<std::int64_t>{0, 1, 18, 19}));
}

TEST(CalibrationIndices, DoNotFavourTheBeginning) {
  const auto indices = calibration_indices(balanced(50'000, 10), 1000, 42);
  const auto first_half = std::ranges::count_if(indices, [](std::int64_t i) { return i < 25'000; });
  EXPECT_NEAR(static_cast<double>(first_half), 500.0, 80.0);  // five standard deviations
}

TEST(CalibrationIndices, RejectSizesThatCannotBe) {
  const Dataset data = balanced(100, 10);
  for (const std::int64_t samples : {-1, 0, 101}) {
    try {
      calibration_indices(data, samples, 42);
      FAIL() << samples;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
      EXPECT_EQ(std::string(error.what()),
                "calibration samples: out of range; expected 1 to 100 (the images of toy train), got " +
                    std::to_string(samples));
    }
  }
}

}  // namespace
}  // namespace octavo
