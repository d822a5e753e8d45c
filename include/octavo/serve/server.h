/// Serves models over HTTP: the Open Inference Protocol (KServe, version 2), pictures, a page to try them on.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "octavo/graph/graph.h"

namespace octavo {

/// Limits are there to be met: what goes beyond one is answered with an error of HTTP, and the server goes
/// on.
struct ServeConfig {
  std::string host = "127.0.0.1";        ///< Address to listen on; this one is not seen from other machines.
  int port = 8000;                       ///< 0: any that is free.
  int threads = 0;                       ///< Of a run of a model; 0: num_threads().
  std::int64_t max_batch = 8;            ///< Images in one run.
  double max_wait_ms = 2;                ///< That a batch with room waits for requests that are on their way.
  std::int64_t max_queue = 1024;         ///< Images that wait for a model; more get 503.
  double max_body_mb = 16;               ///< Of a request, 10^6 bytes; more get 413.
  std::int64_t max_pixels = 50'000'000;  ///< Of a picture.
  int max_connections = 256;             ///< At a time; more get 503.
  double timeout_s = 30;    ///< For a request to come and be answered, and for its answer to be taken.
  std::int64_t resize = 0;  ///< Pixels of a picture's shorter side before the middle is cut out; 0: as small
                            ///< as covers the model's input.
  bool reload = false;      ///< A changed file takes its model's place; one that cannot be served does not.
  /// Reads a model file. Pictures need its normalization (octavo/graph/preprocessing.h). Empty: load_onnx().
  std::function<Graph(const std::filesystem::path&)> read = {};
  /// Told in a sentence what became of a changed file. From a thread of the server's.
  std::function<void(const std::string&)> log = {};
};

/// Listens once it is made; answers from start() to stop(). docs/serving.md has its paths.
///
/// All models are run by one thread and the threads that their runs use, so they never compete. Images of
/// requests that wait at the same time ride in one batch; each gets the bits that it gets alone.
class Server {
 public:
  /// Loads all files and tries every size of batch; a model's name is its file's stem. Throws what
  /// load_onnx() and CompiledModel throw, kUsage for two files of one stem or none, and kIo if it cannot
  /// listen.
  Server(const std::vector<std::filesystem::path>& files, const ServeConfig& config = {});
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  /// stop(), at once.
  ~Server();

  int port() const;
  /// "http://127.0.0.1:8000"
  std::string url() const;
  /// A line a model: "ptq: int8, batches of 1, 2, 4, 8".
  std::vector<std::string> summary() const;

  void start();
  /// Takes no more connections and answers what is under way, for `grace` at most. Once.
  void stop(std::chrono::milliseconds grace = std::chrono::seconds(10));

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace octavo
