// octavo ptq BASE.onnx: post-training quantization of a float model.
#include <fmt/format.h>

#include <cstdio>

#include "adapt.h"
#include "model_files.h"
#include "octavo/core/file.h"
#include "octavo/onnx/onnx.h"
#include "octavo/quantize/layer_choices.h"
#include "octavo/report/report.h"
#include "workflow.h"

namespace octavo::app {

void cmd_ptq(Session& session) {
  const auto output = output_file(session, "ptq.onnx");
  const Graph base = load_model(session, session.files.front());
  const LoadedData data = load_data_for(session, base, WantedSplits::kTrain);
  QuantizedPtq ptq;
  const double seconds = timed([&] {
    ptq = make_ptq(session, data, base);
    adapt(session, data, ptq.graph);
    save_onnx(ptq.graph, output, export_options(session.settings));
  });
  if (const std::string note = leakage_note(ptq); !note.empty()) session.console.line(note);
  session.console.line(
      fmt::format("ptq: calibrated on {} images and written in {:.1f} s", ptq.calibration_images, seconds));
  if (!session.report.empty()) {
    const Graph written = load_onnx(output);
    // Where the latency guard left all in float32, its reasons are the report.
    const std::vector<LayerQuality> layers =
        written.quantized() ? layer_quality(session, data, base, written) : std::vector<LayerQuality>();
    write_file(session.report, layers_to_html(output.filename().string(), layers, layer_choices(written)));
    session.console.line(fmt::format("report: {}", session.report.string()));
  }
  session.console.clear();
  std::printf("%s\n", output.c_str());
}

}  // namespace octavo::app
