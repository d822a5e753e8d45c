// measure_peak: {"fp32-1": GFLOP/s, "int8-1": GOP/s, "fp32-2": ..., ...}, what this CPU can do on 1, 2, ...
// threads.
#include <iostream>

#include "octavo/core/parallel.h"
#include "octavo/kernels/peak.h"

int main() {
  std::cout << '{';
  for (int threads = 1; threads <= octavo::available_cores(); threads *= 2) {
    const octavo::Peaks peaks = octavo::measure_peaks(threads, 0.3);
    std::cout << (threads > 1 ? ", " : "") << "\"fp32-" << threads << "\": " << peaks.float32.gops
              << ", \"int8-" << threads << "\": " << peaks.int8.gops;
  }
  std::cout << "}\n";
  return 0;
}
