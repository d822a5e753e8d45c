// The cheapest choice, worked out by hand and by trying all.
#include "quantize/precision_choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace octavo {
namespace {

using Choice = std::vector<bool>;

std::int64_t cost_of(const std::vector<GroupCost>& groups, const std::vector<ValueCost>& values,
                     const Choice& integer) {
  std::int64_t cost = 0;
  for (std::size_t g = 0; g < groups.size(); ++g) cost += integer[g] ? groups[g].in_int8 : groups[g].in_float;
  for (const ValueCost& value : values) {
    const bool made_int8 = value.maker >= 0 && integer[static_cast<std::size_t>(value.maker)];
    const auto reads_int8 = [&](int r) { return integer[static_cast<std::size_t>(r)]; };
    if (!made_int8 && std::ranges::any_of(value.readers, reads_int8)) cost += value.quantize;
    if (made_int8 && !std::ranges::all_of(value.readers, reads_int8)) cost += value.dequantize;
  }
  return cost;
}

/// Groups one after the other; the conversion behind the input and between each two costs `conversion`.
std::vector<ValueCost> chain(int groups, std::int64_t conversion) {
  std::vector<ValueCost> values;
  for (int g = 0; g < groups; ++g)
    values.push_back({.maker = g - 1, .readers = {g}, .quantize = conversion, .dequantize = conversion});
  values.push_back({.maker = groups - 1});
  return values;
}

TEST(PrecisionChoice, FreeConversionsLetEachGroupHaveTheFaster) {
  EXPECT_EQ(choose_integer({{10, 5}, {5, 10}, {7, 6}}, chain(3, 0)), (Choice{true, false, true}));
}

TEST(PrecisionChoice, ConversionsThatCostMoreThanIsGainedAreNotMade) {
  // Leaving int8 for the second group would gain 5 and cost 2 * 3.
  EXPECT_EQ(choose_integer({{20, 5}, {5, 10}, {20, 5}}, chain(3, 3)), (Choice{true, true, true}));
  EXPECT_EQ(choose_integer({{20, 5}, {5, 12}, {20, 5}}, chain(3, 3)), (Choice{true, false, true}));
  // Quantizing the input costs more than all would gain.
  EXPECT_EQ(choose_integer({{20, 15}, {20, 15}}, chain(2, 11)), (Choice{false, false}));
}

TEST(PrecisionChoice, WhatHasNoIntegerFormStaysFloat) {
  EXPECT_EQ(choose_integer({{9, 1}, {9, kImpossible}, {9, 1}}, chain(3, 1)), (Choice{true, false, true}));
}

TEST(PrecisionChoice, AValueIsConvertedOnceForAllItsReaders) {
  // Two readers gain 3 each from integers that one conversion of 5 makes for both.
  const std::vector<GroupCost> groups{{1, kImpossible}, {10, 7}, {10, 7}};
  const std::vector<ValueCost> values{{.maker = 0, .readers = {1, 2}, .quantize = 5, .dequantize = 5}};
  EXPECT_EQ(choose_integer(groups, values), (Choice{false, true, true}));
}

TEST(PrecisionChoice, NothingIsCheaper) {
  std::mt19937 random(3);
  const auto number = [&](int below) { return static_cast<int>(random() % static_cast<unsigned>(below)); };
  for (int trial = 0; trial < 200; ++trial) {
    const int count = 1 + number(8);
    std::vector<GroupCost> groups;
    std::vector<ValueCost> values{{.maker = -1, .readers = {0}, .quantize = number(10)}};
    for (int g = 0; g < count; ++g) {
      groups.push_back({number(30), number(6) == 0 ? kImpossible : number(30)});
      ValueCost value{.maker = g, .readers = {}, .quantize = number(10), .dequantize = number(10)};
      for (int reader = g + 1; reader < count; ++reader) {
        if (number(2) == 0) value.readers.push_back(reader);
      }
      values.push_back(value);
    }
    std::int64_t least = kImpossible;
    for (int bits = 0; bits < 1 << count; ++bits) {
      Choice choice;
      bool possible = true;
      for (int g = 0; g < count; ++g) {
        choice.push_back((bits >> g & 1) != 0);
        possible = possible && !(choice.back() && groups[static_cast<std::size_t>(g)].in_int8 == kImpossible);
      }
      if (possible) least = std::min(least, cost_of(groups, values, choice));
    }
    const Choice chosen = choose_integer(groups, values);
    for (std::size_t g = 0; g < chosen.size(); ++g)
      ASSERT_FALSE(chosen[g] && groups[g].in_int8 == kImpossible) << "trial " << trial;
    ASSERT_EQ(cost_of(groups, values, chosen), least) << "trial " << trial;
  }
}

}  // namespace
}  // namespace octavo
