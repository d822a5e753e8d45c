#include "onnx/conformance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "octavo/core/error.h"
#include "octavo/runtime/reference.h"
#include "onnx/protos.h"

namespace octavo::test {
namespace {

enum class Outcome : std::uint8_t { kPassed, kUnsupported, kFailed };  // from good to bad

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

/// What the test gives in each use, the worst of its cases.
std::map<std::string, Result> results(const ConformanceTest& test, const std::vector<ConformanceUse>& uses) {
  std::map<std::string, Result> worst;
  const auto note = [&](const std::string& use, const Result& result) {
    const auto [known, is_new] = worst.try_emplace(use, result);
    if (!is_new && result.outcome > known->second.outcome) known->second = result;
  };
  const ConformanceUse import = import_use();
  const auto note_all = [&](const Result& result) {
    note(import.name, result);
    for (const ConformanceUse& use : uses) note(use.name, result);
  };
  if (!test.reason.empty()) note_all({Outcome::kUnsupported, test.reason});
  for (const ConformanceCase& data : test.cases) {
    Graph graph;
    const Result imported = attempt([&] {
      graph = import_model(data.model);
      return import.check(graph, data);
    });
    if (imported.outcome != Outcome::kPassed) {
      note_all(imported);
      continue;
    }
    note(import.name, imported);
    for (const ConformanceUse& use : uses) note(use.name, attempt([&] { return use.check(graph, data); }));
  }
  return worst;
}

/// The first thing that the importer's message complains of, without the file's and the node's name.
std::string reason(const std::string& why) {
  const std::string list = " unsupported: ";
  const std::size_t begin = why.find(list);
  if (begin == std::string::npos) return why;
  std::string first = why.substr(begin + list.size());
  first = first.substr(
      0, std::min({first.find("; expected "), first.find("), '"), first.find("), initializer '")}));
  while (!first.empty() && first.back() == ')') first.pop_back();
  const std::size_t inner = first.find(" (");
  if (inner == std::string::npos) return first;
  first = first.substr(inner + 2);
  const std::size_t opset = first.find(", opset ");
  if (opset == std::string::npos) return first;  // An initializer's.
  const std::size_t colon = first.find(": ", opset);
  return colon == std::string::npos ? "operator " + first.substr(0, opset) : first.substr(colon + 2);
}

}  // namespace

std::string compare(std::span<const float> actual, std::span<const float> expected) {
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

ConformanceUse import_use() {
  return {"import", [](const Graph& graph, const ConformanceCase& data) {
            return compare(interpret(graph, data.input).data<float>(), data.expected);
          }};
}

ConformanceReport run_conformance(const std::vector<ConformanceUse>& uses) {
  ConformanceReport report;
  const std::string import = import_use().name;
  for (const ConformanceTest& test : conformance_tests()) {
    const std::map<std::string, Result> all = results(test, uses);
    for (const auto& [use, result] : all) {
      Counts& counts = report.counts[use][test.op];
      if (result.outcome == Outcome::kPassed) ++counts.passed;
      if (result.outcome == Outcome::kFailed) {
        ++counts.failed;
        report.failures.push_back(fmt::format("{} ({}): {}", test.name, use, result.why));
      }
      if (result.outcome != Outcome::kUnsupported) continue;
      ++counts.unsupported;
      if (use == import || all.at(import).outcome == Outcome::kPassed)
        report.unsupported[use][reason(result.why)].push_back(test.name);
    }
  }
  return report;
}

}  // namespace octavo::test
