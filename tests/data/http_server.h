/// A small real HTTP/1.1 server on the loopback interface that can misbehave in the ways servers do.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace octavo::testing {

struct Resource {
  std::string body;
  int status = 200;
  bool ranges = true;                       ///< Whether a Range header is honoured.
  bool announce_length = true;              ///< Whether Content-Length is sent.
  std::optional<std::size_t> stop_after{};  ///< Closes the connection after that many bytes of a body.
  bool stall = false;                       ///< After stop_after: says nothing more until the client leaves.
  std::size_t range_error = 0;              ///< Added to where an answered range begins.
  std::string location{};                   ///< For a redirect.
};

class HttpServer {
 public:
  HttpServer() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    if (listener_ < 0 || ::bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
        ::listen(listener_, 8) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
      throw std::runtime_error("cannot listen on loopback");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this](const std::stop_token& token) { serve(token); });
  }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer() {
    thread_.request_stop();
    thread_.join();
    ::close(listener_);
  }

  std::string url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  void set(const std::string& path, Resource resource) {
    const std::lock_guard lock(mutex_);
    resources_[path] = std::move(resource);
  }
  /// The Range header of every request so far, "" where there was none.
  std::vector<std::string> ranges() const {
    const std::lock_guard lock(mutex_);
    return ranges_;
  }

 private:
  void serve(const std::stop_token& token) {
    while (!token.stop_requested()) {
      pollfd event{.fd = listener_, .events = POLLIN, .revents = 0};
      if (::poll(&event, 1, 20) <= 0) continue;
      const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) continue;
      answer(client, token);
      ::close(client);
    }
  }

  static std::string read_request(int client) {
    std::string request;
    char buffer[4096];
    while (request.find("\r\n\r\n") == std::string::npos) {
      const ssize_t count = ::recv(client, buffer, sizeof(buffer), 0);
      if (count <= 0) break;
      request.append(buffer, static_cast<std::size_t>(count));
    }
    return request;
  }

  static bool send_all(int client, const char* data, std::size_t count) {
    while (count > 0) {
      const ssize_t sent = ::send(client, data, count, MSG_NOSIGNAL);
      if (sent <= 0) return false;
      data += sent;
      count -= static_cast<std::size_t>(sent);
    }
    return true;
  }

  void answer(int client, const std::stop_token& token) {
    const std::string request = read_request(client);
    const std::size_t begin = request.find(' ') + 1;
    const std::string path = request.substr(begin, request.find(' ', begin) - begin);
    std::string range;
    if (const std::size_t at = request.find("\r\nRange: "); at != std::string::npos) {
      range = request.substr(at + 9, request.find("\r\n", at + 9) - at - 9);
    }
    Resource resource{.body = "no such page", .status = 404};
    {
      const std::lock_guard lock(mutex_);
      ranges_.push_back(range);
      if (const auto found = resources_.find(path); found != resources_.end()) resource = found->second;
    }

    int status = resource.status;
    std::size_t first = 0;
    std::string headers;
    if (!range.empty() && resource.ranges && status == 200) {
      const std::size_t total = resource.body.size();
      first = std::strtoull(range.c_str() + sizeof("bytes=") - 1, nullptr, 10);
      if (first >= total) {
        status = 416;
        headers += "Content-Range: bytes */" + std::to_string(total) + "\r\n";
        resource.body.clear();
        first = 0;
      } else {
        status = 206;
        first += resource.range_error;
        headers += "Content-Range: bytes " + std::to_string(first) + "-" + std::to_string(total - 1) + "/" +
                   std::to_string(total) + "\r\n";
      }
    }
    const std::string body = resource.body.substr(first);
    if (resource.announce_length) headers += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    if (!resource.location.empty()) headers += "Location: " + resource.location + "\r\n";
    const std::string head =
        "HTTP/1.1 " + std::to_string(status) + " Status\r\n" + headers + "Connection: close\r\n\r\n";
    if (!send_all(client, head.data(), head.size())) return;
    const std::size_t count = std::min(body.size(), resource.stop_after.value_or(body.size()));
    if (!send_all(client, body.data(), count)) return;
    while (resource.stall && !token.stop_requested()) {
      pollfd event{.fd = client, .events = POLLIN, .revents = 0};
      if (::poll(&event, 1, 20) > 0) break;  // The client hung up.
    }
  }

  int listener_ = -1;
  int port_ = 0;
  mutable std::mutex mutex_;
  std::map<std::string, Resource> resources_;
  std::vector<std::string> ranges_;
  std::jthread thread_;
};

}  // namespace octavo::testing
