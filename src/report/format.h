/// Numbers and text as people read them. Whatever is not finite becomes a dash, so that no report shows NaN.
#pragma once

#include <cstdint>
#include <string>

#include "octavo/report/text.h"

namespace octavo::report {

inline constexpr const char* kMissing = "–";

/// 0.8725 -> "87.25 %"
std::string percent(double fraction);
/// Difference of two fractions in percentage points: -0.0002 -> "−0.02 points"
std::string points(double difference);
/// Relative change: 0.255 of the base -> "−74.5 %"
std::string change(double value, double base);
/// Decimal units: 6240000 -> "6.24 MB"
std::string bytes(std::int64_t count);
/// Three or four significant digits: "0.184 ms", "6.34 ms", "105.9 ms"
std::string milliseconds(double ms);
/// "0.184 ± 0.012 ms": both with the digits of the mean.
std::string mean_and_std(double mean_ms, double std_ms);
/// base / value: "12.4×"
std::string speed_up(double base, double value);
/// 1558026 -> "1,558,026"
std::string grouped(std::int64_t count);
/// Images per second and the like: "20,189", "5.43"
std::string rate(double per_second);
/// 754 s -> "12 min 34 s"
std::string duration(double seconds);
/// Up to four significant digits, no trailing zeros: 0.15, 1e-05
std::string plain(double value);

/// "base" -> "Base", "ptq" -> "PTQ", "qat" -> "QAT"; other names as they are.
std::string display_name(const std::string& variant);

}  // namespace octavo::report
