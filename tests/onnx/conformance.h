/// ONNX's own test data (Debian: libonnx-testdata) as classifiers: what a case computes, whatever the ranks
/// of its operands, becomes a model with one image as input and one row of numbers as output.
#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "octavo/core/tensor.h"

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

/// What became of one of an operator's tests in one use.
struct Counts {
  int passed = 0, failed = 0, unsupported = 0;
};

struct ConformanceReport {
  /// By operator, then by use: "import", "float", "int8", "export".
  std::map<std::string, std::map<std::string, Counts>> counts;
  std::vector<std::string> failures;  ///< "node/test_x (float): what was wrong"
  /// Why tests are not supported, and which: the import's reasons, and those of other uses besides.
  std::map<std::string, std::vector<std::string>> unsupported;
};

/// Runs every test in every use.
ConformanceReport run_conformance();

/// The generated part of docs/onnx.md: the table, and why each test that is not supported is not.
std::string conformance_section(const ConformanceReport& report);

}  // namespace octavo::test
