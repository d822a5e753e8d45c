/// What the training loop needs to know of a model: tensors to update, a differentiable forward pass, a graph
/// to give back.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "octavo/graph/graph.h"

namespace octavo::train_detail {

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
  bool decay = false;  ///< A convolution's or matrix product's weight: weight decay applies by default.
};

class Model {
 public:
  Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  virtual ~Model() = default;

  /// Logits [N, classes] of images [N, C, H, W] in channels-last memory; training mode: batch statistics are
  /// used and the running ones updated.
  virtual at::Tensor forward(const at::Tensor& images) = 0;
  /// Called before each step with the part of training done, in [0, 1): what freezes late does so by it
  /// alone, so that a resumed run does the same.
  virtual void set_progress(double /*done*/) {}
  /// The graph with the present parameters and statistics.
  virtual Graph snapshot() const = 0;

  /// Tensors with gradients, in a fixed order.
  const std::vector<NamedTensor>& parameters() const { return parameters_; }
  /// Tensors that forward() updates: running statistics, ranges.
  const std::vector<NamedTensor>& statistics() const { return statistics_; }

 protected:
  std::vector<NamedTensor> parameters_;
  std::vector<NamedTensor> statistics_;
};

}  // namespace octavo::train_detail
