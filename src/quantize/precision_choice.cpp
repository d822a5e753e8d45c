#include "precision_choice.h"

#include <algorithm>
#include <queue>

namespace octavo {
namespace {

/// A network in which the nodes that the source still reaches, after the largest flow, are one side of a
/// minimum cut. Edmonds and Karp's algorithm: some hundred groups need no better.
class Network {
 public:
  int add_node() {
    edges_of_.emplace_back();
    return static_cast<int>(edges_of_.size() - 1);
  }

  void add_edge(int from, int to, std::int64_t capacity) {
    edges_of_[index(from)].push_back(edges_.size());
    edges_.push_back({to, capacity});
    edges_of_[index(to)].push_back(edges_.size());
    edges_.push_back({from, 0});
  }

  std::vector<bool> source_side(int source, int sink) {
    while (augment(source, sink)) {
    }
    std::vector<bool> side;
    for (const std::size_t edge : arrived_) side.push_back(edge != kNowhere);
    return side;
  }

 private:
  struct Edge {
    int to;
    std::int64_t left;
  };
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);
  static constexpr std::size_t kStart = static_cast<std::size_t>(-2);
  static std::size_t index(int node) { return static_cast<std::size_t>(node); }

  /// Sends what fits along a shortest path. An edge's twin, which leads back, has the number beside it.
  bool augment(int source, int sink) {
    arrived_.assign(edges_of_.size(), kNowhere);
    arrived_[index(source)] = kStart;
    std::queue<int> open({source});
    while (!open.empty() && arrived_[index(sink)] == kNowhere) {
      const int node = open.front();
      open.pop();
      for (const std::size_t edge : edges_of_[index(node)]) {
        const std::size_t to = index(edges_[edge].to);
        if (edges_[edge].left == 0 || arrived_[to] != kNowhere) continue;
        arrived_[to] = edge;
        open.push(edges_[edge].to);
      }
    }
    if (arrived_[index(sink)] == kNowhere) return false;
    std::int64_t flow = kImpossible;
    for (int node = sink; node != source; node = edges_[arrived_[index(node)] ^ 1U].to)
      flow = std::min(flow, edges_[arrived_[index(node)]].left);
    for (int node = sink; node != source; node = edges_[arrived_[index(node)] ^ 1U].to) {
      edges_[arrived_[index(node)]].left -= flow;
      edges_[arrived_[index(node)] ^ 1U].left += flow;
    }
    return true;
  }

  std::vector<Edge> edges_;
  std::vector<std::vector<std::size_t>> edges_of_;  ///< By node.
  std::vector<std::size_t> arrived_;                ///< By node: the edge of the last search that led there.
};

}  // namespace

std::vector<bool> choose_integer(const std::vector<GroupCost>& groups, const std::vector<ValueCost>& values) {
  // Groups on the source's side run in int8. What is cut between the sides is paid.
  Network network;
  const int source = network.add_node();
  const int sink = network.add_node();
  std::vector<int> node;
  for (const GroupCost& group : groups) {
    node.push_back(network.add_node());
    network.add_edge(source, node.back(), group.in_float);
    network.add_edge(node.back(), sink, group.in_int8);
  }
  for (const ValueCost& value : values) {
    if (value.readers.empty()) continue;
    const int maker = value.maker < 0 ? sink : node[static_cast<std::size_t>(value.maker)];
    const int quantized = network.add_node();  // On the source's side with any reader that is.
    network.add_edge(quantized, maker, value.quantize);
    const int real = network.add_node();  // On the sink's side with any reader that is.
    if (value.maker >= 0) network.add_edge(maker, real, value.dequantize);
    for (const int reader : value.readers) {
      network.add_edge(node[static_cast<std::size_t>(reader)], quantized, kImpossible);
      network.add_edge(real, node[static_cast<std::size_t>(reader)], kImpossible);
    }
  }
  const std::vector<bool> side = network.source_side(source, sink);
  std::vector<bool> result;
  for (const int n : node) result.push_back(side[static_cast<std::size_t>(n)]);
  return result;
}

}  // namespace octavo
