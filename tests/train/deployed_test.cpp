// The files that ship, in another program: ONNX Runtime on all real CIFAR-10 test images. Trains for seconds,
// or takes the files of a finished run from the folder in OCTAVO_TEST_RUN.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <numeric>

#include "octavo/core/temporary_folder.h"
#include "octavo/data/dataset.h"
#include "octavo/data/sources.h"
#include "octavo/graph/zoo.h"
#include "octavo/onnx/onnx.h"
#include "octavo/quantize/ptq.h"
#include "octavo/runtime/runtime.h"
#include "octavo/train/trainer.h"
#include "support/ort.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;

fs::path cifar10_folder() {
  if (const char* given = std::getenv("OCTAVO_TEST_CIFAR10")) return given;
  return cache_folder() / "cifar-10-batches-bin";
}

/// base.onnx, ptq.onnx and qat.onnx after a training of seconds.
void make_files(const DatasetPair& data, const fs::path& folder) {
  const Dataset few = head(data.train, 6400);
  TrainConfig config;
  config.epochs = 2;
  config.optimizer.lr = 0.05;
  const Graph start = make_model("simple-cnn", {}, 1);
  const Graph base = train(start, few, nullptr, data.normalization, config).graph;
  save_onnx(base, folder / "base.onnx");
  PtqConfig ptq_config;
  ptq_config.calibration_samples = 500;
  const PtqResult ptq = quantize_ptq(base, few, data.normalization, ptq_config);
  save_onnx(ptq.graph, folder / "ptq.onnx");
  std::map<std::string, QuantParams> activations;
  for (const ValueId id : quantized_activations(ptq.graph)) {
    activations[ptq.graph.value(id).name] = *ptq.graph.value(id).quant;
  }
  QatConfig qat;
  qat.train = config;
  qat.train.epochs = 1;
  qat.train.optimizer.lr = 0.005;
  save_onnx(train_quantized(base, activations, few, nullptr, data.normalization, qat).graph,
            folder / "qat.onnx");
}

std::vector<float> octavo_logits(const fs::path& file, const Tensor& input) {
  const CompiledModel model(load_onnx(file));
  CompiledModel::Context context(model);
  const std::int64_t image = input.size() / input.dim(0);
  std::vector<float> logits(static_cast<std::size_t>(input.dim(0) * model.classes()));
  for (std::int64_t first = 0; first < input.dim(0); first += model.max_batch()) {
    const std::int64_t count = std::min(model.max_batch(), input.dim(0) - first);
    model.run(context,
              input.data<float>().subspan(static_cast<std::size_t>(first * image),
                                          static_cast<std::size_t>(count * image)),
              count,
              std::span(logits).subspan(static_cast<std::size_t>(first * model.classes()),
                                        static_cast<std::size_t>(count * model.classes())));
  }
  return logits;
}

class DeployedFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = test::why_no_onnx_runtime(); !why.empty()) GTEST_SKIP() << why;
    if (!fs::exists(cifar10_folder()))
      GTEST_SKIP() << "no CIFAR-10 at " << cifar10_folder() << "; set OCTAVO_TEST_CIFAR10";
    const DatasetPair data = read_cifar10(cifar10_folder());
    if (const char* run = std::getenv("OCTAVO_TEST_RUN")) {
      folder_ = run;
    } else {
      folder_ = temporary_.path();
      make_files(data, folder_);
    }
    std::vector<std::int64_t> all(static_cast<std::size_t>(data.test.size()));
    std::iota(all.begin(), all.end(), 0);
    input_ = normalized_batch(data.test, all, data.normalization);
  }

  fs::path folder_;
  TemporaryFolder temporary_;
  Tensor input_;
};

TEST_F(DeployedFiles, GiveTheSameAnswersInOnnxRuntime) {
  const auto count = static_cast<std::size_t>(input_.dim(0));
  for (const char* file : {"base.onnx", "ptq.onnx", "qat.onnx"}) {
    SCOPED_TRACE(file);
    const std::vector<float> ours = octavo_logits(folder_ / file, input_);
    const std::vector<float> theirs = test::onnx_runtime_logits(folder_ / file, input_);
    ASSERT_EQ(ours.size(), theirs.size());
    const auto classes = static_cast<std::int64_t>(ours.size() / count);
    const auto a = test::top1(ours, classes);
    const auto b = test::top1(theirs, classes);
    std::size_t same = 0;
    for (std::size_t i = 0; i < count; ++i) same += a[i] == b[i] ? 1 : 0;
    RecordProperty(std::string("same_top1_") + file, static_cast<int>(same));
    std::cout << file << ": same top-1 class on " << same << " of " << count << " images\n";
    EXPECT_GE(static_cast<double>(same), 0.999 * static_cast<double>(count));
    if (std::string(file) != "base.onnx") continue;
    float largest = 0;
    for (std::size_t i = 0; i < ours.size(); ++i) largest = std::max(largest, std::abs(ours[i] - theirs[i]));
    std::cout << file << ": largest difference of a logit " << largest << "\n";
    EXPECT_LE(largest, 1e-3F);
  }
}

}  // namespace
}  // namespace octavo
