#include "adapt.h"

#include <fmt/format.h>

#include <algorithm>

#include "interrupt.h"
#include "octavo/quantize/latency_guard.h"
#include "octavo/quantize/saturation.h"

namespace octavo::app {
namespace {

void guard(const Session& session, Graph& quantized) {
  const std::int64_t batch = session.settings.guard_batch;
  GuardedModel model =
      guard_latency(quantized, {.batch = batch,
                                .threads = session.settings.threads,
                                .on_progress = [&session, batch](std::int64_t done, std::int64_t total) {
                                  throw_if_stopped(session.stop);
                                  session.console.bar("latency guard",
                                                      static_cast<double>(done) / static_cast<double>(total),
                                                      fmt::format("batch {}", batch));
                                }});
  for (const GuardedLayer& layer : model.layers) {
    if (!layer.integer)
      session.console.line(fmt::format("  {} stays in float32: {}", layer.name, layer.reason));
  }
  const auto in_int8 = std::ranges::count(model.layers, true, &GuardedLayer::integer);
  session.console.line(fmt::format(
      "latency guard: {} of {} layers in int8; batch {}: float32 {:.3f} ms, int8 wherever it goes {:.3f} ms, "
      "{}",
      in_int8, model.layers.size(), batch, model.float_ms, model.int8_ms,
      in_int8 > 0
          ? fmt::format("as written {:.3f} ms", model.guarded_ms)
          : std::string("neither that nor a mixture is faster than float32, so the file is float32")));
  quantized = std::move(model.graph);
}

/// Octavo's own kernels need none of this; other engines on CPUs without VNNI do.
void keep_from_saturating(const Session& session, const LoadedData& data, Graph& quantized) {
  // Each image has thousands of pixels that each pair of weights meets.
  constexpr std::size_t kImages = 64;
  std::vector<std::int64_t> images = calibration_images(session, data);
  images.resize(std::min(images.size(), kImages));
  const std::vector<LayerSaturation> layers = narrow_saturating_layers(
      quantized, data.pair.train, normalization_of(quantized, data), images, 16,
      [&session](std::int64_t done, std::int64_t total) {
        throw_if_stopped(session.stop);
        session.console.bar("saturation", static_cast<double>(done) / static_cast<double>(total),
                            fmt::format("{} of {} images", done, total));
      });
  for (const LayerSaturation& layer : layers) {
    if (layer.narrowed)
      session.console.line(
          fmt::format("  {} saturated int16 {} times: seven-bit weights", layer.layer, layer.events));
  }
  const auto narrowed = std::ranges::count(layers, true, &LayerSaturation::narrowed);
  const auto proven = std::ranges::count_if(layers, &LayerSaturation::proven);
  session.console.line(fmt::format(
      "for AVX2 without VNNI, on {} images: {} layers cannot saturate int16, {} could but did not, {} did "
      "and were narrowed",
      images.size(), proven, std::ssize(layers) - proven - narrowed, narrowed));
  quantized.metadata["octavo.target_isa"] = session.settings.target_isa;
}

}  // namespace

void adapt(const Session& session, const LoadedData& data, Graph& quantized) {
  if (session.settings.latency_guard) guard(session, quantized);
  // What stayed in float32 does not saturate.
  if (session.settings.target_isa == "avx2" && quantized.quantized())
    keep_from_saturating(session, data, quantized);
}

}  // namespace octavo::app
