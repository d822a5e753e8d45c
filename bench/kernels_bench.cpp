/// Speed of the training kernels on the four layers of simple-cnn: convolutions in GFLOP/s of the direct
/// algorithm (2 * 9 * c_in * c_out for each output pixel), batch norm in images per second. Threads:
/// --threads=N first, else all.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "octavo/core/parallel.h"
#include "octavo/kernels/conv3x3.h"
#include "octavo/kernels/norm.h"

namespace octavo {
namespace {

std::vector<float> random_floats(std::int64_t count) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = normal(generator);
  return values;
}

enum class Direction { kForward, kBackwardData, kBackwardWeights };

void convolution(benchmark::State& state, Direction direction) {
  const Conv3x3Shape s{.n = state.range(0),
                       .h = state.range(1),
                       .w = state.range(1),
                       .c_in = state.range(2),
                       .c_out = state.range(3)};
  const auto x = random_floats(s.n * s.h * s.w * s.c_in);
  const auto weight = random_floats(9 * s.c_in * s.c_out);
  auto y = random_floats(s.n * s.h * s.w * s.c_out);
  std::vector<float> dx(x.size());
  std::vector<float> dweight(weight.size());
  for (auto _ : state) {
    switch (direction) {
      case Direction::kForward:
        conv3x3_forward(s, x.data(), weight.data(), nullptr, y.data());
        break;
      case Direction::kBackwardData:
        conv3x3_backward_data(s, y.data(), weight.data(), dx.data());
        break;
      case Direction::kBackwardWeights:
        conv3x3_backward_weights(s, x.data(), y.data(), dweight.data(), nullptr);
        break;
    }
    benchmark::ClobberMemory();
  }
  const double flops = 18.0 * static_cast<double>(s.n * s.h * s.w * s.c_in * s.c_out);
  state.counters["GFLOP/s"] = benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

void batch_norm(benchmark::State& state, bool backward) {
  const BatchNormShape s{.n = state.range(0),
                         .h = state.range(1),
                         .w = state.range(1),
                         .c = state.range(2),
                         .relu = true,
                         .pool = state.range(3) != 0};
  const std::int64_t size = s.n * s.h * s.w * s.c;
  const std::int64_t out = s.pool ? size / 4 : size;
  const auto x = random_floats(size);
  auto y = random_floats(out);
  const auto gamma = random_floats(s.c);
  const auto beta = random_floats(s.c);
  std::vector<float> mean(gamma.size());
  std::vector<float> variance(gamma.size());
  std::vector<float> x_max(y.size());
  std::vector<float> dx(x.size());
  std::vector<std::uint8_t> argmax(y.size());
  const BatchNormSaved saved{mean.data(), variance.data(), x_max.data(), argmax.data()};
  batch_norm_forward(s, x.data(), gamma.data(), beta.data(), y.data(), saved);
  std::vector<float> dgamma(gamma.size());
  std::vector<float> dbeta(gamma.size());
  for (auto _ : state) {
    if (backward) {
      batch_norm_backward(s, x.data(), gamma.data(), beta.data(), saved, y.data(), dx.data(), dgamma.data(),
                          dbeta.data());
    } else {
      batch_norm_forward(s, x.data(), gamma.data(), beta.data(), y.data(), saved);
    }
    benchmark::ClobberMemory();
  }
  state.counters["images/s"] =
      benchmark::Counter(static_cast<double>(s.n), benchmark::Counter::kIsIterationInvariantRate);
}

double least(const std::vector<double>& values) { return *std::min_element(values.begin(), values.end()); }
double most(const std::vector<double>& values) { return *std::max_element(values.begin(), values.end()); }

/// On a busy machine the best of many says most: "min" of the times, "max" of the rates.
void many_times(benchmark::internal::Benchmark* benchmark) {
  benchmark->UseRealTime()
      ->Unit(benchmark::kMillisecond)
      ->Iterations(1)
      ->Repetitions(30)
      ->ReportAggregatesOnly();
  benchmark->ComputeStatistics("min", least)->ComputeStatistics("max", most);
}

void layers(benchmark::internal::Benchmark* benchmark) {
  for (const std::int64_t maps : {16, 8, 4}) benchmark->Args({128, maps, 1024 / maps, 2048 / maps});
  many_times(benchmark);
}

void all_layers(benchmark::internal::Benchmark* benchmark) {
  benchmark->Args({128, 32, 3, 64});
  layers(benchmark);
}

void norms(benchmark::internal::Benchmark* benchmark) {
  for (const std::int64_t pool : {1, 0})
    for (const std::int64_t maps : {32, 16, 8, 4}) benchmark->Args({128, maps, 2048 / maps, pool});
  many_times(benchmark);
}

BENCHMARK_CAPTURE(convolution, forward, Direction::kForward)->Apply(all_layers);
BENCHMARK_CAPTURE(convolution, backward_data, Direction::kBackwardData)->Apply(layers);
BENCHMARK_CAPTURE(convolution, backward_weights, Direction::kBackwardWeights)->Apply(all_layers);
BENCHMARK_CAPTURE(batch_norm, forward, false)->Apply(norms);
BENCHMARK_CAPTURE(batch_norm, backward, true)->Apply(norms);

}  // namespace
}  // namespace octavo

int main(int argc, char** argv) {
  int threads = octavo::available_cores();
  const std::string flag = "--threads=";
  if (argc > 1 && std::string(argv[1]).starts_with(flag)) {
    threads = std::atoi(argv[1] + flag.size());
    argv[1] = argv[0];
    ++argv;
    --argc;
  }
  octavo::set_num_threads(threads);
  benchmark::AddCustomContext("threads", std::to_string(threads));
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
