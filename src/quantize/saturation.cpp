#include "octavo/quantize/saturation.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <limits>
#include <map>

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

/// An integer layer as a convolution; a matrix product is one over an image of one pixel.
struct Layer {
  const Node* node = nullptr;
  ValueId input = kNoValue;
  QuantParams input_quant;
  ConvAttributes window;
  std::int64_t channels = 0;      ///< Outputs.
  std::int64_t inputs = 0;        ///< Of one group.
  std::vector<std::int8_t> taps;  ///< [channels, kH, kW, inputs]
  std::vector<Pair> risky;
  LayerSaturation result;

  std::int64_t taps_of_channel() const { return window.kernel[0] * window.kernel[1] * inputs; }
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
  const Shape& shape = integers.shape();
  if (node.op == Op::kConv) layer.window = node.as<ConvAttributes>();
  const bool matmul = node.op == Op::kMatMul;
  layer.channels = shape[matmul ? 1 : 0];
  layer.inputs = shape[matmul ? 0 : 1];
  const std::int64_t area = layer.window.kernel[0] * layer.window.kernel[1];
  layer.taps.reserve(q.size());
  for (std::int64_t m = 0; m < layer.channels; ++m) {
    for (std::int64_t tap = 0; tap < area; ++tap) {
      for (std::int64_t c = 0; c < layer.inputs; ++c) {
        const std::int64_t at = matmul ? c * layer.channels + m : (m * layer.inputs + c) * area + tap;
        layer.taps.push_back(q[static_cast<std::size_t>(at)]);
      }
    }
  }
  return layer;
}

/// Inputs are not negative, so that a sum is furthest from 0 where both weights have one sign and both inputs
/// are largest, or where the other input is 0.
void find_bounds(Layer& layer) {
  const std::int32_t highest = layer.input_quant.qmax;
  const std::int64_t count = layer.taps_of_channel();
  for (std::int64_t m = 0; m < layer.channels; ++m) {
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

/// Where the taps of one output pixel lie in an image.
class Taps {
 public:
  Taps(const Layer& layer, const Shape& input) : layer_(layer), input_(input) {}

  /// The integer that tap `k` of output channel `m` at (y, x) meets; padding holds the zero point.
  std::int32_t at(std::span<const float> image, std::int64_t m, std::int64_t k, std::int64_t y,
                  std::int64_t x) const {
    const ConvAttributes& w = layer_.window;
    const std::int64_t group = m / (layer_.channels / w.group);
    const std::int64_t c = group * layer_.inputs + k % layer_.inputs;
    const std::int64_t tap = k / layer_.inputs;
    const std::int64_t row = y * w.strides[0] - w.pads[0] + tap / w.kernel[1] * w.dilations[0];
    const std::int64_t column = x * w.strides[1] - w.pads[1] + tap % w.kernel[1] * w.dilations[1];
    const QuantParams& q = layer_.input_quant;
    if (row < 0 || row >= input_[1] || column < 0 || column >= input_[2]) return q.zero_point();
    const auto offset = static_cast<std::size_t>((c * input_[1] + row) * input_[2] + column);
    return quantize(image[offset], q.scale(), q.zero_point(), q.qmin, q.qmax);
  }

 private:
  const Layer& layer_;
  const Shape& input_;  ///< [C, H, W]
};

/// Adds what saturates in `values`, the real numbers of `batch` images that the layer reads.
void count_events(const Graph& graph, Layer& layer, std::span<const float> values, std::int64_t batch) {
  const Shape& y = graph.value(layer.node->output).shape;
  const bool conv = layer.node->op == Op::kConv;
  const std::int64_t height = conv ? y[2] : 1;
  const std::int64_t width = conv ? y[3] : 1;
  // All rows of a matrix product are images of their own.
  const Shape& x = graph.value(layer.input).shape;
  const Shape image_shape = conv ? Shape{x[1], x[2], x[3]} : Shape{layer.inputs, 1, 1};
  const std::int64_t size = element_count(image_shape);
  const std::int64_t images = conv ? batch : static_cast<std::int64_t>(values.size()) / size;
  const Taps taps(layer, image_shape);
  std::atomic<std::int64_t> events = 0;
  parallel_for(images, 1, [&](std::int64_t begin, std::int64_t end) {
    std::int64_t found = 0;
    for (std::int64_t n = begin; n < end; ++n) {
      const auto image = values.subspan(static_cast<std::size_t>(n * size), static_cast<std::size_t>(size));
      for (const Pair& pair : layer.risky) {
        for (std::int64_t row = 0; row < height; ++row) {
          for (std::int64_t column = 0; column < width; ++column) {
            const std::int32_t sum = taps.at(image, pair.channel, pair.first, row, column) * pair.w0 +
                                     taps.at(image, pair.channel, pair.first + 1, row, column) * pair.w1;
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
                           count_events(quantized, *reader->second, values, count);
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
