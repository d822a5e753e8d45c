/// ONNX's own test data through the training graph: the forward pass in evaluation mode against the expected
/// output, and a gradient of it for every parameter and the image. Of quantized cases, the simulation.
///   OCTAVO_UPDATE_DOCS=1 build/release/tests/train/train_conformance_test
/// writes its column of the table in docs/onnx.md anew.
#include "onnx/conformance.h"

#include <gtest/gtest.h>

#include "octavo/train/simulate.h"
#include "train/float_model.h"
#include "train/operators.h"

namespace octavo::train_detail {
namespace {

std::string train(const Graph& graph, const test::ConformanceCase& data) {
  if (graph.quantized()) {
    const auto values = simulate(graph, data.input);
    return test::compare(values.at(graph.value(graph.output).name).data<float>(), data.expected);
  }
  FloatModel model(graph);
  const at::Tensor images = to_aten(data.input).requires_grad_();
  const at::Tensor output = model.run(images, Mode::kEvaluation);
  const at::Tensor rows = output.detach().contiguous();
  const std::string difference =
      test::compare({rows.data_ptr<float>(), static_cast<std::size_t>(rows.numel())}, data.expected);
  if (!difference.empty()) return difference;
  output.sum().backward();
  if (!images.grad().defined()) return "no gradient for the image";
  for (const NamedTensor& parameter : model.parameters()) {
    if (!parameter.tensor.grad().defined()) return "no gradient for " + parameter.name;
  }
  return "";
}

TEST(TrainConformance, NothingComesOutWrongAndThePageSaysSo) {
  if (!std::filesystem::exists(test::kConformanceData))
    GTEST_SKIP() << "ONNX's test data are not installed; run: apt-get install libonnx-testdata";
  const test::ConformanceReport report = test::run_conformance({{"train", train}});
  for (const std::string& failure : report.failures) ADD_FAILURE() << failure;
  EXPECT_EQ(test::check_page(report), "");
}

}  // namespace
}  // namespace octavo::train_detail
