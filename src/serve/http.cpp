#include "http.h"

#include <fmt/format.h>

#include <algorithm>

#include "octavo/core/error.h"

namespace octavo::serve {
namespace {

constexpr std::uint64_t kMostHeadBytes = 65536;

void fill(httplib::Response& response, const Reply& reply) {
  response.status = reply.status;
  response.set_content(reply.body, reply.content_type);
  for (const auto& [name, value] : reply.headers) response.set_header(name, value);
}

std::string sentence_of(int status) {
  switch (status) {
    case 400:
      return "the request is no HTTP; expected a method, a path and headers as RFC 9112 has them";
    case 408:
      return "the request did not come in time; expected it whole within --timeout";
    case 414:
      return "the address is too long; expected at most 8192 bytes";
    case 416:
      return "the header Range is not understood";
    default:
      return "the request could not be answered";
  }
}

}  // namespace

/// One request and what becomes of it.
struct HttpServer::Http::Exchange {
  Connection& connection;
  Clock::time_point begin;
  Clock::time_point deadline;
  httplib::Request* request = nullptr;  ///< Null until its head has been read.
  std::string path = {};
  Route route = {};
  bool close = false;  ///< What follows on the connection is not the next request.

  /// The connection ends after this answer, and the answer says so.
  void close_after() {
    close = true;
    if (request == nullptr) return;
    request->headers.erase("Connection");
    request->headers.emplace("Connection", "close");
  }
};

thread_local HttpServer::Http::Exchange* HttpServer::Http::current_ = nullptr;

HttpServer::Http::Http(const HttpConfig& config, Api& api, Batcher& batcher, Metrics& metrics)
    : config_(config), api_(api), batcher_(batcher), metrics_(metrics) {
  set_keep_alive_timeout(std::chrono::ceil<std::chrono::seconds>(config.idle).count());
  set_keep_alive_max_count(1'000'000);
  set_expect_100_continue_handler([](const httplib::Request&, httplib::Response& response) {
    const Exchange& exchange = *current_;
    if (!exchange.route.refusal) return 100;
    fill(response, *exchange.route.refusal);
    return response.status;
  });
  set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
    return answer_without_body(request, response) ? HandlerResponse::Handled : HandlerResponse::Unhandled;
  });
  // begin() has put every path aside.
  Post("/", [this](const httplib::Request& request, httplib::Response& response,
                   const httplib::ContentReader& reader) { answer_body(request, response, reader); });
  set_error_handler(HandlerWithResponse([this](const httplib::Request&, httplib::Response& response) {
    complete_error(response);
    return HandlerResponse::Handled;
  }));
  set_exception_handler([](const httplib::Request&, httplib::Response& response, const std::exception_ptr&) {
    current_->close_after();
    fill(response, error_reply(500, "a bug of the server"));
  });
  set_logger([this](const httplib::Request&, const httplib::Response& response) {
    const Exchange& exchange = *current_;
    const std::string model = exchange.route.model ? exchange.route.model->name : std::string();
    metrics_.request(model, response.status,
                     std::chrono::duration<double>(Clock::now() - exchange.begin).count());
  });
}

void HttpServer::Http::serve(Connection& connection, const std::atomic<bool>& stopping) {
  while (!stopping && connection.wait_for_request(config_.idle)) {
    const Clock::time_point now = Clock::now();
    Exchange exchange{.connection = connection, .begin = now, .deadline = now + config_.timeout};
    current_ = &exchange;
    connection.limit(exchange.deadline, kMostHeadBytes);
    bool last = false;
    bool answered = false;
    try {
      answered = process_request(connection, stopping, last,
                                 [&](httplib::Request& request) { begin(exchange, request); });
    } catch (const std::exception&) {
      answered = false;  // Of cpp-httplib's own code, for a head that it did not foresee.
    }
    current_ = nullptr;
    if (!answered || !connection.flush() || last || exchange.close) break;
  }
  connection.finish();
}

void HttpServer::Http::begin(Exchange& exchange, httplib::Request& request) const {
  exchange.request = &request;
  exchange.path = std::move(request.path);
  request.path = "/";
  request.ranges.clear();                    // Answers are sent whole,
  request.headers.erase("Accept-Encoding");  // and as they are.
  exchange.route = api_.route(request.method, exchange.path, request.get_param_value("model"));
  if (!exchange.route.refusal) exchange.route.refusal = head_problem(request);
  const bool body = request.has_header("Content-Length") || request.has_header("Transfer-Encoding");
  if (body && (exchange.route.refusal || request.method != "POST")) exchange.close_after();
  // Chunks have heads of their own.
  exchange.connection.limit(exchange.deadline, 2 * config_.max_body_bytes + kMostHeadBytes);
}

std::optional<Reply> HttpServer::Http::head_problem(const httplib::Request& request) const {
  if (request.method != "POST") return std::nullopt;
  if (request.is_multipart_form_data()) {
    return error_reply(415,
                       "a form is not understood; expected the picture or JSON itself as the body (curl "
                       "--data-binary @FILE)");
  }
  const std::string encoding = request.get_header_value("Content-Encoding");
  if (!encoding.empty() && encoding != "identity") {
    return error_reply(
        415, fmt::format("Content-Encoding '{}' is not understood; expected the body as it is", encoding));
  }
  const std::string transfer = request.get_header_value("Transfer-Encoding");
  const bool has_length = request.has_header("Content-Length");
  if (!transfer.empty()) {
    if (transfer == "chunked" && !has_length) return std::nullopt;
    return error_reply(400, "Transfer-Encoding is not understood; expected chunked, without Content-Length");
  }
  if (!has_length) return error_reply(411, "the body's length is not given; expected Content-Length");
  const std::string text = request.get_header_value("Content-Length");
  const auto length = number_of(text);
  if (!length || request.get_header_value_count("Content-Length") != 1) {
    return error_reply(400, fmt::format("Content-Length: expected one number of bytes, got '{}'", text));
  }
  if (*length > config_.max_body_bytes) {
    return error_reply(413, fmt::format("the body is too large; expected at most {} bytes, got {} (see "
                                        "--max-body)",
                                        config_.max_body_bytes, *length));
  }
  return std::nullopt;
}

bool HttpServer::Http::answer_without_body(const httplib::Request& request, httplib::Response& response) {
  const Exchange& exchange = *current_;
  if (exchange.route.refusal) {
    fill(response, *exchange.route.refusal);
    return true;
  }
  if (request.method == "POST") return false;
  fill(response, api_.answer(exchange.route, {}, nullptr));
  return true;
}

void HttpServer::Http::answer_body(const httplib::Request& request, httplib::Response& response,
                                   const httplib::ContentReader& reader) {
  Exchange& exchange = *current_;
  Batcher::Arrival arrival(batcher_, *exchange.route.model);
  std::string body;
  bool too_large = false;
  // What a client announces is not what it sends.
  constexpr std::uint64_t kReserveAtOnce = std::uint64_t{1} << 20;
  const std::uint64_t length = number_of(request.get_header_value("Content-Length")).value_or(0);
  body.reserve(static_cast<std::size_t>(std::min(length, kReserveAtOnce)));
  const bool whole = reader([&](const char* bytes, std::size_t count) {
    too_large = body.size() + count > config_.max_body_bytes;
    if (!too_large) body.append(bytes, count);
    return !too_large;
  });
  if (!whole) {
    exchange.close_after();
    if (too_large) {
      return fill(
          response,
          error_reply(413, fmt::format("the body is too large; expected at most {} bytes (see --max-body)",
                                       config_.max_body_bytes)));
    }
    if (exchange.connection.timed_out()) return fill(response, error_reply(408, sentence_of(408)));
    return fill(response, error_reply(400, fmt::format("the body ends after {} bytes; expected all of it, in "
                                                       "chunks as RFC 9112 has them or as long as announced",
                                                       body.size())));
  }
  const Request call{.body = body,
                     .inference_header_length = request.get_header_value("Inference-Header-Content-Length"),
                     .top = request.get_param_value("top"),
                     .deadline = exchange.deadline};
  fill(response, api_.answer(exchange.route, call, &arrival));
  // The client has as long to take the answer as it had to ask.
  exchange.connection.limit(Clock::now() + config_.timeout, 0);
}

void HttpServer::Http::complete_error(httplib::Response& response) {
  Exchange& exchange = *current_;
  if (exchange.request == nullptr) {
    // cpp-httplib did not understand the head, so where the next one begins is not known either.
    exchange.close = true;
    response.set_header("Connection", "close");
    if (exchange.connection.timed_out()) response.status = 408;
    exchange.connection.limit(Clock::now() + config_.timeout, 0);
  }
  if (response.body.empty()) fill(response, error_reply(response.status, sentence_of(response.status)));
}

}  // namespace octavo::serve
