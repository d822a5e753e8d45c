#include "octavo/quantize/layer_quality.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "octavo/core/error.h"
#include "octavo/graph/passes.h"
#include "octavo/quantize/histogram.h"
#include "octavo/runtime/placement.h"
#include "octavo/runtime/runtime.h"

namespace octavo {
namespace {

constexpr int kBars = 48;        // Of a distribution.
constexpr int kFineBins = 4096;  // Of the histogram it is made from.

/// Sums over all images of one value, and its float elements of the batch at hand.
struct Comparison {
  ValueId base_id = kNoValue;
  ValueId quantized_id = kNoValue;
  Range range;
  std::vector<float> real;
  double signal = 0, noise = 0, product = 0, integer_power = 0;
  std::int64_t outside = 0;
  std::int64_t count = 0;
  Histogram histogram{kFineBins};

  void keep(std::span<const float> values) {
    real.assign(values.begin(), values.end());
    histogram.observe(values);
  }

  void compare(std::span<const float> integer) {
    check_internal(integer.size() == real.size(), "layer quality: batches differ");
    for (std::size_t i = 0; i < real.size(); ++i) {
      const double x = real[i];
      const double q = integer[i];
      signal += x * x;
      noise += (x - q) * (x - q);
      product += x * q;
      integer_power += q * q;
      if (real[i] < range.min || real[i] > range.max) ++outside;
    }
    count += static_cast<std::int64_t>(real.size());
  }
};

/// Spreads a fine histogram over kBars equal bars; each bin goes to the bar of its middle.
Distribution distribution_of(const Histogram& histogram) {
  Distribution result{histogram.min(), histogram.max(), std::vector<std::uint64_t>(kBars, 0)};
  const double span = result.max - result.min;
  if (span <= 0) return result;
  const auto add = [&](double middle, std::uint64_t values) {
    const double bar = (middle - result.min) / span * kBars;
    result.counts[static_cast<std::size_t>(std::clamp(bar, 0.0, kBars - 1.0))] += values;
  };
  for (int i = 0; i < histogram.bins(); ++i) {
    const double middle = (i + 0.5) * histogram.width();
    add(middle, histogram.positive()[static_cast<std::size_t>(i)]);
    add(-middle, histogram.negative()[static_cast<std::size_t>(i)]);
  }
  return result;
}

/// The group's float weights, if its anchor has any.
Distribution weights_of(const Graph& graph, int producer) {
  const Node& node = graph.nodes[static_cast<std::size_t>(producer)];
  if (!has_weight(node.op)) return {};
  Histogram histogram(kFineBins);
  histogram.observe(graph.value(node.inputs[1]).constant->data<float>());
  return distribution_of(histogram);
}

LayerQuality finish(const Comparison& c, const Graph& folded) {
  LayerQuality quality;
  quality.value = folded.value(c.base_id).name;
  quality.range = c.range;
  quality.sqnr_db =
      c.noise > 0 ? 10 * std::log10(c.signal / c.noise) : std::numeric_limits<double>::infinity();
  const double power = std::sqrt(c.signal) * std::sqrt(c.integer_power);
  quality.cosine = power > 0 ? c.product / power : (c.signal == c.integer_power ? 1.0 : 0.0);
  quality.clipped = static_cast<double>(c.outside) / static_cast<double>(std::max<std::int64_t>(c.count, 1));
  quality.activations = distribution_of(c.histogram);
  for (const FusedGroup& group : quantizable_groups(folded)) {
    if (group.output != c.base_id) continue;
    quality.layer = folded.nodes[static_cast<std::size_t>(group.anchor)].name;
    quality.weights = weights_of(folded, group.anchor);
  }
  return quality;
}

/// Values that both graphs make at the end of a group and `quantized` quantizes itself: those that only hand
/// on another's integers would tell nothing new.
std::vector<Comparison> comparisons(const Graph& folded, const Graph& quantized) {
  std::vector<ValueId> made{folded.input};
  for (const FusedGroup& group : quantizable_groups(folded)) {
    if (!moves_integers(folded, group)) made.push_back(group.output);
  }
  std::vector<Comparison> result;
  for (const ValueId id : made) {
    const ValueId other = quantized.find_value(folded.value(id).name);
    if (other == kNoValue || !quantized.value(other).quant) continue;
    const QuantParams& q = *quantized.value(other).quant;
    Comparison comparison;
    comparison.base_id = id;
    comparison.quantized_id = other;
    comparison.range = {dequantize(q.qmin, q.scale(), q.zero_point()),
                        dequantize(q.qmax, q.scale(), q.zero_point())};
    result.push_back(std::move(comparison));
  }
  return result;
}

}  // namespace

std::vector<LayerQuality> measure_layer_quality(
    const Graph& base, const Graph& quantized, const Dataset& data, const Normalization& normalization,
    std::span<const std::int64_t> indices, std::int64_t batch,
    const std::function<void(std::int64_t done, std::int64_t total)>& on_progress) {
  if (indices.empty() || batch < 1)
    throw Error(ErrorCode::kUsage, "layer quality",
                "no images; expected at least one, in batches of at least 1");
  const Graph folded = fold_batch_norm(base);
  std::vector<Comparison> compared = comparisons(folded, quantized);
  if (compared.empty()) {
    // Of a mixture's few quantized values all may be handed on from others in float32.
    const bool related = std::ranges::any_of(quantized.values, [&](const Value& value) {
      return value.quant && !value.constant && folded.find_value(value.name) != kNoValue;
    });
    if (related) return {};
    throw Error(
        ErrorCode::kUsage, quantized.name,
        "no quantized value has the name of a value of the float model; expected a model made from it");
  }
  const auto total = static_cast<std::int64_t>(indices.size());
  const std::int64_t largest = std::min(batch, total);
  CompileOptions real_options{.max_batch = largest, .threads = 0, .observe = {}};
  CompileOptions integer_options = real_options;
  std::map<ValueId, Comparison*> by_base;
  std::map<ValueId, Comparison*> by_quantized;
  for (Comparison& c : compared) {
    real_options.observe.push_back(c.base_id);
    integer_options.observe.push_back(c.quantized_id);
    by_base[c.base_id] = &c;
    by_quantized[c.quantized_id] = &c;
  }
  const CompiledModel real(folded, real_options);
  const CompiledModel integer(quantized, integer_options);
  CompiledModel::Context real_context(real);
  CompiledModel::Context integer_context(integer);
  std::vector<float> logits(static_cast<std::size_t>(largest * real.classes()));
  for (std::int64_t done = 0; done < total;) {
    const std::int64_t count = std::min(largest, total - done);
    const Tensor images = normalized_batch(
        data, indices.subspan(static_cast<std::size_t>(done), static_cast<std::size_t>(count)),
        normalization);
    const auto answers = std::span(logits).first(static_cast<std::size_t>(count * real.classes()));
    real.run_observed(real_context, images.data<float>(), count, answers,
                      [&](ValueId id, std::span<const float> values) { by_base.at(id)->keep(values); });
    integer.run_observed(
        integer_context, images.data<float>(), count, answers,
        [&](ValueId id, std::span<const float> values) { by_quantized.at(id)->compare(values); });
    done += count;
    if (on_progress) on_progress(done, total);
  }
  std::vector<LayerQuality> result;
  for (const Comparison& c : compared) result.push_back(finish(c, folded));
  return result;
}

}  // namespace octavo
