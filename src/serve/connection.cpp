#include "connection.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

namespace octavo::serve {
namespace {

constexpr std::size_t kFlushAt = 65536;

/// poll() without its interruptions. Milliseconds are rounded up: else the last one would be spent spinning.
bool poll_until(std::span<pollfd> events, Clock::time_point deadline) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    const int ready = ::poll(events.data(), events.size(),
                             static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1'000'000)));
    if (ready > 0) return true;
    if (ready == 0 && Clock::now() >= deadline) return false;
    if (ready < 0 && errno != EINTR) return false;
  }
}

}  // namespace

Connection::Connection(Descriptor socket, const EndSignal& end) : socket_(std::move(socket)), end_(end) {
  const int on = 1;
  // Answers are sent whole: nothing is gained by holding their ends back.
  ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

bool Connection::wait_for_request(std::chrono::milliseconds time) {
  if (input_begin_ < input_end_) return true;
  std::array<pollfd, 2> events{pollfd{socket_.get(), POLLIN, 0}, pollfd{end_.get(), POLLIN, 0}};
  return poll_until(events, Clock::now() + time) && events[0].revents != 0;
}

void Connection::limit(Clock::time_point deadline, std::uint64_t bytes) {
  deadline_ = deadline;
  bytes_left_ = bytes;
  timed_out_ = false;
}

bool Connection::wait(short events) {
  pollfd event{socket_.get(), events, 0};
  if (poll_until(std::span(&event, 1), deadline_)) return true;
  timed_out_ = true;
  return false;
}

ssize_t Connection::read(char* target, std::size_t size) {
  if (bytes_left_ == 0) return -1;
  if (input_begin_ == input_end_) {
    if (!flush() || !wait(POLLIN)) return -1;
    const ssize_t got = ::recv(socket_.get(), input_.data(), input_.size(), 0);
    if (got <= 0) return got;
    input_begin_ = 0;
    input_end_ = static_cast<std::size_t>(got);
  }
  const std::size_t count =
      std::min({size, input_end_ - input_begin_,
                static_cast<std::size_t>(std::min<std::uint64_t>(bytes_left_, SIZE_MAX))});
  std::memcpy(target, input_.data() + input_begin_, count);
  input_begin_ += count;
  bytes_left_ -= count;
  return static_cast<ssize_t>(count);
}

ssize_t Connection::write(const char* bytes, std::size_t size) {
  output_.append(bytes, size);
  if (output_.size() >= kFlushAt && !flush()) return -1;
  return static_cast<ssize_t>(size);
}

bool Connection::flush() {
  for (std::size_t sent = 0; sent < output_.size();) {
    if (!wait(POLLOUT)) return false;
    const ssize_t count =
        ::send(socket_.get(), output_.data() + sent, output_.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (count > 0) sent += static_cast<std::size_t>(count);
  }
  output_.clear();
  return true;
}

void Connection::finish() {
  constexpr auto kTime = std::chrono::milliseconds(500);
  constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 26;
  ::shutdown(socket_.get(), SHUT_WR);
  output_.clear();
  input_begin_ = input_end_;
  limit(Clock::now() + kTime, kMostBytes);
  std::array<char, 4096> unread{};
  while (read(unread.data(), unread.size()) > 0) {
  }
}

void Connection::cut() const { ::shutdown(socket_.get(), SHUT_RDWR); }
void Connection::close() { socket_ = Descriptor(); }

}  // namespace octavo::serve
