/// A real server on loopback in the test's process, and its client.
#pragma once

#include <httplib.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "octavo/serve/server.h"

namespace octavo::testing {

/// `config` for tests: any free port, two threads.
inline ServeConfig on_any_port(ServeConfig config = {}) {
  config.port = 0;
  config.threads = 2;
  return config;
}

struct TestServer {
  explicit TestServer(const std::vector<std::filesystem::path>& files, const ServeConfig& config = {})
      : server(files, on_any_port(config)) {
    server.start();
  }

  httplib::Client client() const {
    httplib::Client client("127.0.0.1", server.port());
    client.set_read_timeout(30);
    return client;
  }
  httplib::Result get(const std::string& path) const { return client().Get(path); }
  httplib::Result post(const std::string& path, const std::string& body,
                       const httplib::Headers& headers = {}) const {
    return client().Post(path, headers, body, "application/octet-stream");
  }

  Server server;
};

/// The sentence of an error's body; its status is expected to be `status`.
inline std::string error_of(const httplib::Result& result, int status) {
  if (!result) return "no answer: " + httplib::to_string(result.error());
  if (result->status != status) return "status " + std::to_string(result->status) + ": " + result->body;
  const auto json = nlohmann::json::parse(result->body, nullptr, false);
  if (!json.is_object() || json.size() != 1 || !json.contains("error")) return "no error in " + result->body;
  return json["error"];
}

/// The head of an infer request of one binary tensor, without the bytes.
inline std::string infer_head(const std::string& shape, const std::string& datatype, std::size_t bytes,
                              bool binary_output) {
  return R"({"inputs": [{"name": "input", "shape": )" + shape + R"(, "datatype": ")" + datatype +
         R"(", "parameters": {"binary_data_size": )" + std::to_string(bytes) +
         R"(}}], "parameters": {"binary_data_output": )" + (binary_output ? "true" : "false") + "}}";
}

}  // namespace octavo::testing
