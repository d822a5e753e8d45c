#include "octavo/serve/server.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "api.h"
#include "batcher.h"
#include "http_server.h"
#include "octavo/core/error.h"
#include "octavo/core/parallel.h"
#include "octavo/onnx/onnx.h"
#include "registry.h"

namespace octavo {
namespace {

int threads_of(const ServeConfig& config) { return config.threads == 0 ? num_threads() : config.threads; }

serve::LoadConfig load_config(const ServeConfig& config) {
  const auto read = [](const std::filesystem::path& file) { return load_onnx(file); };
  return {
      .max_batch = config.max_batch, .threads = threads_of(config), .read = config.read ? config.read : read};
}

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(seconds * 1000)));
}

serve::HttpConfig http_config(const ServeConfig& config) {
  return {.host = config.host,
          .port = config.port,
          .max_connections = config.max_connections,
          .max_body_bytes = static_cast<std::uint64_t>(config.max_body_mb * 1e6),
          .timeout = milliseconds(config.timeout_s)};
}

const std::vector<std::filesystem::path>& not_empty(const std::vector<std::filesystem::path>& files) {
  if (files.empty()) throw Error(ErrorCode::kUsage, "server", "expected a model to serve, got none");
  return files;
}

}  // namespace

struct Server::State {
  State(const std::vector<std::filesystem::path>& files, const ServeConfig& given)
      : config(given),
        registry(not_empty(files), load_config(given), metrics, given.log),
        batcher({.max_wait = std::chrono::duration<double, std::milli>(given.max_wait_ms),
                 .max_queue = given.max_queue},
                metrics),
        api({.max_pixels = static_cast<std::uint64_t>(given.max_pixels),
             .resize = given.resize,
             .decoders = threads_of(given)},
            registry, batcher, metrics),
        http(http_config(given), api, batcher, metrics) {}

  const ServeConfig config;
  serve::Metrics metrics;
  serve::Registry registry;
  serve::Batcher batcher;
  serve::Api api;
  serve::HttpServer http;
};

Server::Server(const std::vector<std::filesystem::path>& files, const ServeConfig& config)
    : state_(std::make_unique<State>(files, config)) {}

Server::~Server() = default;

int Server::port() const { return state_->http.port(); }

std::string Server::url() const {
  const std::string& host = state_->config.host;
  const bool numeric_v6 = host.find(':') != std::string::npos;
  return fmt::format("http://{}:{}", numeric_v6 ? "[" + host + "]" : host, port());
}

std::vector<std::string> Server::summary() const {
  std::vector<std::string> lines;
  for (const auto& model : state_->registry.models()) {
    lines.push_back(fmt::format("{}: {}, batches of {}", model->name, model->model.precision(),
                                fmt::join(model->batches, ", ")));
  }
  return lines;
}

void Server::start() {
  state_->http.start();
  constexpr auto kLookEvery = std::chrono::milliseconds(500);
  if (state_->config.reload) state_->registry.watch(kLookEvery);
}

void Server::stop(std::chrono::milliseconds grace) { state_->http.stop(grace); }

}  // namespace octavo
