#include "serve/model_files.h"

#include <random>

#include "octavo/graph/zoo.h"
#include "octavo/onnx/onnx.h"
#include "octavo/quantize/ptq.h"
#include "octavo/runtime/runtime.h"
#include "quantize/random_images.h"

namespace octavo::testing {

const ModelFiles& ModelFiles::get() {
  static const ModelFiles files;
  return files;
}

ModelFiles::ModelFiles() {
  const Dataset images = random_images(64, kSide);
  Graph graph =
      make_model("simple-cnn", {.channels = 3, .height = kSide, .width = kSide, .classes = kClasses}, 3);
  set_normalization(graph, kNoiseNormalization);
  set_class_names(graph, {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"});
  save_onnx(graph, folder_ / "float.onnx");
  PtqConfig config;
  config.calibration_samples = 32;
  save_onnx(quantize_ptq(graph, images, kNoiseNormalization, config).graph, folder_ / "int8.onnx");
  config.weight_qmax = 7;
  save_onnx(quantize_ptq(graph, images, kNoiseNormalization, config).graph, folder_ / "int4.onnx");
}

std::vector<float> random_floats(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random() % 65536) / 16384.0F - 2;
  return values;
}

std::vector<std::uint8_t> random_pixels(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::uint8_t> values(count);
  for (std::uint8_t& value : values) value = static_cast<std::uint8_t>(random());
  return values;
}

std::vector<float> normalized(std::span<const std::uint8_t> planes) {
  std::vector<float> result(planes.size());
  normalize(planes, kNoiseNormalization, kSide * kSide, result);
  return result;
}

std::vector<float> scores_alone(const std::filesystem::path& file, std::span<const float> images) {
  const CompiledModel model(load_onnx(file), {.max_batch = 1, .threads = 2, .observe = {}});
  CompiledModel::Context context(model);
  std::vector<float> scores(images.size() / kImageValues * kClasses);
  for (std::size_t i = 0; i < images.size() / kImageValues; ++i) {
    model.run(context, images.subspan(i * kImageValues, kImageValues), 1,
              std::span(scores).subspan(i * kClasses, kClasses));
  }
  return scores;
}

}  // namespace octavo::testing
