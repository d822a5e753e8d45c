#include "onnx/conformance.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "octavo/onnx/onnx.h"
#include "octavo/runtime/reference.h"
#include "octavo/runtime/runtime.h"
#include "onnx/models.h"
#include "onnx/protos.h"

namespace octavo::test {
namespace {

enum class Outcome : std::uint8_t { kPassed, kFailed, kUnsupported };

struct Result {
  Outcome outcome = Outcome::kPassed;
  std::string why;
};

/// Octavo's own refusal is no failure; everything else that goes wrong is.
template <typename Body>
Result attempt(const Body& body) {
  try {
    const std::string problem = body();
    return problem.empty() ? Result{} : Result{Outcome::kFailed, problem};
  } catch (const Error& error) {
    return {error.code() == ErrorCode::kUnsupported ? Outcome::kUnsupported : Outcome::kFailed, error.what()};
  } catch (const std::exception& error) {
    return {Outcome::kFailed, error.what()};
  }
}

std::vector<float> run(const Graph& graph, const Tensor& input) {
  const CompiledModel model(graph, {.max_batch = input.dim(0), .threads = 1, .observe = {}});
  CompiledModel::Context context(model);
  std::vector<float> logits(static_cast<std::size_t>(input.dim(0) * model.classes()));
  model.run(context, input.data<float>(), input.dim(0), logits);
  return logits;
}

/// Sums of at most a few hundred products in another order.
std::string compare(const std::vector<float>& actual, const std::vector<float>& expected) {
  if (actual.size() != expected.size())
    return fmt::format("{} numbers; expected {}", actual.size(), expected.size());
  std::string problem;
  int wrong = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const bool same = actual[i] == expected[i] || (std::isnan(actual[i]) && std::isnan(expected[i])) ||
                      std::abs(actual[i] - expected[i]) <= 1e-4F * std::max(1.0F, std::abs(expected[i]));
    if (!same && wrong++ == 0) problem = fmt::format("number {} is {}, not {}", i, actual[i], expected[i]);
  }
  return wrong == 0 ? "" : fmt::format("{} of {} numbers are wrong: {}", wrong, actual.size(), problem);
}

/// What the test gives in each use, the worst of its cases.
std::map<std::string, Result> results(const ConformanceTest& test) {
  std::map<std::string, Result> worst;
  const auto note = [&](const std::string& use, const Result& result) {
    const auto [known, is_new] = worst.try_emplace(use, result);
    const auto badness = [](Outcome o) {
      return o == Outcome::kFailed ? 2 : o == Outcome::kUnsupported ? 1 : 0;
    };
    if (!is_new && badness(result.outcome) > badness(known->second.outcome)) known->second = result;
  };
  if (!test.reason.empty()) {
    for (const char* use : {"import", "float", "int8", "export"})
      note(use, {Outcome::kUnsupported, test.reason});
    return worst;
  }
  for (const ConformanceCase& data : test.cases) {
    Graph graph;
    const Result imported = attempt([&] {
      graph = import_model(data.model);
      const Tensor output = interpret(graph, data.input);
      return compare({output.data<float>().begin(), output.data<float>().end()}, data.expected);
    });
    note("import", imported);
    if (imported.outcome != Outcome::kPassed) {
      for (const char* use : {"float", "int8", "export"}) note(use, imported);
      continue;
    }
    note("float", attempt([&] { return compare(run(graph, data.input), data.expected); }));
    note("export", attempt([&]() -> std::string {
           const std::vector<std::byte> bytes = serialize_onnx(graph);
           check_with_onnx(from_bytes(bytes));
           return parse_onnx(bytes, "again.onnx") == graph ? "" : "comes back as another graph";
         }));
    note("int8", attempt([&]() -> std::string {
           const Graph integers = graph.quantized() ? graph : quantized(graph, data.input);
           const Tensor expected = interpret(integers, data.input);
           const std::vector<float> actual = run(integers, data.input);
           const auto wanted = expected.data<float>();
           const bool same = std::equal(actual.begin(), actual.end(), wanted.begin(), wanted.end());
           return same ? "" : "differs from the reference interpreter";
         }));
  }
  return worst;
}

/// The first thing that the importer's message complains of, without the file's and the node's name.
std::string reason(const std::string& why) {
  const std::string list = " unsupported: ";
  const std::size_t begin = why.find(list);
  if (begin == std::string::npos) return why;
  std::string first = why.substr(begin + list.size());
  first = first.substr(0, std::min({first.find("; expected "), first.find("), '")}));
  while (!first.empty() && first.back() == ')') first.pop_back();
  const std::size_t opset = first.find(", opset ");
  const std::size_t colon = first.find(": ", opset == std::string::npos ? 0 : opset);
  if (opset != std::string::npos && colon == std::string::npos)
    return "operator " + first.substr(first.find('(') + 1, opset - first.find('(') - 1);
  return colon == std::string::npos ? first : first.substr(colon + 2);
}

}  // namespace

ConformanceReport run_conformance() {
  ConformanceReport report;
  for (const ConformanceTest& test : conformance_tests()) {
    for (const auto& [use, result] : results(test)) {
      Counts& counts = report.counts[test.op][use];
      if (result.outcome == Outcome::kPassed) ++counts.passed;
      if (result.outcome == Outcome::kFailed) {
        ++counts.failed;
        report.failures.push_back(fmt::format("{} ({}): {}", test.name, use, result.why));
      }
      if (result.outcome == Outcome::kUnsupported) {
        ++counts.unsupported;
        // What cannot be imported cannot be run either.
        if (use == "import") report.unsupported[reason(result.why)].push_back(test.name);
      }
    }
  }
  return report;
}

std::string conformance_section(const ConformanceReport& report) {
  constexpr const char* kUses[] = {"import", "float", "int8", "export"};
  std::string text = "| operator | import | run float | run int8 | export |\n|---|---|---|---|---|\n";
  for (const auto& [op, how] : claimed_operators()) {
    const auto found = report.counts.find(op);
    text += fmt::format("| {}{} |", op, how.empty() ? "" : ", " + how);
    for (const char* use : kUses) {
      const Counts counts = found == report.counts.end() ? Counts{} : found->second.at(use);
      text += fmt::format(" {} / {} / {} |", counts.passed, counts.failed, counts.unsupported);
    }
    text += "\n";
  }
  text += "\nNot imported, and why:\n\n";
  for (const auto& [why, names] : report.unsupported)
    text += fmt::format("- {}: {}\n", why, fmt::join(names, ", "));
  return text;
}

}  // namespace octavo::test
