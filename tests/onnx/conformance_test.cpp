/// Octavo against ONNX's own test data, and the page that says how that went.
///   OCTAVO_UPDATE_DOCS=1 build/release/tests/onnx/onnx_conformance_test
/// writes its part of docs/onnx.md anew; what training makes of the same tests is in tests/train.
#include "onnx/conformance.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "octavo/onnx/onnx.h"
#include "octavo/runtime/reference.h"
#include "octavo/runtime/runtime.h"
#include "onnx/models.h"
#include "onnx/protos.h"

namespace octavo {
namespace {

std::vector<float> run(const Graph& graph, const Tensor& input) {
  const CompiledModel model(graph, {.max_batch = input.dim(0), .threads = 1, .observe = {}});
  CompiledModel::Context context(model);
  std::vector<float> logits(static_cast<std::size_t>(input.dim(0) * model.classes()));
  model.run(context, input.data<float>(), input.dim(0), logits);
  return logits;
}

std::string run_float(const Graph& graph, const test::ConformanceCase& data) {
  return test::compare(run(graph, data.input), data.expected);
}

std::string run_int8(const Graph& graph, const test::ConformanceCase& data) {
  const Graph integers = graph.quantized() ? graph : test::quantized(graph, data.input);
  const Tensor expected = interpret(integers, data.input);
  return std::ranges::equal(run(integers, data.input), expected.data<float>())
             ? ""
             : "differs from the reference interpreter";
}

std::string export_again(const Graph& graph, const test::ConformanceCase&) {
  const std::vector<std::byte> bytes = serialize_onnx(graph);
  test::check_with_onnx(test::from_bytes(bytes));
  return parse_onnx(bytes, "again.onnx") == graph ? "" : "comes back as another graph";
}

class Conformance : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!std::filesystem::exists(test::kConformanceData)) return;
    report_ =
        test::run_conformance({{"run float", run_float}, {"run int8", run_int8}, {"export", export_again}});
  }
  void SetUp() override {
    if (report_.counts.empty())
      GTEST_SKIP() << "ONNX's test data are not installed; run: apt-get install libonnx-testdata";
  }
  static test::ConformanceReport report_;
};
test::ConformanceReport Conformance::report_;

TEST_F(Conformance, NothingThatOctavoAcceptsComesOutWrong) {
  for (const std::string& failure : report_.failures) ADD_FAILURE() << failure;
}

TEST_F(Conformance, EveryClaimedOperatorPassesATest) {
  for (const auto& [op, how] : test::claimed_operators()) {
    // All of Cast's tests are about types that Octavo has not got, all of LayerNormalization's about its mean
    // and deviation too (EveryOperator asks ONNX Runtime).
    if (op == "Cast" || op == "LayerNormalization") continue;
    EXPECT_GT(report_.counts.at("import")[op].passed, 0) << op;
  }
}

TEST_F(Conformance, PageSaysHowItWent) { EXPECT_EQ(test::check_page(report_), ""); }

TEST(ConformancePage, KeepsWhatOtherReportsSay) {
  const std::string page =
      "x\n<!-- generated: conformance -->\n| operator | train |\n|---|---|\n| Add | 1 / 2 / 3 |\n"
      "<!-- end of what is generated -->\n<!-- generated: unsupported in import -->\n- old\n"
      "<!-- end of what is generated -->\ny\n";
  test::ConformanceReport report;
  report.counts["import"]["Add"] = {.passed = 4, .failed = 5, .unsupported = 6};
  report.unsupported["import"]["new"] = {"node/a", "node/b"};
  const std::string updated = test::updated_page(page, report);
  EXPECT_NE(updated.find("| operator | import | run float | run int8 | train | export |\n"),
            std::string::npos);
  EXPECT_NE(updated.find("| Add | 4 / 5 / 6 |  |  | 1 / 2 / 3 |  |\n"), std::string::npos);
  EXPECT_NE(updated.find("- new: node/a, node/b\n<!-- end"), std::string::npos);
  EXPECT_EQ(updated.find("- old"), std::string::npos);
  EXPECT_EQ(test::updated_page(updated, report), updated);
}

}  // namespace
}  // namespace octavo
