#include "phases.h"

#include <fmt/format.h>

#include "interrupt.h"
#include "octavo/core/error.h"
#include "octavo/core/file.h"
#include "octavo/graph/graph.h"
#include "octavo/onnx/onnx.h"

namespace octavo::app {

TrainSinks log_sinks(RunFolder& folder) {
  return {.on_step = [&folder](const TrainProgress& progress) { folder.log_step(progress); },
          .on_epoch = [&folder](const EpochRecord& record) { folder.log_epoch(record); }};
}

LoadedData open_data(Session& session, RunFolder& folder) {
  LoadedData data = load_data(session);
  const Dataset& train = data.pair.train;
  folder.require_data(train.hash, train.source);
  Settings resolved = session.settings;
  resolved.data.dataset = train.name;
  resolved.out = folder.path();
  write_file(folder.file("config.toml"), to_toml(resolved));

  Results& state = folder.state();
  state.dataset = train.name;
  state.dataset_note = origin_note(data.pair);
  state.train_images = train.size();
  state.test_images = data.pair.test.size();
  state.class_names = train.class_names;
  state.model = resolved.model;
  if (!folder.has("results.json")) {
    state.notes = data.notes;
    folder.save_state();
  }
  session.console.line(fmt::format("data: {}, {} training and {} test images, from {}", train.name,
                                   train.size(), data.pair.test.size(), train.source));
  return data;
}

void phase_train(Session& session, RunFolder& folder, const LoadedData& data) {
  if (folder.has("base.onnx")) {
    session.console.line(fmt::format("train: done before ({})", folder.file("base.onnx").string()));
    return;
  }
  folder.log_phase("train", "start");
  TrainResult result = train_base(session, data, folder.file("checkpoint.pt"), log_sinks(folder));
  Results& state = folder.state();
  state.parameters = parameter_count(result.graph);
  state.macs = mac_count(result.graph);
  state.history = result.history;
  double seconds = 0;
  for (const EpochRecord& record : result.history) seconds += record.seconds;
  state.timing["train_s"] = seconds;
  folder.save_state();
  // Last: where base.onnx is, what the state says of training is complete.
  save_onnx(result.graph, folder.file("base.onnx"));
  folder.log_phase("train", "end");
}

void resumable(const RunFolder& folder, const std::string& command, const std::function<void()>& work) {
  const std::string where = "octavo " + command;
  const auto problem = [&] {
    const std::string config = folder.has("config.toml")
                                   ? fmt::format("{} --config {}", where, folder.file("config.toml").string())
                                   : std::string("the same command again");
    return fmt::format("interrupted; what was finished is saved in {} (to go on: {})", folder.path().string(),
                       config);
  };
  set_interrupted_message(where + ": " + problem());
  try {
    work();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInterrupted) throw;
    throw Error(ErrorCode::kInterrupted, where, problem());
  }
}

}  // namespace octavo::app
