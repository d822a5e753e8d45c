/// What every command is given.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "command_line.h"
#include "console.h"
#include "settings.h"

namespace octavo::app {

struct Session {
  Settings settings;  ///< Resolved: threads is at least 1.
  Console& console;
  char** arguments = nullptr;  ///< The command line as main() has it.
  std::stop_token stop;
  std::vector<std::filesystem::path> files;  ///< Positional arguments: models.
  std::filesystem::path output;              ///< --out of ptq and qat.
  std::string model_output;      ///< --output: which output of the models is read; empty: the only one.
  std::filesystem::path report;  ///< --report of ptq; empty: none.
  bool resume = true;
  bool json = false;
  bool layers = false;                 ///< bench: time every step of each compiled model.
  std::vector<CommandHelp> help = {};  ///< Of the program and all commands.
  std::set<std::string> given = {};  ///< Settings ("section.key") named by a file or a flag, default or not.
  int exit_code = 0;                 ///< Of a command that ends without an error: verify's verdict.
};

// One function a command, each in its own cmd_<name>.cpp. Results go to standard output.
void cmd_run(Session& session);
void cmd_train(Session& session);
void cmd_ptq(Session& session);
void cmd_qat(Session& session);
void cmd_eval(Session& session);
void cmd_bench(Session& session);
void cmd_inspect(Session& session);
void cmd_verify(Session& session);
void cmd_serve(Session& session);
void cmd_data(Session& session);
void cmd_doctor(Session& session);
void cmd_completion(Session& session);
void cmd_man(Session& session);

}  // namespace octavo::app
