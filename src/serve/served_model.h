/// One model as it is served: loaded, compiled, tried out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "octavo/graph/graph.h"
#include "octavo/graph/preprocessing.h"
#include "octavo/runtime/runtime.h"

namespace octavo::serve {

/// What the numbers are that a model answers with.
enum class Scores : std::uint8_t {
  kLogits,         ///< One a class; softmax makes probabilities of them.
  kProbabilities,  ///< One a class; the model ends in Softmax.
  kLogit,          ///< One for the second of two classes; the logistic function makes its probability of it.
  kProbability,    ///< One for the second of two classes.
};

/// Immutable but for its context, which the thread that computes has for itself.
struct ServedModel {
  std::string name;  ///< The file's stem.
  std::filesystem::path file;
  std::int64_t file_bytes = 0;
  std::string input;  ///< Names of the tensors in the file.
  std::string output;
  Scores scores = Scores::kLogits;
  std::optional<Normalization> normalization;
  std::vector<std::string> classes;  ///< By label; empty if the file has none.
  int weight_bits = 32;              ///< That most of the weights have; 32: float32.
  std::string group;                 ///< The same for models that are one network in several precisions.
  /// Sizes of batches, ascending from 1, in which each image gets the bits that it gets alone.
  std::vector<std::int64_t> batches;
  CompiledModel model;
  mutable CompiledModel::Context context;

  std::int64_t channels() const { return model.input_shape()[1]; }
  std::int64_t height() const { return model.input_shape()[2]; }
  std::int64_t width() const { return model.input_shape()[3]; }
  std::int64_t image_values() const { return channels() * height() * width(); }
};

struct LoadConfig {
  std::int64_t max_batch = 8;
  int threads = 1;
  std::function<Graph(const std::filesystem::path&)> read;
};

/// Compiles the file for every size of batch that will be used and runs each once. Float32 kernels may add
/// in another order where the batch is larger: sizes with which a random image's bits are not those that it
/// gets alone are left out. Throws what reading and compiling throw.
std::shared_ptr<const ServedModel> load_served_model(const std::filesystem::path& file,
                                                     const LoadConfig& config);

/// The sizes that are tried: 1 to 8, above that the multiples of a quarter of the next lower power of two.
std::vector<std::int64_t> batch_sizes(std::int64_t max_batch);

/// Probability of each class, of one image's scores. At least two.
std::vector<double> probabilities(Scores kind, std::span<const float> scores);

}  // namespace octavo::serve
