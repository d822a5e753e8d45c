#include "format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace octavo::report {
namespace {

/// A true minus sign, a plus sign, and ± before what rounds to zero.
std::string with_sign(double value, int digits) {
  const std::string magnitude = fmt::format("{:.{}f}", std::abs(value), digits);
  if (magnitude.find_first_not_of("0.") == std::string::npos) return "±" + magnitude;
  return (value < 0 ? "−" : "+") + magnitude;
}

/// Decimals that leave at least three significant digits.
int decimals(double value) {
  const double magnitude = std::abs(value);
  if (magnitude >= 999.95) return 0;
  if (magnitude >= 9.995) return 1;
  return magnitude >= 0.9995 ? 2 : 3;
}

}  // namespace

std::string percent(double fraction) {
  if (!std::isfinite(fraction)) return kMissing;
  return fmt::format("{:.2f} %", fraction * 100);
}

std::string points(double difference) {
  if (!std::isfinite(difference)) return kMissing;
  return with_sign(difference * 100, 2) + " points";
}

std::string change(double value, double base) {
  const double relative = (value / base - 1) * 100;
  if (!std::isfinite(relative)) return kMissing;
  return with_sign(relative, 1) + " %";
}

std::string bytes(std::int64_t count) {
  const auto value = static_cast<double>(count);
  if (value >= 999.5e6) return fmt::format("{:.2f} GB", value / 1e9);
  if (value >= 999.5e3) return fmt::format("{:.2f} MB", value / 1e6);
  if (value >= 1000) return fmt::format("{:.1f} kB", value / 1e3);
  return fmt::format("{} B", count);
}

std::string milliseconds(double ms) {
  if (!std::isfinite(ms)) return kMissing;
  return fmt::format("{:.{}f} ms", ms, decimals(ms));
}

std::string mean_and_std(double mean_ms, double std_ms) {
  if (!std::isfinite(mean_ms) || !std::isfinite(std_ms)) return milliseconds(mean_ms);
  const int digits = decimals(mean_ms);
  return fmt::format("{:.{}f} ± {:.{}f} ms", mean_ms, digits, std_ms, digits);
}

std::string speed_up(double base, double value) {
  const double ratio = base / value;
  if (!std::isfinite(ratio)) return kMissing;
  return fmt::format("{:.{}f}×", ratio, std::min(2, decimals(ratio)));
}

std::string grouped(std::int64_t count) {
  const std::string digits = fmt::format(
      "{}", count < 0 ? 0 - static_cast<std::uint64_t>(count) : static_cast<std::uint64_t>(count));
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return count < 0 ? "−" + text : text;
}

std::string rate(double per_second) {
  if (!std::isfinite(per_second) || per_second < 0 || per_second > 1e15) return kMissing;
  if (per_second >= 99.95) return grouped(std::llround(per_second));
  return fmt::format("{:.{}f}", per_second, decimals(per_second));
}

std::string duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e12) return kMissing;
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const std::int64_t whole = std::llround(seconds);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

std::string plain(double value) {
  if (!std::isfinite(value)) return kMissing;
  std::string text = fmt::format("{:.4g}", value == 0 ? 0.0 : value);
  if (text[0] == '-') text = "−" + text.substr(1);
  return text;
}

std::string display_name(const std::string& variant) {
  constexpr std::array<std::array<const char*, 2>, 3> known{
      {{"base", "Base"}, {"ptq", "PTQ"}, {"qat", "QAT"}}};
  for (const auto& [name, shown] : known) {
    if (variant == name) return shown;
  }
  return variant.empty() ? "unnamed" : variant;
}

}  // namespace octavo::report
