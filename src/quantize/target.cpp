#include "octavo/quantize/target.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "octavo/core/error.h"
#include "octavo/onnx/file_form.h"

namespace octavo {
namespace {

constexpr std::int32_t kMiddle = 128;  ///< The uint8 that is int8's 0.

/// Rows in the order of --help. What an engine only advises is not a rule.
constexpr Target kTargets[] = {
    {.name = "any", .title = "any engine", .source = "ONNX: QuantizeLinear, DequantizeLinear"},
    {.name = "onnxruntime",
     .title = "ONNX Runtime",
     .source = "onnxruntime.ai: Quantize ONNX models; QDQ and QOperator form, U8S8 and S8S8"},
    {.name = "openvino",
     .title = "OpenVINO",
     .source = "docs.openvino.ai: Low Precision Transformations; NNCF's quantization scheme for CPU",
     .symmetric_weights = true,
     .plain_pairs = true},
    {.name = "tensorrt",
     .title = "TensorRT",
     .source = "docs.nvidia.com: Working with Quantized Types, explicit quantization; onnx-tensorrt: "
               "docs/operators.md",
     .int8_activations = true,
     .symmetric_activations = true,
     .symmetric_weights = true,
     .float_biases = true,
     .plain_pairs = true,
     .rows_and_functions_in_float = true},
    {.name = "qnn",
     .title = "QNN",
     .source = "onnxruntime.ai: QNN Execution Provider; onnxruntime.quantization: get_qnn_qdq_config",
     .plain_pairs = true,
     .least_range = 1e-4F},
    {.name = "litert",
     .title = "LiteRT",
     .source = "ai.google.dev: LiteRT 8-bit quantization specification",
     .int8_activations = true,
     .symmetric_weights = true,
     .plain_pairs = true,
     .fixed_outputs = true},
};

bool is_fused_function(Op op) { return op == Op::kRelu || op == Op::kClip || op == Op::kLeakyRelu; }

constexpr float kUnit = 1.0F / 256.0F;  ///< Scale of what lies between 0 and 1.

struct FixedOutput {
  Op op;
  float scale;
  std::int32_t zero_point;  ///< Of uint8.
};
constexpr FixedOutput kFixedOutputs[] = {
    {Op::kSigmoid, kUnit, 0}, {Op::kSoftmax, kUnit, 0}, {Op::kTanh, 2 * kUnit, kMiddle}};

bool is_pair(const FileNode& node) { return node.op == "QuantizeLinear" || node.op == "DequantizeLinear"; }

/// Not of ONNX's QDQ form: they compute on integers themselves.
bool is_integer_operator(const FileNode& node) {
  const std::size_t dot = node.op.rfind('.');
  const std::string name = dot == std::string::npos ? node.op : node.op.substr(dot + 1);
  return name.starts_with("QLinear") || name == "QGemm" || name == "ConvInteger" || name == "MatMulInteger" ||
         name == "DynamicQuantizeLinear";
}

/// Adds what `node`, one of a pair, breaks.
void check_pair(const Target& target, const FileNode& node, std::vector<Violation>& found) {
  const auto add = [&](const std::string& rule, const std::string& fix) {
    found.push_back({node.name, fmt::format("{} {}", target.title, rule), fix});
  };
  const bool bias = node.constant && node.type == "INT32";
  if (bias) {
    if (target.float_biases)
      add("takes biases in float32; this one is INT32", "store the bias in float32 and drop this node");
    return;
  }
  if (node.constant) {
    if (target.symmetric_weights && (node.zero_points || !(node.type == "INT8" || node.type == "INT4")))
      add(fmt::format("takes weights in INT8 with zero points of 0; these are {}{}", node.type,
                      node.zero_points ? " with others" : ""),
          "quantize the weights symmetrically");
    return;
  }
  // Its DequantizeLinear says the same again.
  if (node.op == "DequantizeLinear") return;
  if (node.per_channel)
    add("takes one scale for an activation; this has more", "quantize the activation per tensor");
  if (target.int8_activations && node.type != "INT8")
    add(fmt::format("takes activations in INT8; this is {}", node.type),
        fmt::format("quantize with --target {}", target.name));
  if (target.symmetric_activations && node.zero_points)
    add("takes zero points of 0; this has another", fmt::format("quantize with --target {}", target.name));
  const int levels = node.type == "INT16" || node.type == "UINT16" ? 65535 : 255;
  if (node.scale > 0 &&
      static_cast<double>(node.scale) * levels < 0.999 * static_cast<double>(target.least_range))
    add(fmt::format("takes activations with a range of at least {}; this has {}", target.least_range,
                    node.scale * static_cast<float>(levels)),
        "widen the range");
  if (!target.fixed_outputs) return;
  for (const FixedOutput& fixed : kFixedOutputs) {
    if (operator_info(fixed.op).name != node.maker || node.scale == fixed.scale) continue;
    add(fmt::format("takes {} with the scale {}; this has {}", node.maker, fixed.scale, node.scale),
        fmt::format("quantize with --target {}", target.name));
  }
}

}  // namespace

std::span<const Target> targets() { return kTargets; }

std::vector<std::string> target_names() {
  std::vector<std::string> names;
  for (const Target& target : kTargets) names.emplace_back(target.name);
  return names;
}

const Target& find_target(std::string_view name) {
  const auto* found = std::ranges::find(kTargets, name, &Target::name);
  if (found == std::end(kTargets)) {
    throw Error(ErrorCode::kUsage, "target",
                fmt::format("unknown; expected one of {}, got '{}'", fmt::join(target_names(), ", "), name));
  }
  return *found;
}

const Target& target_of(const Graph& graph) {
  const auto named = graph.metadata.find("octavo.target");
  const auto* found = named == graph.metadata.end()
                          ? std::end(kTargets)
                          : std::ranges::find(kTargets, named->second, &Target::name);
  return found == std::end(kTargets) ? kTargets[0] : *found;
}

bool runs_in_float(const Target& target, Op op) {
  if (!target.rows_and_functions_in_float) return false;
  const bool function = operator_info(op).form == Form::kUnary && !is_fused_function(op);
  return function || op == Op::kLayerNormalization || op == Op::kSoftmax;
}

QuantParams choose_params(const Target& target, Range range, int levels) {
  QuantParams params = choose_activation_params(range, levels);  // It checks them too.
  const float low = std::min(0.0F, range.min);
  const float high = std::max({0.0F, range.max, low + target.least_range});
  if (!target.symmetric_activations) return choose_activation_params({low, high}, levels);
  const std::int32_t middle = levels / 2;
  const float reach = std::max(-low, high);
  params.zero_points = {middle};
  params.scales = {
      reach > 0 ? std::max(reach / static_cast<float>(std::max(1, levels - 1 - middle)), kMinScale) : 1.0F};
  return params;
}

int levels_within(const Target& target, Range range) {
  constexpr int kLevels = 256;
  if (!target.symmetric_activations || range.min == range.max) return kLevels;
  const double scale = choose_params(target, range).scale();
  const double width = static_cast<double>(range.max) - static_cast<double>(range.min);
  return std::clamp(static_cast<int>(std::lround(width / scale)) + 1, 2, kLevels);
}

std::optional<QuantParams> fixed_params(const Target& target, Op op) {
  const auto* found = std::ranges::find(kFixedOutputs, op, &FixedOutput::op);
  if (!target.fixed_outputs || found == std::end(kFixedOutputs)) return std::nullopt;
  return activation_params(found->scale, found->zero_point);
}

std::vector<Violation> violations(const Target& target, const FileForm& file) {
  std::vector<Violation> found;
  for (const FileNode& node : file.nodes) {
    if (is_pair(node)) {
      check_pair(target, node, found);
    } else if (target.plain_pairs && is_integer_operator(node)) {
      found.push_back(
          {node.name,
           fmt::format("{} takes operators between DequantizeLinear and QuantizeLinear; this is {}",
                       target.title, node.op),
           "write the file in the QDQ form (octavo's own is)"});
    } else if (target.plain_pairs && node.of_integers) {
      found.push_back({node.name,
                       fmt::format("{} takes nothing between QuantizeLinear and DequantizeLinear; this is {}",
                                   target.title, node.op),
                       "quantize with eight bits, or put it in front of QuantizeLinear"});
    }
  }
  return found;
}

}  // namespace octavo
