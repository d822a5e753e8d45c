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

RunIdentity asked_identity(const Session& session, Command command) {
  return asked_identity(session.settings, requested_dataset(session), command);
}

namespace {

std::string interrupted_text(const RunFolder& folder, const std::string& command) {
  const std::string config = folder.has("config.toml") ? fmt::format("octavo {} --config {}", command,
                                                                     folder.file("config.toml").string())
                                                       : std::string("the same command again");
  return fmt::format("interrupted; what was finished is saved in {} (to go on: {})", folder.path().string(),
                     config);
}

}  // namespace

LoadedData open_data(Session& session, RunFolder& folder, Command command) {
  LoadedData data = load_data(session);
  RunIdentity identity = asked_identity(session, command);
  add_images(identity, data.pair);
  folder.require_same(identity);
  return data;
}

void start_run(Session& session, RunFolder& folder, const LoadedData& data, Command command) {
  RunIdentity identity = asked_identity(session, command);
  add_images(identity, data.pair);
  folder.start(identity);
  const Dataset& train = data.pair.train;
  Settings resolved = session.settings;
  resolved.data.dataset = train.name;
  // So that the file means the same from another working directory.
  if (!resolved.data.path.empty()) resolved.data.path = std::filesystem::absolute(resolved.data.path);
  resolved.out = folder.path();
  write_file(folder.file("config.toml"), to_toml(resolved));
  const std::string name = command == kTrain ? "train" : "run";
  set_interrupted_message(fmt::format("octavo {}: {}", name, interrupted_text(folder, name)));

  Results& state = folder.state();
  state.dataset = train.name;
  state.dataset_note = origin_note(data.pair);
  state.train_images = train.size();
  state.test_images = data.pair.test.size();
  state.class_names = train.class_names;
  state.model = resolved.model;
  state.settings["data.hash"] = train.hash;
  state.settings["data.test_hash"] = data.pair.test.hash;
  for (const std::string& note : data.notes) add_note(state, note);
  if (!folder.has("results.json")) folder.save_state();
  session.console.line(fmt::format("data: {}, {} training and {} test images, from {}", train.name,
                                   train.size(), data.pair.test.size(), train.source));
}

void phase_train(Session& session, RunFolder& folder, const LoadedData& data) {
  if (folder.done("train")) {
    session.console.line(fmt::format("train: done before ({})", folder.model("train").string()));
    return;
  }
  folder.begin("train");
  TrainResult result = train_base(session, data, folder.file("checkpoint.pt"), log_sinks(folder));
  Results& state = folder.state();
  state.parameters = parameter_count(result.graph);
  state.macs = mac_count(result.graph);
  state.history = result.history;
  double seconds = 0;
  for (const EpochRecord& record : result.history) seconds += record.seconds;
  state.timing["train_s"] = seconds;
  folder.save_model(result.graph, "train");
}

void resumable(const RunFolder& folder, const std::string& command, const std::function<void()>& work) {
  set_interrupted_message(fmt::format("octavo {}: {}", command, interrupted_text(folder, command)));
  try {
    work();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInterrupted) throw;
    throw Error(ErrorCode::kInterrupted, "octavo " + command, interrupted_text(folder, command));
  }
}

}  // namespace octavo::app
