#include "octavo/quantize/latency_guard.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <set>

#include "octavo/core/cpu.h"
#include "octavo/core/error.h"
#include "octavo/graph/passes.h"
#include "octavo/quantize/layer_choices.h"
#include "octavo/runtime/latency.h"
#include "octavo/runtime/placement.h"
#include "octavo/runtime/runtime.h"
#include "plan.h"
#include "precision_choice.h"

namespace octavo {
namespace {

std::size_t index(ValueId id) { return static_cast<std::size_t>(id); }

/// A model to time.
struct Trial {
  Trial(Graph of, const GuardConfig& config)
      : graph(std::move(of)),
        model(graph, {.max_batch = config.batch, .threads = config.threads, .observe = {}}) {}

  const Graph graph;
  const CompiledModel model;
};

std::int64_t nanoseconds(double seconds) { return std::llround(seconds * 1e9); }
double milliseconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }

/// What is known so far of the time of groups and conversions.
class Costs {
 public:
  Costs(const Graph& quantized, const LatencyConfig& config)
      : groups(quantizable_groups(quantized)),
        of_groups(groups.size()),
        config_(config),
        value_of_(quantized.values.size(), -1),
        group_of_node_(quantized.nodes.size(), 0) {
    const auto placed = placements(quantized, groups);
    for (std::size_t g = 0; g < groups.size(); ++g) {
      if (!placed[g].integer) of_groups[g].in_int8 = kImpossible;
      group_of_node_[static_cast<std::size_t>(groups[g].anchor)] = g;
    }
    add_value(quantized.input, -1);
    for (std::size_t g = 0; g < groups.size(); ++g) add_value(groups[g].output, static_cast<int>(g));
    for (std::size_t g = 0; g < groups.size(); ++g) {
      for (const ValueId id : flowing_inputs(quantized, groups[g]))
        of_values[value(id)].readers.push_back(static_cast<int>(g));
    }
    for (const ValueId id : ids_) {
      Shape shape = quantized.value(id).shape;
      shape[0] = config.batch;
      elements_.push_back(element_count(shape));
    }
    measured_quantize_.resize(ids_.size());
    measured_dequantize_.resize(ids_.size());
  }

  void learn_float(const Trial& trial) {
    const std::vector<double> in_groups = learn(trial);
    for (std::size_t g = 0; g < groups.size(); ++g) of_groups[g].in_float = nanoseconds(in_groups[g]);
  }

  /// Times of what `trial` runs in integers, and of its conversions; the others keep what they had.
  void learn_int8(const Trial& trial) {
    const std::vector<double> in_groups = learn(trial);
    const auto placed = placements(trial.graph, groups);
    for (std::size_t g = 0; g < groups.size(); ++g) {
      if (placed[g].integer) of_groups[g].in_int8 = nanoseconds(in_groups[g]);
    }
  }

  std::size_t value(ValueId id) const { return static_cast<std::size_t>(value_of_[index(id)]); }

  std::vector<FusedGroup> groups;
  std::vector<GroupCost> of_groups;
  std::vector<ValueCost> of_values;

 private:
  void add_value(ValueId id, int maker) {
    value_of_[index(id)] = static_cast<int>(ids_.size());
    ids_.push_back(id);
    of_values.push_back({.maker = maker, .readers = {}});
  }

  /// Seconds by group; conversions go to the values that they convert, an Add in a convolution's kernel to
  /// the convolution.
  std::vector<double> learn(const Trial& trial) {
    std::vector<double> in_groups(groups.size(), 0.0);
    const std::vector<FusedGroup> kernels = fuse(trial.graph);
    for (const LayerCost& cost : measure_layers(trial.model, config_)) {
      const StepInfo& step = cost.step;
      const double seconds = cost.median_ms / 1e3;
      if (step.conversion != Conversion::kNone) {
        const std::size_t v = value(trial.graph.find_value(step.value));
        const bool to_int8 = step.conversion == Conversion::kQuantize;
        (to_int8 ? measured_quantize_ : measured_dequantize_)[v] = seconds;
        (to_int8 ? quantize_rate_ : dequantize_rate_).add(seconds, elements_[v]);
      } else if (step.group >= 0) {
        const int anchor = kernels[static_cast<std::size_t>(step.group)].anchor;
        in_groups[group_of_node_[static_cast<std::size_t>(anchor)]] += seconds;
      }
    }
    for (std::size_t v = 0; v < of_values.size(); ++v) {
      of_values[v].quantize = nanoseconds(measured_quantize_[v].value_or(quantize_rate_.of(elements_[v])));
      // Never seen yet: about what quantizing takes.
      const Rate& rate = dequantize_rate_.elements > 0 ? dequantize_rate_ : quantize_rate_;
      of_values[v].dequantize = nanoseconds(measured_dequantize_[v].value_or(rate.of(elements_[v])));
    }
    return in_groups;
  }

  /// Seconds per element, over all conversions seen.
  struct Rate {
    double seconds = 0;
    double elements = 0;
    void add(double time, std::int64_t count) {
      seconds += time;
      elements += static_cast<double>(count);
    }
    double of(std::int64_t count) const {
      constexpr double kGuess = 1e-9;
      return static_cast<double>(count) * (elements > 0 ? seconds / elements : kGuess);
    }
  };

  const LatencyConfig config_;
  std::vector<int> value_of_;  ///< By ValueId: index into what follows, -1 for what lies inside groups.
  std::vector<std::size_t> group_of_node_;  ///< By anchor.
  std::vector<ValueId> ids_;
  std::vector<std::int64_t> elements_;
  std::vector<std::optional<double>> measured_quantize_, measured_dequantize_;
  Rate quantize_rate_, dequantize_rate_;
};

std::vector<bool> integer_groups(const Graph& graph) {
  std::vector<bool> result;
  for (const Placement& placement : placements(graph, quantizable_groups(graph)))
    result.push_back(placement.integer);
  return result;
}

/// Median milliseconds of whole runs.
std::vector<double> whole_times(const std::vector<std::unique_ptr<Trial>>& trials,
                                const LatencyConfig& config) {
  std::vector<const CompiledModel*> models;
  for (const auto& trial : trials) models.push_back(&trial->model);
  std::vector<double> medians;
  for (const Latency& latency : measure_latencies(models, config)) medians.push_back(latency.median_ms);
  return medians;
}

void check(const Graph& quantized, const GuardConfig& config) {
  if (config.batch < 1 || config.runs < 1 || config.warmup < 0) {
    throw Error(ErrorCode::kUsage, "latency guard",
                fmt::format("expected a batch and runs of at least 1 and a warm-up of at least 0, got {}, {} "
                            "and {}",
                            config.batch, config.runs, config.warmup));
  }
  if (!quantized.quantized())
    throw Error(ErrorCode::kBadInput, quantized.name, "not quantized; expected an int8 model");
}

}  // namespace

Graph keep_in_integers(const Graph& quantized, const std::vector<bool>& integer) {
  Graph graph = quantized;
  const std::vector<ValueId> owners = parameter_owners(graph, integer);
  for (std::size_t i = 0; i < graph.values.size(); ++i) {
    Value& value = graph.values[i];
    if (value.constant) continue;
    if (owners[i] == kNoValue) value.quant.reset();
    check_internal(owners[i] == kNoValue || value.quant.has_value(),
                   "keep_in_integers: value '" + value.name + "' lacks parameters");
  }
  std::set<ValueId> in_use;  // Constants that integer groups read.
  const std::vector<Placement> placed = placements(graph, quantizable_groups(graph));
  for (std::size_t g = 0; g < placed.size(); ++g) {
    if (!placed[g].integer || !integer[g]) continue;
    for (const int node : placed[g].nodes) {
      const auto& inputs = graph.nodes[static_cast<std::size_t>(node)].inputs;
      in_use.insert(inputs.begin(), inputs.end());
    }
  }
  for (std::size_t i = 0; i < graph.values.size(); ++i) {
    Value& value = graph.values[i];
    if (!value.constant || !value.quant || in_use.contains(static_cast<ValueId>(i))) continue;
    if (value.constant->dtype() != DType::kFloat32)
      value.constant = dequantize(*value.constant, *value.quant);
    value.quant.reset();
  }
  return graph;
}

GuardedModel guard_latency(const Graph& quantized, const GuardConfig& config) {
  check(quantized, config);
  const Graph folded = fold_batch_norm(quantized);
  const std::vector<bool> nowhere(quantizable_groups(folded).size(), false);
  constexpr int kRounds = 3;
  std::int64_t done = 0;
  const auto progress = [&] {
    if (config.on_progress) config.on_progress(done, kRounds + 3);
    ++done;
  };

  progress();
  std::vector<std::unique_ptr<Trial>> trials;
  trials.push_back(std::make_unique<Trial>(keep_in_integers(folded, nowhere), config));
  if (quantizable_groups(trials[0]->graph).size() != nowhere.size()) {
    throw Error(ErrorCode::kBadInput, quantized.name,
                "quantized inside what runs as one kernel; expected a model that octavo quantized");
  }
  trials.push_back(std::make_unique<Trial>(folded, config));
  const LatencyConfig timing{.batch = config.batch, .warmup = config.warmup, .runs = config.runs};
  Costs costs(folded, timing);
  costs.learn_float(*trials[0]);
  progress();
  costs.learn_int8(*trials[1]);

  std::vector<std::vector<bool>> tried{nowhere, integer_groups(folded)};
  for (int round = 0; round < kRounds; ++round) {
    progress();
    Graph next = keep_in_integers(folded, choose_integer(costs.of_groups, costs.of_values));
    if (std::ranges::find(tried, integer_groups(next)) != tried.end()) break;
    tried.push_back(integer_groups(next));
    trials.push_back(std::make_unique<Trial>(std::move(next), config));
    costs.learn_int8(*trials.back());
  }
  progress();
  const std::vector<double> whole = whole_times(trials, timing);
  const auto best = static_cast<std::size_t>(std::ranges::min_element(whole) - whole.begin());

  GuardedModel result{.graph = trials[best]->graph,
                      .layers = {},
                      .float_ms = whole[0],
                      .int8_ms = whole[1],
                      .guarded_ms = whole[best]};
  const auto before = placements(folded, costs.groups);
  const auto after = placements(result.graph, costs.groups);
  GuardChoice choice{.batch = config.batch,
                     .threads = trials[best]->model.threads(),
                     .cpu = cpu_name(),
                     .float_ms = result.float_ms,
                     .int8_ms = result.int8_ms,
                     .guarded_ms = result.guarded_ms,
                     .all_float = best == 0,
                     .layers = {}};
  for (std::size_t g = 0; g < after.size(); ++g) {
    const GroupCost& cost = costs.of_groups[g];
    const FusedGroup& group = costs.groups[g];
    const bool possible = before[g].integer;
    std::int64_t conversions = costs.of_values[costs.value(group.output)].readers.empty()
                                   ? 0
                                   : costs.of_values[costs.value(group.output)].dequantize;
    for (const ValueId id : flowing_inputs(folded, group))
      conversions += costs.of_values[costs.value(id)].quantize;
    GuardedLayer layer{.name = folded.nodes[static_cast<std::size_t>(group.anchor)].name,
                       .float_ms = milliseconds(cost.in_float),
                       .int8_ms = possible ? milliseconds(cost.in_int8) : 0,
                       .conversion_ms = possible ? milliseconds(conversions) : 0,
                       .integer = after[g].integer,
                       .reason = after[g].reason};
    if (possible && !layer.integer) {
      choice.layers.push_back({.name = layer.name,
                               .float_ms = layer.float_ms,
                               .int8_ms = layer.int8_ms,
                               .conversion_ms = layer.conversion_ms});
      layer.reason = reason_of(choice.layers.back());
    }
    result.layers.push_back(std::move(layer));
  }
  record(result.graph, choice);
  return result;
}

}  // namespace octavo
