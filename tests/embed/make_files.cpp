// make_embed_files FOLDER: float.onnx and int8.onnx of a small network, images.bin (uint8, [5, 16, 16, 3])
// and what the modules make of them, float.logits and int8.logits ([5, 10] floats).
#include <filesystem>
#include <fstream>

#include "octavo/graph/zoo.h"
#include "octavo/onnx/onnx.h"
#include "octavo/quantize/ptq.h"
#include "octavo/runtime/runtime.h"
#include "quantize/random_images.h"

namespace octavo {
namespace {

constexpr std::int64_t kImages = 5, kSide = 16;

template <typename T>
void write(const std::filesystem::path& path, const std::vector<T>& values) {
  std::ofstream stream(path, std::ios::binary);
  stream.exceptions(std::ios::failbit | std::ios::badbit);
  stream.write(reinterpret_cast<const char*>(values.data()),
               static_cast<std::streamsize>(values.size() * sizeof(T)));
}

std::vector<float> logits(const Graph& graph, const Tensor& input) {
  const CompiledModel model(graph, {.max_batch = kImages});
  CompiledModel::Context context(model);
  std::vector<float> result(static_cast<std::size_t>(kImages * model.classes()));
  model.run(context, input.data<float>(), kImages, result);
  return result;
}

void make_files(const std::filesystem::path& folder) {
  const Dataset images = testing::random_images(64, kSide);
  Graph graph = make_model("simple-cnn", {.channels = 3, .height = kSide, .width = kSide, .classes = 10}, 3);
  set_normalization(graph, testing::kNoiseNormalization);
  set_class_names(graph, {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"});
  PtqConfig config;
  config.calibration_samples = 32;
  const Graph quantized = quantize_ptq(graph, images, testing::kNoiseNormalization, config).graph;

  std::vector<std::int64_t> first(kImages);
  for (std::int64_t i = 0; i < kImages; ++i) first[static_cast<std::size_t>(i)] = i;
  const Tensor input = normalized_batch(images, first, testing::kNoiseNormalization);
  std::vector<std::uint8_t> pixels;
  const auto plane = static_cast<std::size_t>(kSide * kSide);
  for (std::size_t n = 0; n < kImages; ++n) {
    for (std::size_t at = 0; at < plane; ++at) {
      for (std::size_t c = 0; c < 3; ++c) pixels.push_back(images.pixels[(n * 3 + c) * plane + at]);
    }
  }
  write(folder / "images.bin", pixels);
  for (const auto& [name, model] :
       {std::pair<const char*, const Graph*>{"float", &graph}, {"int8", &quantized}}) {
    const std::filesystem::path file = folder / (std::string(name) + ".onnx");
    save_onnx(*model, file);
    write(folder / (std::string(name) + ".logits"), logits(load_onnx(file), input));
  }
}

}  // namespace
}  // namespace octavo

int main(int, char** argv) {
  octavo::make_files(argv[1]);
  return 0;
}
