// octavo ptq BASE.onnx: post-training quantization of a float model.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "interrupt.h"
#include "model_files.h"
#include "octavo/core/file.h"
#include "octavo/onnx/onnx.h"
#include "octavo/quantize/latency_guard.h"
#include "octavo/report/report.h"
#include "workflow.h"

namespace octavo::app {

namespace {

/// Leaves in float32 what int8 does not make faster here, and says so.
Graph guarded(const Session& session, const Graph& quantized) {
  GuardedModel model =
      guard_latency(quantized, {.batch = session.guard_batch,
                                .threads = session.settings.threads,
                                .on_progress = [&session](std::int64_t done, std::int64_t total) {
                                  throw_if_stopped(session.stop);
                                  session.console.bar("latency guard",
                                                      static_cast<double>(done) / static_cast<double>(total),
                                                      fmt::format("batch {}", session.guard_batch));
                                }});
  const auto in_int8 = std::ranges::count(model.layers, true, &GuardedLayer::integer);
  for (const GuardedLayer& layer : model.layers) {
    if (!layer.integer)
      session.console.line(fmt::format("  {} stays in float32: {}", layer.name, layer.reason));
  }
  session.console.line(fmt::format(
      "latency guard: {} of {} layers in int8; batch {}: float32 {:.3f} ms, int8 wherever it goes {:.3f} ms, "
      "{}",
      in_int8, model.layers.size(), session.guard_batch, model.float_ms, model.int8_ms,
      in_int8 > 0
          ? fmt::format("as written {:.3f} ms", model.guarded_ms)
          : std::string("neither that nor a mixture is faster than float32, so the file is float32")));
  return std::move(model.graph);
}

}  // namespace

void cmd_ptq(Session& session) {
  const auto output = output_file(session, "ptq.onnx");
  const Graph base = load_onnx(session.files.front());
  const LoadedData data = load_data_for(session, base, WantedSplits::kTrain);
  QuantizedPtq ptq;
  const double seconds = timed([&] {
    ptq = make_ptq(session, data, base);
    if (session.guard_batch > 0) ptq.graph = guarded(session, ptq.graph);
    save_onnx(ptq.graph, output);
  });
  if (const std::string note = leakage_note(ptq); !note.empty()) session.console.line(note);
  session.console.line(
      fmt::format("ptq: calibrated on {} images and written in {:.1f} s", ptq.calibration_images, seconds));
  if (!session.report.empty() && ptq.graph.quantized()) {
    const std::vector<LayerQuality> layers = layer_quality(session, data, base, load_onnx(output));
    write_file(session.report, layers_to_html(output.filename().string(), layers));
    session.console.line(fmt::format("report: {}", session.report.string()));
  } else if (!session.report.empty()) {
    session.console.line("report: none; the model stayed in float32, so there is no layer to compare");
  }
  std::printf("%s\n", output.c_str());
}

}  // namespace octavo::app
