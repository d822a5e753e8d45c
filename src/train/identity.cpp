// What a run may be asked for, and what makes two runs the same.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <string_view>

#include "octavo/core/cpu.h"
#include "octavo/core/error.h"
#include "octavo/core/hash.h"
#include "trainer.h"

namespace octavo::train_detail {
namespace {

class Hash {
 public:
  void add(std::string_view bytes) { state_ = fnv1a_step(fnv1a(bytes, state_), bytes.size()); }
  std::string text() const { return fmt::format("{:016x}", state_); }

 private:
  std::uint64_t state_ = kFnvBasis;
};

std::string attributes_text(const Node& node) {
  struct Visitor {
    std::string operator()(std::monostate) const { return {}; }
    std::string operator()(const ConvAttributes& a) const {
      return fmt::format("{} {} {} {} {} {} {} {} {} {} {}", a.kernel[0], a.kernel[1], a.strides[0],
                         a.strides[1], a.dilations[0], a.dilations[1], a.pads[0], a.pads[1], a.pads[2],
                         a.pads[3], a.group);
    }
    std::string operator()(const PoolAttributes& a) const {
      return fmt::format("{} {} {} {} {} {} {} {} {} {}", a.kernel[0], a.kernel[1], a.strides[0],
                         a.strides[1], a.pads[0], a.pads[1], a.pads[2], a.pads[3], a.ceil_mode,
                         a.count_include_pad);
    }
    std::string operator()(const BatchNormAttributes& a) const {
      return fmt::format("{} {}", a.epsilon, a.momentum);
    }
    std::string operator()(const ClipAttributes& a) const { return fmt::format("{} {}", a.min, a.max); }
    std::string operator()(const ScalarAttributes& a) const { return fmt::format("{} {}", a.alpha, a.beta); }
    std::string operator()(const AxisAttributes& a) const { return fmt::format("{}", a.axis); }
    std::string operator()(const SliceAttributes& a) const {
      return fmt::format("{} {} {}", fmt::join(a.starts, " "), fmt::join(a.ends, " "),
                         fmt::join(a.steps, " "));
    }
    std::string operator()(const PadAttributes& a) const {
      return fmt::format("{} {} {}", fmt::join(a.before, " "), fmt::join(a.after, " "), a.value);
    }
    std::string operator()(const ReshapeAttributes& a) const { return to_string(a.shape); }
    std::string operator()(const TransposeAttributes& a) const {
      return fmt::format("{}", fmt::join(a.permutation, " "));
    }
    std::string operator()(const LayerNormAttributes& a) const { return fmt::format("{}", a.epsilon); }
    std::string operator()(const ReduceAttributes& a) const {
      return fmt::format("{} {}", fmt::join(a.axes, " "), a.keep_dims);
    }
  };
  return std::visit(Visitor{}, node.attributes);
}

std::string structure_hash(const Graph& graph) {
  Hash hash;
  for (const Value& value : graph.values) {
    hash.add(value.name);
    hash.add(to_string(value.shape));
  }
  for (const Node& node : graph.nodes) {
    hash.add(node.name);
    hash.add(to_string(node.op));
    hash.add(attributes_text(node));
    for (const ValueId input : node.inputs) hash.add(std::to_string(input));
    hash.add(std::to_string(node.output));
  }
  return hash.text();
}

std::string weights_hash(const Graph& graph) {
  Hash hash;
  for (const Value& value : graph.values) {
    if (!value.constant) continue;
    hash.add({reinterpret_cast<const char*>(value.constant->raw()), value.constant->size_bytes()});
  }
  return hash.text();
}

template <typename T>
void require(bool good, const std::string& setting, const std::string& expected, const T& got) {
  if (!good)
    throw Error(ErrorCode::kUsage, setting, fmt::format("bad value; expected {}, got {}", expected, got));
}

}  // namespace

std::string resolved_precision(const TrainConfig& config) {
  if (config.precision == "auto") return uses_bfloat16() ? "bf16" : "fp32";
  return config.precision;
}

void check_settings(const TrainConfig& config) {
  const OptimizerConfig& o = config.optimizer;
  const auto fraction = [](double x) { return x >= 0 && x < 1; };
  require(config.epochs >= 1, "epochs", "at least 1", config.epochs);
  require(std::isfinite(o.lr) && o.lr > 0, "lr", "a number above 0", o.lr);
  require(fraction(o.momentum), "momentum", "0 to below 1", o.momentum);
  require(!o.nesterov || o.momentum > 0, "nesterov", "a momentum above 0 with it", o.momentum);
  require(std::isfinite(o.weight_decay) && o.weight_decay >= 0, "weight_decay", "0 or more", o.weight_decay);
  require(fraction(o.warmup_fraction), "warmup_fraction", "0 to below 1", o.warmup_fraction);
  require(o.step_epochs >= 1, "step_epochs", "at least 1", o.step_epochs);
  require(o.step_factor > 0 && o.step_factor <= 1, "step_factor", "above 0, up to 1", o.step_factor);
  require(fraction(o.label_smoothing), "label_smoothing", "0 to below 1", o.label_smoothing);
  require(fraction(config.ema_decay), "ema_decay", "0 to below 1", config.ema_decay);
  require(config.eval_every >= 0, "eval_every", "0 or more", config.eval_every);
  require(config.threads >= 0, "threads", "0 (all cores) or more", config.threads);
  require(config.precision == "auto" || config.precision == "fp32" || config.precision == "bf16", "precision",
          "auto, fp32 or bf16", config.precision);
  if (config.precision == "bf16" && !uses_bfloat16()) {
    throw Error(ErrorCode::kUnsupported, "precision",
                "this CPU has no bfloat16 instructions, or OCTAVO_ISA rules them out; expected fp32 or auto, "
                "got bf16");
  }
}

void check_data(const Graph& graph, const Dataset& split) {
  const Shape& input = graph.value(graph.input).shape;
  const Shape image{kDynamic, split.channels, split.height, split.width};
  const std::string where = fmt::format("{} ({})", split.name, split.split);
  if (split.size() == 0) throw Error(ErrorCode::kBadInput, where, "no images; expected at least 1");
  if (input.size() != 4 || !std::equal(input.begin() + 1, input.end(), image.begin() + 1)) {
    throw Error(ErrorCode::kBadInput, where,
                fmt::format("its images do not fit model '{}'; expected {}, got {}", graph.name,
                            to_string(input), to_string(image)));
  }
  const std::int64_t classes = graph.value(graph.output).shape.back();
  for (std::size_t i = 0; i < split.labels.size(); ++i) {
    if (split.labels[i] < 0 || split.labels[i] >= classes) {
      throw Error(ErrorCode::kBadInput, where,
                  fmt::format("label of image {} does not fit model '{}'; expected 0 to {}, got {}", i,
                              graph.name, classes - 1, split.labels[i]));
    }
  }
}

Fingerprint fingerprint(const std::string& phase, const Graph& graph, const Splits& splits,
                        const TrainConfig& config) {
  const OptimizerConfig& o = config.optimizer;
  const LoaderConfig& l = config.loader;
  Fingerprint result;
  const auto put = [&](const std::string& key, const auto& value) { result[key] = fmt::format("{}", value); };
  put("phase", phase);
  put("model", graph.name);
  put("model structure", structure_hash(graph));
  put("starting weights", weights_hash(graph));
  put("data", splits.train.name);
  put("data hash", splits.train.hash);
  put("images", splits.train.size());
  put("normalization", fmt::format("{} / {}", fmt::join(splits.normalization.mean, ","),
                                   fmt::join(splits.normalization.std, ",")));
  put("test images", splits.test == nullptr ? 0 : splits.test->size());
  put("epochs", config.epochs);
  put("seed", config.seed);
  put("precision", resolved_precision(config));
  put("ema_decay", config.ema_decay);
  put("lr", o.lr);
  put("momentum", o.momentum);
  put("nesterov", o.nesterov);
  put("weight_decay", o.weight_decay);
  put("decay_norm_and_bias", o.decay_norm_and_bias);
  put("schedule", static_cast<int>(o.schedule));
  put("warmup_fraction", o.warmup_fraction);
  put("step_epochs", o.step_epochs);
  put("step_factor", o.step_factor);
  put("label_smoothing", o.label_smoothing);
  put("batch_size", l.batch_size);
  put("shuffle", l.shuffle);
  put("drop_last", l.drop_last);
  put("crop_padding", l.augment.crop_padding);
  put("horizontal_flip", l.augment.horizontal_flip);
  put("cutout", l.augment.cutout);
  return result;
}

Fingerprint qat_fingerprint(const Graph& graph, const std::map<std::string, QuantParams>& activations,
                            const Splits& splits, const QatConfig& config) {
  Fingerprint result = fingerprint("qat", graph, splits, config.train);
  result["freeze_batch_norm"] = fmt::format("{}", config.freeze_batch_norm);
  result["freeze_observers"] = fmt::format("{}", config.freeze_observers);
  result["learnable_scales"] = fmt::format("{}", config.learnable_scales);
  result["bits"] = to_string(config.bits);
  result["weight_qmax"] = fmt::format("{}", config.weight_qmax);
  result["target"] = config.target;
  for (const auto& [name, params] : activations) {
    result["activation " + name] = fmt::format("{} {}", params.scale(), params.zero_point());
  }
  return result;
}

}  // namespace octavo::train_detail
