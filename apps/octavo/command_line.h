/// What can be typed: the commands, their flags and the help on them, all from one table. Help, shell
/// completions and man pages say the same because they read the same.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "settings.h"

namespace octavo::app {

/// What was typed, before it is checked against the table of settings.
struct Typed {
  Command command = kRun;
  std::map<std::string, std::string> flags;  ///< A setting's flag -> text.
  std::string config;
  std::string output;
  std::string report;
  std::string model_output;
  std::vector<std::string> files;  ///< Positional arguments: models, as a rule.
  bool resume = true;
  bool color = true;
  bool quiet = false;
  bool json = false;
  bool layers = false;
};

/// One flag, as help shows it.
struct FlagHelp {
  std::vector<std::string> names;  ///< With their dashes: "-h", "--help".
  std::string value;               ///< "N", "FILE.toml"; empty: the flag takes none.
  std::string text;
  std::string group;
  std::vector<std::string> choices;  ///< Empty: any value.
};

/// One command, as help shows it.
struct CommandHelp {
  std::string name;  ///< Empty: the program itself.
  std::string summary;
  std::string examples;              ///< Lines as they are to be shown.
  std::string argument;              ///< "FILE.onnx..."; empty: none.
  std::string argument_text;         ///< What it is.
  std::vector<std::string> choices;  ///< Of the argument.
  std::vector<FlagHelp> flags;
};

class CommandLine {
 public:
  /// `table` must outlive it. `version` is what --version prints.
  CommandLine(const std::vector<Setting>& table, const std::string& version);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  /// True if a command is to be run, which typed() then tells. Else the arguments asked for text(): help or
  /// the version; help too where there are no arguments. Throws kUsage, with the nearest flag or command, for
  /// what is not in the table.
  bool parse(int argc, char** argv);
  const Typed& typed() const { return typed_; }
  const std::string& text() const { return text_; }

  /// The program itself, then its commands in the order of help.
  std::vector<CommandHelp> help() const;

 private:
  struct Parser;
  const std::vector<Setting>& table_;
  std::unique_ptr<Parser> parser_;
  Typed typed_;
  std::string text_;
};

}  // namespace octavo::app
