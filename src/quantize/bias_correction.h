// Biases that take back what rounding weights does to the mean of a layer's outputs.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "octavo/graph/graph.h"

namespace octavo {

/// The mean of each channel that a layer with weights and bias reads, over images and pixels.
class InputMeans {
 public:
  InputMeans() = default;
  /// Of layers whose weights have fewer than eight bits (plan.h, by index of the node).
  InputMeans(const Graph& folded, const std::vector<std::int32_t>& largest_weights);

  /// The values looked at.
  std::vector<ValueId> values() const;
  /// More elements of `value`; nothing if it is none of values().
  void add(ValueId value, std::span<const float> elements);
  std::vector<double> of(ValueId value) const;

 private:
  struct Sums {
    std::vector<double> channels;
    std::size_t inner = 1;  ///< Elements of a channel that lie together.
    std::size_t count = 0;  ///< Of each channel.
  };
  std::map<ValueId, Sums> sums_;
};

/// Adds (w - v) E[x] to the bias of each layer whose weights w became v with fewer than eight bits (Nagel et
/// al. 2019, arXiv 1906.04721, section 4.2; E[x] from calibration images rather than from batch norms).
/// Pixels of a convolution that reach over the border count as all others do.
void correct_biases(const Graph& folded, Graph& annotated, const InputMeans& means);

}  // namespace octavo
