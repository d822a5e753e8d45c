#include "float_model.h"

#include <array>
#include <ranges>

#include "fast_ops.h"
#include "octavo/core/error.h"
#include "octavo/kernels/conv3x3.h"
#include "operators.h"

namespace octavo::train_detail {

FloatModel::FloatModel(const Graph& graph, Kernels kernels)
    : graph_(graph),
      fast_kernels_(kernels == Kernels::kOctavo && fast_training_kernels_available()),
      tensors_(graph.values.size()) {
  if (graph_.quantized()) {
    throw Error(ErrorCode::kBadInput, graph_.name,
                "the model is quantized already; expected a float one (train the model it was made from)");
  }
  for (const Node& node : graph_.nodes) {
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const auto id = static_cast<std::size_t>(node.inputs[i]);
      const Value& value = graph_.values[id];
      if (!value.constant || tensors_[id].defined()) continue;
      tensors_[id] = to_aten(*value.constant);
      if (is_parameter(graph_, node, i)) {
        tensors_[id].requires_grad_();
        parameters_.push_back({value.name, tensors_[id], i == 1 && has_weight(node.op)});
      } else if (node.op == Op::kBatchNormalization) {
        statistics_.push_back({value.name, tensors_[id]});
      }
    }
  }
  make_steps();
}

void FloatModel::make_steps() {
  const std::vector<FusedGroup> groups = quantizable_groups(graph_);
  std::vector<bool> done(graph_.nodes.size(), false);
  for (const FusedGroup& group : groups) {
    if (done[static_cast<std::size_t>(group.anchor)]) continue;
    Step step{.group = group, .output = group.output, .finished = {}};
    const std::vector<int> consumers = graph_.consumers(group.output);
    if (consumers.size() == 1 && group.output != graph_.output && can_pool(group, consumers[0])) {
      step.pool = consumers[0];
      step.output = node(step.pool).output;
      done[static_cast<std::size_t>(step.pool)] = true;
    }
    steps_.push_back(std::move(step));
  }
  // From the end: the first step met that reads a value is the last that does.
  std::vector<bool> read(graph_.values.size(), false);
  read[static_cast<std::size_t>(graph_.output)] = true;
  for (Step& step : std::views::reverse(steps_)) {
    for (const ValueId id : flowing_inputs(graph_, step.group)) {
      if (read[static_cast<std::size_t>(id)]) continue;
      read[static_cast<std::size_t>(id)] = true;
      step.finished.push_back(id);
    }
  }
}

/// The kernels pool after Relu, 2x2 by 2 without padding.
bool FloatModel::can_pool(const FusedGroup& group, int index) const {
  const Node& pool = node(index);
  const bool relu = group.activation >= 0 && node(group.activation).op == Op::kRelu;
  const bool conv = node(group.anchor).op == Op::kConv;
  if (!fast_kernels_ || !conv || !relu || pool.op != Op::kMaxPool) {
    return false;
  }
  const Shape& shape = graph_.value(group.output).shape;
  const auto& window = pool.as<PoolAttributes>();
  const bool even = shape[2] % 2 == 0 && shape[3] % 2 == 0;
  return window.kernel == std::array<std::int64_t, 2>{2, 2} && window.strides == window.kernel &&
         window.pads == std::array<std::int64_t, 4>{} && (even || !window.ceil_mode) && shape[2] >= 2 &&
         shape[3] >= 2;
}

Graph FloatModel::snapshot() const {
  Graph result = graph_;
  for (std::size_t id = 0; id < tensors_.size(); ++id) {
    if (result.values[id].constant && tensors_[id].defined())
      from_aten(tensors_[id], *result.values[id].constant);
  }
  return result;
}

at::Tensor FloatModel::run(const at::Tensor& images, Mode mode) {
  const auto slot = [&](ValueId id) -> at::Tensor& { return tensors_[static_cast<std::size_t>(id)]; };
  training_ = mode == Mode::kTraining;
  slot(graph_.input) = quantize_value(graph_.input, images);
  for (const Step& step : steps_) {
    slot(step.output) = quantize_value(step.group.output, run_step(step));
    for (const ValueId id : step.finished) slot(id) = at::Tensor();
  }
  return std::move(slot(graph_.output));
}

/// The group's output; with its pool, what the pool makes of it. Fake quantization comes after the pool, as
/// rounding keeps order.
at::Tensor FloatModel::run_step(const Step& step) {
  const FusedGroup& group = step.group;
  const Node& anchor = node(group.anchor);
  const at::Tensor& x = tensor(group.input);
  bool finished = false;
  at::Tensor y;
  switch (anchor.op) {
    case Op::kConv:
      y = run_convolution(step, finished);
      break;
    case Op::kGemm:
      y = run_gemm(anchor, x);
      break;
    case Op::kMatMul:
      y = run_matmul(anchor, x);
      break;
    case Op::kBatchNormalization:
      y = normalize(anchor, x);
      break;
    default:
      y = run_operator(anchor);
  }
  if (finished) return y;
  if (step.pool >= 0) return relu_pool(y);
  if (group.activation >= 0) {
    const Node& activation = node(group.activation);
    // The group's own intermediate result: nobody else sees it, so ReLU may overwrite it.
    y = activation.op == Op::kRelu ? at::relu_(y) : apply_operator(activation, {y});
  }
  return y;
}

at::Tensor FloatModel::run_gemm(const Node& gemm, const at::Tensor& x) {
  const at::Tensor weight = quantize_weight(gemm, tensor(gemm.inputs[1]), {});
  return at::linear(x, weight, quantize_bias(gemm, optional_input(gemm, 2)));
}

at::Tensor FloatModel::run_matmul(const Node& matmul, const at::Tensor& x) {
  const at::Tensor rows = tensor(matmul.inputs[1]).t().contiguous();  // a row per output, as elsewhere
  const at::Tensor weight = quantize_weight(matmul, rows, {});  // before the bias, which takes its scale
  return at::linear(x, weight, quantize_bias(matmul, optional_input(matmul, 2)));
}

at::Tensor FloatModel::run_operator(const Node& op) {
  std::vector<at::Tensor> operands;
  for (const ValueId id : op.inputs) operands.push_back(tensor(id));
  // Training wants logits, and the logarithms of Softmax's probabilities are logits of the same classes.
  if (training_ && op.op == Op::kSoftmax && op.output == graph_.output) {
    return at::log_softmax(operands[0], op.as<AxisAttributes>().axis);
  }
  return apply_operator(op, operands);
}

at::Tensor FloatModel::convolve_any(const Node& conv, const at::Tensor& x, const at::Tensor& weight,
                                    const at::Tensor& bias) const {
  const auto& attributes = conv.as<ConvAttributes>();
  if (fast_kernels_ && fast_convolution_applies(attributes)) return convolve_3x3(x, weight, bias);
  return convolve(x, weight, bias, attributes);
}

/// Sets `finished` if activation and pool are done too.
at::Tensor FloatModel::run_convolution(const Step& step, bool& finished) {
  const FusedGroup& group = step.group;
  const Node& conv = node(group.anchor);
  const at::Tensor& x = tensor(group.input);
  if (fold_norms_ && group.batch_norm >= 0) return run_folded(group);
  const at::Tensor weight = quantize_weight(conv, tensor(conv.inputs[1]), {});
  const at::Tensor bias = optional_input(conv, 2);
  if (group.batch_norm < 0) return convolve_any(conv, x, weight, quantize_bias(conv, bias));
  const Node& norm = node(group.batch_norm);
  if (!fast_kernels_ || !training_) return normalize(norm, convolve_any(conv, x, weight, bias));
  // Training-mode batch norm subtracts the batch's mean, and with it the bias, whose gradient is therefore
  // zero: it is left to the running mean.
  const at::Tensor y = convolve_any(conv, x, weight, {});
  const bool relu = group.activation >= 0 && node(group.activation).op == Op::kRelu;
  finished = relu || group.activation < 0;
  return fast_batch_norm(
      y, {tensor(norm.inputs[1]), tensor(norm.inputs[2]), tensor(norm.inputs[3]), tensor(norm.inputs[4])},
      bias.defined() ? bias.detach() : bias, norm.as<BatchNormAttributes>(), relu, step.pool >= 0);
}

at::Tensor FloatModel::norm_factor(const FusedGroup& group) const {
  const Node& norm = node(group.batch_norm);
  const auto epsilon = static_cast<double>(norm.as<BatchNormAttributes>().epsilon);
  return tensor(norm.inputs[1]).to(at::kDouble) / at::sqrt(tensor(norm.inputs[4]).to(at::kDouble) + epsilon);
}

/// In float64 until the end, like fold_batch_norm(), so that both give the same weights.
at::Tensor FloatModel::run_folded(const FusedGroup& group) {
  const Node& conv = node(group.anchor);
  const Node& norm = node(group.batch_norm);
  const at::Tensor factor = norm_factor(group);
  const at::Tensor& weight = tensor(conv.inputs[1]);
  const at::Tensor folded = (weight.to(at::kDouble) * factor.view({-1, 1, 1, 1})).to(at::kFloat);
  at::Tensor offset = -tensor(norm.inputs[3]).to(at::kDouble);
  if (conv.inputs.size() > 2) offset = tensor(conv.inputs[2]).to(at::kDouble) + offset;
  const at::Tensor bias = (offset * factor + tensor(norm.inputs[2]).to(at::kDouble)).to(at::kFloat);
  const at::Tensor quantized = quantize_weight(conv, folded, factor.to(at::kFloat));
  return convolve_any(conv, tensor(group.input), quantized, quantize_bias(conv, bias));
}

at::Tensor FloatModel::normalize(const Node& norm, const at::Tensor& x) const {
  const auto& a = norm.as<BatchNormAttributes>();
  return at::batch_norm(x, tensor(norm.inputs[1]), tensor(norm.inputs[2]), tensor(norm.inputs[3]),
                        tensor(norm.inputs[4]), training_ && !fold_norms_,
                        1.0 - static_cast<double>(a.momentum), static_cast<double>(a.epsilon), false);
}

}  // namespace octavo::train_detail
