/// Quantization-aware training: the float executor with fake-quantized weights and activations.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "fake_quantize.h"
#include "float_model.h"
#include "octavo/quantize/observer.h"
#include "octavo/quantize/target.h"
#include "octavo/train/trainer.h"

namespace octavo::train_detail {

/// Batch statistics normalize until `freeze_batch_norm`: the convolution takes fake-quantized weights and
/// batch norm follows. A per-channel symmetric grid scales with its channel, so fake-quantizing w * gamma /
/// sigma and dividing by gamma / sigma again (Krishnamoorthi 2018, arXiv 1806.08342, section 3.2.2) is
/// fake-quantizing w itself: one convolution a layer does. After that the running statistics are folded into
/// the weights before they are fake-quantized, exactly as fold_batch_norm() does in the result.
class QatModel final : public FloatModel {
 public:
  QatModel(const Graph& graph, const std::map<std::string, QuantParams>& activations, const QatConfig& config,
           Kernels kernels = Kernels::kOctavo);

  void set_progress(double done) override;
  /// Folded and annotated.
  Graph snapshot() const override;
  /// From now on run() leaves what it computes for each value in `computed` (null: nowhere) and goes on with
  /// what `given` has in its place.
  void record_values(std::map<ValueId, at::Tensor>* computed, std::map<ValueId, at::Tensor> given = {}) {
    recorded_ = computed;
    given_ = std::move(given);
  }

 private:
  /// How a value that flows is quantized.
  struct Activation {
    std::string name;
    at::Tensor range;                 ///< [min, max, scale, zero point]: what a checkpoint has to keep.
    at::Tensor scale;                 ///< LSQ: learned; else undefined.
    QuantGrid grid;                   ///< The zero point is LSQ's; without it that of `range`.
    bool fixed = false;               ///< By the target: the range does not follow the values.
    std::optional<Range> parts = {};  ///< Of values with these parameters that this step's owner will join.
  };

  at::Tensor quantize_value(ValueId id, const at::Tensor& y) override;
  /// The value fake-quantized, if it is quantized; ranges see it.
  at::Tensor on_grid(ValueId id, const at::Tensor& y);
  at::Tensor quantize_weight(const Node& node, const at::Tensor& weight, const at::Tensor& factor) override;
  at::Tensor quantize_bias(const Node& node, const at::Tensor& bias) override;
  /// The scale of a value with parameters, its own or shared.
  at::Tensor value_scale(ValueId id) const;
  static at::Tensor fake_quantized(const Activation& activation, const at::Tensor& y);
  void update_range(Activation& activation, Range seen) const;
  void use_learned_weight_scales(const Graph& trained, Graph& folded) const;
  ValueId owner(ValueId id) const { return owners_[static_cast<std::size_t>(id)]; }

  QatConfig config_;
  const Target& target_;
  std::map<ValueId, at::Tensor>* recorded_ = nullptr;
  std::map<ValueId, at::Tensor> given_;
  bool freeze_observers_ = false;
  std::vector<ValueId> owners_;  ///< By value id: whose parameters it has; kNoValue: it has none.
  std::vector<bool> moved_;  ///< By value id: made of values with the same parameters, without arithmetic.
  std::map<std::string, std::int32_t> largest_weights_;  ///< By node, of those whose weight is quantized.
  at::Tensor weight_scale_;                              ///< Of the weight that quantize_weight() made last.
  std::map<ValueId, Activation> activations_;
  std::map<ValueId, at::Tensor>
      weight_scales_;  ///< LSQ, by weight: of the weight before batch norm is folded.
};

}  // namespace octavo::train_detail
