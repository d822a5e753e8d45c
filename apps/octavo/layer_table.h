// What `octavo bench --layers` shows: the time of each step of a model, beside what the CPU could do.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "octavo/kernels/peak.h"
#include "octavo/runtime/latency.h"

namespace octavo::app {

/// Part of the CPU's peak at the step's precision; 0 where no operations are counted.
double share_of_peak(const LayerCost& cost, const Peaks& peaks);

/// Raises the peaks to the fastest step seen that does as many operations as are counted: a CPU whose kernels
/// pass its peak was busy with something else while that was measured. True if it raised one.
bool raise_peaks(const std::vector<LayerCost>& costs, Peaks& peaks);

/// `busy` is what raise_peaks() has said.
void print_peaks(const Peaks& peaks, bool busy);
void print_layer_table(std::int64_t batch, const std::vector<LayerCost>& costs, const Peaks& peaks);
nlohmann::ordered_json peaks_json(const Peaks& peaks, bool busy);
nlohmann::ordered_json layers_json(const std::vector<LayerCost>& costs, const Peaks& peaks);

/// Most memory this process has held so far, in bytes.
std::uint64_t peak_memory();

}  // namespace octavo::app
