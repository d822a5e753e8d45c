// octavo man [COMMAND]: manual pages, from the same text as --help.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

#include "octavo/core/error.h"
#include "octavo/core/version.h"
#include "session.h"

namespace octavo::app {
namespace {

/// Text as roff takes it: hyphens that can be copied, no line that starts with a request.
std::string roff(const std::string& text) {
  std::string result;
  for (const char c : text) {
    const bool line_starts = result.empty() || result.back() == '\n';
    if (line_starts && (c == '.' || c == '\'')) result += "\\&";
    result += c == '-' ? "\\-" : c == '\\' ? "\\e" : std::string(1, c);
  }
  return result;
}

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

/// Indented lines as they are, the others as text.
std::string examples(const std::string& text) {
  std::string result;
  bool literal = false;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line == "Examples:") {
      result += std::string(literal ? ".EE\n" : "") + ".SH EXAMPLES\n";
      literal = false;
      continue;
    }
    const bool example = line.starts_with("  ");
    if (example != literal) result += example ? ".EX\n" : ".EE\n.PP\n";
    literal = example;
    result += roff(example ? line.substr(2) : line) + "\n";
  }
  return result + (literal ? ".EE\n" : "");
}

std::string options(const CommandHelp& command) {
  std::string result;
  std::vector<std::string> groups;
  for (const FlagHelp& flag : command.flags) {
    if (std::ranges::find(groups, flag.group) == groups.end()) groups.push_back(flag.group);
  }
  for (const std::string& group : groups) {
    result += fmt::format(".SS {}\n", roff(group));
    for (const FlagHelp& flag : command.flags) {
      if (flag.group != group) continue;
      std::string names;
      for (const std::string& name : flag.names)
        names += (names.empty() ? "\\fB" : ", \\fB") + roff(name) + "\\fR";
      const std::string value = flag.value.empty() ? "" : " \\fI" + roff(flag.value) + "\\fR";
      result += fmt::format(".TP\n{}{}\n{}\n", names, value, roff(flag.text));
    }
  }
  return result;
}

std::string page(const std::vector<CommandHelp>& help, const CommandHelp& command) {
  const bool program = command.name.empty();
  const std::string name = program ? "octavo" : "octavo-" + command.name;
  std::string summary = command.summary;
  std::ranges::replace(summary, '\n', ' ');
  const std::string synopsis =
      program
          ? "\\fIcommand\\fR [\\fIoptions\\fR]"
          : fmt::format("\\fB{}\\fR [\\fIoptions\\fR]{}", roff(command.name),
                        command.argument.empty() ? std::string() : " \\fI" + roff(command.argument) + "\\fR");
  std::string text = fmt::format(
      ".TH {} 1 \"\" \"octavo {}\" \"User Commands\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n\\fBoctavo\\fR {}\n"
      ".SH DESCRIPTION\n{}.\n",
      upper(roff(name)), version(), roff(name),
      roff(program ? "train, quantize and compare image classifiers" : summary), synopsis, roff(summary));
  if (!command.argument.empty())
    text += fmt::format(".PP\n\\fI{}\\fR: {}\n", roff(command.argument), roff(command.argument_text));
  if (program) {
    text += ".SH COMMANDS\n";
    for (const CommandHelp& other : help) {
      if (other.name.empty()) continue;
      text += fmt::format(".TP\n\\fB{}\\fR\n{}; see \\fBoctavo\\-{}\\fR(1)\n", roff(other.name),
                          roff(other.summary), roff(other.name));
    }
  }
  text += ".SH OPTIONS\n" + options(command);
  if (!program) return text + examples(command.examples) + ".SH SEE ALSO\n\\fBoctavo\\fR(1)\n";
  return text +
         ".SH EXIT STATUS\n0 done, 1 verify found differences, 2 usage, 3 bad input, 4 unsupported, 5 "
         "input/output, 70 internal, 130 interrupted.\n"
         ".SH EXAMPLES\n.EX\noctavo run \\-\\-config configs/quick.toml\n.EE\n";
}

}  // namespace

void cmd_man(Session& session) {
  const std::string name = session.files.empty() ? std::string() : session.files.front().string();
  const auto command = std::ranges::find(session.help, name, &CommandHelp::name);
  if (command == session.help.end())
    throw Error(ErrorCode::kUsage, "octavo man",
                "no such command; expected one that octavo --help lists, got '" + name + "'");
  std::fputs(page(session.help, *command).c_str(), stdout);
}

}  // namespace octavo::app
