/// Training inside a run folder, as `octavo train` and `octavo run` share it.
#pragma once

#include "run_folder.h"
#include "workflow.h"

namespace octavo::app {

/// What is asked for of a run, as far as settings tell.
RunIdentity asked_identity(const Session& session, Command command);

/// Loads the data for the run in `folder` and checks that they are the run's own.
LoadedData open_data(Session& session, RunFolder& folder, Command command);

/// Makes the folder this run's: removes what --no-resume gives up, and writes config.toml.
void start_run(Session& session, RunFolder& folder, const LoadedData& data, Command command);

/// base.onnx, unless it is there.
void phase_train(Session& session, RunFolder& folder, const LoadedData& data);

/// Runs `work`; an interruption is told as one, with how to go on.
void resumable(const RunFolder& folder, const std::string& command, const std::function<void()>& work);

/// Sinks that write the folder's log.
TrainSinks log_sinks(RunFolder& folder);

}  // namespace octavo::app
