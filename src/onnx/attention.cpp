// Attention of opset 23, as the products and the softmax that define it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <vector>

#include "converters.h"
#include "importer.h"

namespace octavo::onnx_format {
namespace {

/// What is added to a score that does not count: far below all others, so that its exponential is 0.
constexpr float kMasked = -1e30F;

/// Queries, keys or values as [N, heads, tokens, width].
struct Heads {
  ValueId id;
  Shape shape;
};

/// Of [N, heads, tokens, width], or [N, tokens, heads * width] with `count` heads.
Heads read_heads(NodeReader& reader, int index, const std::string& suffix, std::int64_t count) {
  const Flow flow = reader.flow(index);
  const Shape shape = reader.shape(flow);
  if (shape.size() == 4) return {flow.id, shape};
  if (shape.size() != 3) throw Unsupported{fmt::format("of {} dimensions", shape.size())};
  if (count < 1 || shape[2] % count != 0)
    reader.fail(fmt::format("{} heads of {} numbers; expected a divisor", count, shape[2]));
  const Shape apart{kDynamic, shape[1], count, shape[2] / count};
  const ValueId split =
      reader.emit_inner(suffix + "_heads", Op::kReshape, {flow.id}, ReshapeAttributes{apart});
  const ValueId first =
      reader.emit_inner(suffix + "_first", Op::kTranspose, {split}, TransposeAttributes{{0, 2, 1, 3}});
  return {first, {kDynamic, count, shape[1], shape[2] / count}};
}

/// What a constant mask and causality add to scores [queries, keys]. Nothing if that is 0 everywhere.
std::optional<Tensor> read_mask(NodeReader& reader, std::int64_t queries, std::int64_t keys) {
  const bool causal = reader.attributes.integer("is_causal", 0) != 0;
  if (!reader.has(3) && !causal) return std::nullopt;
  reader.importer.budget().charge(static_cast<std::uint64_t>(queries) * static_cast<std::uint64_t>(keys) *
                                  sizeof(float));
  Shape shape{queries, keys};
  std::vector<float> values;
  if (reader.has(3)) {
    const Constant& mask = reader.constant(3);
    shape = mask.tensor->shape();
    if (shape.size() < 2 || shape[shape.size() - 2] != queries || shape.back() != keys ||
        (shape.size() == 4 && shape[0] != 1) || shape.size() > 4)
      throw Unsupported{fmt::format("a mask of shape {}", to_string(shape))};
    if (shape.size() == 4) shape.erase(shape.begin());
    if (mask.tensor->dtype() == DType::kFloat32) {
      for (const float x : mask.tensor->data<float>()) values.push_back(std::max(x, kMasked));
    } else if (mask.tensor->dtype() == DType::kUInt8) {
      for (const std::uint8_t x : mask.tensor->data<std::uint8_t>()) values.push_back(x != 0 ? 0 : kMasked);
    } else {
      throw Unsupported{"a mask of integers"};
    }
  } else {
    values.assign(static_cast<std::size_t>(queries * keys), 0.0F);
  }
  for (std::size_t i = 0; causal && i < values.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    if (at % keys > at / keys % queries) values[i] = kMasked;
  }
  return Tensor::from<float>(shape, values);
}

/// Softmax(scale * Q K^T + mask) V. Its one output; nothing of a past.
void convert_attention(NodeReader& reader) {
  for (int i = 4; i < reader.node.input_size(); ++i) {
    if (reader.has(i)) throw Unsupported{"keys and values of a past"};
  }
  if (reader.attributes.real("softcap", 0) != 0) throw Unsupported{"softcap"};
  reader.attributes.integer("softmax_precision", 0);
  reader.attributes.integer("qk_matmul_output_mode", 0);
  const std::int64_t heads = reader.attributes.integer("q_num_heads", 0);
  const std::int64_t key_heads = reader.attributes.integer("kv_num_heads", heads);
  const bool rows = reader.shape(reader.flow(0)).size() == 3;
  const Heads q = read_heads(reader, 0, "_q", heads);
  const Heads k = read_heads(reader, 1, "_k", key_heads);
  const Heads v = read_heads(reader, 2, "_v", key_heads);
  if (k.shape[1] != q.shape[1] || v.shape[1] != q.shape[1])
    throw Unsupported{"fewer heads of keys than of queries"};
  if (k.shape[3] != q.shape[3] || v.shape[2] != k.shape[2])
    reader.fail(fmt::format("queries {}, keys {} and values {} do not fit", to_string(q.shape),
                            to_string(k.shape), to_string(v.shape)));
  const float scale = reader.attributes.real("scale", 1.0F / std::sqrt(static_cast<float>(q.shape[3])));
  if (!std::isfinite(scale)) reader.fail("scale is not finite");
  const ValueId turned =
      reader.emit_inner("_keys", Op::kTranspose, {k.id}, TransposeAttributes{{0, 1, 3, 2}});
  ValueId scores =
      reader.emit_inner("_scores", Op::kMatMulOfValues, {q.id, turned}, ScalarAttributes{.alpha = scale});
  if (const auto mask = read_mask(reader, q.shape[2], k.shape[2])) {
    const Constant made{reader.name + "_mask", std::make_shared<Tensor>(*mask), {}};
    const ValueId added = reader.importer.constant_value(made, "mask", [&] {
      return Importer::Made{*made.tensor, {}};
    });
    scores = reader.emit_inner("_masked", Op::kAdd, {scores, added});
  }
  const ValueId weights = reader.emit_inner("_weights", Op::kSoftmax, {scores}, AxisAttributes{3});
  const std::vector<ValueId> factors{weights, v.id};
  if (!rows) {
    reader.emit(Op::kMatMulOfValues, factors, ScalarAttributes{.alpha = 1.0F});
    return;
  }
  const ValueId y =
      reader.emit_inner("_values", Op::kMatMulOfValues, factors, ScalarAttributes{.alpha = 1.0F});
  const ValueId back = reader.emit_inner("_tokens", Op::kTranspose, {y}, TransposeAttributes{{0, 2, 1, 3}});
  reader.emit(Op::kReshape, {back}, ReshapeAttributes{{kDynamic, q.shape[2], q.shape[1] * v.shape[3]}});
}

}  // namespace

std::span<const ConverterEntry> attention_converters() {
  static constexpr ConverterEntry kEntries[] = {{"Attention", convert_attention}};
  return kEntries;
}

}  // namespace octavo::onnx_format
