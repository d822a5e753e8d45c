#include "octavo/quantize/ptq.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <span>

#include "bias_correction.h"
#include "octavo/core/error.h"
#include "octavo/graph/passes.h"
#include "octavo/runtime/runtime.h"
#include "plan.h"
#include "reconstruct.h"

namespace octavo {
namespace {

using Observers = std::map<ValueId, std::unique_ptr<Observer>>;

void check(const Graph& graph, const Dataset& train, const PtqConfig& config) {
  if (config.batch_size < 1) {
    throw Error(ErrorCode::kUsage, "calibration batch size",
                fmt::format("expected at least 1, got {}", config.batch_size));
  }
  check_target(config);
  if (config.weight_qmax < 1 || config.weight_qmax > 127) {
    throw Error(ErrorCode::kUsage, "weight_qmax",
                fmt::format("out of range; expected 1 to 127, got {}", config.weight_qmax));
  }
  if (graph.quantized()) {
    throw Error(ErrorCode::kBadInput, graph.name, "already quantized; expected a float model");
  }
  const Shape images{kDynamic, train.channels, train.height, train.width};
  const Shape& input = graph.value(graph.input).shape;
  if (input != images) {
    throw Error(ErrorCode::kBadInput, graph.name,
                fmt::format("images of {} do not fit the model; expected {}, got {}", train.name,
                            to_string(input), to_string(images)));
  }
}

/// Runs the calibration images through the float model and shows every observer what its value holds.
void calibrate(const Graph& folded, const Dataset& train, const Normalization& normalization,
               std::span<const std::int64_t> indices, const PtqConfig& config, Observers& observers,
               InputMeans& means) {
  const auto total = static_cast<std::int64_t>(indices.size());
  CompileOptions options{.max_batch = std::min(config.batch_size, total), .threads = 0, .observe = {}};
  for (const auto& [id, observer] : observers) options.observe.push_back(id);
  for (const ValueId id : means.values()) {
    if (!observers.contains(id)) options.observe.push_back(id);
  }
  const CompiledModel model(folded, options);
  CompiledModel::Context context(model);
  std::vector<float> logits(static_cast<std::size_t>(options.max_batch * model.classes()));
  const auto observe = [&](ValueId id, std::span<const float> values) {
    try {
      if (const auto found = observers.find(id); found != observers.end()) found->second->observe(values);
      means.add(id, values);
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("{}: value '{}'", folded.name, folded.value(id).name),
                  error.what());
    }
  };
  for (std::int64_t done = 0; done < total;) {
    const std::int64_t count = std::min(options.max_batch, total - done);
    const Tensor batch = normalized_batch(
        train, indices.subspan(static_cast<std::size_t>(done), static_cast<std::size_t>(count)),
        normalization);
    model.run_observed(context, batch.data<float>(), count,
                       std::span(logits).first(static_cast<std::size_t>(count * model.classes())), observe);
    done += count;
    if (config.on_progress) config.on_progress(done, total);
  }
}

/// By value name, for what was observed; the ranges too.
std::map<std::string, QuantParams> activation_params_of(const Graph& folded, const Observers& observers,
                                                        const PtqConfig& config,
                                                        std::map<std::string, Range>& ranges) {
  const Target& target = find_target(config.target);
  const std::vector<int> levels = levels_of_values(folded, config.bits);
  std::map<std::string, QuantParams> activations;
  for (const auto& [id, observer] : observers) {
    const std::string& name = folded.value(id).name;
    // Targets other than "any" take eight bits and may have other owners.
    const bool any = config.target == "any";
    const int count =
        any ? levels[static_cast<std::size_t>(id)] : levels_within(target, observer->range(256));
    const Range range = observer->range(count);
    ranges[name] = range;
    activations[name] = any ? choose_activation_params(range, count) : choose_params(target, range);
  }
  for (const Node& node : folded.nodes) {
    if (const auto fixed = fixed_params(target, node.op))
      activations[folded.value(node.output).name] = *fixed;
  }
  return activations;
}

std::string to_string(const PtqMethods& methods) {
  std::vector<std::string> names;
  if (methods.clip_weights) names.emplace_back("weight clipping");
  if (methods.second_order) names.emplace_back("second-order rounding");
  if (methods.correct_bias) names.emplace_back("bias correction");
  return fmt::format("{}", fmt::join(names, ", "));
}

void describe(const Dataset& train, const PtqConfig& config, std::span<const std::int64_t> indices,
              std::map<std::string, std::string>& metadata) {
  const ObserverConfig& observer = config.observer;
  metadata["octavo.quantization"] = "ptq";
  metadata["octavo.observer"] = observer.kind;
  if (observer.kind == "percentile")
    metadata["octavo.observer.percentile"] = fmt::format("{}", observer.percentile);
  if (observer.kind == "moving-average")
    metadata["octavo.observer.momentum"] = fmt::format("{}", observer.momentum);
  if (observer.kind != "min-max" && observer.kind != "moving-average") {
    metadata["octavo.observer.bins"] = fmt::format("{}", observer.bins);
  }
  metadata["octavo.bits"] = to_string(config.bits);
  metadata["octavo.methods"] = to_string(config.methods);
  metadata["octavo.target"] = config.target;
  metadata["octavo.weight_qmax"] = fmt::format("{}", config.weight_qmax);
  metadata["octavo.calibration.samples"] = fmt::format("{}", indices.size());
  metadata["octavo.calibration.seed"] = fmt::format("{}", config.seed);
  metadata["octavo.calibration.indices"] = fmt::format("{}", fmt::join(indices, ","));
  metadata["octavo.calibration.data"] = fmt::format("{} {}", train.name, train.split);
  metadata["octavo.calibration.data_hash"] = train.hash;
}

}  // namespace

std::vector<std::string> preset_names() { return {"fast", "balanced"}; }

PtqMethods methods_of_preset(const std::string& preset) {
  if (preset == "fast") return {};
  if (preset == "balanced") return {.clip_weights = true, .second_order = true, .correct_bias = true};
  throw Error(ErrorCode::kUsage, "preset",
              fmt::format("unknown; expected one of {}, got '{}'", fmt::join(preset_names(), ", "), preset));
}

void check_target(const PtqConfig& config) {
  const bool eight_bits = config.bits.all == BitWidth{} && config.bits.layers.empty() &&
                          (config.bits.first_last == 0 || config.bits.first_last == kMostBits);
  if (eight_bits || find_target(config.target).name == "any") return;
  throw Error(
      ErrorCode::kUsage, "--target",
      fmt::format("the rules of {} are known for eight bits; expected --bits w8a8 or --target any, got {}",
                  config.target, to_string(config.bits)));
}

PtqResult quantize_ptq(const Graph& graph, const Dataset& train, const Normalization& normalization,
                       const PtqConfig& config) {
  check(graph, train, config);
  const Target& target = find_target(config.target);
  PtqResult result{.graph = fold_batch_norm(graph),
                   .ranges = {},
                   .indices = calibration_indices(train, config.calibration_samples, config.seed)};
  separate_widths(result.graph, config.bits);
  Observers observers;
  for (const ValueId id : quantized_activations(result.graph, target))
    observers[id] = make_observer(config.observer);
  const bool by_means = config.methods.correct_bias && !config.methods.second_order;
  InputMeans means;
  if (by_means) means = {result.graph, largest_weights(result.graph, config.bits, config.weight_qmax)};
  calibrate(result.graph, train, normalization, result.indices, config, observers, means);

  const Graph folded = result.graph;
  annotate(result.graph, activation_params_of(folded, observers, config, result.ranges), config.weight_qmax,
           config.bits, target);
  if (config.methods.clip_weights) clip_weights(result.graph);
  if (by_means) correct_biases(folded, result.graph, means);
  if (config.methods.second_order) {
    reconstruct_layers(folded, result.graph, train, normalization, result.indices, config.batch_size,
                       config.methods, config.on_layer);
  }
  if (!get_normalization(result.graph)) set_normalization(result.graph, normalization);
  describe(train, config, result.indices, result.graph.metadata);
  return result;
}

}  // namespace octavo
