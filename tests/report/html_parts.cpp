#include "report/html_parts.h"

#include <array>
#include <regex>
#include <set>
#include <string_view>

namespace octavo::testing {
namespace {

struct Entity {
  std::string_view name;
  std::string_view text;
};
constexpr std::array<Entity, 6> kEntities{
    {{"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&nbsp;", " "}}};

const Entity* entity_at(const std::string& text, std::size_t at) {
  for (const Entity& entity : kEntities) {
    if (text.compare(at, entity.name.size(), entity.name) == 0) return &entity;
  }
  return nullptr;
}

std::string excerpt(const std::string& html, std::size_t at) { return html.substr(at, 60); }

/// End of the tag that opens at `at`, past quoted attributes; npos if it never ends.
std::size_t tag_end(const std::string& html, std::size_t at) {
  bool quoted = false;
  for (std::size_t i = at; i < html.size(); ++i) {
    if (html[i] == '"') quoted = !quoted;
    if (!quoted && html[i] == '>') return i;
    if (!quoted && html[i] == '<' && i > at) return std::string::npos;
  }
  return std::string::npos;
}

}  // namespace

std::string markup_error(const std::string& html) {
  static const std::set<std::string> kVoid{"meta", "img", "br", "hr", "link", "input"};
  std::vector<std::string> open;
  std::size_t i = 0;
  while (i < html.size()) {
    if (html[i] == '&' && entity_at(html, i) == nullptr) return "bare & at: " + excerpt(html, i);
    if (html[i] == '>') return "bare > at: " + excerpt(html, i);
    if (html[i] != '<') {
      ++i;
      continue;
    }
    const std::size_t end = tag_end(html, i);
    if (end == std::string::npos) return "tag does not end: " + excerpt(html, i);
    std::string tag = html.substr(i + 1, end - i - 1);
    i = end + 1;
    if (tag.starts_with("!DOCTYPE")) continue;
    const bool closing = tag.starts_with("/");
    const bool self_closed = tag.ends_with("/");
    const std::string name =
        tag.substr(closing ? 1 : 0, tag.find_first_of(" /", closing ? 1 : 0) - (closing ? 1 : 0));
    if (closing) {
      if (open.empty() || open.back() != name)
        return "</" + name + "> closes " + (open.empty() ? "nothing" : open.back());
      open.pop_back();
      continue;
    }
    static const std::regex kAttributes(R"re([a-z]+[a-zA-Z0-9]*( [a-zA-Z][-a-zA-Z0-9]*="[^"<]*")*/?)re");
    const std::string shape =
        tag.size() > 2000 ? std::regex_replace(tag, std::regex("base64,[^\"]*"), "") : tag;
    if (!std::regex_match(shape, kAttributes)) return "malformed tag: <" + tag.substr(0, 120);
    if (name == "style") {
      // Raw text: nothing in it is markup.
      i = html.find("</style>", i);
      if (i == std::string::npos) return "style does not end";
    }
    if (!self_closed && !kVoid.contains(name)) open.push_back(name);
  }
  return open.empty() ? "" : "<" + open.back() + "> is never closed";
}

std::string plain_text(const std::string& html) {
  std::string text;
  for (std::size_t i = 0; i < html.size();) {
    if (html[i] == '<') {
      const std::size_t end = tag_end(html, i);
      if (end == std::string::npos) break;
      i = end + 1;
    } else if (const Entity* entity = html[i] == '&' ? entity_at(html, i) : nullptr) {
      text += entity->text;
      i += entity->name.size();
    } else {
      text += html[i++];
    }
  }
  return text;
}

std::vector<std::vector<std::string>> table_rows(const std::string& html, const std::string& name) {
  std::vector<std::vector<std::string>> rows;
  const std::size_t begin = html.find("<table class=\"" + name + "\">");
  if (begin == std::string::npos) return rows;
  const std::size_t end = html.find("</table>", begin);
  for (std::size_t row = html.find("<tr", begin); row < end; row = html.find("<tr", row + 1)) {
    const std::size_t row_end = html.find("</tr>", row);
    std::vector<std::string> cells;
    for (std::size_t at = row + 3; at < row_end;) {
      const std::size_t cell = std::min(html.find("<td", at), html.find("<th", at));
      if (cell >= row_end) break;
      const std::size_t cell_end = std::min(html.find("</td>", cell), html.find("</th>", cell));
      cells.push_back(plain_text(html.substr(cell, cell_end - cell)));
      at = cell_end;
    }
    rows.push_back(std::move(cells));
  }
  return rows;
}

}  // namespace octavo::testing
