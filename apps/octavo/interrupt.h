/// Ctrl-C as a stop request: the first asks the work to save and end, the second ends the program at once.
#pragma once

#include <stop_token>
#include <thread>

namespace octavo::app {

/// Listens to SIGINT and SIGTERM while it lives. One at a time.
class InterruptListener {
 public:
  InterruptListener();
  ~InterruptListener();
  InterruptListener(const InterruptListener&) = delete;
  InterruptListener& operator=(const InterruptListener&) = delete;

  std::stop_token token() const { return source_.get_token(); }

 private:
  std::stop_source source_;
  std::jthread thread_;
};

/// Throws kInterrupted if a stop was requested.
void throw_if_stopped(const std::stop_token& stop);

}  // namespace octavo::app
