#include "console.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace octavo::app {
namespace {

constexpr auto kBarInterval = std::chrono::milliseconds(100);
constexpr int kBarCells = 24;

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

}  // namespace

Console::Console(bool color)
    : color_(color && !is_set("NO_COLOR") && isatty(STDOUT_FILENO) == 1),
      bars_(color && !is_set("NO_COLOR") && !is_set("CI") && isatty(STDERR_FILENO) == 1) {}

Console::~Console() { clear(); }

void Console::clear() {
  if (!bar_shown_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  bar_shown_ = false;
}

void Console::line(const std::string& text) {
  clear();
  std::fprintf(stderr, "%s\n", text.c_str());
  std::fflush(stderr);
}

void Console::bar(const std::string& title, double fraction, const std::string& details) {
  if (!bars_) return;
  const auto now = std::chrono::steady_clock::now();
  if (bar_shown_ && now - last_bar_ < kBarInterval) return;
  last_bar_ = now;
  bar_shown_ = true;
  const double part = std::clamp(fraction, 0.0, 1.0);
  const auto filled = static_cast<std::size_t>(std::lround(part * kBarCells));
  std::string text = fmt::format("{} [{}{}] {:3.0f} %  {}", title, std::string(filled, '#'),
                                 std::string(kBarCells - filled, '.'), 100 * part, details);
  text.resize(std::min(text.size(), static_cast<std::size_t>(std::max(width() - 1, 20))));
  std::fprintf(stderr, "\r%s\033[K", text.c_str());
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

std::string clock_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::max(0.0, seconds) + 0.5);
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string bytes_text(std::uint64_t bytes) {
  const auto count = static_cast<double>(bytes);
  if (bytes < 1024) return fmt::format("{} B", bytes);
  if (bytes < 1024 * 1024) return fmt::format("{:.1f} KiB", count / 1024);
  return fmt::format("{:.2f} MiB", count / (1024 * 1024));
}

}  // namespace octavo::app
