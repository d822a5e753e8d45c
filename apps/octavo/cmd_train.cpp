// octavo train: the first phase of a run. `octavo run` with the same --out goes on from it.
#include <cstdio>

#include "phases.h"

namespace octavo::app {

void cmd_train(Session& session) {
  RunFolder folder(run_folder_path(session.settings), session.resume);
  folder.require_same(asked_identity(session, kTrain));
  resumable(folder, "train", [&] {
    const LoadedData data = open_data(session, folder, kTrain);
    start_run(session, folder, data, kTrain);
    phase_train(session, folder, data);
  });
  session.console.clear();
  std::printf("%s\n", folder.file("base.onnx").c_str());
}

}  // namespace octavo::app
