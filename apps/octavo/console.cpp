#include "console.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "octavo/report/text.h"

namespace octavo::app {
namespace {

constexpr auto kBarInterval = std::chrono::milliseconds(100);
constexpr std::size_t kMostBarCells = 24;
constexpr std::size_t kLeastBarCells = 4;
constexpr std::size_t kLeastTitle = 12;

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

}  // namespace

Console::Console(bool color, bool quiet)
    : color_(color && !is_set("NO_COLOR") && isatty(STDOUT_FILENO) == 1),
      quiet_(quiet),
      bars_(!quiet && color && !is_set("NO_COLOR") && !is_set("CI") && isatty(STDERR_FILENO) == 1) {}

Console::~Console() { clear(); }

void Console::clear() {
  if (!bar_shown_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  bar_shown_ = false;
}

void Console::line(const std::string& text) {
  clear();
  if (quiet_) return;
  if (isatty(STDERR_FILENO) == 1) {
    std::string indent;
    for (const std::string& part :
         report::wrapped(text, static_cast<std::size_t>(std::max(width() - 2, 20)))) {
      std::fprintf(stderr, "%s%s\n", indent.c_str(), part.c_str());
      indent = "  ";
    }
  } else {
    std::fprintf(stderr, "%s\n", text.c_str());
  }
  std::fflush(stderr);
}

void Console::bar(const std::string& title, double fraction, const std::string& details) {
  if (!bars_) return;
  const auto now = std::chrono::steady_clock::now();
  if (bar_shown_ && now - last_bar_ < kBarInterval) return;
  last_bar_ = now;
  bar_shown_ = true;
  std::fprintf(stderr, "\r%s\033[K", bar_line(title, fraction, details, width() - 1).c_str());
  std::fflush(stderr);
}

void Console::bar(const TrainProgress& p) {
  const double fraction = p.steps == 0 ? 0 : static_cast<double>(p.step) / static_cast<double>(p.steps);
  bar(fmt::format("{} epoch {}/{}", p.phase, p.epoch, p.epochs), fraction,
      fmt::format("loss {:.3f}  accuracy {:.1f} %  {:.0f} images/s  ETA {}", p.loss, 100 * p.accuracy,
                  p.images_per_second, clock_text(p.eta_s)));
}

int Console::width() const {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 100;
}

std::string bar_line(const std::string& title, double fraction, const std::string& details, int columns) {
  using report::text_width;
  const double part = std::clamp(fraction, 0.0, 1.0);
  const auto room = static_cast<std::size_t>(std::max(columns, 20));
  const std::string percent = fmt::format(" {:3.0f} %", 100 * part) + (details.empty() ? "" : "  " + details);
  const std::size_t used = text_width(title) + text_width(percent);
  constexpr std::size_t kBrackets = 3;  // With the blank before them.
  if (used + kBrackets + kLeastBarCells <= room) {
    const std::size_t cells = std::min(kMostBarCells, room - used - kBrackets);
    const auto filled = static_cast<std::size_t>(std::lround(part * static_cast<double>(cells)));
    return fmt::format("{} [{}{}]{}", title, std::string(filled, '#'), std::string(cells - filled, '.'),
                       percent);
  }
  const std::size_t rest = room > text_width(percent) ? room - text_width(percent) : 0;
  return report::shorten(report::shorten(title, std::max(rest, kLeastTitle)) + percent, room);
}

std::string counted(std::int64_t count, const std::string& thing) {
  return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::max(0.0, seconds) + 0.5);
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string bytes_text(std::uint64_t bytes) {
  const auto count = static_cast<double>(bytes);
  if (bytes < 1024) return fmt::format("{} B", bytes);
  if (bytes < 1024 * 1024) return fmt::format("{:.1f} KiB", count / 1024);
  if (bytes < 1024ULL * 1024 * 1024) return fmt::format("{:.2f} MiB", count / (1024 * 1024));
  return fmt::format("{:.1f} GiB", count / (1024 * 1024 * 1024));
}

}  // namespace octavo::app
