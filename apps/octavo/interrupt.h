/// Ctrl-C and SIGTERM. Either asks for a stop; work that saves its state ends at its next step, all else
/// within a second.
#pragma once

#include <stop_token>
#include <string>
#include <thread>

namespace octavo::app {

/// Listens to SIGINT and SIGTERM while it lives. One at a time.
///
/// The first signal requests a stop. What looks at the token ends by itself, with its own message. After half
/// a second the listener ends the process: it removes unfinished files, says on standard error that the
/// command was interrupted, and exits with 130, whatever library call is under way. It waits as long as a
/// SavingScope lives, unless a second signal comes.
class InterruptListener {
 public:
  /// Throws kIo if the system has no file descriptors left.
  InterruptListener();
  ~InterruptListener();
  InterruptListener(const InterruptListener&) = delete;
  InterruptListener& operator=(const InterruptListener&) = delete;

  std::stop_token token() const { return source_.get_token(); }

 private:
  void listen();

  std::stop_source source_;
  std::jthread thread_;
};

/// While one lives, the first signal does not end the process: training looks at the token at each step and
/// saves before it ends. A step takes what it takes.
class SavingScope {
 public:
  SavingScope();
  ~SavingScope();
  SavingScope(const SavingScope&) = delete;
  SavingScope& operator=(const SavingScope&) = delete;
};

/// What an ended process says, "where: problem" as an Error does, until another call; at first "octavo:
/// interrupted".
void set_interrupted_message(const std::string& message);

/// Throws kInterrupted if a stop was requested.
void throw_if_stopped(const std::stop_token& stop);

}  // namespace octavo::app
