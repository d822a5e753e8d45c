// octavo completion SHELL: a script that makes bash, zsh or fish complete commands, flags, choices and files.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <string>
#include <vector>

#include "session.h"

namespace octavo::app {
namespace {

/// `text` between single quotes, as all three shells read it; fish and the others escape a quote differently.
std::string quoted(const std::string& text, const std::string& quote) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? quote : std::string(1, c);
  return result + "'";
}

/// The first sentence or so: what fits behind a flag in a list.
std::string brief(const std::string& text) {
  const std::size_t end = text.find(" (default");
  return text.substr(0, std::min(end, text.find('\n')));
}

/// "*.onnx" of "FILE.onnx" or "FILE.onnx..."; empty for what is no file.
std::string pattern(const std::string& value) {
  constexpr std::string_view kFile = "FILE.";
  if (!value.starts_with(kFile)) return {};
  return "*." + value.substr(kFile.size(), value.find("...") - kFile.size());
}

std::vector<std::string> all_names(const CommandHelp& command) {
  std::vector<std::string> names;
  for (const FlagHelp& flag : command.flags) names.insert(names.end(), flag.names.begin(), flag.names.end());
  return names;
}

std::string bash(const std::vector<CommandHelp>& help) {
  std::vector<std::string> names;
  std::string cases;
  for (const CommandHelp& command : help) {
    if (command.name.empty()) continue;
    names.push_back(command.name);
    std::string values;
    for (const FlagHelp& flag : command.flags) {
      if (flag.value.empty()) continue;
      const std::string words = flag.choices.empty()
                                    ? fmt::format("_octavo_files '{}'", pattern(flag.value))
                                    : fmt::format("_octavo_words '{}'", fmt::join(flag.choices, " "));
      values += fmt::format("        {}) {}; return;;\n", fmt::join(flag.names, "|"), words);
    }
    const std::string rest =
        !command.choices.empty()   ? fmt::format("_octavo_words '{}'", fmt::join(command.choices, " "))
        : command.argument.empty() ? "COMPREPLY=()"
                                   : fmt::format("_octavo_files '{}'", pattern(command.argument));
    cases += fmt::format(
        "    {})\n      case $previous in\n{}      esac\n      case $current in\n"
        "        -*) _octavo_words '{}';;\n        *) {};;\n      esac;;\n",
        command.name, values, fmt::join(all_names(command), " "), rest);
  }
  return fmt::format(R"(# bash completion for octavo; made by: octavo completion bash
_octavo_words() {{ COMPREPLY=($(compgen -W "$1" -- "$current")); }}
# Files that match a pattern, and folders to look into.
_octavo_files() {{
  compopt -o filenames 2>/dev/null
  local IFS=$'\n'
  if [ -n "$1" ]; then
    COMPREPLY=($(compgen -f -X "!$1" -- "$current") $(compgen -d -- "$current"))
  else
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}}
_octavo() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=
  [ "$COMP_CWORD" -gt 0 ] && previous=${{COMP_WORDS[COMP_CWORD-1]}}
  if [ "$COMP_CWORD" -le 1 ]; then
    _octavo_words '{} {}'
    return
  fi
  case ${{COMP_WORDS[1]}} in
{}  esac
}}
complete -F _octavo octavo
)",
                     fmt::join(names, " "), fmt::join(all_names(help.front()), " "), cases);
}

/// _arguments' specification of a flag: a row per name, each excluding the others.
std::string zsh_flag(const FlagHelp& flag) {
  std::string text;
  for (const char c : brief(flag.text)) {
    if (c == '[' || c == ']' || c == ':') text += '\\';
    text += c;
  }
  std::string value;
  if (!flag.value.empty()) {
    const std::string files = pattern(flag.value);
    const std::string action = !flag.choices.empty() ? fmt::format("({})", fmt::join(flag.choices, " "))
                               : files.empty()       ? "_files"
                                                     : fmt::format("_files -g \"{}\"", files);
    value = fmt::format(":{}:{}", flag.value, action);
  }
  std::string rows;
  for (const std::string& name : flag.names) {
    const std::string others = fmt::format("({})", fmt::join(flag.names, " "));
    rows +=
        fmt::format("        {} \\\n", quoted(fmt::format("{}{}[{}]{}", others, name, text, value), "'\\''"));
  }
  return rows;
}

std::string zsh(const std::vector<CommandHelp>& help) {
  std::string names;
  std::string cases;
  for (const CommandHelp& command : help) {
    if (command.name.empty()) continue;
    names += fmt::format("    {}\n", quoted(command.name + ":" + brief(command.summary), "'\\''"));
    std::string rows;
    for (const FlagHelp& flag : command.flags) rows += zsh_flag(flag);
    const std::string files = pattern(command.argument);
    const std::string argument = !command.choices.empty()
                                     ? fmt::format("'1: :({})'", fmt::join(command.choices, " "))
                                 : files.empty() ? ""
                                                 : fmt::format("'*: :_files -g \"{}\"'", files);
    cases += fmt::format("    {})\n      _arguments -s \\\n{}        {}\n      ;;\n", command.name, rows,
                         argument);
  }
  return fmt::format(R"(#compdef octavo
# zsh completion for octavo; made by: octavo completion zsh
_octavo() {{
  local -a commands
  commands=(
{}  )
  if (( CURRENT == 2 )); then
    _describe -t commands 'octavo command' commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
{}  esac
}}
if [ "$funcstack[1]" = _octavo ]; then
  _octavo "$@"
else
  compdef _octavo octavo
fi
)",
                     names, cases);
}

std::string fish(const std::vector<CommandHelp>& help) {
  const auto quote = [](const std::string& text) { return quoted(text, "\\'"); };
  std::string lines =
      "# fish completion for octavo; made by: octavo completion fish\ncomplete -c octavo -f\n";
  for (const CommandHelp& command : help) {
    const bool program = command.name.empty();
    const std::string when =
        program ? "__fish_use_subcommand" : "__fish_seen_subcommand_from " + command.name;
    if (!program) {
      lines += fmt::format("complete -c octavo -n __fish_use_subcommand -a {} -d {}\n", command.name,
                           quote(brief(command.summary)));
    }
    for (const FlagHelp& flag : command.flags) {
      std::string names;
      for (const std::string& name : flag.names)
        names += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      std::string value;
      if (!flag.choices.empty()) {
        value = " -x -a " + quote(fmt::format("{}", fmt::join(flag.choices, " ")));
      } else if (!flag.value.empty()) {
        value = " -r -F";
      }
      lines += fmt::format("complete -c octavo -n {}{}{} -d {}\n", quote(when), names, value,
                           quote(brief(flag.text)));
    }
    if (!command.choices.empty()) {
      lines += fmt::format("complete -c octavo -n {} -a {}\n", quote(when),
                           quote(fmt::format("{}", fmt::join(command.choices, " "))));
    } else if (const std::string files = pattern(command.argument); !files.empty()) {
      lines += fmt::format("complete -c octavo -n {} -k -a '(__fish_complete_suffix {})'\n", quote(when),
                           files.substr(1));
    }
  }
  return lines;
}

}  // namespace

void cmd_completion(Session& session) {
  const std::string shell = session.files.front().string();
  const std::string script = shell == "bash"  ? bash(session.help)
                             : shell == "zsh" ? zsh(session.help)
                                              : fish(session.help);
  std::fputs(script.c_str(), stdout);
}

}  // namespace octavo::app
