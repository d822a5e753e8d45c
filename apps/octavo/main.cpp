// The octavo command: flags, help, and the only place that turns errors into messages and exit codes.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <map>
#include <memory>
#include <new>
#include <set>
#include <stdexcept>

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

struct CommandRow {
  Command bit;
  const char* name;
  const char* summary;
  const char* help_footer;
  const char* files;  ///< Help for positional model files; nullptr: the command takes none.
  bool many_files;
  bool output;  ///< Takes --out FILE.
  bool json;
  bool resume;
  void (*run)(Session&);
};

constexpr std::array kCommands{
    CommandRow{
        kRun, "run", "Train, quantize both ways, evaluate, time and report: everything in one go",
        "Examples:\n"
        "  octavo run --config configs/quick.toml           a few minutes\n"
        "  octavo run --epochs 18 --out runs/mine           defaults but for the epochs\n"
        "  octavo run --latency-guard --target-isa avx2     float32 where it is faster, no saturation\n"
        "  octavo run --config runs/mine/config.toml        go on after an interruption\n"
        "A run's folder holds base.onnx, ptq.onnx, qat.onnx, results.json, report.html, report.md, "
        "config.toml,\n"
        "log.jsonl and checkpoint.pt. Phases whose files are there are not done again.",
        nullptr, false, false, false, true, cmd_run},
    CommandRow{kTrain, "train", "Train a float model: the first phase of run",
               "Examples:\n"
               "  octavo train --model resnet20 --epochs 24 --out runs/resnet\n"
               "  octavo run --model resnet20 --epochs 24 --out runs/resnet     goes on from there",
               nullptr, false, false, false, true, cmd_train},
    CommandRow{kPtq, "ptq", "Quantize a float model after training",
               "Examples:\n"
               "  octavo ptq runs/mine/base.onnx --out int8.onnx\n"
               "  octavo ptq base.onnx --observer percentile --percentile 99.999 --out p.onnx\n"
               "  octavo ptq base.onnx --latency-guard --guard-batch 8 --threads 1 --out p.onnx",
               "Float model (.onnx)", false, true, false, false, cmd_ptq},
    CommandRow{kQat, "qat", "Fine-tune a trained float model for int8, starting from PTQ's ranges",
               "Examples:\n"
               "  octavo qat runs/mine/base.onnx --qat-epochs 5 --out qat.onnx\n"
               "  octavo qat base.onnx --learnable-scales --out lsq.onnx",
               "Float model (.onnx) with its batch norms, as train writes it", false, true, false, true,
               cmd_qat},
    CommandRow{kEval, "eval", "Accuracy of model files on the test images, by the runtime that ships",
               "Examples:\n"
               "  octavo eval runs/mine/qat.onnx\n"
               "  octavo eval base.onnx ptq.onnx --json | jq '.models[].accuracy'",
               "Models (.onnx), float or QDQ", true, false, true, false, cmd_eval},
    CommandRow{kBench, "bench", "Time one inference of model files at several batch sizes",
               "Examples:\n"
               "  octavo bench runs/mine/base.onnx runs/mine/ptq.onnx\n"
               "  octavo bench ptq.onnx --batches 1,8,128 --threads 1 --runs 500 --json\n"
               "  octavo bench ptq.onnx --layers --batches 128                   where the time goes",
               "Models (.onnx), float or QDQ", true, false, true, false, cmd_bench},
    CommandRow{kInspect, "inspect", "Layers, sizes and ranges of model files, and what runs in integers",
               "Examples:\n"
               "  octavo inspect ptq.onnx\n"
               "  octavo inspect ptq.onnx --json | jq '.models[].layers[] | select(.precision == \"fp32\")'",
               "Models (.onnx), float or QDQ", true, false, true, false, cmd_inspect},
    CommandRow{
        kVerify, "verify", "Check layer by layer that all programs give the same answers",
        "Compares the runtime, the training simulation and (where installed) ONNX Runtime with the\n"
        "reference interpreter. The simulation's layers each read the reference's values. Exit code 1 if\n"
        "the runtime differs at all, or another by more than --max-lsb.\n"
        "Examples:\n"
        "  octavo verify ptq.onnx\n"
        "  octavo verify ptq.onnx --images 64 --max-lsb 2 --onnxruntime node_modules",
        "Model (.onnx), float or QDQ", false, false, true, false, cmd_verify},
    CommandRow{kData, "data", "Find or download a data set, check it and describe it",
               "Examples:\n"
               "  octavo data --dataset cifar10\n"
               "  octavo data --dataset cifar10 --data cifar-10-binary.tar.gz --json\n"
               "  octavo data --dataset image-folder --data images/ --image-size 224 --resize 256",
               nullptr, false, false, true, false, cmd_data},
};

/// What was typed, before it is checked against the table.
struct Typed {
  std::map<std::string, std::string> flags;  ///< Flag -> text.
  std::string config;
  std::string output;
  std::string report;
  std::vector<std::string> files;
  bool resume = true;
  bool color = true;
  bool json = false;
  bool layers = false;
};

std::string value_name(const SettingValue& value) {
  static const char* const kNames[] = {"", "N", "X", "TEXT", "N,N...", "X,X..."};
  return kNames[value.index()];
}

/// "(default 24)", with the choices where there are any.
std::string help_text(const Setting& setting) {
  const std::string value = to_text(setting.get());
  const std::string choices = setting.choices.empty() ? "" : "; " + expectation(setting);
  return fmt::format("{}{} (default {})", setting.help, choices, value.empty() ? "empty" : value);
}

void add_setting(CLI::App& command, const Setting& setting, Typed& typed) {
  static const std::map<std::string, std::string> kGroups{
      {"run", "Run"},        {"data", "Data"},          {"model", "Training"},
      {"train", "Training"}, {"ptq", "Quantization"},   {"qat", "Quantization-aware training"},
      {"bench", "Latency"},  {"verify", "Verification"}};
  CLI::Option* option = nullptr;
  if (std::holds_alternative<bool>(setting.get())) {
    const std::string negated = "--no-" + setting.flag.substr(2);
    option = command.add_flag_function(
        setting.flag + ",!" + negated,
        [&typed, flag = setting.flag](std::int64_t count) {
          typed.flags[flag] = count > 0 ? "true" : "false";
        },
        help_text(setting));
  } else {
    option = command.add_option_function<std::string>(
        setting.flag, [&typed, flag = setting.flag](const std::string& text) { typed.flags[flag] = text; },
        help_text(setting));
    option->type_name(value_name(setting.get()));
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
  option->group(kGroups.at(setting.section));
}

void add_command(CLI::App& app, const CommandRow& row, const std::vector<Setting>& table, Typed& typed) {
  CLI::App& command = *app.add_subcommand(row.name, row.summary);
  command.footer(row.help_footer);
  command.add_option("--config", typed.config, "Settings to start from; flags win over them")
      ->type_name("FILE.toml");
  if (row.files != nullptr) {
    CLI::Option* files =
        command.add_option("files", typed.files, row.files)->required()->type_name("FILE.onnx");
    if (!row.many_files) files->expected(1);
  }
  if (row.output) {
    command.add_option("--out", typed.output, "File to write (default: beside the input)")
        ->type_name("FILE.onnx");
  }
  if (row.bit == kPtq) {
    command.add_option("--report", typed.report, "Page to write on what quantization costs each layer")
        ->type_name("FILE.html");
  }
  if (row.json) command.add_flag("--json", typed.json, "Answer in JSON");
  if (row.bit == kBench)
    command.add_flag("--layers", typed.layers,
                     "Time each step: layer, shape, kernel, operations, share of the CPU's peak");
  if (row.resume) {
    command.add_flag("--resume,!--no-resume", typed.resume,
                     "Go on with what an earlier run left; --no-resume starts over (default --resume)");
  }
  command.add_flag("!--no-color", typed.color, "No colours and no progress bars (as NO_COLOR does)");
  for (const Setting& setting : table) {
    if ((setting.commands & row.bit) != 0) add_setting(command, setting, typed);
  }
}

/// CLI11's help without its marks of negated flags.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override {
    constexpr std::string_view kMark = "{false}";
    std::string name = CLI::Formatter::make_option_name(option, is_positional);
    for (std::size_t at = name.find(kMark); at != std::string::npos; at = name.find(kMark)) {
      name.erase(at, kMark.size());
    }
    return name;
  }
};

/// A CLI11 complaint in our form, with the nearest flag or command for an unknown one.
[[noreturn]] void refuse(const CLI::App& app, const CLI::ParseError& error) {
  const auto chosen = app.get_subcommands();
  const std::string where = chosen.empty() ? "octavo" : "octavo " + chosen.front()->get_name();
  const std::vector<std::string> extras = app.remaining(true);
  if (!extras.empty()) {
    const CLI::App& scope = chosen.empty() ? app : *chosen.front();
    std::vector<std::string> known;
    for (const CLI::Option* option : scope.get_options()) {
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    }
    for (const CLI::App* command : scope.get_subcommands(nullptr)) known.push_back(command->get_name());
    // A value that follows an unknown flag is an extra too; the flag is the one to talk about.
    const auto flag =
        std::find_if(extras.begin(), extras.end(), [](const auto& extra) { return extra[0] == '-'; });
    const std::string& extra = flag == extras.end() ? extras.front() : *flag;
    throw Error(ErrorCode::kUsage, where,
                fmt::format("unknown argument; expected what {} --help lists, got '{}' (did you mean {}?)",
                            where, extra, nearest(extra, known)));
  }
  throw Error(ErrorCode::kUsage, where,
              fmt::format("{}; expected arguments as {} --help lists them, got too few or too many",
                          error.what(), where));
}

std::string version_text() {
  const auto facts = environment(available_cores());
  return fmt::format("octavo {}\nCPU {}, {} cores, instruction set {}\noneDNN {}, LibTorch {}, {}\n",
                     version(), facts.at("cpu"), facts.at("cores"), facts.at("isa"), facts.at("onednn"),
                     facts.at("libtorch"), facts.at("compiler"));
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
  Settings settings;
  const std::vector<Setting> table = settings_table(settings);
  Typed typed;
  CLI::App app{
      "Octavo trains an image classifier, quantizes it to int8 after and during training, runs both on real\n"
      "kernels and shows accuracy, size and time side by side.",
      "octavo"};
  app.formatter(std::make_shared<HelpFormatter>());
  app.footer(
      "Start with:  octavo run --config configs/quick.toml\nExit codes: 0 done, 1 verify found differences, "
      "2 usage, 3 bad input, 4 "
      "unsupported, 5 input/output, 70 internal, 130 interrupted.");
  app.set_version_flag("--version", version_text());
  app.require_subcommand(1);
  for (const CommandRow& row : kCommands) add_command(app, row, table, typed);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help and --version
    refuse(app, error);
  } catch (const std::logic_error&) {
    // CLI11 reads the text of `--flag=text` with std::stoll and lets its exceptions through.
    throw Error(
        ErrorCode::kUsage, "octavo",
        "the value of a true-or-false flag is not understood; expected --flag, --no-flag, --flag=true or "
        "--flag=false, got other text");
  }
  const CommandRow* chosen = nullptr;
  for (const CommandRow& row : kCommands) {
    if (app.got_subcommand(row.name)) chosen = &row;
  }

  std::set<std::string> given;
  if (!typed.config.empty()) {
    given = load_config(settings, typed.config);
    // Wherever it has been moved to, and from wherever it is named.
    if (is_run_config(typed.config)) settings.out = folder_of(typed.config);
  }
  for (const Setting& setting : table) {
    const auto text = typed.flags.find(setting.flag);
    if (text == typed.flags.end() || (setting.commands & chosen->bit) == 0) continue;
    assign_text(setting, text->second);
    given.insert(setting.path());
  }
  check_together(settings, chosen->bit);
  if (settings.threads == 0) settings.threads = available_cores();
  set_num_threads(settings.threads);

  Console console(typed.color);
  const InterruptListener listener;
  Session session{.settings = settings,
                  .console = console,
                  .arguments = argv,
                  .stop = listener.token(),
                  .files = {typed.files.begin(), typed.files.end()},
                  .output = typed.output,
                  .report = typed.report,
                  .resume = typed.resume,
                  .json = typed.json,
                  .layers = typed.layers,
                  .given = given};
  try {
    chosen->run(session);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kIo, "octavo", out_of_memory(table, chosen->bit));
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    throw Error(ErrorCode::kIo, "standard output",
                "cannot be written; expected room for the answer, got an error");
  }
  return session.exit_code;
}

int fail(const std::string& message, ErrorCode code) {
  std::fprintf(stderr, "error: %s\n", message.c_str());
  return static_cast<int>(code);
}

}  // namespace
}  // namespace octavo::app

int main(int argc, char** argv) {
  using octavo::ErrorCode;
  // A file larger than the limit (ulimit -f) is then an error of write(), as a full disk is.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    return octavo::app::run_program(argc, argv);
  } catch (const octavo::Error& error) {
    return octavo::app::fail(error.what(), error.code());
  } catch (const std::bad_alloc&) {
    return octavo::app::fail(
        "octavo: out of memory; expected less work at once, got a larger request than there is memory",
        ErrorCode::kIo);
  } catch (const std::filesystem::filesystem_error& error) {
    return octavo::app::fail(error.what(), ErrorCode::kIo);
  } catch (const std::exception& error) {
    return octavo::app::fail(fmt::format("octavo: a bug; expected an octavo::Error, got {}", error.what()),
                             ErrorCode::kInternal);
  }
}
