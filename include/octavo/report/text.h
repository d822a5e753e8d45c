/// UTF-8 text in the columns of a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace octavo::report {

/// Columns of a terminal that UTF-8 text takes: two for East Asian wide letters and pictures, none for
/// combining marks, one for everything else. Control characters are not expected.
std::size_t text_width(std::string_view text);
/// At most `width` columns, with "…" at the end where something was cut.
std::string shorten(const std::string& text, std::size_t width);
/// Likewise with the beginning cut off: of a path, its end says more.
std::string shorten_front(const std::string& text, std::size_t width);

/// Blanks before or behind the text, to `width` columns.
std::string padded_left(const std::string& text, std::size_t width);
std::string padded_right(const std::string& text, std::size_t width);

/// Text broken at spaces into lines of at most `width` columns; a longer word stands alone.
std::vector<std::string> wrapped(const std::string& text, std::size_t width);

}  // namespace octavo::report
