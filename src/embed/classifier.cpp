#include "octavo/embed/classifier.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "octavo/core/error.h"
#include "octavo/onnx/onnx.h"

namespace octavo {
namespace {

CompiledModel compile(const Graph& graph, const ClassifierOptions& options) {
  const auto normalization = options.normalization ? options.normalization : get_normalization(graph);
  if (!normalization) {
    throw Error(ErrorCode::kBadInput, graph.name,
                "does not say how pixels are normalized; give ClassifierOptions::normalization");
  }
  return CompiledModel(graph, {.max_batch = options.max_batch,
                               .threads = options.threads,
                               .pixels = PixelInput{*normalization, options.channels_last}});
}

}  // namespace

struct Classifier::State {
  State(const Graph& graph, const ClassifierOptions& options)
      : model(compile(graph, options)), class_names(get_class_names(graph)) {}

  /// A context that nobody uses, made if there is none.
  CompiledModel::Context borrow() {
    const std::lock_guard lock(mutex);
    if (idle.empty()) return CompiledModel::Context(model);
    CompiledModel::Context context = std::move(idle.back());
    idle.pop_back();
    return context;
  }
  void give_back(CompiledModel::Context context) {
    const std::lock_guard lock(mutex);
    idle.push_back(std::move(context));
  }

  CompiledModel model;
  std::vector<std::string> class_names;
  std::mutex mutex;
  std::vector<CompiledModel::Context> idle;
};

Classifier::Classifier(const std::filesystem::path& file, const ClassifierOptions& options)
    : state_(std::make_unique<State>(load_onnx(file), options)) {}
Classifier::Classifier(std::span<const std::byte> bytes, const std::string& where,
                       const ClassifierOptions& options)
    : state_(std::make_unique<State>(parse_onnx(bytes, where), options)) {}
Classifier::Classifier(Classifier&&) noexcept = default;
Classifier& Classifier::operator=(Classifier&&) noexcept = default;
Classifier::~Classifier() = default;

std::vector<float> Classifier::logits(std::span<const std::uint8_t> images) const {
  const auto image = static_cast<std::size_t>(channels() * height() * width());
  if (images.size() % image != 0) {
    throw Error(ErrorCode::kBadInput, "images",
                "expected a multiple of " + std::to_string(image) + " bytes (" + std::to_string(height()) +
                    " x " + std::to_string(width()) + " x " + std::to_string(channels()) + "), got " +
                    std::to_string(images.size()));
  }
  const auto row = static_cast<std::size_t>(classes());
  const std::size_t count = images.size() / image;
  const auto turn = static_cast<std::size_t>(model().max_batch());
  std::vector<float> result(count * row);
  CompiledModel::Context context = state_->borrow();
  for (std::size_t first = 0; first < count; first += turn) {
    const std::size_t batch = std::min(turn, count - first);
    model().run_pixels(context, images.subspan(first * image, batch * image),
                       static_cast<std::int64_t>(batch), std::span(result).subspan(first * row, batch * row));
  }
  state_->give_back(std::move(context));
  return result;
}

std::vector<Prediction> Classifier::classify(std::span<const std::uint8_t> images) const {
  const std::vector<float> all = logits(images);
  const auto row = static_cast<std::size_t>(classes());
  std::vector<Prediction> result;
  for (std::size_t first = 0; first < all.size(); first += row) {
    const std::span<const float> one = std::span(all).subspan(first, row);
    const auto best = std::ranges::max_element(one);
    double sum = 0;
    for (const float logit : one) sum += std::exp(static_cast<double>(logit) - *best);
    result.push_back({best - one.begin(), static_cast<float>(1 / sum)});
  }
  return result;
}

std::int64_t Classifier::channels() const { return model().input_shape()[1]; }
std::int64_t Classifier::height() const { return model().input_shape()[2]; }
std::int64_t Classifier::width() const { return model().input_shape()[3]; }
std::int64_t Classifier::classes() const { return model().classes(); }
const std::vector<std::string>& Classifier::class_names() const { return state_->class_names; }
const CompiledModel& Classifier::model() const { return state_->model; }

}  // namespace octavo
