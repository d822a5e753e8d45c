/// What a test needs to read a page: its elements, cells and plain text.
#pragma once

#include <string>
#include <vector>

namespace octavo::testing {

/// Empty if every element is closed in the right order, every attribute quoted and every & part of a known
/// entity; else what is wrong and where.
std::string markup_error(const std::string& html);

/// The cells of each row of the table with class `name`, as plain text.
std::vector<std::vector<std::string>> table_rows(const std::string& html, const std::string& name);

/// Markup dropped, entities resolved, no-break spaces as spaces.
std::string plain_text(const std::string& html);

}  // namespace octavo::testing
