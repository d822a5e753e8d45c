#include "interrupt.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <mutex>

#include "octavo/core/error.h"
#include "octavo/core/file.h"

namespace octavo::app {
namespace {

constexpr char kSignalled = 's';
constexpr char kQuit = 'q';
constexpr int kGraceMs = 500;
constexpr int kLookAgainMs = 50;

// Written by the signal handler, read by the listener's thread: write() is all that a handler may safely do.
std::array<int, 2> pipe_ends{-1, -1};

std::atomic<int> saving{0};
std::mutex message_mutex;
std::string message = "octavo: interrupted";

void handle_signal(int) {
  const int saved = errno;
  [[maybe_unused]] const ssize_t written = write(pipe_ends[1], &kSignalled, 1);
  errno = saved;
}

void set_handler(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

/// The next byte of the pipe, or 0 if none comes within so many milliseconds (-1: waits for it).
char next_event(int timeout_ms) {
  pollfd end{pipe_ends[0], POLLIN, 0};
  while (poll(&end, 1, timeout_ms) < 0 && errno == EINTR) {
  }
  char event = 0;
  if ((end.revents & POLLIN) == 0 || read(pipe_ends[0], &event, 1) != 1) return 0;
  return event;
}

/// Other threads may be anywhere, so nothing of theirs is destroyed: no exit handlers run.
[[noreturn]] void end_now() {
  remove_unfinished_files();
  std::string text = "octavo: interrupted";
  if (const std::unique_lock lock(message_mutex, std::try_to_lock); lock.owns_lock()) text = message;
  text = (isatty(STDERR_FILENO) == 1 ? "\r\033[Kerror: " : "error: ") + text + "\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
  _exit(static_cast<int>(ErrorCode::kInterrupted));
}

}  // namespace

InterruptListener::InterruptListener() {
  if (pipe2(pipe_ends.data(), O_CLOEXEC) != 0) {
    throw Error(ErrorCode::kIo, "signal pipe",
                "cannot be made; expected two free file descriptors, got none");
  }
  thread_ = std::jthread([this] { listen(); });
  set_handler(handle_signal);
}

void InterruptListener::listen() {
  char event = next_event(-1);
  if (event != kSignalled) return;
  source_.request_stop();
  event = next_event(kGraceMs);
  while (event == 0 && saving > 0) event = next_event(kLookAgainMs);
  if (event != kQuit) end_now();
}

InterruptListener::~InterruptListener() {
  set_handler(SIG_DFL);
  [[maybe_unused]] const ssize_t written = write(pipe_ends[1], &kQuit, 1);
  thread_.join();
  for (int& end : pipe_ends) {
    close(end);
    end = -1;
  }
}

SavingScope::SavingScope() { ++saving; }
SavingScope::~SavingScope() { --saving; }

void set_interrupted_message(const std::string& text) {
  const std::lock_guard lock(message_mutex);
  message = text;
}

void throw_if_stopped(const std::stop_token& stop) {
  if (stop.stop_requested()) throw Error(ErrorCode::kInterrupted, "octavo", "interrupted");
}

}  // namespace octavo::app
