/// What people see while the program works: progress bars on a terminal, plain lines anywhere else. All of it
/// goes to standard error; standard output is for results.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "octavo/train/trainer.h"

namespace octavo::app {

class Console {
 public:
  /// `color` is what the user allows; a bar also needs a terminal, and no CI or NO_COLOR in the environment.
  /// `quiet` leaves out bars and lines: results and errors are not this class's.
  explicit Console(bool color, bool quiet = false);
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  /// A lasting line; on a terminal several where it is too long, broken between words.
  void line(const std::string& text);
  /// Replaces the current bar, at most ten times a second. Nothing where there are no bars.
  void bar(const std::string& title, double fraction, const std::string& details);
  /// The bar of a phase of training.
  void bar(const TrainProgress& progress);

  /// Removes the bar, before something is printed to standard output.
  void clear();

  /// True if tables on standard output may use colours.
  bool color() const { return color_; }
  /// Columns of the terminal; 100 where there is none.
  int width() const;

 private:
  bool color_ = false;
  bool quiet_ = false;
  bool bars_ = false;
  bool bar_shown_ = false;
  std::chrono::steady_clock::time_point last_bar_;
};

/// A progress bar of at most `columns` columns: "train epoch 3/24 [###.....]  38 %  loss 0.512". Where there
/// is little room the bar shrinks first, then it goes, then the title and the end of the details are cut.
std::string bar_line(const std::string& title, double fraction, const std::string& details, int columns);

/// "1 thread", "2 threads"
std::string counted(std::int64_t count, const std::string& thing);

/// "1:02:03", "4:05", "0:07"
std::string clock_text(double seconds);

/// "162.6 MiB", "5.94 MiB", "812 B"
std::string bytes_text(std::uint64_t bytes);

}  // namespace octavo::app
