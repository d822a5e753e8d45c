// The octavo command: flags, help, and the only place that turns errors into messages and exit codes.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <set>

#include "command_line.h"
#include "environment.h"
#include "interrupt.h"
#include "octavo/core/error.h"
#include "octavo/core/parallel.h"
#include "octavo/core/version.h"
#include "octavo/graph/zoo.h"
#include "run_folder.h"
#include "session.h"

namespace octavo::app {
namespace {

std::string version_text() {
  const auto facts = environment(available_cores());
  return fmt::format("octavo {}\nCPU {}, {} cores, instruction set {}\noneDNN {}, LibTorch {}, {}\n",
                     version(), facts.at("cpu"), facts.at("cores"), facts.at("isa"), facts.at("onednn"),
                     facts.at("libtorch"), facts.at("compiler"));
}

void run_command(Command command, Session& session) {
  switch (command) {
    case kRun:
      return cmd_run(session);
    case kTrain:
      return cmd_train(session);
    case kPtq:
      return cmd_ptq(session);
    case kQat:
      return cmd_qat(session);
    case kEval:
      return cmd_eval(session);
    case kBench:
      return cmd_bench(session);
    case kData:
      return cmd_data(session);
    case kInspect:
      return cmd_inspect(session);
    case kVerify:
      return cmd_verify(session);
    case kDoctor:
      return cmd_doctor(session);
    case kCompletion:
      return cmd_completion(session);
    case kMan:
      return cmd_man(session);
    case kServe:
      return cmd_serve(session);
  }
}

/// What to say when memory is short, with the first flag of the command that asks for less.
std::string out_of_memory(const std::vector<Setting>& table, unsigned command) {
  std::string text = "out of memory; expected less work at once, got a larger request than there is memory";
  for (const char* flag :
       {"--batch-size", "--calibration-batch-size", "--train-limit", "--test-limit", "--threads"}) {
    const auto has = [&](const Setting& s) { return s.flag == flag && (s.commands & command) != 0; };
    if (std::ranges::any_of(table, has)) return text + fmt::format(" (try a smaller {})", flag);
  }
  return text;
}

/// Parses, runs the chosen command. Returns its exit code where that is no error.
int run_program(int argc, char** argv) {
  keep_libraries_to_isa();
  Settings settings;
  const std::vector<Setting> table = settings_table(settings);
  CommandLine command_line(table, version_text());
  if (!command_line.parse(argc, argv)) {
    // Nobody asked for help where nothing was typed: a script that forgets the command has to fail.
    const bool asked = argc > 1;
    std::fputs(command_line.text().c_str(), asked ? stdout : stderr);
    return asked ? 0 : static_cast<int>(ErrorCode::kUsage);
  }
  const Typed& typed = command_line.typed();

  std::set<std::string> given;
  if (!typed.config.empty()) {
    given = load_config(settings, typed.config);
    // Wherever it has been moved to, and from wherever it is named.
    if (is_run_config(typed.config)) settings.out = folder_of(typed.config);
  }
  for (const Setting& setting : table) {
    const auto text = typed.flags.find(setting.flag);
    if (text == typed.flags.end() || (setting.commands & typed.command) == 0) continue;
    assign_text(setting, text->second);
    given.insert(setting.path());
  }
  check_together(settings, typed.command);
  if (settings.threads == 0) settings.threads = available_cores();
  set_num_threads(settings.threads);

  Console console(typed.color, typed.quiet);
  const InterruptListener listener;
  Session session{.settings = settings,
                  .console = console,
                  .arguments = argv,
                  .stop = listener.token(),
                  .files = {typed.files.begin(), typed.files.end()},
                  .output = typed.output,
                  .model_output = typed.model_output,
                  .report = typed.report,
                  .resume = typed.resume,
                  .json = typed.json,
                  .layers = typed.layers,
                  .help = command_line.help(),
                  .given = given};
  try {
    run_command(typed.command, session);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kIo, "octavo", out_of_memory(table, typed.command));
  }
  return session.exit_code;
}

int fail(const std::string& message, ErrorCode code) {
  std::fprintf(stderr, "error: %s\n", message.c_str());
  return static_cast<int>(code);
}

}  // namespace
}  // namespace octavo::app

namespace {

/// Runs the program; its exit code.
int guarded(int argc, char** argv) {
  using octavo::ErrorCode;
  try {
    return octavo::app::run_program(argc, argv);
  } catch (const octavo::Error& error) {
    return octavo::app::fail(error.what(), error.code());
  } catch (const std::bad_alloc&) {
    return octavo::app::fail(
        "octavo: out of memory; expected less work at once, got a larger request than there is memory",
        ErrorCode::kIo);
  } catch (const std::filesystem::filesystem_error& error) {
    return octavo::app::fail(fmt::format("{}: cannot be used; expected access to it, got '{}'",
                                         error.path1().string(), error.code().message()),
                             ErrorCode::kIo);
  } catch (const std::exception& error) {
    return octavo::app::fail(fmt::format("octavo: a bug; expected an octavo::Error, got {}", error.what()),
                             ErrorCode::kInternal);
  }
}

}  // namespace

int main(int argc, char** argv) {
  // A file larger than the limit (ulimit -f) is then an error of write(), as a full disk is.
  std::signal(SIGXFSZ, SIG_IGN);
  int code = guarded(argc, argv);
  if (code == 0 && (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)) {
    code = octavo::app::fail("standard output: cannot be written; expected room for the answer, got an error",
                             octavo::ErrorCode::kIo);
  }
  // All is done, and what libraries do at a program's end can only go wrong: where memory is short, OpenBLAS
  // waits there for a thread of its own that asks for memory for ever.
  std::fflush(nullptr);
  std::_Exit(code);
}
