#include "reconstruct.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "layer_matrix.h"
#include "moments.h"
#include "octavo/core/random.h"
#include "octavo/runtime/placement.h"
#include "octavo/runtime/runtime.h"
#include "plan.h"
#include "rounding.h"

namespace octavo {
namespace {

// Output pixels that a layer's inputs are looked at for: as many a tap, at least and at most so many.
constexpr std::int64_t kPixelsPerTap = 16;
constexpr std::int64_t kLeastPixels = 4096;
constexpr std::int64_t kMostPixels = 32768;
// Images that these come from, where there are as many.
constexpr std::int64_t kSpreadOver = 256;

std::int64_t wanted_pixels(const LayerMatrix& layer) {
  return std::clamp(kPixelsPerTap * layer.taps, kLeastPixels, kMostPixels);
}

/// A run of one network that shows one of its values.
class Probe {
 public:
  Probe(const Graph& graph, ValueId value, std::int64_t batch)
      : model_(graph, {.max_batch = batch, .threads = 0, .observe = {value}}),
        context_(model_),
        logits_(static_cast<std::size_t>(batch * model_.classes())) {}

  const std::vector<float>& run(const Tensor& images, std::int64_t count) {
    model_.run_observed(
        context_, images.data<float>(), count,
        std::span(logits_).first(static_cast<std::size_t>(count * model_.classes())),
        [this](ValueId, std::span<const float> values) { seen_.assign(values.begin(), values.end()); });
    return seen_;
  }

 private:
  CompiledModel model_;
  CompiledModel::Context context_;
  std::vector<float> logits_;
  std::vector<float> seen_;
};

struct Images {
  const Dataset& data;
  const Normalization& normalization;
  std::span<const std::int64_t> indices;
  std::int64_t batch;
};

/// Which output pixels of `parts` images of `area` pixels are looked at: all, or some `take` of each image,
/// as part * area + pixel.
std::vector<std::int64_t> choose_pixels(std::int64_t parts, std::int64_t area, std::int64_t take,
                                        SplitMix64& random) {
  std::vector<std::int64_t> places;
  for (std::int64_t part = 0; part < parts; ++part) {
    for (std::int64_t i = 0; i < std::min(take, area); ++i) {
      const std::int64_t pixel =
          take >= area ? i : static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(area));
      places.push_back(part * area + pixel);
    }
  }
  return places;
}

/// [places, taps] of `group`.
std::vector<float> patches_of(const LayerMatrix& layer, std::span<const float> values,
                              const std::vector<std::int64_t>& places, std::int64_t group) {
  const std::int64_t size = element_count(layer.image);
  const std::int64_t area = layer.pixels[0] * layer.pixels[1];
  const auto taps = static_cast<std::size_t>(layer.taps);
  std::vector<float> patches(places.size() * taps);
  for (std::size_t row = 0; row < places.size(); ++row) {
    const std::int64_t pixel = places[row] % area;
    const auto image =
        values.subspan(static_cast<std::size_t>(places[row] / area * size), static_cast<std::size_t>(size));
    read_patch(layer, image, group, pixel / layer.pixels[1], pixel % layer.pixels[1],
               std::span(patches).subspan(row * taps, taps));
  }
  return patches;
}

/// By group of the layer: what its patches look like in both networks.
std::vector<Moments> measure(const Graph& folded, const Graph& annotated, const Node& node,
                             const LayerMatrix& layer, const Images& images) {
  std::vector<Moments> moments(static_cast<std::size_t>(layer.window.group), Moments(layer.taps));
  const auto total = std::ssize(images.indices);
  const std::int64_t batch = std::min(images.batch, total);
  Probe real(folded, node.inputs[0], batch);
  Probe integer(annotated, node.inputs[0], batch);
  const std::int64_t wanted = wanted_pixels(layer);
  const std::int64_t per_image =
      std::max<std::int64_t>(1, wanted / std::min<std::int64_t>(total, kSpreadOver));
  SplitMix64 random(0);
  std::int64_t seen = 0;
  for (std::int64_t done = 0; done < total && seen < wanted; done += batch) {
    const std::int64_t count = std::min(batch, total - done);
    const Tensor input = normalized_batch(
        images.data, images.indices.subspan(static_cast<std::size_t>(done), static_cast<std::size_t>(count)),
        images.normalization);
    const std::vector<float>& x = real.run(input, count);
    const std::vector<float>& q = integer.run(input, count);
    // Rows of a matrix product are images of one pixel.
    const std::int64_t parts = std::ssize(x) / element_count(layer.image);
    const std::int64_t take = std::max<std::int64_t>(1, per_image * count / parts);
    const std::vector<std::int64_t> places =
        choose_pixels(parts, layer.pixels[0] * layer.pixels[1], take, random);
    for (std::int64_t group = 0; group < layer.window.group; ++group) {
      moments[static_cast<std::size_t>(group)].add(patches_of(layer, x, places, group),
                                                   patches_of(layer, q, places, group), std::ssize(places));
    }
    seen += std::ssize(places);
  }
  return moments;
}

double dot(std::span<const float> a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

bool read_once(const Graph& graph, ValueId id) { return graph.consumers(id).size() == 1; }

void reconstruct(const Graph& folded, Graph& annotated, const Node& node, const Images& images,
                 const PtqMethods& methods) {
  Value& weight = annotated.value(node.inputs[1]);
  const LayerMatrix layer = layer_matrix(folded, node);
  const bool round = methods.second_order && is_narrow(weight.quant->qmax) && weight.quant->per_channel() &&
                     read_once(folded, node.inputs[1]);
  const bool shift = methods.correct_bias && node.inputs.size() > 2 && read_once(folded, node.inputs[2]);
  if (!round && !shift) return;
  const std::vector<Moments> moments = measure(folded, annotated, node, layer, images);
  const std::vector<float> rows = rows_of(layer, *folded.value(node.inputs[1]).constant);
  std::vector<float> rounded = rows_of(layer, fake_quantize(*weight.constant, *weight.quant));
  const auto of_group = [&](auto& all, std::int64_t group) {
    const std::int64_t size = std::ssize(all) / layer.window.group;
    return std::span(all).subspan(static_cast<std::size_t>(group * size), static_cast<std::size_t>(size));
  };
  if (round) {
    rounded = rows;
    for (std::int64_t group = 0; group < layer.window.group; ++group) {
      const Moments& m = moments[static_cast<std::size_t>(group)];
      const std::vector<float> qq = m.qq(shift);
      const std::vector<float> xq = m.xq(shift);
      round_second_order(of_group(rounded, group), layer.taps, {qq, xq}, weight.quant->qmax,
                         of_group(weight.quant->scales, group));
    }
    store_rows(layer, rounded, *weight.constant);
  }
  if (!shift) return;
  for (std::int64_t m = 0; m < layer.channels; ++m) {
    const Moments& seen = moments[static_cast<std::size_t>(m / layer.channels_of_group())];
    const auto row = [&](const std::vector<float>& all) {
      return std::span(all).subspan(static_cast<std::size_t>(m * layer.taps),
                                    static_cast<std::size_t>(layer.taps));
    };
    move_bias(annotated, node, m, dot(row(rows), seen.mean_x()) - dot(row(rounded), seen.mean_q()));
  }
}

}  // namespace

void reconstruct_layers(const Graph& folded, Graph& annotated, const Dataset& data,
                        const Normalization& normalization, std::span<const std::int64_t> indices,
                        std::int64_t batch, const PtqMethods& methods,
                        const std::function<void(std::int64_t done, std::int64_t total)>& on_progress) {
  std::vector<int> layers;
  for (const Placement& placement : placements(annotated)) {
    const int anchor = placement.nodes.front();
    if (placement.integer && has_weight(annotated.nodes[static_cast<std::size_t>(anchor)].op))
      layers.push_back(anchor);
  }
  const Images images{data, normalization, indices, batch};
  for (std::size_t done = 0; done < layers.size(); ++done) {
    if (on_progress) on_progress(static_cast<std::int64_t>(done), std::ssize(layers));
    reconstruct(folded, annotated, folded.nodes[static_cast<std::size_t>(layers[done])], images, methods);
  }
  if (on_progress) on_progress(std::ssize(layers), std::ssize(layers));
}

}  // namespace octavo
