/// One client's connection, as cpp-httplib reads and writes it, with bounds on time and size.
#pragma once

#include <httplib.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

#include "batcher.h"
#include "socket.h"

namespace octavo::serve {

class Connection final : public httplib::Stream {
 public:
  /// `end` is waited for beside the client where no request is under way.
  Connection(Descriptor socket, const EndSignal& end);

  /// True if a request begins to come within that time.
  bool wait_for_request(std::chrono::milliseconds time);
  /// What comes from now on may take until `deadline` and have so many bytes in all.
  void limit(Clock::time_point deadline, std::uint64_t bytes);
  bool timed_out() const { return timed_out_; }
  /// Sends what was written. False if the client does not take it.
  bool flush();
  /// Says that nothing more will come, and waits a little for the client to have read what did: a socket that
  /// is closed with unread input takes the answer back.
  void finish();
  /// Ends all waiting for the client, from another thread. Not at the time of close().
  void cut() const;
  void close();

  bool is_readable() const override { return true; }
  bool is_writable() const override { return true; }
  /// -1 at a limit, 0 at the end of what the client sends.
  ssize_t read(char* target, std::size_t size) override;
  ssize_t write(const char* bytes, std::size_t size) override;
  using httplib::Stream::write;
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return socket_.get(); }

 private:
  /// Waits for `events` until the deadline.
  bool wait(short events);

  Descriptor socket_;
  const EndSignal& end_;
  Clock::time_point deadline_;
  std::uint64_t bytes_left_ = 0;
  bool timed_out_ = false;
  std::array<char, 16384> input_;
  std::size_t input_begin_ = 0;
  std::size_t input_end_ = 0;
  std::string output_;
};

}  // namespace octavo::serve
