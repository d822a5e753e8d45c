/// Training inside a run folder, as `octavo train` and `octavo run` share it.
#pragma once

#include "run_folder.h"
#include "workflow.h"

namespace octavo::app {

/// Loads the data for the run in `folder`, checks that they are the run's own, and writes config.toml.
LoadedData open_data(Session& session, RunFolder& folder);

/// base.onnx, unless it is there.
void phase_train(Session& session, RunFolder& folder, const LoadedData& data);

/// Runs `work`; an interruption is told as one, with how to go on.
void resumable(const RunFolder& folder, const std::string& command, const std::function<void()>& work);

/// Sinks that write the folder's log.
TrainSinks log_sinks(RunFolder& folder);

}  // namespace octavo::app
