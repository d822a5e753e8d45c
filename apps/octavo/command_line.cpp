#include "command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include "octavo/core/did_you_mean.h"
#include "octavo/core/error.h"

namespace octavo::app {
namespace {

struct CommandRow {
  Command bit;
  const char* name;
  const char* summary;
  const char* examples;
  const char* files = nullptr;  ///< Help for positional arguments; nullptr: the command takes none.
  const char* file_type = "FILE.onnx";
  const char* choices = "";  ///< That a positional argument has, with blanks between; empty: any.
  bool settings = true;      ///< Takes --config.
  bool needs_files = true;
  bool many_files = false;
  bool output = false;  ///< Takes --out FILE.
  bool json = false;
  bool resume = false;
};

constexpr std::array kCommands{
    CommandRow{
        .bit = kRun,
        .name = "run",
        .summary = "Train, quantize both ways, evaluate, time and report: everything in one go",
        .examples =
            "Examples:\n"
            "  octavo run --config configs/quick.toml           a few minutes\n"
            "  octavo run --epochs 18 --out runs/mine           defaults but for the epochs\n"
            "  octavo run --latency-guard --target-isa avx2     float32 where it is faster, no saturation\n"
            "  octavo run --config runs/mine/config.toml        go on after an interruption\n"
            "A run's folder holds base.onnx, ptq.onnx, qat.onnx, results.json, report.html, report.md, "
            "config.toml,\n"
            "log.jsonl and checkpoint.pt. Phases whose files are there are not done again.",
        .resume = true},
    CommandRow{.bit = kTrain,
               .name = "train",
               .summary = "Train a float model: the first phase of run",
               .examples =
                   "Examples:\n"
                   "  octavo train --model resnet20 --epochs 24 --out runs/resnet\n"
                   "  octavo run --model resnet20 --epochs 24 --out runs/resnet     goes on from there",
               .resume = true},
    CommandRow{
        .bit = kPtq,
        .name = "ptq",
        .summary = "Quantize a float model after training",
        .examples =
            "Examples:\n"
            "  octavo ptq runs/mine/base.onnx --out int8.onnx\n"
            "  octavo ptq base.onnx --observer percentile --percentile 99.999 --out p.onnx\n"
            "  octavo ptq base.onnx --latency-guard --guard-batch 8 --threads 1 --out p.onnx\n"
            "  octavo ptq base.onnx --target tensorrt --out trt.onnx         int8 with zero points of 0",
        .files = "Float model (.onnx)",
        .output = true},
    CommandRow{.bit = kQat,
               .name = "qat",
               .summary = "Fine-tune a trained float model for int8, starting from PTQ's ranges",
               .examples = "Examples:\n"
                           "  octavo qat runs/mine/base.onnx --qat-epochs 5 --out qat.onnx\n"
                           "  octavo qat base.onnx --learnable-scales --out lsq.onnx",
               .files = "Float model (.onnx) with its batch norms, as train writes it",
               .output = true,
               .resume = true},
    CommandRow{.bit = kEval,
               .name = "eval",
               .summary = "Accuracy of model files on the test images, by the runtime that ships",
               .examples = "Examples:\n"
                           "  octavo eval runs/mine/qat.onnx\n"
                           "  octavo eval base.onnx ptq.onnx --json | jq '.models[].accuracy'",
               .files = "Models (.onnx), float or QDQ",
               .many_files = true,
               .json = true},
    CommandRow{.bit = kBench,
               .name = "bench",
               .summary = "Time one inference of model files at several batch sizes",
               .examples =
                   "Examples:\n"
                   "  octavo bench runs/mine/base.onnx runs/mine/ptq.onnx\n"
                   "  octavo bench ptq.onnx --batches 1,8,128 --threads 1 --runs 500 --json\n"
                   "  octavo bench ptq.onnx --layers --batches 128                   where the time goes",
               .files = "Models (.onnx), float or QDQ",
               .many_files = true,
               .json = true},
    CommandRow{
        .bit = kInspect,
        .name = "inspect",
        .summary = "Layers, sizes and ranges of model files, and what runs in integers",
        .examples =
            "Examples:\n"
            "  octavo inspect ptq.onnx\n"
            "  octavo inspect ptq.onnx --json | jq '.models[].layers[] | select(.precision == \"fp32\")'",
        .files = "Models (.onnx), float or QDQ",
        .many_files = true,
        .json = true},
    CommandRow{
        .bit = kVerify,
        .name = "verify",
        .summary = "Check layer by layer that all programs give the same answers",
        .examples =
            "Compares the runtime, the training simulation and (where installed) ONNX Runtime with the\n"
            "reference interpreter. The simulation's layers each read the reference's values. Exit code 1 "
            "if\n"
            "the runtime differs at all, another by more than --max-lsb, or the file breaks a rule of "
            "--target.\n"
            "Examples:\n"
            "  octavo verify ptq.onnx\n"
            "  octavo verify ptq.onnx --images 64 --max-lsb 2 --onnxruntime node_modules\n"
            "  octavo verify trt.onnx --target tensorrt             its rules too, node by node",
        .files = "Model (.onnx), float or QDQ",
        .json = true},
    CommandRow{.bit = kServe,
               .name = "serve",
               .summary = "Serve model files over HTTP, with a page to try them on pictures",
               .examples =
                   "Speaks the Open Inference Protocol (KServe, version 2); docs/serving.md has all paths.\n"
                   "Examples:\n"
                   "  octavo serve runs/mine/base.onnx runs/mine/ptq.onnx runs/mine/qat.onnx\n"
                   "  octavo serve ptq.onnx --port 9000 --max-batch 32 --reload\n"
                   "  curl --data-binary @cat.jpg http://127.0.0.1:8000/classify",
               .files = "Models (.onnx), float or QDQ; each is named by its file",
               .many_files = true},
    CommandRow{.bit = kData,
               .name = "data",
               .summary = "Find or download a data set, check it and describe it",
               .examples =
                   "Examples:\n"
                   "  octavo data --dataset cifar10\n"
                   "  octavo data --dataset cifar10 --data cifar-10-binary.tar.gz --json\n"
                   "  octavo data --dataset image-folder --data images/ --image-size 224 --resize 256",
               .json = true},
    CommandRow{.bit = kDoctor,
               .name = "doctor",
               .summary = "Look at this machine: what is there, what is missing, and the line that mends it",
               .examples = "Exit code 5 if something is missing that octavo cannot do without.\n"
                           "Examples:\n"
                           "  octavo doctor\n"
                           "  octavo doctor --json | jq '.checks[] | select(.state != \"ok\")'",
               .settings = false,
               .json = true},
    CommandRow{
        .bit = kCompletion,
        .name = "completion",
        .summary = "Print what makes a shell complete this program's commands and flags",
        .examples =
            "Examples:\n"
            "  source <(octavo completion bash)                                       this shell\n"
            "  octavo completion zsh > ~/.zfunc/_octavo                               a folder of $fpath\n"
            "  octavo completion fish > ~/.config/fish/completions/octavo.fish        for good",
        .files = "Shell",
        .file_type = "SHELL",
        .choices = "bash zsh fish",
        .settings = false},
    CommandRow{.bit = kMan,
               .name = "man",
               .summary = "Print a manual page, of the program or of one command",
               .examples = "Examples:\n"
                           "  octavo man run | man -l -                read it\n"
                           "  octavo man > octavo.1                    keep it",
               .files = "Command (default: the program itself)",
               .file_type = "COMMAND",
               .settings = false,
               .needs_files = false},
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
      {"run", "Run"},        {"data", "Data"},           {"model", "Training"},
      {"train", "Training"}, {"ptq", "Quantization"},    {"qat", "Quantization-aware training"},
      {"bench", "Latency"},  {"verify", "Verification"}, {"serve", "Serving"}};
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

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

void add_command(CLI::App& app, const CommandRow& row, const std::vector<Setting>& table, Typed& typed) {
  CLI::App& command = *app.add_subcommand(row.name, row.summary);
  command.footer(row.examples);
  if (row.settings) {
    command.add_option("--config", typed.config, "Settings to start from; flags win over them")
        ->type_name("FILE.toml");
  }
  if (row.files != nullptr) {
    CLI::Option* files = command.add_option("files", typed.files, row.files);
    files->required(row.needs_files)->type_name(row.file_type);
    if (!row.many_files) files->expected(row.needs_files ? 1 : 0, 1);
  }
  if (row.output) {
    command.add_option("--out", typed.output, "File to write (default: beside the input)")
        ->type_name("FILE.onnx");
  }
  if ((row.bit & (kPtq | kQat | kEval | kBench | kInspect | kVerify | kServe)) != 0) {
    command
        .add_option(
            "--output", typed.model_output,
            "Output of the model that holds the classes' scores (default: the only one, or the only one "
            "that is [N, classes])")
        ->type_name("NAME");
  }
  if (row.bit == kPtq) {
    command.add_option("--report", typed.report, "Page to write on what quantization costs each layer")
        ->type_name("FILE.html");
  }
  if (row.json) command.add_flag("--json", typed.json, "Answer in JSON");
  if (row.bit == kBench) {
    command.add_flag("--layers", typed.layers,
                     "Time each step: layer, shape, kernel, operations, share of the CPU's peak");
  }
  if (row.resume) {
    command.add_flag("--resume,!--no-resume", typed.resume,
                     "Go on with what an earlier run left; --no-resume starts over (default --resume)");
  }
  if (row.settings) {
    command.add_flag("!--no-color", typed.color, "No colours and no progress bars (as NO_COLOR does)");
    command.add_flag("--quiet", typed.quiet, "No progress bars and no remarks: results and errors alone");
  }
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
                fmt::format("unknown argument; expected what {} --help lists, got '{}'{}", where, extra,
                            did_you_mean(extra, known)));
  }
  throw Error(ErrorCode::kUsage, where,
              fmt::format("{}; expected arguments as {} --help lists them, got too few or too many",
                          error.what(), where));
}

std::vector<FlagHelp> flags_of(const CLI::App& app, const std::vector<Setting>& table) {
  std::vector<FlagHelp> flags;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) continue;
    FlagHelp flag;
    for (const std::string& name : option->get_snames()) flag.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) flag.names.push_back("--" + name);
    if (option->get_items_expected_max() > 0) flag.value = option->get_type_name();
    flag.text = option->get_description();
    flag.group = option->get_group();
    for (const Setting& setting : table) {
      if (std::ranges::find(flag.names, setting.flag) != flag.names.end()) flag.choices = setting.choices;
    }
    flags.push_back(std::move(flag));
  }
  return flags;
}

}  // namespace

struct CommandLine::Parser {
  CLI::App app{
      "Octavo trains an image classifier, quantizes it to int8 after and during training, runs both on real\n"
      "kernels and shows accuracy, size and time side by side.",
      "octavo"};
};

CommandLine::CommandLine(const std::vector<Setting>& table, const std::string& version)
    : table_(table), parser_(std::make_unique<Parser>()) {
  CLI::App& app = parser_->app;
  app.formatter(std::make_shared<HelpFormatter>());
  app.footer(
      "Start with:  octavo run --config configs/quick.toml\nExit codes: 0 done, 1 verify found differences, "
      "2 usage, 3 bad input, 4 "
      "unsupported, 5 input/output, 70 internal, 130 interrupted.\n"
      "Environment: OCTAVO_DATA names a folder with data; OCTAVO_ISA (generic, avx2, avx-vnni, avx512-vnni, "
      "amx)\n"
      "keeps to an instruction set that this CPU has; NO_COLOR turns colours and progress bars off.");
  app.set_version_flag("--version", version);
  app.require_subcommand(1);
  for (const CommandRow& row : kCommands) add_command(app, row, table, typed_);
}

CommandLine::~CommandLine() = default;

bool CommandLine::parse(int argc, char** argv) {
  CLI::App& app = parser_->app;
  if (argc <= 1) {
    text_ = app.help();
    return false;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) refuse(app, error);
    std::ostringstream out;  // --help and --version
    app.exit(error, out, out);
    text_ = out.str();
    return false;
  } catch (const std::logic_error&) {
    // CLI11 reads the text of `--flag=text` with std::stoll and lets its exceptions through.
    throw Error(
        ErrorCode::kUsage, "octavo",
        "the value of a true-or-false flag is not understood; expected --flag, --no-flag, --flag=true or "
        "--flag=false, got other text");
  }
  for (const CommandRow& row : kCommands) {
    if (!app.got_subcommand(row.name)) continue;
    typed_.command = row.bit;
    const std::vector<std::string> choices = words(row.choices);
    for (const std::string& file : typed_.files) {
      if (choices.empty() || std::ranges::find(choices, file) != choices.end()) continue;
      throw Error(ErrorCode::kUsage, std::string("octavo ") + row.name,
                  fmt::format("unknown {}; expected one of {}, got '{}'", row.file_type, row.choices, file));
    }
  }
  return true;
}

std::vector<CommandHelp> CommandLine::help() const {
  const CLI::App& app = parser_->app;
  std::vector<CommandHelp> result(1);
  result[0].summary = app.get_description();
  result[0].examples = app.get_footer();
  result[0].flags = flags_of(app, {});
  for (const CommandRow& row : kCommands) {
    CommandHelp command;
    command.name = row.name;
    command.summary = row.summary;
    command.examples = row.examples;
    command.choices = words(row.choices);
    command.flags = flags_of(*app.get_subcommand(row.name), table_);
    if (row.files != nullptr) {
      command.argument = std::string(row.file_type) + (row.many_files ? "..." : "");
      command.argument_text = row.files;
    }
    if (row.bit == kMan) {
      for (const CommandRow& other : kCommands) command.choices.emplace_back(other.name);
    }
    result.push_back(std::move(command));
  }
  return result;
}

}  // namespace octavo::app
