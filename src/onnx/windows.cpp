/// Windows that neither Conv nor MaxPool of the graph has: convolutions the other way round, and pools that
/// leave out pixels.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "converters.h"
#include "importer.h"
#include "layers.h"
#include "moves.h"
#include "octavo/core/error.h"
#include "quantization.h"
#include "tensor_proto.h"

namespace octavo::onnx_format {
namespace {

/// A node that moves elements or pads with 0: quantized, it passes integers on.
ValueId move(const NodeReader& reader, const std::string& suffix, Op op, ValueId x, Attributes attributes) {
  const ValueId y = reader.emit_inner(suffix, op, {x}, std::move(attributes));
  Graph& graph = reader.importer.graph();
  graph.value(y).quant = graph.value(x).quant;
  return y;
}

/// The weight [C, M/group, kH, kW] of a transposed convolution as that of a convolution, [M, C/group, kH,
/// kW]: input and output channels change places, and each kernel is turned by half.
Constant turned(const NodeReader& reader, const Constant& constant, std::int64_t group) {
  Constant result = constant;
  std::optional<QuantParams>& quant = result.quant;
  if (quant && quant->per_channel()) {
    if (quant->axis == 1) {
      quant->axis = 0;
      const std::size_t count = quant->scales.size();
      for (std::size_t i = count; i < count * static_cast<std::size_t>(group); ++i) {
        quant->scales.push_back(quant->scales[i - count]);
        quant->zero_points.push_back(quant->zero_points[i - count]);
      }
    } else {
      result.tensor = std::make_shared<Tensor>(dequantize(*constant.tensor, *quant));
      quant.reset();
    }
  }
  const Tensor& w = *result.tensor;
  const std::int64_t ins = w.dim(0) / group;
  const std::int64_t outs = w.dim(1);
  const std::int64_t area = w.dim(2) * w.dim(3);
  reader.importer.budget().charge(w.size_bytes());
  const Tensor moved = take(w, {group, outs, ins, w.dim(2), w.dim(3)}, area - 1,
                            {ins * outs * area, area, outs * area, -w.dim(3), -1});
  result.tensor = std::make_shared<Tensor>(moved.reshaped({group * outs, ins, w.dim(2), w.dim(3)}));
  return result;
}

/// A convolution of the image with zeros between its pixels.
void convert_conv_transpose(NodeReader& reader) {
  const Flow x = reader.flow(0);
  const Constant& weight = reader.constant(1);
  const Shape shape = reader.shape(x);
  const Tensor& w = *weight.tensor;
  if (shape.size() != 4) throw Unsupported{fmt::format("input of {} dimensions, not 4", shape.size())};
  if (w.rank() != 4) reader.fail("weight of shape " + to_string(w.shape()) + "; expected 4 dimensions");
  const std::int64_t group = reader.attributes.integer("group", 1);
  if (group < 1 || w.dim(0) != shape[1] || shape[1] % group != 0) {
    reader.fail(fmt::format("weight of shape {} and group {} for {} channels", to_string(w.shape()), group,
                            shape[1]));
  }
  if (w.size() == 0) reader.fail("weight of shape " + to_string(w.shape()) + " is empty");
  const auto kernel = reader.attributes.window<2>("kernel_shape", 1, {w.dim(2), w.dim(3)});
  if (kernel != std::array{w.dim(2), w.dim(3)})
    reader.fail("kernel_shape is not that of the weight, " + to_string(w.shape()));
  const auto strides = reader.attributes.window<2>("strides", 1, {1, 1});
  const auto dilations = reader.attributes.window<2>("dilations", 1, {1, 1});
  const auto added = reader.attributes.window<2>("output_padding", 0, {0, 0});
  auto pads = reader.attributes.window<4>("pads", 0, {0, 0, 0, 0});
  constexpr std::int64_t kMost = 1024;
  const std::string mode = reader.attributes.text("auto_pad", "NOTSET");
  const auto sizes = reader.attributes.integers("output_shape");
  if (sizes && sizes->size() != 2 && sizes->size() != 4) reader.fail("output_shape of neither 2 nor 4 sizes");
  for (std::size_t i = 0; i < 2; ++i) {
    if (strides[i] > kMost || dilations[i] > kMost)
      throw Unsupported{fmt::format("strides or dilations above {}", kMost)};
    const bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
    if (mode == "VALID") pads[i] = pads[i + 2] = 0;
    if (!same && !sizes) continue;
    const std::int64_t wanted = sizes ? (*sizes)[sizes->size() - 2 + i] : shape[i + 2] * strides[i];
    const std::int64_t total =
        strides[i] * (shape[i + 2] - 1) + added[i] + (kernel[i] - 1) * dilations[i] + 1 - wanted;
    // On which side an odd pad is, versions of ONNX disagree.
    if (total < 0 || total % 2 != 0) throw Unsupported{fmt::format("{} pads, not an even number", total)};
    pads[i] = pads[i + 2] = total / 2;
  }

  ValueId y = x.id;
  if (strides != std::array<std::int64_t, 2>{1, 1}) {
    y = move(reader, "_apart", Op::kReshape, y,
             ReshapeAttributes{{kDynamic, shape[1], shape[2], 1, shape[3], 1}});
    y = move(
        reader, "_spread", Op::kPad, y,
        PadAttributes{.before = {0, 0, 0, 0, 0, 0}, .after = {0, 0, 0, strides[0] - 1, 0, strides[1] - 1}});
    y = move(reader, "_zeros", Op::kReshape, y,
             ReshapeAttributes{{kDynamic, shape[1], shape[2] * strides[0], shape[3] * strides[1]}});
  }
  ConvAttributes a{.kernel = kernel, .dilations = dilations, .group = group};
  for (std::size_t i = 0; i < 2; ++i) {
    const std::int64_t reach = (kernel[i] - 1) * dilations[i];
    const std::int64_t before = reach - pads[i];
    const std::int64_t after = reach - pads[i + 2] + added[i] - (strides[i] - 1);
    a.pads[i] = std::max<std::int64_t>(before, 0);
    a.pads[i + 2] = std::max<std::int64_t>(after, 0);
    if (before >= 0 && after >= 0) continue;
    const std::int64_t size = shape[i + 2] * strides[i];
    const auto bounds =
        slice_bounds(size, std::max<std::int64_t>(-before, 0), size + std::min<std::int64_t>(after, 0), 1);
    if (!bounds) throw Unsupported{"pads that crop all of the image"};
    y = move(reader, fmt::format("_crop{}", i + 2), Op::kSlice, y, slice_of(4, i + 2, *bounds));
  }
  const std::int64_t channels = w.dim(1) * group;
  const Constant made = turned(reader, weight, group);
  std::vector<ValueId> inputs{y, weight_value(reader, made, {}, fmt::format("turned {}", group))};
  if (reader.has(2)) inputs.push_back(bias_value(reader, reader.constant(2), channels));
  reader.emit(Op::kConv, std::move(inputs), a);
}

}  // namespace

/// Of each so-manyth row and column apart: these are images whose neighbours are as far from each other as
/// the window's pixels. A stride is taken of the result.
void convert_dilated_max_pool(NodeReader& reader, const Flow& x, const PoolAttributes& pool,
                              const std::array<std::int64_t, 2>& dilations) {
  const Shape shape = reader.shape(x);
  PadAttributes pads{.before = {0, 0, 0, 0}, .after = {0, 0, 0, 0}};
  std::array<std::int64_t, 2> parts{};    // Rows of each image apart.
  std::array<std::int64_t, 2> windows{};  // Without strides.
  for (std::size_t i = 0; i < 2; ++i) {
    const std::int64_t size = shape[i + 2] + pool.pads[i] + pool.pads[i + 2];
    windows[i] = size - (pool.kernel[i] - 1) * dilations[i];
    if (windows[i] < 1 || pool.pads[i] > (pool.kernel[i] - 1) * dilations[i] ||
        pool.pads[i + 2] > (pool.kernel[i] - 1) * dilations[i])
      reader.fail(fmt::format("its window does not fit {}", to_string(shape)));
    if (pool.ceil_mode && (windows[i] - 1) % pool.strides[i] != 0)
      throw Unsupported{"dilated pooling with windows that hang over"};
    parts[i] = (size + dilations[i] - 1) / dilations[i];
    pads.before[i + 2] = pool.pads[i];
    pads.after[i + 2] = pool.pads[i + 2] + parts[i] * dilations[i] - size;
  }
  const auto [dh, dw] = dilations;
  // What is added to have whole images is in no window that is kept; pads are, and never win.
  const bool padded = pool.pads != std::array<std::int64_t, 4>{};
  if (padded) pads.value = std::numeric_limits<float>::lowest();
  const auto step = [&](const std::string& suffix, Op op, ValueId y, Attributes attributes) {
    return padded ? reader.emit_inner(suffix, op, {y}, std::move(attributes))
                  : move(reader, suffix, op, y, std::move(attributes));
  };
  ValueId y = step("_whole", Op::kPad, x.id, pads);
  y = step("_rows", Op::kReshape, y, ReshapeAttributes{{kDynamic, shape[1], parts[0], dh, parts[1], dw}});
  y = step("_moved", Op::kTranspose, y, TransposeAttributes{{0, 1, 3, 5, 2, 4}});
  y = step("_apart", Op::kReshape, y, ReshapeAttributes{{kDynamic, shape[1] * dh * dw, parts[0], parts[1]}});
  y = step("_pooled", Op::kMaxPool, y, PoolAttributes{.kernel = pool.kernel});
  const std::int64_t rows = parts[0] - pool.kernel[0] + 1;
  const std::int64_t columns = parts[1] - pool.kernel[1] + 1;
  y = step("_split", Op::kReshape, y, ReshapeAttributes{{kDynamic, shape[1], dh, dw, rows, columns}});
  y = step("_back", Op::kTranspose, y, TransposeAttributes{{0, 1, 4, 2, 5, 3}});
  y = step("_together", Op::kReshape, y, ReshapeAttributes{{kDynamic, shape[1], rows * dh, columns * dw}});
  SliceAttributes kept = slice_of(4, 0, {0, SliceAttributes::kWhole, 1});
  for (std::size_t i = 0; i < 2; ++i) {
    const std::int64_t size = i == 0 ? rows * dh : columns * dw;
    const auto bounds = slice_bounds(size, 0, windows[i], pool.strides[i]).value();
    kept.ends[i + 2] = bounds.end;
    kept.steps[i + 2] = bounds.step;
  }
  reader.emit(Op::kSlice, {y}, std::move(kept));
}

std::span<const ConverterEntry> window_converters() {
  static constexpr ConverterEntry kEntries[] = {{"ConvTranspose", convert_conv_transpose}};
  return kEntries;
}

}  // namespace octavo::onnx_format
