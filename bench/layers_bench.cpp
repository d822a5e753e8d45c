// Single layers as the runtime runs them, batch 16 and 1, one thread: GOP/s (two operations a
// multiply-accumulate of the direct algorithm) of processor time. Shapes from the zoo, named input
// channels-output channels @ size.
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "octavo/graph/builder.h"
#include "octavo/graph/passes.h"
#include "octavo/runtime/runtime.h"
#include "runtime/int8/kernels.h"

namespace octavo {
namespace {

struct Layer {
  std::int64_t c_in, c_out, size, kernel, stride;
  bool depthwise = false;
};

/// Input -> layer -> ReLU -> global average, so that the output is small; all of it quantized if asked for.
Graph graph_of(const Layer& layer, bool quantized) {
  GraphBuilder b("layer", layer.c_in, layer.size, layer.size, 1);
  const std::int64_t pad = layer.kernel / 2;
  const ConvAttributes window{.kernel = {layer.kernel, layer.kernel},
                              .strides = {layer.stride, layer.stride},
                              .pads = {pad, pad, pad, pad},
                              .group = layer.depthwise ? layer.c_in : 1};
  const ValueId made = b.relu("relu", b.conv("conv", b.input(), layer.c_out, window, true));
  Graph graph = b.finish(b.flatten("flat", b.global_average_pool("pool", made)));
  if (!quantized) return graph;
  for (Value& value : graph.values) {
    if (!value.constant) {
      value.quant =
          activation_params(0.02F, &value == &graph.values[static_cast<std::size_t>(graph.input)] ? 128 : 0);
    } else if (value.shape.size() == 4) {
      value.quant = weight_params(std::vector<float>(static_cast<std::size_t>(layer.c_out), 0.002F));
    }
  }
  return graph;
}

void count(benchmark::State& state, const Layer& layer, std::int64_t batch) {
  const std::int64_t side = layer.size / layer.stride;
  const auto operations = static_cast<double>(2 * batch * side * side * layer.kernel * layer.kernel *
                                              layer.c_out * (layer.depthwise ? 1 : layer.c_in));
  state.counters["GOP/s"] =
      benchmark::Counter(operations * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

/// The kernel alone, from uint8 to uint8.
void run_int8(benchmark::State& state, const Layer& layer, std::int64_t batch) {
  const Graph graph = graph_of(layer, true);
  const IntegerConv conv = lower_integer_conv(graph, fuse(graph).at(0));
  const std::int64_t side = layer.size / layer.stride;
  const ConvExtent extent{layer.size, layer.size, side, side};
  const Int8Conv prepared =
      prepare_int8_conv(conv, extent, best_algorithm(int8_kernels(), conv, extent, batch));
  std::vector<std::uint8_t> x(static_cast<std::size_t>(batch * layer.c_in * layer.size * layer.size) +
                              kReadSlack);
  std::mt19937 random(1);
  for (auto& byte : x) byte = static_cast<std::uint8_t>(random() % 256);
  std::vector<std::uint8_t> y(static_cast<std::size_t>(batch * layer.c_out * side * side) + kReadSlack);
  for (auto _ : state) {
    int8_kernels().conv(prepared, batch, x.data(), nullptr, y.data(), 1);
    benchmark::ClobberMemory();
  }
  count(state, layer, batch);
}

/// A float model of the layer, the reading of its [N, C, H, W] input and a pool included.
void run_float(benchmark::State& state, const Layer& layer, std::int64_t batch) {
  const CompiledModel model(graph_of(layer, false), {.max_batch = batch, .threads = 1});
  CompiledModel::Context context(model);
  std::vector<float> input(static_cast<std::size_t>(batch * layer.c_in * layer.size * layer.size));
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-2, 2);
  for (float& x : input) x = uniform(random);
  std::vector<float> logits(static_cast<std::size_t>(batch * model.classes()));
  for (auto _ : state) model.run(context, input, batch, logits);
  count(state, layer, batch);
}

void add_benchmarks() {
  const Layer layers[] = {{3, 64, 32, 3, 1},          {64, 128, 16, 3, 1},        {128, 256, 8, 3, 1},
                          {256, 512, 4, 3, 1},        {16, 16, 32, 3, 1},         {32, 32, 16, 3, 1},
                          {64, 64, 8, 3, 1},          {16, 32, 32, 3, 2},         {64, 64, 32, 3, 1},
                          {64, 128, 32, 3, 2},        {512, 512, 4, 3, 1},        {96, 96, 32, 3, 1, true},
                          {144, 144, 32, 3, 1, true}, {192, 192, 16, 3, 2, true}, {576, 576, 8, 3, 1, true},
                          {16, 96, 32, 1, 1},         {96, 24, 32, 1, 1},         {64, 384, 8, 1, 1},
                          {384, 64, 8, 1, 1},         {320, 1280, 4, 1, 1},       {256, 64, 56, 1, 1},
                          {3, 64, 224, 7, 2}};
  for (const Layer& layer : layers) {
    for (const bool quantized : {true, false}) {
      for (const std::int64_t batch : {16, 1}) {
        const std::string name = std::string(quantized ? "int8" : "fp32") +
                                 (layer.depthwise ? "/dw" : "/conv") + std::to_string(layer.kernel) + "x" +
                                 std::to_string(layer.kernel) + "/s" + std::to_string(layer.stride) + "/" +
                                 std::to_string(layer.c_in) + "-" + std::to_string(layer.c_out) + "@" +
                                 std::to_string(layer.size) + "/batch" + std::to_string(batch);
        benchmark::RegisterBenchmark(name.c_str(), quantized ? run_int8 : run_float, layer, batch)
            ->Unit(benchmark::kMillisecond);
      }
    }
  }
}

}  // namespace
}  // namespace octavo

int main(int argc, char** argv) {
  octavo::add_benchmarks();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
