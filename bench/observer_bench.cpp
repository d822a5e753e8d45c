/// Speed of the observers on a batch of 50 outputs of simple-cnn's first layer after ReLU (3.3 M values, half
/// of them 0), and of the search for the range. values/s counts time on the clock, values/core-s processor
/// time.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "octavo/core/parallel.h"
#include "octavo/quantize/observer.h"

namespace octavo {
namespace {

std::vector<float> activations(bool relu) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(50 * 64 * 32 * 32);
  for (float& value : values) value = relu ? std::max(0.0F, normal(random)) : normal(random);
  return values;
}

double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void observe(benchmark::State& state, const std::string& kind) {
  set_num_threads(static_cast<int>(state.range(0)));
  const std::vector<float> values = activations(true);
  const auto observer = make_observer({.kind = kind});
  const double start = processor_seconds();
  for (auto _ : state) observer->observe(values);
  const double used = processor_seconds() - start;
  const double total = static_cast<double>(values.size()) * static_cast<double>(state.iterations());
  state.counters["values/s"] = benchmark::Counter(total, benchmark::Counter::kIsRate);
  state.counters["values/core-s"] = total / used;
  set_num_threads(available_cores());
}

void range(benchmark::State& state, const std::string& kind, bool relu) {
  const auto observer = make_observer({.kind = kind});
  observer->observe(activations(relu));
  for (auto _ : state) benchmark::DoNotOptimize(observer->range(256));
}

void register_all() {
  for (const std::string& kind : observer_names()) {
    benchmark::RegisterBenchmark(("observe/" + kind).c_str(), observe, kind)
        ->ArgName("threads")
        ->Arg(1)
        ->Arg(available_cores())
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
    for (const bool relu : {true, false}) {
      benchmark::RegisterBenchmark(("range/" + kind + (relu ? "/relu" : "/two-sided")).c_str(), range, kind,
                                   relu)
          ->Unit(benchmark::kMillisecond);
    }
  }
}

}  // namespace
}  // namespace octavo

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  octavo::register_all();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
