// octavo doctor: what this machine has, what is missing, and the line that mends it.
#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "child.h"
#include "environment.h"
#include "json_text.h"
#include "machine.h"
#include "octavo/core/cpu.h"
#include "octavo/core/error.h"
#include "octavo/core/file.h"
#include "octavo/core/parallel.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/data/sources.h"
#include "onnxruntime.h"
#include "session.h"

namespace octavo::app {
namespace fs = std::filesystem;

namespace {

using Json = nlohmann::ordered_json;

/// ok; missing: something optional; broken: something octavo cannot do without.
enum class State : std::uint8_t { kOk, kMissing, kBroken };

/// Collects the answer, as JSON and as text.
class Findings {
 public:
  void title(const std::string& text) { text_ += fmt::format("{}{}\n", text_.empty() ? "" : "\n", text); }
  void fact(const std::string& key, const Json& value, const std::string& label, const std::string& text) {
    json_[key] = value;
    text_ += fmt::format("  {:<16} {}\n", label, text);
  }
  /// For programs alone: the text says it elsewhere.
  void fact(const std::string& key, const Json& value) { json_[key] = value; }
  /// `mend` is the line that puts it right; of no meaning for kOk.
  void check(const std::string& name, State state, const std::string& found, const std::string& mend = {}) {
    static const char* const kNames[] = {"ok", "missing", "broken"};
    Json row{{"name", name}, {"state", kNames[static_cast<int>(state)]}, {"found", found}};
    text_ += fmt::format("  {:<16} {}{}\n", name, state == State::kBroken ? "BROKEN: " : "", found);
    if (state != State::kOk) {
      ++(state == State::kBroken ? broken_ : missing_);
      row["mend"] = mend;
      text_ += fmt::format("  {:<16} -> {}\n", "", mend);
    }
    json_["checks"].push_back(row);
  }

  int broken() const { return broken_; }
  std::string json() const { return json_text(json_) + "\n"; }
  std::string text() const {
    if (broken_ > 0) return text_ + fmt::format("\n{} broken, {} optional missing.\n", broken_, missing_);
    if (missing_ > 0)
      return text_ + fmt::format("\nAll that is needed is there; {} optional missing.\n", missing_);
    return text_ + "\nAll is there.\n";
  }

 private:
  Json json_{{"schema", 1}};
  std::string text_;
  int broken_ = 0;
  int missing_ = 0;
};

void look_at_cpu(const std::map<std::string, std::string>& facts, Findings& findings) {
  const int usable = available_cores();
  const int online = online_cores();
  const Quotas quotas = read_quotas();
  findings.fact("cpu", facts.at("cpu"), "CPU", facts.at("cpu"));
  Json sets = Json::array();
  std::string names;
  for (const Isa isa : cpu_isas()) {
    sets.push_back(isa_name(isa));
    names += fmt::format("{}{}", names.empty() ? "" : ", ", isa_name(isa));
  }
  findings.fact("isa", facts.at("isa"), "instruction set",
                fmt::format("{}{}; this CPU has {}", facts.at("isa"),
                            isa_is_limited() ? ", as OCTAVO_ISA asks" : "", names));
  findings.fact("isa_limited", isa_is_limited());
  findings.fact("isas", sets);
  findings.fact("cores", {{"online", online}, {"usable", usable}}, "cores",
                fmt::format("{} of {} may be used, so --threads is {} unless given", usable, online, usable));
  findings.fact("quota_cores", quotas.cores ? Json(*quotas.cores) : Json(), "quota",
                quotas.cores ? fmt::format("{:.3g} cores' time", *quotas.cores) : "no limit of CPU time");
  if (quotas.cores && *quotas.cores < usable) {
    const int whole = std::max(1, static_cast<int>(*quotas.cores));
    findings.check("threads", State::kMissing,
                   fmt::format("{} threads would share {:.3g} cores' time and wait for each other", usable,
                               *quotas.cores),
                   fmt::format("give --threads {}", whole));
  }
  Json sizes = Json::object();
  std::string text;
  for (const CpuCache& cache : cpu_caches()) {
    sizes[cache.name] = cache.bytes;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", cache.name, bytes_text(cache.bytes));
  }
  findings.fact("cpu_caches", sizes, "CPU caches", text.empty() ? "not known" : text);

  const Memory memory = read_memory();
  const Json limit = quotas.memory_bytes ? Json(*quotas.memory_bytes) : Json();
  findings.fact(
      "memory",
      {{"total_bytes", memory.total_bytes},
       {"available_bytes", memory.available_bytes},
       {"limit_bytes", limit}},
      "memory",
      fmt::format("{}, {} free, {}", bytes_text(memory.total_bytes), bytes_text(memory.available_bytes),
                  quotas.memory_bytes ? bytes_text(*quotas.memory_bytes) + " allowed" : "no limit"));
}

/// Whether temporary files can be made; what needs them is not tried otherwise.
bool look_at_temporary(Findings& findings) {
  try {
    const TemporaryFolder folder;
    write_file(folder / "probe", std::string_view("octavo"));
    findings.check("temporary files", State::kOk,
                   fmt::format("{}, {} free", folder.path().parent_path().string(),
                               bytes_text(fs::space(folder.path()).available)));
    return true;
  } catch (const std::exception& error) {
    findings.check("temporary files", State::kBroken, error.what(),
                   "export TMPDIR=FOLDER, one that you may write to");
    return false;
  }
}

void look_at_current_folder(Findings& findings) {
  try {
    const fs::path folder = fs::current_path();
    make_writable_folder(folder);
    findings.check("current folder", State::kOk,
                   fmt::format("{}, {} free", folder.string(), bytes_text(fs::space(folder).available)));
  } catch (const std::exception& error) {
    findings.check("current folder", State::kMissing, error.what(),
                   "cd to a folder that you may write to, or give --out FOLDER");
  }
}

struct Use {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
};

Use use_of(const fs::path& path) {
  Use use;
  std::error_code error;
  const auto add = [&use](const fs::path& file) {
    std::error_code ignored;
    if (!fs::is_regular_file(file, ignored)) return;
    const std::uint64_t bytes = fs::file_size(file, ignored);
    if (ignored) return;
    ++use.files;
    use.bytes += bytes;
  };
  if (!fs::is_directory(path, error)) {
    add(path);
    return use;
  }
  fs::recursive_directory_iterator files(path, fs::directory_options::skip_permission_denied, error);
  for (; !error && files != fs::recursive_directory_iterator(); files.increment(error)) add(files->path());
  return use;
}

void look_at_cache(Findings& findings) {
  fs::path folder;
  try {
    folder = cache_folder();
  } catch (const Error& error) {
    findings.check("cache", State::kMissing, error.what(), "export HOME=FOLDER, one that you may write to");
    return;
  }
  Json entries = Json::object();
  std::string text;
  std::error_code error;
  for (fs::directory_iterator at(folder, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    const Use use = use_of(at->path());
    const std::string name = at->path().filename().string();
    entries[name] = {{"files", use.files}, {"bytes", use.bytes}};
    text += fmt::format("{}{} ({})", text.empty() ? ": " : ", ", name, bytes_text(use.bytes));
  }
  findings.fact("cache", {{"folder", folder.string()}, {"entries", entries}}, "cache",
                folder.string() + (text.empty() ? ": empty" : text));
}

void look_at_data(Findings& findings) {
  struct Row {
    const char* name;
    const char* mend;
  };
  for (const auto& [name, mend] :
       {Row{"cifar10", "octavo data --dataset cifar10        (downloads 163 MiB)"},
        Row{"cifar100", "octavo data --dataset cifar100        (downloads 162 MiB)"},
        Row{"fashion-mnist", "apt-get install dataset-fashion-mnist"},
        Row{"mnist", "export OCTAVO_DATA=FOLDER, one that holds its four IDX files"}}) {
    try {
      if (const std::optional<fs::path> found = locate_dataset(name)) {
        findings.check(
            name, State::kOk,
            fmt::format("{} (by its files' names; octavo data --dataset {} checks what is in them)",
                        found->string(), name));
      } else {
        findings.check(name, State::kMissing, "not found", mend);
      }
    } catch (const Error& error) {
      findings.check(name, State::kMissing, error.what(), mend);
    }
  }
}

std::string first_line(const fs::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

void look_at_programs(const std::map<std::string, std::string>& facts, bool temporary, Findings& findings) {
  findings.fact("octavo", facts.at("octavo"), "octavo", facts.at("octavo"));
  findings.fact("onednn", facts.at("onednn"), "oneDNN", facts.at("onednn"));
  const fs::path trainer = training_program();
  constexpr const char* kMend = "put octavo-train of the same build or package beside octavo";
  std::error_code ignored;
  if (!fs::exists(trainer, ignored)) {
    findings.check("octavo-train", State::kBroken,
                   trainer.string() + " is missing, so run, train, qat and verify do not work", kMend);
  } else if (temporary) {
    const TemporaryFolder folder;
    const int status = run_child({trainer.string(), "--version"}, folder / "errors");
    if (status == 0) {
      findings.check("octavo-train", State::kOk,
                     fmt::format("{}, LibTorch {}", trainer.string(), facts.at("libtorch")));
    } else {
      findings.check("octavo-train", State::kBroken,
                     fmt::format("{} does not start (status {}): {}", trainer.string(), status,
                                 first_line(folder / "errors")),
                     kMend);
    }
  }
  if (!temporary) return;
  const std::string missing = why_no_onnx_runtime({});
  findings.check("ONNX Runtime", missing.empty() ? State::kOk : State::kMissing,
                 missing.empty() ? "found by Node.js" : missing + "; octavo verify then compares without it",
                 "apt-get install nodejs npm && npm install onnxruntime-node");
}

}  // namespace

void cmd_doctor(Session& session) {
  const auto facts = environment(available_cores());
  Findings findings;
  findings.title("This machine");
  look_at_cpu(facts, findings);
  findings.fact("os", facts.at("os"), "system", facts.at("os"));
  findings.title("Folders");
  const bool temporary = look_at_temporary(findings);
  look_at_current_folder(findings);
  look_at_cache(findings);
  findings.title("Programs");
  look_at_programs(facts, temporary, findings);
  findings.title("Data sets");
  look_at_data(findings);
  std::fputs((session.json ? findings.json() : findings.text()).c_str(), stdout);
  if (findings.broken() > 0) session.exit_code = static_cast<int>(ErrorCode::kIo);
}

}  // namespace octavo::app
