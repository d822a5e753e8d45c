// octavo verify FILE.onnx: do all programs that run the model give the same answers?
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "interrupt.h"
#include "json_text.h"
#include "model_files.h"
#include "octavo/core/file.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/eval/verify.h"
#include "octavo/graph/passes.h"
#include "octavo/onnx/file_form.h"
#include "octavo/onnx/onnx.h"
#include "octavo/quantize/target.h"
#include "octavo/runtime/placement.h"
#include "octavo/train/simulate.h"
#include "onnxruntime.h"
#include "workflow.h"

namespace octavo::app {
namespace {

/// The same with a constant for each node that reads it: ONNX Runtime's exact kernels (session option
/// x64quantprecision) refuse weights that two layers share.
Graph with_own_constants(Graph graph) {
  std::set<ValueId> taken;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    for (ValueId& id : graph.nodes[i].inputs) {
      if (!graph.value(id).constant || taken.insert(id).second) continue;
      Value copy = graph.value(id);
      do {
        copy.name += "_again";
      } while (graph.find_value(copy.name) != kNoValue);
      graph.values.push_back(std::move(copy));
      id = static_cast<ValueId>(graph.values.size() - 1);
      taken.insert(id);
    }
  }
  return graph;
}

/// What ONNX Runtime computes of the file as Octavo writes it for the model's target, in real numbers.
ProgramValues onnx_runtime_values(const Graph& graph, const Tensor& input,
                                  const std::filesystem::path& modules) {
  const Target& target = target_of(graph);
  const ExposedModel exposed =
      expose_integers(with_own_constants(graph),
                      {.int8_activations = target.int8_activations, .float_biases = target.float_biases});
  const TemporaryFolder folder;
  const auto path = folder.path() / "model.onnx";
  write_file(path, exposed.bytes);
  const auto outputs = run_onnx_runtime(path, input, {.modules = modules});
  const std::string& logits = graph.value(graph.output).name;
  ProgramValues values;
  for (const auto& [value, tensor] : exposed.tensors) {
    const QuantParams& quant = *graph.value(graph.find_value(value)).quant;
    values[value] = dequantize(outputs.at(tensor), target.int8_activations ? as_int8(quant) : quant);
  }
  values[logits] = outputs.at(logits);
  return values;
}

/// What the training simulation makes of each layer when it reads the reference's values, so that the layers'
/// differences do not add up, and the logits that it comes to by itself.
ProgramValues simulated_values(const Graph& graph, const Tensor& input, const ProgramValues& reference) {
  const std::string& logits = graph.value(graph.output).name;
  ProgramValues values = simulate(graph, input, reference);
  values[logits] = simulate(graph, input).at(logits);
  return values;
}

nlohmann::ordered_json to_json(const std::vector<Violation>& broken) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Violation& v : broken) list.push_back({{"node", v.node}, {"rule", v.rule}, {"fix", v.fix}});
  return list;
}

void print_violations(const Target& target, const std::vector<Violation>& broken) {
  for (const Violation& v : broken)
    std::printf("%s: %s; to mend it: %s\n", v.node.c_str(), v.rule.c_str(), v.fix.c_str());
  std::printf("%s: %s\n", std::string(target.title).c_str(),
              broken.empty()
                  ? "the file keeps its documented rules"
                  : fmt::format("the file breaks its documented rules in {} places", broken.size()).c_str());
}

nlohmann::ordered_json to_json(const ProgramCheck& check) {
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  for (const LayerDifference& layer : check.layers) {
    layers.push_back({{"value", layer.value},
                      {"layer", layer.layer},
                      {"max_lsb", layer.max_lsb},
                      {"mean_lsb", layer.mean_lsb},
                      {"differing", layer.differing}});
  }
  return {{"program", check.program},
          {"max_lsb", check.max_lsb()},
          {"max_logit_difference", check.max_logit_difference},
          {"same_top1", check.same_top1},
          {"layers", layers}};
}

/// A row per layer, three columns per program.
void print_layers(const std::vector<ProgramCheck>& checks) {
  std::vector<std::pair<std::string, std::string>> rows;  // Value and layer, in order of execution.
  std::set<std::string> known;
  std::size_t width = 5;
  for (const ProgramCheck& check : checks) {
    for (const LayerDifference& layer : check.layers) {
      if (!known.insert(layer.value).second) continue;
      rows.emplace_back(layer.value, layer.layer.empty() ? "input" : layer.layer);
      width = std::min<std::size_t>(36, std::max(width, rows.back().second.size()));
    }
  }
  if (rows.empty()) return;
  std::printf("%-*s", static_cast<int>(width), "");
  for (const ProgramCheck& check : checks) std::printf("  %-27s", check.program.c_str());
  std::printf("\n%-*s", static_cast<int>(width), "layer");
  for (std::size_t i = 0; i < checks.size(); ++i)
    std::printf("  %7s %8s %10s", "max LSB", "mean", "differing");
  std::printf("\n");
  for (const auto& [value, layer] : rows) {
    std::printf("%-*s", static_cast<int>(width), layer.c_str());
    for (const ProgramCheck& check : checks) {
      const auto found = std::ranges::find(check.layers, value, &LayerDifference::value);
      if (found == check.layers.end()) {
        std::printf("  %7s %8s %10s", "-", "-", "-");
      } else {
        std::printf("  %7.2f %8.4f %8.3f %%", found->max_lsb, found->mean_lsb, 100 * found->differing);
      }
    }
    std::printf("\n");
  }
  std::printf("\n");
}

/// LayerNormalization and Softmax sum float32 in an order that every program has of its own, and sums that
/// are not rounded carry on what comes of it: in a network that has them in integers, ONNX Runtime is held to
/// the classes.
bool sums_rows(const Graph& graph) {
  return std::ranges::any_of(fuse(graph), [&](const FusedGroup& group) {
    return may_take_real(graph, group) && graph.value(group.output).quant;
  });
}

constexpr double kSameClasses = 0.999;

/// Whether a program is as near to the reference as it has to be.
bool near_enough(const ProgramCheck& check, const Graph& graph, double bound) {
  // A float model has no steps: there the logits count.
  constexpr double kFloatBound = 1e-3;
  if (!graph.quantized()) return check.max_logit_difference <= kFloatBound;
  if (check.program == "ONNX Runtime" && sums_rows(graph)) return check.same_top1 >= kSameClasses;
  // The runtime has the reference's arithmetic; the others may round a step apart here and there.
  return check.max_lsb() <= (check.program == "runtime" ? 0.0 : bound);
}

void print_summary(const std::vector<ProgramCheck>& checks, std::int64_t images, const Graph& graph,
                   double bound) {
  for (const ProgramCheck& check : checks) {
    std::printf("%s: same class on %.2f %% of %lld images, logits within %.3g of the largest, ",
                check.program.c_str(), 100 * check.same_top1, static_cast<long long>(images),
                check.max_logit_difference);
    if (check.layers.empty()) {
      std::printf("no quantized layers\n");
    } else {
      std::printf("layers within %.2f LSB%s\n", check.max_lsb(),
                  !near_enough(check, graph, bound) ? ": ABOVE THE BOUND"
                  : check.max_lsb() > bound ? " (it sums LayerNormalization and Softmax in its own order)"
                                            : "");
    }
  }
}

}  // namespace

void cmd_verify(Session& session) {
  const Target& target = find_target(session.settings.ptq.target);
  const bool for_target = target.name != "any";
  const std::vector<Violation> broken =
      for_target ? violations(target, read_file_form(session.files.front())) : std::vector<Violation>();
  const Graph graph = load_model(session, session.files.front());
  const LoadedData data = load_data_for(session, graph, WantedSplits::kTest, /*labels=*/false);
  const Dataset& test = data.pair.test;
  const Settings& settings = session.settings;
  std::vector<std::int64_t> indices(
      static_cast<std::size_t>(std::min<std::int64_t>(settings.verify_images, test.size())));
  std::iota(indices.begin(), indices.end(), 0);
  const Tensor input = normalized_batch(test, indices, normalization_of(graph, data));
  const auto images = static_cast<std::int64_t>(indices.size());

  std::vector<ProgramCheck> checks;
  ProgramValues reference;
  const auto check = [&](double done, const std::string& program, const auto& values) {
    throw_if_stopped(session.stop);
    session.console.bar("verify", done, program);
    checks.push_back(compare_programs(program, graph, reference, values()));
  };
  session.console.bar("verify", 0, "reference interpreter");
  reference = reference_values(graph, input);
  check(0.5, "runtime", [&] { return runtime_values(graph, input); });
  if (graph.quantized())
    check(0.6, "training simulation", [&] { return simulated_values(graph, input, reference); });
  std::string missing = why_no_onnx_runtime(settings.onnxruntime);
  if (missing.empty())
    check(0.8, "ONNX Runtime", [&] { return onnx_runtime_values(graph, input, settings.onnxruntime); });
  session.console.clear();

  const double bound = settings.verify_max_lsb;
  const bool good =
      std::ranges::all_of(checks, [&](const ProgramCheck& c) { return near_enough(c, graph, bound); });
  session.exit_code = good && broken.empty() ? 0 : 1;
  if (session.json) {
    nlohmann::ordered_json programs = nlohmann::ordered_json::array();
    for (const ProgramCheck& c : checks) programs.push_back(to_json(c));
    nlohmann::ordered_json answer{{"schema", 1},          {"file", session.files.front().string()},
                                  {"images", images},     {"bound_lsb", bound},
                                  {"within_bound", good}, {"programs", programs}};
    if (for_target) {
      answer["target"] = target.name;
      answer["violations"] = to_json(broken);
    }
    std::printf("%s\n", json_text(answer).c_str());
    return;
  }
  std::printf("%s against the reference interpreter, on %lld images of %s\n\n", session.files.front().c_str(),
              static_cast<long long>(images), test.name.c_str());
  print_layers(checks);
  print_summary(checks, images, graph, bound);
  if (for_target) print_violations(target, broken);
  if (!missing.empty()) std::printf("ONNX Runtime was not asked: %s.\n", missing.c_str());
}

}  // namespace octavo::app
