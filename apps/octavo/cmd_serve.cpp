// octavo serve FILE.onnx...: model files over HTTP, until a signal comes.
#include <fmt/format.h>

#include <condition_variable>
#include <cstdio>
#include <mutex>

#include "interrupt.h"
#include "model_files.h"
#include "octavo/core/error.h"
#include "octavo/serve/server.h"

namespace octavo::app {
namespace {

/// What settings ask for in place of what the file says, or where it says nothing.
Graph load_for_serving(const Session& session, const std::filesystem::path& file) {
  Graph graph = load_model(session, file);
  const Settings& settings = session.settings;
  if (settings.mean.empty() && settings.std.empty()) return graph;
  const auto channels = static_cast<std::size_t>(graph.value(graph.input).shape.at(1));
  if (settings.mean.size() != channels || settings.std.size() != channels) {
    throw Error(ErrorCode::kUsage, "--mean, --std",
                fmt::format("expected {} numbers in both, one per channel of {}, got {} and {}", channels,
                            file.string(), settings.mean.size(), settings.std.size()));
  }
  set_normalization(graph, {.mean = {settings.mean.begin(), settings.mean.end()},
                            .std = {settings.std.begin(), settings.std.end()}});
  return graph;
}

void wait_for(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait(lock, stop, [] { return false; });
}

}  // namespace

void cmd_serve(Session& session) {
  ServeConfig config = session.settings.serve;
  config.threads = session.settings.threads;
  config.resize = session.settings.data.images.resize;
  config.read = [&session](const std::filesystem::path& file) { return load_for_serving(session, file); };
  config.log = [&session](const std::string& sentence) { session.console.line(sentence); };
  Server server(session.files, config);
  for (const std::string& line : server.summary()) session.console.line(line);
  // A signal is an orderly end here: the server stops by itself, in its own time. For good: the process ends
  // when this command does.
  static const SavingScope orderly_end;
  server.start();
  std::printf("%s\n", server.url().c_str());
  std::fflush(stdout);
  wait_for(session.stop);
  server.stop();
}

}  // namespace octavo::app
