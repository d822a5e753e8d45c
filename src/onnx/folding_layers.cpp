/// Layers of constants: tables that a small network computes from positions, and weights that are
/// standardized in the file. In double, rounded once.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "folding.h"
#include "importer.h"
#include "moves.h"
#include "octavo/graph/elementwise.h"

namespace octavo::onnx_format {
namespace {

Tensor real_operand(NodeReader& reader, int index) {
  Tensor tensor = operand(reader, index);
  if (tensor.dtype() != DType::kFloat32) throw Unsupported{"constants of " + to_string(tensor.dtype())};
  return tensor;
}

/// Before `count` multiplications.
void pay(const NodeReader& reader, std::int64_t a, std::int64_t b) {
  constexpr std::int64_t kMost = std::int64_t{1} << 36;
  if (b > 0 && a > kMost / b) throw Unsupported{"too large a computation of constants"};
  reader.importer.budget().work(static_cast<std::uint64_t>(a * b));
}

/// Matrices in the last two dimensions, the others broadcast.
Tensor fold_matmul(NodeReader& reader) {
  Tensor a = real_operand(reader, 0);
  Tensor b = real_operand(reader, 1);
  if (a.rank() == 0 || b.rank() == 0) reader.fail("a scalar");
  const bool row = a.rank() == 1;
  const bool column = b.rank() == 1;
  if (row) a = a.reshaped({1, a.dim(0)});
  if (column) b = b.reshaped({b.dim(0), 1});
  const std::int64_t rows = a.dim(a.rank() - 2);
  const std::int64_t depth = a.shape().back();
  const std::int64_t columns = b.shape().back();
  if (b.dim(b.rank() - 2) != depth)
    reader.fail(fmt::format("{} by {} do not fit", to_string(a.shape()), to_string(b.shape())));
  const auto outer = broadcast_shapes(Shape(a.shape().begin(), a.shape().end() - 2),
                                      Shape(b.shape().begin(), b.shape().end() - 2));
  if (!outer) reader.fail(fmt::format("{} by {} do not fit", to_string(a.shape()), to_string(b.shape())));
  const auto spread_to = [&](const Tensor& tensor, std::int64_t height, std::int64_t width) {
    Shape shape = *outer;
    shape.insert(shape.end(), {height, width});
    return spread(reader, tensor, shape);
  };
  const Tensor left = spread_to(a, rows, depth);
  const Tensor right = spread_to(b, depth, columns);
  Shape shape = *outer;
  if (!row) shape.push_back(rows);
  if (!column) shape.push_back(columns);
  Tensor result = result_of(reader, shape, DType::kFloat32);
  pay(reader, result.size(), depth);
  const float* x = left.data<float>().data();
  const float* y = right.data<float>().data();
  for (std::int64_t i = 0; i < result.size(); ++i) {
    const std::int64_t matrix = i / (rows * columns);
    const float* from_row = x + i / columns * depth;
    const float* from_column = y + matrix * depth * columns + i % columns;
    double sum = 0;
    for (std::int64_t k = 0; k < depth; ++k)
      sum += static_cast<double>(from_row[k]) * static_cast<double>(from_column[k * columns]);
    result.data<float>()[static_cast<std::size_t>(i)] = static_cast<float>(sum);
  }
  return result;
}

/// A matrix product with a factor and a bias.
Tensor fold_gemm(NodeReader& reader) {
  const auto matrix = [&](int index, const char* transposed) {
    const Tensor tensor = real_operand(reader, index);
    if (tensor.rank() != 2) reader.fail(fmt::format("input {} is no matrix", index));
    if (reader.attributes.integer(transposed, 0) == 0) return tensor;
    return take(tensor, {tensor.dim(1), tensor.dim(0)}, 0, {1, tensor.dim(1)});
  };
  const Tensor a = matrix(0, "transA");
  const Tensor b = matrix(1, "transB");
  const auto alpha = static_cast<double>(reader.attributes.real("alpha", 1.0F));
  const auto beta = static_cast<double>(reader.attributes.real("beta", 1.0F));
  if (a.dim(1) != b.dim(0))
    reader.fail(fmt::format("{} by {} do not fit", to_string(a.shape()), to_string(b.shape())));
  Tensor bias({1}, DType::kFloat32);
  if (reader.has(2)) bias = real_operand(reader, 2);
  const Shape shape{a.dim(0), b.dim(1)};
  if (broadcast_shapes(bias.shape(), shape) != shape) reader.fail("a bias that does not broadcast");
  Tensor result = spread(reader, bias, shape);
  pay(reader, result.size(), a.dim(1));
  for (std::int64_t i = 0; i < result.size(); ++i) {
    double sum = 0;
    for (std::int64_t k = 0; k < a.dim(1); ++k) {
      sum += static_cast<double>(a.data<float>()[static_cast<std::size_t>(i / b.dim(1) * a.dim(1) + k)]) *
             static_cast<double>(b.data<float>()[static_cast<std::size_t>(k * b.dim(1) + i % b.dim(1))]);
    }
    float& value = result.data<float>()[static_cast<std::size_t>(i)];
    value = static_cast<float>(alpha * sum + beta * static_cast<double>(value));
  }
  return result;
}

/// With statistics that are given, or of the data: by channel, over all else.
Tensor fold_batch_normalization(NodeReader& reader) {
  Tensor x = real_operand(reader, 0);
  if (x.rank() < 2) reader.fail("input without channels");
  const bool training = reader.attributes.integer("training_mode", 0) != 0;
  const auto epsilon = static_cast<double>(reader.attributes.real("epsilon", 1e-5F));
  reader.attributes.real("momentum", 0.9F);
  std::vector<Tensor> rows;
  for (int i = 1; i < 5; ++i) {
    rows.push_back(real_operand(reader, i));
    if (rows.back().size() != x.dim(1))
      reader.fail(fmt::format("input {} has no number for each channel", i));
  }
  const std::int64_t inner = element_count(Shape(x.shape().begin() + 2, x.shape().end()));
  const std::int64_t channels = x.dim(1);
  const auto count = static_cast<double>(x.dim(0) * inner);
  reader.importer.budget().work(3 * x.size_bytes());
  std::vector<double> mean(static_cast<std::size_t>(channels));
  std::vector<double> variance(mean.size());
  const auto values = x.data<float>();
  const auto channel = [&](std::size_t i) {
    return static_cast<std::size_t>(static_cast<std::int64_t>(i) / inner % channels);
  };
  if (training) {
    for (std::size_t i = 0; i < values.size(); ++i)
      mean[channel(i)] += static_cast<double>(values[i]) / count;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double apart = static_cast<double>(values[i]) - mean[channel(i)];
      variance[channel(i)] += apart * apart / count;
    }
  } else {
    for (std::size_t c = 0; c < mean.size(); ++c) {
      mean[c] = static_cast<double>(rows[2].data<float>()[c]);
      variance[c] = static_cast<double>(rows[3].data<float>()[c]);
    }
  }
  for (std::size_t c = 0; c < mean.size(); ++c) {
    if (!(variance[c] + epsilon > 0)) reader.fail("variance and epsilon; expected a sum above 0");
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t c = channel(i);
    const double normal = (static_cast<double>(values[i]) - mean[c]) / std::sqrt(variance[c] + epsilon);
    values[i] = static_cast<float>(normal * static_cast<double>(rows[0].data<float>()[c]) +
                                   static_cast<double>(rows[1].data<float>()[c]));
  }
  return x;
}

/// Of one pixel by one, as tables of positions are projected.
Tensor fold_convolution(NodeReader& reader) {
  const Tensor x = real_operand(reader, 0);
  const Tensor weight = real_operand(reader, 1);
  if (x.rank() != 4 || weight.rank() != 4 || weight.dim(2) != 1 || weight.dim(3) != 1 ||
      weight.dim(1) != x.dim(1))
    throw Unsupported{"a convolution of constants, but of one pixel by one in one group"};
  const auto ones = std::array<std::int64_t, 2>{1, 1};
  if (reader.attributes.window<2>("kernel_shape", 1, ones) != ones ||
      reader.attributes.window<2>("strides", 1, ones) != ones ||
      reader.attributes.window<4>("pads", 0, {0, 0, 0, 0}) != std::array<std::int64_t, 4>{} ||
      reader.attributes.integer("group", 1) != 1)
    throw Unsupported{"a convolution of constants, but of one pixel by one in one group"};
  reader.attributes.window<2>("dilations", 1, ones);
  reader.attributes.text("auto_pad", "NOTSET");
  const std::int64_t pixels = x.dim(2) * x.dim(3);
  const std::int64_t depth = x.dim(1);
  const std::int64_t channels = weight.dim(0);
  Tensor bias = result_of(reader, {channels}, DType::kFloat32);
  if (reader.has(2)) bias = real_operand(reader, 2);
  if (bias.size() != channels) reader.fail("a bias of another size");
  Tensor result = result_of(reader, {x.dim(0), channels, x.dim(2), x.dim(3)}, DType::kFloat32);
  pay(reader, result.size(), depth);
  for (std::int64_t i = 0; i < result.size(); ++i) {
    const std::int64_t pixel = i % pixels;
    const std::int64_t channel = i / pixels % channels;
    const std::int64_t image = i / pixels / channels;
    auto sum = static_cast<double>(bias.data<float>()[static_cast<std::size_t>(channel)]);
    for (std::int64_t k = 0; k < depth; ++k) {
      sum += static_cast<double>(
                 x.data<float>()[static_cast<std::size_t>((image * depth + k) * pixels + pixel)]) *
             static_cast<double>(weight.data<float>()[static_cast<std::size_t>(channel * depth + k)]);
    }
    result.data<float>()[static_cast<std::size_t>(i)] = static_cast<float>(sum);
  }
  return result;
}

/// Along one axis, of opset 13.
Tensor fold_softmax(NodeReader& reader) {
  Tensor x = real_operand(reader, 0);
  if (reader.importer.opset() < 13) throw Unsupported{"of constants, before opset 13"};
  const std::size_t axis = reader.axis(reader.attributes.integer("axis", -1), x.rank());
  const std::int64_t step = row_major(x.shape())[axis];
  const std::int64_t size = x.dim(axis);
  reader.importer.budget().work(3 * x.size_bytes());
  const auto values = x.data<float>();
  for (std::int64_t i = 0; i < x.size(); ++i) {
    if (i / step % size != 0) continue;
    const auto at = [&](std::int64_t k) -> float& { return values[static_cast<std::size_t>(i + k * step)]; };
    float most = at(0);
    for (std::int64_t k = 1; k < size; ++k) most = std::max(most, at(k));
    double sum = 0;
    for (std::int64_t k = 0; k < size; ++k) sum += std::exp(static_cast<double>(at(k) - most));
    for (std::int64_t k = 0; k < size; ++k)
      at(k) = static_cast<float>(std::exp(static_cast<double>(at(k) - most)) / sum);
  }
  return x;
}

}  // namespace

Fold find_layer_fold(const std::string& type) {
  if (type == "MatMul") return fold_matmul;
  if (type == "Gemm") return fold_gemm;
  if (type == "BatchNormalization") return fold_batch_normalization;
  if (type == "Conv") return fold_convolution;
  if (type == "Softmax") return fold_softmax;
  return nullptr;
}

}  // namespace octavo::onnx_format
