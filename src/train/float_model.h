/// Float training: walks the graph's fused groups and lets autograd differentiate them.
#pragma once

#include <vector>

#include "model.h"
#include "octavo/graph/passes.h"

namespace octavo::train_detail {

enum class Mode : std::uint8_t { kTraining, kEvaluation };

/// Whose kernels compute a model in training.
enum class Kernels {
  kOctavo,  ///< Octavo's for float32, where they apply; some run a pool with what comes before it.
  kAten     ///< ATen's alone, a kernel per operator: for other precisions, and to look at every value.
};

class FloatModel : public Model {
 public:
  /// Throws kBadInput if the graph is quantized already.
  explicit FloatModel(const Graph& graph, Kernels kernels = Kernels::kOctavo);

  at::Tensor forward(const at::Tensor& images) override { return run(images, Mode::kTraining); }
  Graph snapshot() const override;

  /// In evaluation, running statistics normalize and stay as they are.
  at::Tensor run(const at::Tensor& images, Mode mode);

 protected:
  /// QAT replaces weights and values by fake-quantized ones here. The first dimension of `weight` is the
  /// outputs', MatMul's too. `factor` is gamma / sigma where batch norm is folded into the weight, else
  /// undefined.
  virtual at::Tensor quantize_weight(const Node& /*node*/, const at::Tensor& weight,
                                     const at::Tensor& /*factor*/) {
    return weight;
  }
  /// Called after quantize_weight() of the same node.
  virtual at::Tensor quantize_bias(const Node& /*node*/, const at::Tensor& bias) { return bias; }
  virtual at::Tensor quantize_value(ValueId /*id*/, const at::Tensor& y) { return y; }
  /// gamma / sqrt(running variance + epsilon) of a group's batch norm, float64 [C].
  at::Tensor norm_factor(const FusedGroup& group) const;
  const at::Tensor& tensor(ValueId id) const { return tensors_[static_cast<std::size_t>(id)]; }

  bool fold_norms_ = false;  ///< Fold running statistics into convolutions instead of normalizing.
  bool training_ = false;    ///< Of the run() in progress.

 private:
  /// A fused group and, if it runs with it, the 2x2 max pool after it.
  struct Step {
    FusedGroup group;
    int pool = -1;
    ValueId output = kNoValue;
    std::vector<ValueId> finished;  ///< Values that no later step reads.
  };

  void make_steps();
  bool can_pool(const FusedGroup& group, int node) const;
  at::Tensor run_step(const Step& step);
  at::Tensor run_convolution(const Step& step, bool& activated);
  at::Tensor run_folded(const FusedGroup& group);
  at::Tensor run_gemm(const Node& gemm, const at::Tensor& x);
  at::Tensor run_matmul(const Node& matmul, const at::Tensor& x);
  at::Tensor run_operator(const Node& op);
  at::Tensor normalize(const Node& node, const at::Tensor& x) const;
  at::Tensor convolve_any(const Node& conv, const at::Tensor& x, const at::Tensor& weight,
                          const at::Tensor& bias) const;
  const Node& node(int index) const { return graph_.nodes[static_cast<std::size_t>(index)]; }
  /// A node's optional input; undefined if it has none.
  at::Tensor optional_input(const Node& node, std::size_t index) const {
    return index < node.inputs.size() ? tensor(node.inputs[index]) : at::Tensor();
  }

  Graph graph_;
  bool fast_kernels_;
  std::vector<Step> steps_;
  std::vector<at::Tensor> tensors_;  ///< By value id: constants for good, others while run() needs them.
};

}  // namespace octavo::train_detail
