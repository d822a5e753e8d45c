#include "octavo/core/tensor.h"

#include <gtest/gtest.h>

#include "octavo/core/error.h"

namespace octavo {
namespace {

TEST(Shape, OverflowAndDynamicDimensionsAreRefused) {
  EXPECT_EQ(element_count({2, 3, 4}), 24);
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({5, 0}), 0);
  EXPECT_THROW(element_count({std::int64_t{1} << 40, std::int64_t{1} << 40}), Error);
  EXPECT_THROW(element_count({kDynamic, 3}), Error);
  EXPECT_EQ(to_string(Shape{kDynamic, 3}), "[N, 3]");
}

TEST(Tensor, StartsAsZerosOnAlignedMemory) {
  const Tensor tensor({3, 5}, DType::kInt32);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.raw()) % 64, 0U);
  for (const std::int32_t x : tensor.data<std::int32_t>()) EXPECT_EQ(x, 0);
}

TEST(Tensor, CopiesAreDeep) {
  Tensor a = Tensor::from<float>({2}, std::vector<float>{1, 2});
  Tensor b = a;
  b.data<float>()[0] = 9;
  EXPECT_EQ(a.data<float>()[0], 1);
  EXPECT_FALSE(a == b);
  a = b;
  EXPECT_EQ(a, b);
}

TEST(Tensor, ReadingAsAnotherTypeOrShapeIsRefused) {
  const Tensor tensor({2, 3}, DType::kUInt8);
  EXPECT_THROW(tensor.data<float>(), Error);
  EXPECT_THROW(tensor.reshaped({5}), Error);
  EXPECT_EQ(tensor.reshaped({6}).shape(), Shape{6});
  EXPECT_THROW(Tensor::from<float>({3}, std::vector<float>{1, 2}), Error);
}

TEST(Tensor, EmptyTensorsWork) {
  const Tensor empty({0, 4}, DType::kFloat32);
  EXPECT_EQ(empty.size(), 0);
  EXPECT_EQ(Tensor(empty), empty);
}

TEST(Tensor, MovedFromIsEmpty) {
  Tensor source = Tensor::from<std::int32_t>({2}, std::vector<std::int32_t>{1, 2});
  const Tensor copy = source;
  const auto expect_empty = [](const Tensor& tensor) {
    EXPECT_EQ(tensor, Tensor());
    EXPECT_EQ(tensor.shape(), Shape{});
    EXPECT_EQ(tensor.size(), 0);
    EXPECT_TRUE(tensor.data<float>().empty());
  };
  Tensor constructed(std::move(source));
  EXPECT_EQ(constructed, copy);
  expect_empty(source);  // NOLINT(bugprone-use-after-move): what it is then is promised.
  Tensor assigned({3, 3}, DType::kFloat32);
  assigned = std::move(constructed);
  EXPECT_EQ(assigned, copy);
  expect_empty(constructed);  // NOLINT(bugprone-use-after-move)
  Tensor& same = assigned;
  assigned = std::move(same);
  EXPECT_EQ(assigned, copy);
}

}  // namespace
}  // namespace octavo
