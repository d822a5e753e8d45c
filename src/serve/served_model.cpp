#include "served_model.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

#include "octavo/core/random.h"
#include "octavo/eval/evaluate.h"
#include "octavo/eval/inspect.h"

namespace octavo::serve {
namespace {

Scores scores_of(const Graph& graph) {
  if (graph.value(graph.output).shape.back() == 1)
    return decision_threshold(graph) == 0 ? Scores::kLogit : Scores::kProbability;
  const int last = graph.producer(graph.output);
  const bool softmax = last >= 0 && graph.nodes[static_cast<std::size_t>(last)].op == Op::kSoftmax;
  return softmax ? Scores::kProbabilities : Scores::kLogits;
}

int most_weight_bits(const Graph& graph) {
  std::map<int, std::int64_t> parameters;
  for (const LayerFacts& layer : inspect(graph).layers) {
    if (layer.weight_bits > 0) parameters[layer.weight_bits] += layer.parameters;
  }
  const auto most = std::ranges::max_element(parameters, {}, [](const auto& entry) { return entry.second; });
  return most == parameters.end() ? 32 : most->first;
}

/// What metadata say of where the network came from, else the graph's name.
std::string group_of(const Graph& graph) {
  const auto metadata = [&](const char* key) {
    const auto found = graph.metadata.find(key);
    return found == graph.metadata.end() ? std::string() : found->second;
  };
  const std::string network = metadata("octavo.model");
  const std::string images = metadata("octavo.dataset");
  return (network.empty() ? graph.name : network) + (images.empty() ? "" : " on " + images);
}

/// Numbers that look like normalized pixels.
std::vector<float> random_images(std::int64_t values) {
  SplitMix64 random(1);
  std::vector<float> images(static_cast<std::size_t>(values));
  for (float& value : images) value = static_cast<float>(random() >> 40U) / static_cast<float>(1U << 22U) - 2;
  return images;
}

/// The sizes of `candidates` whose bits are those of batches of one.
std::vector<std::int64_t> exact_batches(const CompiledModel& model, CompiledModel::Context& context,
                                        const std::vector<std::int64_t>& candidates) {
  const std::int64_t most = candidates.back();
  const auto image = static_cast<std::size_t>(
      element_count(Shape(model.input_shape().begin() + 1, model.input_shape().end())));
  const auto row = static_cast<std::size_t>(model.classes());
  const std::vector<float> images = random_images(most * static_cast<std::int64_t>(image));
  std::vector<float> alone(static_cast<std::size_t>(most) * row);
  for (std::size_t i = 0; i < static_cast<std::size_t>(most); ++i)
    model.run(context, std::span(images).subspan(i * image, image), 1,
              std::span(alone).subspan(i * row, row));
  std::vector<std::int64_t> exact;
  std::vector<float> together(alone.size());
  const auto bits = [](float value) { return std::bit_cast<std::uint32_t>(value); };
  for (const std::int64_t batch : candidates) {
    const auto count = static_cast<std::size_t>(batch);
    model.run(context, std::span(images).first(count * image), batch, std::span(together).first(count * row));
    if (std::ranges::equal(std::span(together).first(count * row), std::span(alone).first(count * row), {},
                           bits, bits))
      exact.push_back(batch);
  }
  return exact;
}

}  // namespace

std::vector<std::int64_t> batch_sizes(std::int64_t max_batch) {
  std::vector<std::int64_t> sizes;
  const auto step = [](std::int64_t size) {
    return std::max<std::int64_t>(
        1, static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(size))) / 4);
  };
  for (std::int64_t size = 1; size < max_batch; size += step(size)) sizes.push_back(size);
  sizes.push_back(max_batch);
  return sizes;
}

std::shared_ptr<const ServedModel> load_served_model(const std::filesystem::path& file,
                                                     const LoadConfig& config) {
  const Graph graph = config.read(file);
  CompiledModel model(graph, {.max_batch = config.max_batch, .threads = config.threads, .observe = {}});
  CompiledModel::Context context(model);
  std::vector<std::int64_t> batches = exact_batches(model, context, batch_sizes(config.max_batch));
  return std::make_shared<const ServedModel>(
      ServedModel{.name = file.stem().string(),
                  .file = file,
                  .file_bytes = static_cast<std::int64_t>(std::filesystem::file_size(file)),
                  .input = graph.value(graph.input).name,
                  .output = graph.value(graph.output).name,
                  .scores = scores_of(graph),
                  .normalization = get_normalization(graph),
                  .classes = get_class_names(graph),
                  .weight_bits = most_weight_bits(graph),
                  .group = group_of(graph),
                  .batches = std::move(batches),
                  .model = std::move(model),
                  .context = std::move(context)});
}

std::vector<double> probabilities(Scores kind, std::span<const float> scores) {
  std::vector<double> result(scores.begin(), scores.end());
  switch (kind) {
    case Scores::kLogits: {
      const double most = std::ranges::max(result);
      double sum = 0;
      for (double& value : result) sum += value = std::exp(value - most);
      for (double& value : result) value /= sum;
      return result;
    }
    case Scores::kProbabilities:
      return result;
    case Scores::kLogit:
      return {1 / (1 + std::exp(result[0])), 1 / (1 + std::exp(-result[0]))};
    case Scores::kProbability:
      return {1 - result[0], result[0]};
  }
  return result;
}

}  // namespace octavo::serve
