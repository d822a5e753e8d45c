/// ONNX's own test data (Debian: libonnx-testdata) as classifiers: what a case computes, whatever the ranks
/// of its operands, becomes a model with one image as input and one row of numbers as output.
#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "octavo/core/tensor.h"
#include "octavo/graph/graph.h"

namespace octavo::test {

/// Where the package puts its data.
inline const std::filesystem::path kConformanceData = "/usr/share/libonnx-testdata/data";

/// Operators that Octavo claims, in alphabetical order, and how: "" or what is special about it.
const std::map<std::string, std::string>& claimed_operators();

/// One output of one case.
struct ConformanceCase {
  onnx::ModelProto model;
  Tensor input;                 ///< [N, C, H, W]
  std::vector<float> expected;  ///< As many as the model's output has.
};

/// What can be said of a case without running it: `cases`, or why there are none.
struct ConformanceTest {
  std::string name;    ///< "node/test_relu"
  std::string op;      ///< The operator it is about.
  std::string reason;  ///< Why it cannot be a classifier; empty if it can.
  std::vector<ConformanceCase> cases;
};

/// All tests of claimed operators, by name.
std::vector<ConformanceTest> conformance_tests();

/// Something to do with a case that was imported: a column of the table.
struct ConformanceUse {
  std::string name;  ///< The column's head.
  /// "" if it comes out right, else what is wrong. Throws kUnsupported if Octavo refuses.
  std::function<std::string(const Graph& graph, const ConformanceCase& data)> check;
};

/// Importing itself, as the reference interpreter sees it. It comes before all others: what cannot be
/// imported cannot be used.
ConformanceUse import_use();

/// Nothing, or what differs. Sums of at most a few hundred products in another order are the same.
std::string compare(std::span<const float> actual, std::span<const float> expected);

/// What became of one of an operator's tests in one use.
struct Counts {
  int passed = 0, failed = 0, unsupported = 0;
};

struct ConformanceReport {
  std::map<std::string, std::map<std::string, Counts>> counts;  ///< By use, then by operator.
  std::vector<std::string> failures;                            ///< "node/test_x (run float): what was wrong"
  /// By use: why tests are not supported, and which. Those that cannot be imported are listed there alone.
  std::map<std::string, std::map<std::string, std::vector<std::string>>> unsupported;
};

/// Runs every test through the import and then in each of `uses`.
ConformanceReport run_conformance(const std::vector<ConformanceUse>& uses);

/// The page (docs/onnx.md) with the report's columns in its table and the report's lists of what is not
/// supported; the columns and lists of other uses stay. Throws std::runtime_error if the page has no place
/// for them.
std::string updated_page(const std::string& page, const ConformanceReport& report);

/// Compares docs/onnx.md with what it would be with this report; with OCTAVO_UPDATE_DOCS in the environment
/// writes it. The difference, or "".
std::string check_page(const ConformanceReport& report);

}  // namespace octavo::test
