#include "octavo/report/text.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace octavo::report {
namespace {

struct Range {
  std::uint32_t first, last;
};

/// The blocks that Unicode's EastAsianWidth.txt calls wide or full-width, whole blocks where nearly all of
/// one is.
constexpr std::array kWide{Range{0x1100, 0x115F},   Range{0x2E80, 0x303E},   Range{0x3041, 0x4DBF},
                           Range{0x4E00, 0xA4CF},   Range{0xA960, 0xA97F},   Range{0xAC00, 0xD7A3},
                           Range{0xF900, 0xFAFF},   Range{0xFE30, 0xFE6F},   Range{0xFF00, 0xFF60},
                           Range{0xFFE0, 0xFFE6},   Range{0x1F300, 0x1F64F}, Range{0x1F680, 0x1F6FF},
                           Range{0x1F900, 0x1F9FF}, Range{0x20000, 0x3FFFD}};
/// Marks on the letter before, joiners and variation selectors.
constexpr std::array kNone{Range{0x0300, 0x036F}, Range{0x200B, 0x200F}, Range{0x20D0, 0x20FF},
                           Range{0xFE00, 0xFE0F}};

template <std::size_t N>
bool within(std::uint32_t point, const std::array<Range, N>& ranges) {
  return std::ranges::any_of(ranges, [point](Range r) { return point >= r.first && point <= r.last; });
}

/// The character that begins at `at`, which is moved behind it. A byte that begins none counts as one.
std::uint32_t next_point(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i]));
  };
  const std::uint32_t lead = byte(at++);
  const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
  std::uint32_t point = more == 0 ? lead : lead & (0x3FU >> more);
  for (int i = 0; i < more && at < text.size() && (byte(at) & 0xC0) == 0x80; ++i)
    point = point << 6 | (byte(at++) & 0x3F);
  return point;
}

std::size_t width_of(std::uint32_t point) { return within(point, kNone) ? 0 : within(point, kWide) ? 2 : 1; }

}  // namespace

std::size_t text_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t at = 0; at < text.size();) width += width_of(next_point(text, at));
  return width;
}

std::string shorten(const std::string& text, std::size_t width) {
  if (text_width(text) <= width) return text;
  if (width == 0) return "";
  std::size_t end = 0;
  for (std::size_t at = 0, used = 1; at < text.size(); end = at) {
    used += width_of(next_point(text, at));
    if (used > width) break;
  }
  return text.substr(0, end) + "…";
}

std::string shorten_front(const std::string& text, std::size_t width) {
  std::size_t left = text_width(text);
  if (left <= width) return text;
  if (width == 0) return "";
  std::size_t begin = 0;
  while (left + 1 > width) left -= width_of(next_point(text, begin));
  return "…" + text.substr(begin);
}

std::string padded_left(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, text_width(text)), ' ') + text;
}
std::string padded_right(const std::string& text, std::size_t width) {
  return text + std::string(width - std::min(width, text_width(text)), ' ');
}

std::vector<std::string> wrapped(const std::string& text, std::size_t width) {
  std::vector<std::string> lines;
  std::string line;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    if (!line.empty() && text_width(line) + 1 + text_width(word) > width) {
      lines.push_back(std::move(line));
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
    begin = end + 1;
  }
  if (!line.empty()) lines.push_back(std::move(line));
  return lines;
}

}  // namespace octavo::report
