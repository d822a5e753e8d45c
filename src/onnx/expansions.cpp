/// Expand and Tile of what flows.
#include <fmt/format.h>

#include <algorithm>

#include "converters.h"
#include "importer.h"
#include "octavo/core/error.h"

namespace octavo::onnx_format {
namespace {

constexpr std::int64_t kLargest = std::numeric_limits<std::int32_t>::max();

/// x with dimensions of one element made as large as `shape` says, which has 1 for the others, the batch
/// among them: x and zeros, which vanish where a binary operator broadcasts x anyway.
ValueId spread_out(const NodeReader& reader, ValueId x, const Shape& shape) {
  const auto first = std::ranges::find_if(shape, [](std::int64_t size) { return size != 1; });
  if (first == shape.end()) return x;
  const Shape zeros(first, shape.end());
  std::int64_t count = 1;
  for (const std::int64_t size : zeros) {
    if (size < 1 || count > kLargest / size) reader.fail("to a shape of too many elements");
    count *= size;
  }
  reader.importer.budget().charge(static_cast<std::uint64_t>(count) * sizeof(float));
  const Constant made{reader.name + "_zeros", std::make_shared<Tensor>(zeros, DType::kFloat32), {}};
  const ValueId added = reader.importer.constant_value(made, "zeros", [&] {
    return Importer::Made{*made.tensor, {}};
  });
  return reader.emit_inner("_spread", Op::kAdd, {x, added});
}

void convert_expand(NodeReader& reader) {
  Flow x = reader.viewed(0);
  std::vector<std::int64_t> target = reader.integers(1, /*batch=*/true);
  const std::size_t rank = std::max(target.size(), reader.rank(x));
  if (rank > 8) throw Unsupported{"more than 8 dimensions"};
  if (reader.rank(x) < rank) x = reader.lifted(x, rank);
  reader.view = x.view;
  target.insert(target.begin(), rank - target.size(), 1);
  const Shape value = reader.shape(x);
  Shape spread(value.size(), 1);
  for (std::size_t axis = 0; axis < rank; ++axis) {
    const auto at = value_axis(axis, x.view);
    if (!at) {
      const std::int64_t images = x.view.outer * x.view.inner;
      const std::int64_t fixed = reader.importer.fixed_batch().value_or(0);
      const bool same =
          target[axis] == 1 || (fixed > 0 ? target[axis] == images * fixed : target[axis] == batches(images));
      if (!same) throw Unsupported{"of the batch"};
      continue;
    }
    const std::int64_t size = value[*at];
    if (target[axis] == 1 || target[axis] == size) continue;
    if (batches_in(target[axis]) > 0) throw Unsupported{"to the size of the batch, in another dimension"};
    if (size != 1 || target[axis] < 1)
      reader.fail(fmt::format("dimension {} of {} to {}", axis, to_string(value), target[axis]));
    spread[*at] = target[axis];
  }
  reader.define(Flow{.id = spread_out(reader, x.id, spread), .view = x.view});
}

void convert_tile(NodeReader& reader) {
  const Flow x = reader.viewed(0);
  const std::vector<std::int64_t> repeats = reader.integers(1);
  if (repeats.size() != reader.rank(x)) reader.fail("repeats do not fit the input's dimensions");
  Shape spread(reader.shape(x).size(), 1);
  ValueId y = x.id;
  constexpr std::int64_t kMost = 64;
  for (std::size_t axis = 0; axis < repeats.size(); ++axis) {
    if (repeats[axis] == 1) continue;
    const auto at = value_axis(axis, x.view);
    if (!at) throw Unsupported{"of the batch"};
    if (repeats[axis] < 1) throw Unsupported{fmt::format("{} repeats", repeats[axis])};
    if (reader.shape(x)[*at] == 1) {
      spread[*at] = repeats[axis];
      continue;
    }
    if (repeats[axis] > kMost)
      throw Unsupported{fmt::format("{} repeats, more than {}", repeats[axis], kMost)};
    y = reader.emit_inner(fmt::format("_along{}", axis), Op::kConcat,
                          std::vector<ValueId>(static_cast<std::size_t>(repeats[axis]), y),
                          AxisAttributes{static_cast<std::int64_t>(*at)});
  }
  reader.define(Flow{.id = spread_out(reader, y, spread), .view = x.view});
}

}  // namespace

std::span<const ConverterEntry> expansion_converters() {
  static constexpr ConverterEntry kEntries[] = {{"Expand", convert_expand}, {"Tile", convert_tile}};
  return kEntries;
}

}  // namespace octavo::onnx_format
