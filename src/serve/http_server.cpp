#include "http_server.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <thread>

#include "http.h"

namespace octavo::serve {

struct HttpServer::Client {
  Connection connection;
  std::atomic<bool> ended{false};
  std::jthread thread = {};

  Client(Descriptor socket, const EndSignal& end) : connection(std::move(socket), end) {}
};

HttpServer::HttpServer(const HttpConfig& config, Api& api, Batcher& batcher, Metrics& metrics)
    : config_(config),
      metrics_(metrics),
      batcher_(batcher),
      listener_(listen_on(config.host, config.port)),
      port_(port_of(listener_)),
      http_(std::make_unique<Http>(config_, api, batcher, metrics)) {}

HttpServer::~HttpServer() { stop(std::chrono::milliseconds(0)); }

void HttpServer::start() {
  accepting_ = std::jthread([this] { accept_clients(); });
}

void HttpServer::accept_clients() {
  while (!stopping_) {
    pollfd events[] = {{listener_.get(), POLLIN, 0}, {end_.get(), POLLIN, 0}};
    if (::poll(events, 2, -1) < 0 || events[1].revents != 0) continue;
    Descriptor socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (socket.get() >= 0) {
      greet(std::move(socket));
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      // Until a connection ends there is nothing to be had, and the one that waits would be offered at once.
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    remove_ended();
  }
}

void HttpServer::greet(Descriptor socket) {
  const auto refuse = [&] {
    constexpr std::string_view kBusy =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: "
        "75\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
        R"json({"error":"too many connections; expected fewer at a time (try again soon)"})json";
    static_assert(kBusy.size() - kBusy.find("\r\n\r\n") - 4 == 75);
    metrics_.refused_connection();
    [[maybe_unused]] const ssize_t sent =
        ::send(socket.get(), kBusy.data(), kBusy.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    ::shutdown(socket.get(), SHUT_WR);
    // To close with unread input would take the answer back.
    std::array<char, 4096> unread{};
    while (::recv(socket.get(), unread.data(), unread.size(), MSG_DONTWAIT) == std::ssize(unread)) {
    }
  };
  {
    const std::lock_guard lock(mutex_);
    if (open_ >= config_.max_connections) return refuse();
    metrics_.connections(++open_);
  }
  Client& client = clients_.emplace_back(std::move(socket), end_);
  const auto serve = [this, &client] {
    http_->serve(client.connection, stopping_);
    const std::lock_guard lock(mutex_);
    client.connection.close();
    metrics_.connections(--open_);
    client.ended = true;
    client_ended_.notify_all();
  };
  try {
    client.thread = std::jthread(serve);
  } catch (const std::system_error&) {  // The system starts no more threads.
    clients_.pop_back();
    const std::lock_guard lock(mutex_);
    metrics_.connections(--open_);
  }
}

void HttpServer::remove_ended() {
  clients_.remove_if([](const Client& client) { return client.ended.load(); });
}

void HttpServer::stop(std::chrono::milliseconds grace) {
  if (stopping_.exchange(true)) return;
  end_.give();
  if (accepting_.joinable()) accepting_.join();
  listener_ = Descriptor();
  {
    std::unique_lock lock(mutex_);
    client_ended_.wait_for(lock, grace, [this] { return open_ == 0; });
    batcher_.stop();
    for (const Client& client : clients_) client.connection.cut();
  }
  clients_.clear();
}

}  // namespace octavo::serve
