/// A quantized or float ONNX classifier inside an application: one file in, classes of images out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "octavo/graph/preprocessing.h"
#include "octavo/runtime/runtime.h"

namespace octavo {

struct ClassifierOptions {
  std::int64_t max_batch = 1;  ///< Images that run at once; more are run in turns.
  int threads = 0;             ///< 0: as many as the process may use.
  bool channels_last = true;   ///< Images are [H, W, C], as decoders give them; else [C, H, W].
  /// Replaces the normalization in the file's metadata; needed where the file has none.
  std::optional<Normalization> normalization = {};
};

struct Prediction {
  std::int64_t label = 0;  ///< The class with the largest logit; the first of equals.
  float probability = 0;   ///< Its softmax.
};

/// A model that is loaded and compiled once. Immutable: any number of threads may classify with it at once.
class Classifier {
 public:
  /// Throws what load_onnx() and CompiledModel throw, and kBadInput if neither the file nor the options say
  /// how pixels are normalized.
  explicit Classifier(const std::filesystem::path& file, const ClassifierOptions& options = {});
  /// `where` names the bytes in errors.
  Classifier(std::span<const std::byte> bytes, const std::string& where,
             const ClassifierOptions& options = {});
  Classifier(Classifier&&) noexcept;
  Classifier& operator=(Classifier&&) noexcept;
  ~Classifier();

  /// One prediction an image; `images` holds any number of them, each height() * width() * channels() bytes.
  /// Throws kBadInput if it holds a part of one.
  std::vector<Prediction> classify(std::span<const std::uint8_t> images) const;
  /// [images, classes()].
  std::vector<float> logits(std::span<const std::uint8_t> images) const;

  std::int64_t channels() const;
  std::int64_t height() const;
  std::int64_t width() const;
  std::int64_t classes() const;
  /// By label; empty if the file has none.
  const std::vector<std::string>& class_names() const;
  /// For a caller with contexts of its own, who wants no allocation in a run: see
  /// CompiledModel::run_pixels().
  const CompiledModel& model() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace octavo
