// octavo qat BASE.onnx: quantization-aware fine-tuning of a trained float model, from PTQ's ranges.
#include <fmt/format.h>

#include <cstdio>
#include <system_error>

#include "adapt.h"
#include "model_files.h"
#include "octavo/core/error.h"
#include "octavo/core/file_lock.h"
#include "octavo/onnx/onnx.h"
#include "workflow.h"

namespace octavo::app {

void cmd_qat(Session& session) {
  const auto output = output_file(session, "qat.onnx");
  auto checkpoint = output;
  checkpoint.replace_extension(".checkpoint.pt");
  // Two of them would go on from each other's checkpoint.
  const FileLock lock(checkpoint.string() + ".lock", output);
  const Graph base = load_model(session, session.files.front());
  const LoadedData data = load_data_for(session, base);
  const QuantizedPtq ptq = make_ptq(session, data, base);
  if (const std::string note = leakage_note(ptq); !note.empty()) session.console.line(note);
  try {
    QatResult result = make_qat(session, data, base, ptq.graph, checkpoint, {});
    adapt(session, data, result.graph);
    save_onnx(result.graph, output, export_options(session.settings));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInterrupted) throw;
    throw Error(
        ErrorCode::kInterrupted, "octavo qat",
        fmt::format("interrupted; saved in {} (to go on: the same command again)", checkpoint.string()));
  }
  std::error_code ignored;  // The model is there: a checkpoint too many does no harm.
  std::filesystem::remove(checkpoint, ignored);
  session.console.clear();
  std::printf("%s\n", output.c_str());
}

}  // namespace octavo::app
