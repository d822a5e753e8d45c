#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <vector>

#include "octavo/core/error.h"
#include "octavo/eval/evaluate.h"

namespace octavo {
namespace {

/// Classes that a model tells apart on this data: one output does for two.
std::int64_t classes_of(const CompiledModel& model, const Dataset& test) {
  return model.classes() == 1 && test.class_names.size() == 2 ? 2 : model.classes();
}

void check_fits(const CompiledModel& model, const Dataset& test, const Normalization& normalization) {
  const std::string where = fmt::format("{} {}", test.name, test.split);
  const auto bad = [&](const std::string& problem) { throw Error(ErrorCode::kBadInput, where, problem); };
  if (test.size() == 0) bad("no images; expected at least 1, got 0");
  const Shape image{model.input_shape().at(1), model.input_shape().at(2), model.input_shape().at(3)};
  const Shape got{test.channels, test.height, test.width};
  if (image != got) {
    bad(fmt::format("images do not fit the model; expected {}, got {}", to_string(image), to_string(got)));
  }
  if (std::ssize(test.pixels) != test.size() * test.image_size()) {
    bad(fmt::format("labels and pixels do not fit each other; expected {} bytes of pixels, got {}",
                    test.size() * test.image_size(), test.pixels.size()));
  }
  const auto channels = static_cast<std::size_t>(test.channels);
  if (normalization.mean.size() != channels || normalization.std.size() != channels) {
    bad(fmt::format("normalization does not fit; expected {} means and standard deviations, got {} and {}",
                    channels, normalization.mean.size(), normalization.std.size()));
  }
  const std::int64_t classes = classes_of(model, test);
  if (!test.class_names.empty() && std::ssize(test.class_names) != classes) {
    bad(fmt::format("classes do not fit the model; expected {}, got {}",
                    classes == 1 ? "2 for its one output" : std::to_string(classes),
                    test.class_names.size()));
  }
  for (std::size_t i = 0; i < test.labels.size(); ++i) {
    if (test.labels[i] < 0 || test.labels[i] >= classes) {
      bad(fmt::format("label of image {} out of range; expected 0 to {}, got {}", i, classes - 1,
                      test.labels[i]));
    }
  }
}

/// Index of the largest logit, the first of equals; of one, whether it is above the threshold.
std::int32_t top1(std::span<const float> logits, std::int64_t image, bool decides, float threshold) {
  const auto bad = std::ranges::find_if(logits, [](float x) { return !std::isfinite(x); });
  if (bad != logits.end()) {
    throw Error(ErrorCode::kBadInput, fmt::format("image {}", image),
                fmt::format("the model answers {}; expected a finite number for each class (its weights may "
                            "have diverged)",
                            std::isnan(*bad) ? "NaN" : "infinity"));
  }
  if (decides) return logits[0] > threshold ? 1 : 0;
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace

Accuracy evaluate(const CompiledModel& model, const Dataset& test, const Normalization& normalization,
                  const std::function<void(std::int64_t, std::int64_t)>& on_progress, std::stop_token stop,
                  float threshold) {
  check_fits(model, test, normalization);
  const auto outputs = static_cast<std::size_t>(model.classes());
  const auto classes = static_cast<std::size_t>(classes_of(model, test));
  const bool decides = classes != outputs;
  const std::int64_t total = test.size();
  const std::int64_t max_batch = std::min(model.max_batch(), total);
  const auto image_size = static_cast<std::size_t>(test.image_size());

  Accuracy result;
  result.class_images.assign(classes, 0);
  result.class_correct.assign(classes, 0);
  result.confusion.assign(classes, std::vector<std::int64_t>(classes, 0));
  result.predictions.reserve(test.labels.size());

  CompiledModel::Context context(model);
  std::vector<float> input(static_cast<std::size_t>(max_batch) * image_size);
  std::vector<float> logits(static_cast<std::size_t>(max_batch) * outputs);
  for (std::int64_t begin = 0; begin < total; begin += max_batch) {
    if (stop.stop_requested()) {
      throw Error(ErrorCode::kInterrupted, "evaluate",
                  fmt::format("stopped after {} of {} images", begin, total));
    }
    const std::int64_t count = std::min(max_batch, total - begin);
    const auto rows = static_cast<std::size_t>(count);
    const auto pixels =
        std::span(test.pixels).subspan(static_cast<std::size_t>(begin) * image_size, rows * image_size);
    const auto batch = std::span(input).first(rows * image_size);
    const auto answers = std::span(logits).first(rows * outputs);
    normalize(pixels, normalization, test.height * test.width, batch);
    model.run(context, batch, count, answers);
    for (std::size_t row = 0; row < rows; ++row) {
      const std::int64_t index = begin + static_cast<std::int64_t>(row);
      const std::int32_t predicted = top1(answers.subspan(row * outputs, outputs), index, decides, threshold);
      const auto label = static_cast<std::size_t>(test.labels[static_cast<std::size_t>(index)]);
      result.predictions.push_back(predicted);
      ++result.class_images[label];
      ++result.confusion[label][static_cast<std::size_t>(predicted)];
      if (static_cast<std::size_t>(predicted) == label) {
        ++result.class_correct[label];
        ++result.correct;
      }
    }
    result.images += count;
    if (on_progress) on_progress(result.images, total);
  }
  return result;
}

float decision_threshold(const Graph& graph) {
  ValueId id = graph.output;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    if (node->output != id) continue;
    const bool moves = node->op == Op::kFlatten || node->op == Op::kReshape || node->op == Op::kTranspose ||
                       node->op == Op::kSlice;
    if (!moves) return node->op == Op::kSigmoid || node->op == Op::kHardSigmoid ? 0.5F : 0.0F;
    id = node->inputs.front();
  }
  return 0.0F;
}

double agreement(const Accuracy& a, const Accuracy& b) {
  if (a.predictions.size() != b.predictions.size()) {
    throw Error(ErrorCode::kUsage, "agreement",
                fmt::format("predictions of different images; expected {}, got {}", a.predictions.size(),
                            b.predictions.size()));
  }
  if (a.predictions.empty()) return 1;
  std::int64_t same = 0;
  for (std::size_t i = 0; i < a.predictions.size(); ++i) same += a.predictions[i] == b.predictions[i] ? 1 : 0;
  return static_cast<double>(same) / static_cast<double>(a.predictions.size());
}

}  // namespace octavo
