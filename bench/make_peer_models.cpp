// make_peer_models FOLDER MODEL...: MODEL.fp32.onnx and MODEL.int8.onnx of zoo models with random weights,
// calibrated on noise. What a model computes does not change how long it takes.
#include <filesystem>
#include <iostream>
#include <random>

#include "octavo/core/error.h"
#include "octavo/graph/zoo.h"
#include "octavo/onnx/onnx.h"
#include "octavo/quantize/ptq.h"

namespace octavo {
namespace {

Dataset noise(std::int64_t images, std::int64_t side) {
  Dataset data;
  data.name = "noise";
  data.split = "train";
  data.class_names = {"noise"};
  data.channels = 3;
  data.height = data.width = side;
  data.labels.assign(static_cast<std::size_t>(images), 0);
  data.pixels.resize(static_cast<std::size_t>(images * data.image_size()));
  std::mt19937 random(1);
  for (auto& pixel : data.pixels) pixel = static_cast<std::uint8_t>(random() % 256);
  return data;
}

void make(const std::filesystem::path& folder, const std::string& name) {
  const bool large = name.ends_with("-224");
  const std::int64_t side = large ? 224 : 32;
  const ZooInput input{.channels = 3, .height = side, .width = side, .classes = large ? 1000 : 10};
  const Normalization normalization{{0.5F, 0.5F, 0.5F}, {0.25F, 0.25F, 0.25F}};
  const Graph graph = make_model(name, input, 1);
  const Dataset images = noise(large ? 8 : 64, side);
  PtqConfig config;
  config.calibration_samples = static_cast<std::int64_t>(images.labels.size());
  save_onnx(graph, folder / (name + ".fp32.onnx"));
  save_onnx(quantize_ptq(graph, images, normalization, config).graph, folder / (name + ".int8.onnx"));
}

}  // namespace
}  // namespace octavo

int main(int argc, char** argv) try {
  if (argc < 3) throw octavo::Error(octavo::ErrorCode::kUsage, "usage: make_peer_models FOLDER MODEL...");
  std::filesystem::create_directories(argv[1]);
  for (int i = 2; i < argc; ++i) octavo::make(argv[1], argv[i]);
  return 0;
} catch (const octavo::Error& error) {
  std::cerr << "make_peer_models: " << error.what() << '\n';
  return error.exit_code();
}
