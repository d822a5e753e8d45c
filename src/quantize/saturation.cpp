#include "octavo/quantize/saturation.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <limits>
#include <map>

#include "layer_matrix.h"
#include "octavo/core/error.h"
#include "octavo/core/parallel.h"
#include "octavo/quantize/layer_choices.h"
#include "octavo/runtime/placement.h"
#include "octavo/runtime/runtime.h"
#include "plan.h"

namespace octavo {
namespace {

constexpr std::int32_t kNarrow = 63;
constexpr std::int32_t kLowest = std::numeric_limits<std::int16_t>::min();
constexpr std::int32_t kHighest = std::numeric_limits<std::int16_t>::max();

bool saturates(std::int32_t sum) { return sum < kLowest || sum > kHighest; }

/// Neighbouring weights of one output channel. `first` and `first + 1` count taps of its group's inputs in
/// the order (kernel row, kernel column, channel).
struct Pair {
  std::int64_t channel, first;
  std::int32_t w0, w1;
};

/// An integer layer.
struct Layer {
  const Node* node = nullptr;
  ValueId input = kNoValue;
  QuantParams input_quant;
  LayerMatrix matrix;
  std::vector<std::int8_t> taps;  ///< [channels, kH, kW, inputs]
  std::vector<Pair> risky;
  LayerSaturation result;

  /// Of a tap counted in that order, its number in the matrix's.
  std::int64_t in_matrix(std::int64_t k) const {
    const std::int64_t area = matrix.taps / matrix.inputs;
    return k % matrix.inputs * area + k / matrix.inputs;
  }
};

Layer read_layer(const Graph& graph, const Node& node) {
  Layer layer;
  layer.node = &node;
  layer.input = node.inputs[0];
  layer.input_quant = *graph.value(layer.input).quant;
  layer.result.layer = node.name;
  const Value& weight = graph.value(node.inputs[1]);
  const Tensor integers =
      weight.constant->dtype() == DType::kInt8 ? *weight.constant : quantize(*weight.constant, *weight.quant);
  const auto q = integers.data<std::int8_t>();
  layer.matrix = layer_matrix(graph, node);
  layer.taps.reserve(q.size());
  for (std::int64_t m = 0; m < layer.matrix.channels; ++m) {
    for (std::int64_t k = 0; k < layer.matrix.taps; ++k)
      layer.taps.push_back(q[layer.matrix.stored_at(m, layer.in_matrix(k))]);
  }
  return layer;
}

/// Inputs are not negative, so that a sum is furthest from 0 where both weights have one sign and both inputs
/// are largest, or where the other input is 0.
void find_bounds(Layer& layer) {
  const std::int32_t highest = layer.input_quant.qmax;
  const std::int64_t count = layer.matrix.taps;
  for (std::int64_t m = 0; m < layer.matrix.channels; ++m) {
    const auto begin = layer.taps.begin() + m * count;
    std::array<std::int32_t, 2> most{0, 0};
    std::array<std::int32_t, 2> least{0, 0};
    for (auto w = begin; w != begin + count; ++w) {
      if (*w > most[1]) most = {std::max<std::int32_t>(most[0], *w), std::min<std::int32_t>(most[0], *w)};
      if (*w < least[1]) least = {std::min<std::int32_t>(least[0], *w), std::max<std::int32_t>(least[0], *w)};
    }
    layer.result.largest =
        std::max<std::int64_t>({layer.result.largest, std::int64_t{highest} * (most[0] + most[1]),
                                std::int64_t{highest} * -(least[0] + least[1])});
    for (std::int64_t k = 0; k + 1 < count; k += 2) {
      const std::int32_t w0 = begin[k];
      const std::int32_t w1 = begin[k + 1];
      if ((w0 < 0) == (w1 < 0) && saturates(highest * (w0 + w1))) layer.risky.push_back({m, k, w0, w1});
    }
  }
  layer.result.risky_pairs = static_cast<std::int64_t>(layer.risky.size());
}

std::vector<Layer> integer_layers(const Graph& graph) {
  std::vector<Layer> layers;
  for (const Placement& placement : placements(graph)) {
    const Node& node = graph.nodes[static_cast<std::size_t>(placement.nodes.front())];
    if (!placement.integer || !has_weight(node.op)) continue;
    layers.push_back(read_layer(graph, node));
    find_bounds(layers.back());
  }
  return layers;
}

/// The integer that tap `k` of output channel `m` meets in `image` at (y, x); padding holds the zero point.
std::int32_t input_at(const Layer& layer, std::span<const float> image, std::int64_t m, std::int64_t k,
                      std::int64_t y, std::int64_t x) {
  const std::int64_t group = m / layer.matrix.channels_of_group();
  const std::int64_t at = layer.matrix.position(group, layer.in_matrix(k), y, x);
  const QuantParams& q = layer.input_quant;
  if (at < 0) return q.zero_point();
  return quantize(image[static_cast<std::size_t>(at)], q.scale(), q.zero_point(), q.qmin, q.qmax);
}

/// Adds what saturates in `values`, the real numbers that the layer reads.
void count_events(Layer& layer, std::span<const float> values) {
  // All rows of a matrix product are images of their own.
  const std::int64_t size = element_count(layer.matrix.image);
  const std::int64_t images = std::ssize(values) / size;
  std::atomic<std::int64_t> events = 0;
  parallel_for(images, 1, [&](std::int64_t begin, std::int64_t end) {
    std::int64_t found = 0;
    for (std::int64_t n = begin; n < end; ++n) {
      const auto image = values.subspan(static_cast<std::size_t>(n * size), static_cast<std::size_t>(size));
      for (const Pair& pair : layer.risky) {
        for (std::int64_t row = 0; row < layer.matrix.pixels[0]; ++row) {
          for (std::int64_t column = 0; column < layer.matrix.pixels[1]; ++column) {
            const std::int32_t sum =
                input_at(layer, image, pair.channel, pair.first, row, column) * pair.w0 +
                input_at(layer, image, pair.channel, pair.first + 1, row, column) * pair.w1;
            if (saturates(sum)) ++found;
          }
        }
      }
    }
    events += found;
  });
  layer.result.events += events;
}

std::vector<LayerSaturation> results(const std::vector<Layer>& layers) {
  std::vector<LayerSaturation> all;
  for (const Layer& layer : layers) all.push_back(layer.result);
  return all;
}

}  // namespace

std::vector<LayerSaturation> saturation_bounds(const Graph& quantized) {
  return results(integer_layers(quantized));
}

std::vector<LayerSaturation> count_saturation(
    const Graph& quantized, const Dataset& data, const Normalization& normalization,
    std::span<const std::int64_t> indices, std::int64_t batch,
    const std::function<void(std::int64_t done, std::int64_t total)>& on_progress) {
  if (indices.empty() || batch < 1)
    throw Error(ErrorCode::kUsage, "saturation",
                "no images; expected at least one, in batches of at least 1");
  std::vector<Layer> layers = integer_layers(quantized);
  std::multimap<ValueId, Layer*> readers;
  CompileOptions options{.threads = 0};
  const auto total = static_cast<std::int64_t>(indices.size());
  options.max_batch = std::min(batch, total);
  for (Layer& layer : layers) {
    if (layer.risky.empty()) continue;
    if (!readers.contains(layer.input)) options.observe.push_back(layer.input);
    readers.emplace(layer.input, &layer);
  }
  if (readers.empty()) return results(layers);
  const CompiledModel model(quantized, options);
  CompiledModel::Context context(model);
  std::vector<float> logits(static_cast<std::size_t>(options.max_batch * model.classes()));
  for (std::int64_t done = 0; done < total;) {
    const std::int64_t count = std::min(options.max_batch, total - done);
    const Tensor images = normalized_batch(
        data, indices.subspan(static_cast<std::size_t>(done), static_cast<std::size_t>(count)),
        normalization);
    model.run_observed(context, images.data<float>(), count,
                       std::span(logits).first(static_cast<std::size_t>(count * model.classes())),
                       [&](ValueId id, std::span<const float> values) {
                         const auto [first, last] = readers.equal_range(id);
                         for (auto reader = first; reader != last; ++reader)
                           count_events(*reader->second, values);
                       });
    done += count;
    if (on_progress) on_progress(done, total);
  }
  return results(layers);
}

std::vector<LayerSaturation> narrow_saturating_layers(
    Graph& quantized, const Dataset& data, const Normalization& normalization,
    std::span<const std::int64_t> indices, std::int64_t batch,
    const std::function<void(std::int64_t done, std::int64_t total)>& on_progress) {
  std::map<std::string, LayerSaturation> narrowed;  // as they were with eight bits
  while (true) {
    std::vector<LayerSaturation> layers =
        count_saturation(quantized, data, normalization, indices, batch, on_progress);
    bool again = false;
    for (const LayerSaturation& layer : layers) {
      if (layer.events == 0) continue;
      check_internal(!narrowed.contains(layer.layer), "seven bits saturate in '" + layer.layer + "'");
      narrowed[layer.layer] = layer;
      for (const Node& node : quantized.nodes) {
        if (node.name == layer.layer) annotate_weight_anew(quantized, node, kNarrow);
      }
      again = true;
    }
    if (again) continue;
    SaturationChoice choice{.images = std::ssize(indices), .proven = 0, .layers = {}};
    for (LayerSaturation& layer : layers) {
      const auto found = narrowed.find(layer.layer);
      if (found != narrowed.end()) {
        layer = found->second;
        layer.narrowed = true;
      }
      if (layer.proven()) {
        ++choice.proven;
      } else {
        choice.layers.push_back(layer);
      }
    }
    record(quantized, choice);
    return layers;
  }
}

}  // namespace octavo
