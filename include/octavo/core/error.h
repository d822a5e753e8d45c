/// The one exception type Octavo throws, and the codes a program exits with.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace octavo {

/// What kind of failure an Error is. The value is the exit code of the `octavo` command.
enum class ErrorCode {
  kUsage = 2,        ///< The caller asked for something that makes no sense: a flag, a setting, an argument.
  kBadInput = 3,     ///< A file or its contents are wrong: truncated, corrupt, of another kind.
  kUnsupported = 4,  ///< Valid input that Octavo does not handle.
  kIo = 5,           ///< The operating system or the network refused: no such file, no permission, disk full.
  kInternal = 70,    ///< A bug in Octavo.
  kInterrupted = 130  ///< The user pressed Ctrl-C; everything finished so far has been saved.
};

/// Every failure Octavo reports. The message reads `where: problem; expected X, got Y (hint)`.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}

  /// "where: problem" with the conventional separator.
  Error(ErrorCode code, std::string_view where, std::string_view problem)
      : Error(code, std::string(where) + ": " + std::string(problem)) {}

  ErrorCode code() const noexcept { return code_; }
  int exit_code() const noexcept { return static_cast<int>(code_); }

 private:
  ErrorCode code_;
};

/// Throws kInternal with `what` unless `condition` holds. For invariants of our own code, never for user
/// input.
inline void check_internal(bool condition, std::string_view what) {
  if (!condition) throw Error(ErrorCode::kInternal, "internal", what);
}

}  // namespace octavo
