/// JSON as text.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace octavo::app {

/// `answer`, indented. Bytes that are not UTF-8, as names of nodes and folders may hold, become U+FFFD.
inline std::string json_text(const nlohmann::json& answer, int indent = 2) {
  return answer.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace octavo::app
