#include "octavo/quantize/bit_widths.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <sstream>
#include <utility>

#include "octavo/core/did_you_mean.h"
#include "octavo/core/error.h"
#include "octavo/graph/passes.h"
#include "octavo/quantize/ptq.h"

namespace octavo {
namespace {

std::size_t index(ValueId id) { return static_cast<std::size_t>(id); }

bool in_range(int bits) { return bits >= kFewestBits && bits <= kMostBits; }

/// What separate_widths() adds.
bool is_copy(const Node& node) {
  return node.op == Op::kClip && node.as<ClipAttributes>() == ClipAttributes{};
}

/// By value of a folded graph: the bits that each of its readers wants of it. What shares its reader's
/// result's parameters, or has its own passed on, wants none: the readers behind it do.
std::vector<std::set<int>> wanted_bits(const Graph& folded, const std::vector<BitWidth>& widths,
                                       const std::vector<ValueId>& owners) {
  std::vector<std::set<int>> wanted(folded.values.size());
  for (std::size_t n = 0; n < folded.nodes.size(); ++n) {
    const Node& node = folded.nodes[n];
    if (is_copy(node)) continue;
    for (const ValueId id : node.inputs) {
      const ValueId owner = owners[index(id)];
      if (owner == kNoValue || owner == owners[index(node.output)]) continue;
      wanted[index(owner)].insert(has_weight(node.op) ? widths[n].activations : kMostBits);
    }
  }
  return wanted;
}

int most(const std::set<int>& bits) { return bits.empty() ? kMostBits : *bits.rbegin(); }

/// A layer that wants a narrower copy of what it reads. Names, which folding leaves as they are.
struct Copy {
  std::string value;
  std::string layer;
  int bits = kMostBits;
};

std::vector<Copy> wanted_copies(const Graph& graph, const BitWidths& widths) {
  const Graph folded = fold_batch_norm(graph);
  const std::vector<BitWidth> of_nodes = widths_of_nodes(folded, widths);
  const std::vector<ValueId> owners = parameter_owners(folded);
  const std::vector<std::set<int>> wanted = wanted_bits(folded, of_nodes, owners);
  std::vector<Copy> copies;
  for (std::size_t n = 0; n < folded.nodes.size(); ++n) {
    const Node& node = folded.nodes[n];
    if (!has_weight(node.op) || owners[index(node.inputs[0])] == kNoValue) continue;
    const int bits = of_nodes[n].activations;
    if (bits < most(wanted[index(owners[index(node.inputs[0])])]))
      copies.push_back({folded.value(node.inputs[0]).name, node.name, bits});
  }
  return copies;
}

/// Appends a copy of `from` after the node that makes it.
ValueId add_copy(Graph& graph, ValueId from, const std::string& name) {
  const auto id = static_cast<ValueId>(graph.values.size());
  graph.values.push_back(
      {.name = name, .shape = graph.value(from).shape, .constant = std::nullopt, .quant = std::nullopt});
  graph.nodes.insert(
      graph.nodes.begin() + graph.producer(from) + 1,
      Node{.name = name, .op = Op::kClip, .inputs = {from}, .output = id, .attributes = ClipAttributes{}});
  return id;
}

}  // namespace

BitWidth parse_bit_width(const std::string& text, const std::string& where) {
  const auto bad = [&] {
    return Error(
        ErrorCode::kUsage, where,
        fmt::format("bad value; expected bits of weights and activations, {} to {} each, like w4a8; got '{}'",
                    kFewestBits, kMostBits, text));
  };
  BitWidth width;
  const char* end = text.data() + text.size();
  if (!text.starts_with('w')) throw bad();
  const auto [middle, first] = std::from_chars(text.data() + 1, end, width.weights);
  if (first != std::errc() || middle == end || *middle != 'a') throw bad();
  const auto [last, second] = std::from_chars(middle + 1, end, width.activations);
  if (second != std::errc() || last != end || !in_range(width.weights) || !in_range(width.activations))
    throw bad();
  return width;
}

std::string to_string(const BitWidth& width) {
  return fmt::format("w{}a{}", width.weights, width.activations);
}

std::map<std::string, BitWidth> parse_layer_bits(const std::string& text, const std::string& where) {
  std::map<std::string, BitWidth> layers;
  std::istringstream stream(text);
  for (std::string item; std::getline(stream, item, ',');) {
    const std::size_t equals = item.rfind('=');
    if (equals == std::string::npos || equals == 0) {
      throw Error(
          ErrorCode::kUsage, where,
          fmt::format("bad value; expected layers with their bits, like conv1=w8a8,fc=w4a8; got '{}'", item));
    }
    layers[item.substr(0, equals)] = parse_bit_width(item.substr(equals + 1), where);
  }
  return layers;
}

std::string to_string(const std::map<std::string, BitWidth>& layers) {
  std::string text;
  for (const auto& [layer, width] : layers)
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", layer, to_string(width));
  return text;
}

std::string to_string(const BitWidths& widths) {
  std::string text = to_string(widths.all);
  if (widths.first_last != 0 && BitWidth{widths.first_last, widths.first_last} != widths.all)
    text += fmt::format(", first and last layer w{0}a{0}", widths.first_last);
  for (const auto& [layer, width] : widths.layers) text += fmt::format(", {} {}", layer, to_string(width));
  return text;
}

std::vector<BitWidth> widths_of_nodes(const Graph& graph, const BitWidths& widths) {
  std::vector<BitWidth> result(graph.nodes.size());
  std::vector<std::size_t> layers;
  std::vector<std::string> names;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    if (!has_weight(graph.nodes[n].op)) continue;
    layers.push_back(n);
    names.push_back(graph.nodes[n].name);
    result[n] = widths.all;
  }
  if (widths.first_last != 0 && !layers.empty()) {
    result[layers.front()] = {widths.first_last, widths.first_last};
    result[layers.back()] = {widths.first_last, widths.first_last};
  }
  for (const auto& [layer, width] : widths.layers) {
    const auto found = std::ranges::find(names, layer);
    if (found == names.end()) {
      throw Error(
          ErrorCode::kUsage, fmt::format("layer '{}'", layer),
          fmt::format("not in {}; expected a layer with weights{}", graph.name, did_you_mean(layer, names)));
    }
    result[layers[static_cast<std::size_t>(found - names.begin())]] = width;
  }
  return result;
}

std::vector<int> levels_of_values(const Graph& folded, const BitWidths& widths) {
  const std::vector<ValueId> owners = parameter_owners(folded);
  const std::vector<std::set<int>> wanted = wanted_bits(folded, widths_of_nodes(folded, widths), owners);
  std::vector<int> levels(folded.values.size(), 0);
  for (std::size_t i = 0; i < levels.size(); ++i) {
    if (owners[i] == static_cast<ValueId>(i)) levels[i] = 1 << most(wanted[i]);
  }
  return levels;
}

void separate_widths(Graph& graph, const BitWidths& widths) {
  std::map<std::pair<std::string, int>, ValueId> made;
  for (const Copy& copy : wanted_copies(graph, widths)) {
    const ValueId from = graph.find_value(copy.value);
    auto [place, is_new] = made.try_emplace({copy.value, copy.bits}, kNoValue);
    if (is_new) place->second = add_copy(graph, from, fmt::format("{}.a{}", copy.value, copy.bits));
    const auto layer = std::ranges::find(graph.nodes, copy.layer, &Node::name);
    layer->inputs[0] = place->second;
  }
}

}  // namespace octavo
