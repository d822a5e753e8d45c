/// Requests of one connection, by cpp-httplib: it reads heads and bodies and writes answers; what is answered
/// is Api's.
#pragma once

#include <httplib.h>

#include <atomic>

#include "http_server.h"

namespace octavo::serve {

/// Thread-safe. Of cpp-httplib's server only what lies between a stream and a handler is used: its listening
/// has no bound on connections or on the time of a request.
class HttpServer::Http final : public httplib::Server {
 public:
  Http(const HttpConfig& config, Api& api, Batcher& batcher, Metrics& metrics);
  /// Answers requests until the client leaves, is too slow, or `stopping`.
  void serve(Connection& connection, const std::atomic<bool>& stopping);

 private:
  struct Exchange;

  /// What can be said of a request when its head has been read.
  void begin(Exchange& exchange, httplib::Request& request) const;
  std::optional<Reply> head_problem(const httplib::Request& request) const;
  bool answer_without_body(const httplib::Request& request, httplib::Response& response);
  void answer_body(const httplib::Request& request, httplib::Response& response,
                   const httplib::ContentReader& reader);
  void complete_error(httplib::Response& response);

  const HttpConfig& config_;
  Api& api_;
  Batcher& batcher_;
  Metrics& metrics_;
  /// Of this thread: cpp-httplib does not tell its handlers on which connection they answer.
  static thread_local Exchange* current_;
};

}  // namespace octavo::serve
