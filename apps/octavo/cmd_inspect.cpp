// octavo inspect FILE.onnx: layers, sizes, ranges, and what runs in integers.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "json_text.h"
#include "model_files.h"
#include "octavo/eval/inspect.h"
#include "octavo/onnx/onnx.h"
#include "octavo/report/text.h"
#include "session.h"

namespace octavo::app {
namespace {

std::string weights_text(const LayerFacts& layer) {
  if (layer.weight_bits == 0) return "";
  if (layer.weight_bits == 32) return "float32";
  return fmt::format("int{}{}", layer.weight_bits, layer.per_channel ? "/channel" : "");
}

/// The real numbers that a value's integers can stand for.
std::string range_text(const std::optional<QuantParams>& quant) {
  if (!quant) return "";
  const QuantParams& q = *quant;
  return fmt::format("{:.4g} to {:.4g}", dequantize(q.qmin, q.scale(), q.zero_point()),
                     dequantize(q.qmax, q.scale(), q.zero_point()));
}

nlohmann::ordered_json to_json(const LayerFacts& layer) {
  nlohmann::ordered_json result{{"name", layer.name},
                                {"operators", layer.operators},
                                {"value", layer.value},
                                {"output", layer.output},
                                {"parameters", layer.parameters},
                                {"macs", layer.macs},
                                {"precision", layer.integer ? "int8" : "fp32"},
                                {"weight_bits", layer.weight_bits},
                                {"weight_per_channel", layer.per_channel}};
  if (!layer.integer) result["reason"] = layer.reason;
  if (layer.quant) {
    const QuantParams& q = *layer.quant;
    result["scale"] = q.scale();
    result["zero_point"] = q.zero_point();
    result["qmin"] = q.qmin;
    result["qmax"] = q.qmax;
  }
  return result;
}

nlohmann::ordered_json to_json(const std::string& file, const ModelFacts& facts, const Graph& graph) {
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  for (const LayerFacts& layer : facts.layers) layers.push_back(to_json(layer));
  return {{"file", file},
          {"input", facts.input},
          {"output", facts.output},
          {"parameters", facts.parameters},
          {"macs", facts.macs},
          {"size_bytes", std::filesystem::file_size(file)},
          {"metadata", graph.metadata},
          {"layers", layers}};
}

/// In exactly so many columns, with what does not fit cut off in front.
std::string column(const std::string& text, std::size_t width) {
  return report::padded_right(report::shorten_front(text, width), width);
}

void print_layers(const ModelFacts& facts) {
  std::size_t name = 5;
  std::size_t operators = 9;
  for (const LayerFacts& layer : facts.layers) {
    name = std::min<std::size_t>(32, std::max(name, report::text_width(layer.name)));
    operators = std::min<std::size_t>(26, std::max(operators, layer.operators.size()));
  }
  std::printf("\n%-*s  %-*s  %-20s %11s %13s  %-7s  %-12s  %s\n", static_cast<int>(name), "layer",
              static_cast<int>(operators), "operators", "output", "parameters", "MACs", "runs in", "weights",
              "range");
  for (const LayerFacts& layer : facts.layers) {
    std::printf("%s  %s  %-20s %11lld %13lld  %-7s  %-12s  %s\n", column(layer.name, name).c_str(),
                column(layer.operators, operators).c_str(), to_string(layer.output).c_str(),
                static_cast<long long>(layer.parameters), static_cast<long long>(layer.macs),
                layer.integer ? "int8" : "float32", weights_text(layer).c_str(),
                range_text(layer.quant).c_str());
  }
}

/// Which layers of a quantized model run in float32, and why.
void print_float_layers(const ModelFacts& facts) {
  const auto in_float = std::ranges::count_if(facts.layers, [](const auto& layer) { return !layer.integer; });
  const auto total = static_cast<std::ptrdiff_t>(facts.layers.size());
  if (in_float == total) {
    std::printf("\nA float model: every layer runs in float32.\n");
    return;
  }
  std::printf("\n%td of %td layers run in int8.\n", total - in_float, total);
  for (const LayerFacts& layer : facts.layers) {
    if (!layer.integer)
      std::printf("  %s (%s) stays in float32: %s\n", layer.name.c_str(), layer.operators.c_str(),
                  layer.reason.c_str());
  }
}

/// Metadata but for what would fill the screen.
void print_metadata(const Graph& graph) {
  constexpr std::size_t kLongest = 100;
  if (!graph.metadata.empty()) std::printf("\nmetadata\n");
  for (const auto& [key, text] : graph.metadata) {
    const bool cut = text.size() > kLongest;
    std::string line = text.substr(0, kLongest);
    std::ranges::replace(line, '\n', ' ');
    std::printf("  %s: %s%s\n", key.c_str(), line.c_str(),
                cut ? fmt::format("... ({} characters; --json shows all)", text.size()).c_str() : "");
  }
}

}  // namespace

void cmd_inspect(Session& session) {
  nlohmann::ordered_json models = nlohmann::ordered_json::array();
  for (const auto& file : session.files) {
    const Graph graph = load_model(session, file);
    const ModelFacts facts = inspect(graph);
    if (session.json) {
      models.push_back(to_json(file.string(), facts, graph));
      continue;
    }
    std::printf("%s: input %s, output %s, %lld parameters, %.4g million multiply-accumulates an image, %s\n",
                file.c_str(), to_string(facts.input).c_str(), to_string(facts.output).c_str(),
                static_cast<long long>(facts.parameters), static_cast<double>(facts.macs) / 1e6,
                bytes_text(std::filesystem::file_size(file)).c_str());
    if (facts.input_quant)
      std::printf("the input is quantized to int%d, range %s\n", bits_of(*facts.input_quant),
                  range_text(facts.input_quant).c_str());
    print_layers(facts);
    print_float_layers(facts);
    print_metadata(graph);
  }
  if (session.json) {
    const nlohmann::ordered_json answer{{"schema", 1}, {"models", models}};
    std::printf("%s\n", json_text(answer).c_str());
  }
}

}  // namespace octavo::app
