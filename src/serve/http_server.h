/// The HTTP around Api: connections, limits, errors.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "api.h"
#include "connection.h"
#include "socket.h"

namespace octavo::serve {

struct HttpConfig {
  std::string host = "127.0.0.1";
  int port = 8000;            ///< 0: any that is free.
  int max_connections = 256;  ///< At a time; each has a thread.
  std::uint64_t max_body_bytes = std::uint64_t{16} << 20;
  std::chrono::milliseconds timeout{30000};  ///< For a request to come, and for its answer to go.
  std::chrono::milliseconds idle{10000};     ///< That a connection may stay open without a request.
};

/// Listens from when it is made, answers from start() to stop().
class HttpServer {
 public:
  /// Throws what listen_on() throws.
  HttpServer(const HttpConfig& config, Api& api, Batcher& batcher, Metrics& metrics);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();

  int port() const { return port_; }
  void start();
  /// Takes no more connections, answers what is under way for so long at most, then ends what is left. Once.
  void stop(std::chrono::milliseconds grace);

 private:
  class Http;
  struct Client;

  void accept_clients();
  void greet(Descriptor socket);
  void remove_ended();

  const HttpConfig config_;
  Metrics& metrics_;
  Batcher& batcher_;
  EndSignal end_;
  std::atomic<bool> stopping_{false};
  Descriptor listener_;
  int port_ = 0;
  std::unique_ptr<Http> http_;
  std::mutex mutex_;
  std::condition_variable client_ended_;
  std::list<Client> clients_;  // Changed by the accepting thread alone, and by stop() after it.
  int open_ = 0;
  std::jthread accepting_;
};

}  // namespace octavo::serve
