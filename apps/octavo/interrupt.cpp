#include "interrupt.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "octavo/core/error.h"

namespace octavo::app {
namespace {

constexpr char kSignalled = 's';
constexpr char kQuit = 'q';

// Written by the signal handler, read by the listener's thread: write() is all that a handler may safely do.
std::array<int, 2> pipe_ends{-1, -1};

void handle_signal(int) {
  const int saved = errno;
  [[maybe_unused]] const ssize_t written = write(pipe_ends[1], &kSignalled, 1);
  errno = saved;
}

void set_handler(void (*handler)(int), int flags) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

InterruptListener::InterruptListener() {
  if (pipe2(pipe_ends.data(), O_CLOEXEC) != 0) {
    throw Error(ErrorCode::kIo, "signal pipe",
                "cannot be made; expected two free file descriptors, got none");
  }
  thread_ = std::jthread([this] {
    char message = 0;
    while (read(pipe_ends[0], &message, 1) == 1 && message != kQuit) {
      source_.request_stop();
    }
  });
  // SA_RESETHAND: a second Ctrl-C meets the default action and kills.
  set_handler(handle_signal, SA_RESTART | static_cast<int>(SA_RESETHAND));
}

InterruptListener::~InterruptListener() {
  set_handler(SIG_DFL, 0);
  [[maybe_unused]] const ssize_t written = write(pipe_ends[1], &kQuit, 1);
  thread_.join();
  for (int& end : pipe_ends) {
    close(end);
    end = -1;
  }
}

void throw_if_stopped(const std::stop_token& stop) {
  if (stop.stop_requested()) throw Error(ErrorCode::kInterrupted, "octavo", "interrupted");
}

}  // namespace octavo::app
