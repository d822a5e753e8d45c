#include <fmt/format.h>
#include <fmt/ranges.h>

#include <toml++/toml.h>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>
#include <system_error>

#include "octavo/core/did_you_mean.h"
#include "octavo/core/error.h"
#include "octavo/core/file.h"
#include "settings.h"

namespace octavo::app {
namespace {

std::string type_name(const SettingValue& value) {
  static const char* const kNames[] = {"true or false", "an integer",         "a number",
                                       "text",          "a list of integers", "a list of numbers"};
  return kNames[value.index()];
}

template <typename T>
bool parse_number(const std::string& text, T& number) {
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && rest == end;
}

template <typename T>
bool parse_list(const std::string& text, std::vector<T>& numbers) {
  std::istringstream stream(text);
  for (std::string item; std::getline(stream, item, ',');) {
    item.erase(0, item.find_first_not_of(' '));
    if (!parse_number(item, numbers.emplace_back())) return false;
  }
  return !numbers.empty();
}

/// Text to a value of the alternative that `like` holds. False if it is not one.
bool parse_as(const SettingValue& like, const std::string& text, SettingValue& value) {
  value = like;
  if (bool* flag = std::get_if<bool>(&value)) {
    *flag = text == "true";
    return text == "true" || text == "false";
  }
  if (auto* integer = std::get_if<std::int64_t>(&value)) return parse_number(text, *integer);
  if (auto* number = std::get_if<double>(&value)) return parse_number(text, *number);
  if (auto* list = std::get_if<std::vector<std::int64_t>>(&value)) {
    list->clear();
    return parse_list(text, *list);
  }
  if (auto* list = std::get_if<std::vector<double>>(&value)) {
    list->clear();
    return text.empty() || parse_list(text, *list);
  }
  value = text;
  return true;
}

/// A TOML node to a value of the alternative that `like` holds. False if it is of another type.
bool convert(const SettingValue& like, const toml::node& node, SettingValue& value) {
  value = like;
  if (bool* flag = std::get_if<bool>(&value)) {
    const auto read = node.value_exact<bool>();
    if (read) *flag = *read;
    return read.has_value();
  }
  if (auto* integer = std::get_if<std::int64_t>(&value)) {
    const auto read = node.value_exact<std::int64_t>();
    if (read) *integer = *read;
    return read.has_value();
  }
  if (auto* number = std::get_if<double>(&value)) {
    if (!node.is_number()) return false;
    *number = *node.value<double>();
    return true;
  }
  if (auto* list = std::get_if<std::vector<std::int64_t>>(&value)) {
    const toml::array* array = node.as_array();
    if (array == nullptr || array->empty()) return false;
    list->clear();
    for (const toml::node& item : *array) {
      const auto read = item.value_exact<std::int64_t>();
      if (!read) return false;
      list->push_back(*read);
    }
    return true;
  }
  if (auto* list = std::get_if<std::vector<double>>(&value)) {
    const toml::array* array = node.as_array();
    if (array == nullptr) return false;
    list->clear();
    for (const toml::node& item : *array) {
      if (!item.is_number()) return false;
      list->push_back(*item.value<double>());
    }
    return true;
  }
  const auto read = node.value_exact<std::string>();
  if (read) value = *read;
  return read.has_value();
}

bool in_range(const Setting& setting, const SettingValue& value) {
  const auto fits = [&setting](double x) {
    const bool above = setting.above_min ? x > setting.min : x >= setting.min;
    const bool below = setting.below_max ? x < setting.max : x <= setting.max;
    return std::isfinite(x) && above && below;
  };
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return fits(static_cast<double>(*integer));
  if (const auto* number = std::get_if<double>(&value)) return fits(*number);
  if (const auto* list = std::get_if<std::vector<std::int64_t>>(&value)) {
    return std::all_of(list->begin(), list->end(),
                       [&fits](std::int64_t x) { return fits(static_cast<double>(x)); });
  }
  if (const auto* list = std::get_if<std::vector<double>>(&value))
    return std::all_of(list->begin(), list->end(), fits);
  if (const auto* text = std::get_if<std::string>(&value)) {
    return setting.choices.empty() ||
           std::find(setting.choices.begin(), setting.choices.end(), *text) != setting.choices.end();
  }
  return true;
}

std::string default_hint(const Setting& setting) {
  Settings defaults;
  for (const Setting& row : settings_table(defaults)) {
    if (row.path() == setting.path()) return fmt::format("the default is {}", to_text(row.get()));
  }
  return {};
}

void assign(const Setting& setting, const SettingValue& value, const std::string& where) {
  if (!in_range(setting, value)) {
    throw Error(ErrorCode::kUsage, where,
                fmt::format("{}; expected {}, got {} ({})",
                            setting.choices.empty() ? "out of range" : "unknown value", expectation(setting),
                            to_text(value), default_hint(setting)));
  }
  setting.set(value);
}

std::string place(const std::filesystem::path& file, const toml::source_region& source) {
  return fmt::format("{}:{}:{}", file.string(), source.begin.line, source.begin.column);
}

std::string source_text(const toml::node& node) {
  std::ostringstream text;
  node.visit([&text](const auto& concrete) { text << concrete; });
  return text.str();
}

std::string toml_value(const SettingValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    std::ostringstream quoted;
    quoted << toml::value<std::string>(*text);
    return quoted.str();
  }
  std::string text = to_text(value);
  if (std::holds_alternative<double>(value) && text.find_first_of(".e") == std::string::npos) text += ".0";
  const bool list = std::holds_alternative<std::vector<std::int64_t>>(value) ||
                    std::holds_alternative<std::vector<double>>(value);
  return list ? "[" + text + "]" : text;
}

void load_section(const std::vector<Setting>& table, const std::string& section, const toml::table& keys,
                  const std::filesystem::path& file, std::set<std::string>& given) {
  for (const auto& [key, node] : keys) {
    const std::string name = section + "." + std::string(key.str());
    const auto row = std::find_if(table.begin(), table.end(),
                                  [&name](const Setting& setting) { return setting.path() == name; });
    if (row == table.end()) {
      std::vector<std::string> known;
      for (const Setting& setting : table) known.push_back("'" + setting.path() + "'");
      throw Error(ErrorCode::kUsage, place(file, key.source()),
                  fmt::format("unknown key '{}'; expected a key of docs/configuration.md, got '{}'{}", name,
                              key.str(), did_you_mean("'" + name + "'", known)));
    }
    const std::string where = place(file, node.source()) + ": " + name;
    SettingValue value;
    if (!convert(row->get(), node, value)) {
      throw Error(ErrorCode::kUsage, where,
                  fmt::format("wrong type; expected {}, got {} ({})", type_name(row->get()),
                              source_text(node), default_hint(*row)));
    }
    assign(*row, value, where);
    given.insert(name);
  }
}

/// What is meant by `name` where a section is expected: a key that was written above all sections, or a
/// section that was misspelt.
std::string section_hint(const std::vector<Setting>& table, const std::string& name,
                         const std::vector<std::string>& sections) {
  std::vector<std::string> homes;
  for (const Setting& setting : table) {
    if (setting.key == name) homes.push_back("[" + setting.section + "]");
  }
  if (!homes.empty()) return fmt::format(" (it is a key of {})", fmt::join(homes, " and "));
  std::vector<std::string> known;
  for (const std::string& section : sections) known.push_back("[" + section + "]");
  return did_you_mean("[" + name + "]", known);
}

}  // namespace

std::string expectation(const Setting& setting) {
  const SettingValue value = setting.get();
  if (!setting.choices.empty()) return fmt::format("one of {}", fmt::join(setting.choices, ", "));
  std::string text = type_name(value);
  if (std::holds_alternative<bool>(value) || std::holds_alternative<std::string>(value)) return text;
  if (setting.above_min) return fmt::format("{} above {}, at most {}", text, setting.min, setting.max);
  if (setting.below_max) return fmt::format("{} from {} to below {}", text, setting.min, setting.max);
  if (setting.max < 1e9) return fmt::format("{} from {} to {}", text, setting.min, setting.max);
  return fmt::format("{} of at least {}", text, setting.min);
}

std::string to_text(const SettingValue& value) {
  return std::visit(
      [](const auto& held) -> std::string {
        using Held = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<Held, std::vector<std::int64_t>> ||
                      std::is_same_v<Held, std::vector<double>>) {
          return fmt::format("{}", fmt::join(held, ", "));
        } else {
          return fmt::format("{}", held);
        }
      },
      value);
}

void assign_text(const Setting& setting, const std::string& text) {
  SettingValue value;
  if (!parse_as(setting.get(), text, value)) {
    throw Error(ErrorCode::kUsage, setting.flag,
                fmt::format("not understood; expected {}, got '{}' ({})", expectation(setting), text,
                            default_hint(setting)));
  }
  assign(setting, value, setting.flag);
}

std::set<std::string> load_config(Settings& settings, const std::filesystem::path& file) {
  const std::string text = read_text_file(file);
  toml::table root;
  try {
    root = toml::parse(text, file.string());
  } catch (const toml::parse_error& error) {
    throw Error(
        ErrorCode::kBadInput, place(file, error.source()),
        fmt::format("not TOML; expected 'key = value' under a [section], got: {}", error.description()));
  }
  const std::vector<Setting> table = settings_table(settings);
  std::set<std::string> given;
  std::vector<std::string> sections;
  for (const Setting& setting : table) {
    if (std::find(sections.begin(), sections.end(), setting.section) == sections.end()) {
      sections.push_back(setting.section);
    }
  }
  for (const auto& [key, node] : root) {
    const std::string section(key.str());
    const toml::table* keys = node.as_table();
    if (std::find(sections.begin(), sections.end(), section) == sections.end() || keys == nullptr) {
      throw Error(
          ErrorCode::kUsage, place(file, key.source()),
          fmt::format("unknown section or key '{}'; expected one of the sections {}, got '{}'{}", section,
                      fmt::join(sections, ", "), section, section_hint(table, section, sections)));
    }
    load_section(table, section, *keys, file, given);
  }
  return given;
}

std::string to_toml(const Settings& settings) {
  Settings copy = settings;
  std::string text;
  std::string section;
  for (const Setting& setting : settings_table(copy)) {
    if (setting.section != section) {
      text += fmt::format("{}[{}]\n", section.empty() ? "" : "\n", setting.section);
      section = setting.section;
    }
    text += fmt::format("{} = {}  # {}\n", setting.key, toml_value(setting.get()), setting.help);
  }
  return text;
}

std::map<std::string, std::string> defining_settings(const Settings& settings, unsigned commands) {
  Settings copy = settings;
  std::map<std::string, std::string> flat;
  for (const Setting& setting : settings_table(copy)) {
    if (setting.defines_result && (setting.commands & commands) != 0)
      flat[setting.path()] = to_text(setting.get());
  }
  return flat;
}

std::map<std::string, std::string> defining_settings_of(const Settings& settings,
                                                        const std::string& section) {
  Settings copy = settings;
  std::map<std::string, std::string> flat;
  for (const Setting& setting : settings_table(copy)) {
    if (setting.section == section && (setting.defines_result || setting.chooses_images))
      flat[setting.path()] = to_text(setting.get());
  }
  return flat;
}

std::map<std::string, std::string> flat_settings(const Settings& settings) {
  Settings copy = settings;
  std::map<std::string, std::string> flat;
  for (const Setting& setting : settings_table(copy)) flat[setting.path()] = to_text(setting.get());
  return flat;
}

}  // namespace octavo::app
