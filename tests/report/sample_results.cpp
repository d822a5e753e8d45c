#include "report/sample_results.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace octavo::testing {
namespace {

std::vector<EpochRecord> sample_history() {
  std::vector<EpochRecord> history;
  for (int epoch = 1; epoch <= 18; ++epoch) {
    const double x = epoch / 18.0;
    history.push_back(
        {.phase = "train",
         .epoch = epoch,
         .lr = 0.15 * (x < 0.25 ? x / 0.25 : (1 - x) / 0.75),
         .train_loss = 0.62 + 1.25 * std::exp(-4 * x),
         .train_accuracy = 0.92 - 0.5 * std::exp(-4 * x),
         .test_accuracy = 0.875 - 0.42 * std::exp(-3.4 * x) - (epoch % 3 == 0 ? 0.03 * (1 - x) : 0),
         .images_per_second = 1171,
         .seconds = 43});
  }
  for (int epoch = 1; epoch <= 5; ++epoch) {
    history.push_back({.phase = "qat",
                       .epoch = epoch,
                       .lr = 0.002 * (5 - epoch) / 5,
                       .train_loss = 0.63 - 0.004 * epoch,
                       .train_accuracy = 0.914 + 0.001 * epoch,
                       .test_accuracy = 0.8705 + 0.0006 * epoch,
                       .images_per_second = 402,
                       .seconds = 124});
  }
  return history;
}

Latency timed(std::int64_t batch, double mean, double std) {
  return {.batch = batch,
          .threads = 2,
          .runs = 100,
          .mean_ms = mean,
          .std_ms = std,
          .median_ms = mean * 0.97,
          .p90_ms = mean + 1.4 * std,
          .images_per_second = static_cast<double>(batch) / (mean * 0.97) * 1000};
}

}  // namespace

Dataset sample_dataset(std::int64_t images, std::int64_t classes, std::int64_t channels) {
  Dataset data;
  data.name = "shapes";
  data.split = "test";
  data.channels = channels;
  data.height = 8;
  data.width = 6;
  for (std::int64_t c = 0; c < classes; ++c) data.class_names.push_back("kind " + std::to_string(c));
  for (std::int64_t i = 0; i < images; ++i) data.labels.push_back(static_cast<std::int32_t>(i % classes));
  data.pixels.resize(static_cast<std::size_t>(images * data.image_size()));
  for (std::size_t i = 0; i < data.pixels.size(); ++i)
    data.pixels[i] = static_cast<std::uint8_t>(i * 7 % 256);
  return data;
}

Accuracy count(const Dataset& test, const std::vector<std::int32_t>& predictions) {
  Accuracy accuracy;
  const std::size_t classes = test.class_names.size();
  accuracy.images = test.size();
  accuracy.class_images.assign(classes, 0);
  accuracy.class_correct.assign(classes, 0);
  accuracy.confusion.assign(classes, std::vector<std::int64_t>(classes, 0));
  accuracy.predictions = predictions;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const auto label = static_cast<std::size_t>(test.labels[i]);
    ++accuracy.class_images[label];
    ++accuracy.confusion[label][static_cast<std::size_t>(predictions[i])];
    if (predictions[i] == test.labels[i]) {
      ++accuracy.class_correct[label];
      ++accuracy.correct;
    }
  }
  return accuracy;
}

/// Layers of falling quality, the first exact.
std::vector<LayerQuality> sample_layers() {
  std::vector<LayerQuality> layers;
  for (int i = 0; i < 5; ++i) {
    LayerQuality layer;
    layer.layer = i == 0 ? "" : "conv" + std::to_string(i);
    layer.value = i == 0 ? "input" : "relu" + std::to_string(i) + ".out";
    layer.sqnr_db = i == 0 ? std::numeric_limits<double>::infinity() : 44.5 - 7 * i;
    layer.cosine = 1 - 0.0004 * i;
    layer.clipped = 0.0003 * i;
    layer.range = {i == 0 ? -2.5F : 0.0F, 2.5F + static_cast<float>(i)};
    layer.activations = {.min = static_cast<double>(layer.range.min), .max = 3.0 + i, .counts = {}};
    for (int bar = 0; bar < 48; ++bar)
      layer.activations.counts.push_back(static_cast<std::uint64_t>(4000 * std::exp(-0.1 * bar)));
    if (i > 0) layer.weights = {.min = -0.4, .max = 0.5, .counts = {1, 20, 300, 280, 25, 2}};
    layers.push_back(layer);
  }
  return layers;
}

LayerChoices sample_choices() {
  LayerChoices choices;
  choices.guard = {
      .batch = 8,
      .threads = 2,
      .cpu = "AMD EPYC 7B13",
      .float_ms = 6.12,
      .int8_ms = 1.0625,
      .guarded_ms = 0.975,
      .all_float = false,
      .layers = {{.name = "features.se1.fc", .float_ms = 0.0123, .int8_ms = 0.0041, .conversion_ms = 0.0156},
                 {.name = "head", .float_ms = 0.0302, .int8_ms = 0.0355, .conversion_ms = 0.0002}}};
  choices.saturation = {
      .images = 64,
      .proven = 3,
      .layers = {
          {.layer = "conv1", .largest = 64770, .risky_pairs = 1203, .events = 45678, .narrowed = true},
          {.layer = "conv2", .largest = 50001, .risky_pairs = 7, .events = 1, .narrowed = true},
          {.layer = "features.se1.fc", .largest = 33000, .risky_pairs = 2, .events = 0, .narrowed = false},
          {.layer = "<b>&\"|", .largest = 32768, .risky_pairs = 0, .events = 0, .narrowed = false}}};
  return choices;
}

Results sample_results(const Dataset& test) {
  std::mt19937 generator(3);
  std::uniform_real_distribution<double> chance;
  const auto classes = static_cast<std::int32_t>(test.class_names.size());
  // Two neighbouring classes are hard and mostly taken for each other, as cats and dogs are.
  const auto guess = [&](std::int32_t label) {
    const std::int32_t neighbour = label % 2 == 0 ? std::min(label + 1, classes - 1) : label - 1;
    return chance(generator) < 0.45
               ? neighbour
               : static_cast<std::int32_t>(chance(generator) * static_cast<double>(classes));
  };
  std::vector<std::int32_t> base;
  for (const std::int32_t label : test.labels) {
    base.push_back(chance(generator) < 0.95 - 0.02 * (label % 8) ? label : guess(label));
  }
  const auto changed = [&](double share, double right) {
    std::vector<std::int32_t> predictions = base;
    for (std::size_t i = 0; i < predictions.size(); ++i) {
      if (chance(generator) < share) {
        predictions[i] = chance(generator) < right ? test.labels[i] : guess(test.labels[i]);
      }
    }
    return predictions;
  };

  Results results;
  results.dataset = test.name;
  results.train_images = 50000;
  results.test_images = test.size();
  results.class_names = test.class_names;
  results.model = "simple-cnn";
  results.parameters = 1558026;
  results.macs = 58400000;
  results.environment = {{"compiler", "GCC 12.2.0"},
                         {"cores", "2"},
                         {"cpu", "AMD EPYC 7B13 <\"virtual\" & shared>"},
                         {"isa", "avx2"},
                         {"octavo", "0.1.0"},
                         {"oneDNN", "2.6.3"},
                         {"os", "Debian GNU/Linux 12 (bookworm)"},
                         {"threads", "2"}};
  results.settings = {{"calibration.images", "1000"},
                      {"calibration.observer", "mse"},
                      {"data.dataset", "cifar10"},
                      {"qat.epochs", "5"},
                      {"seed", "42"},
                      {"train.batch_size", "128"},
                      {"train.epochs", "18"},
                      {"train.label_smoothing", "0.1"},
                      {"train.lr", "0.15"},
                      {"train.schedule", "one-cycle"}};
  results.variants.push_back({.name = "base",
                              .precision = "fp32",
                              .accuracy = count(test, base),
                              .file = "base.onnx",
                              .size_bytes = 6243190,
                              .latency = {timed(1, 0.893, 0.041), timed(128, 105.9, 6.2)},
                              .agreement_with_base = 1});
  const auto add = [&](const char* name, const std::vector<std::int32_t>& predictions, std::int64_t size,
                       std::vector<Latency> latency) {
    Variant variant{.name = name,
                    .precision = "int8",
                    .accuracy = count(test, predictions),
                    .file = std::string(name) + ".onnx",
                    .size_bytes = size,
                    .latency = std::move(latency),
                    .agreement_with_base = 0};
    std::int64_t same = 0;
    for (std::size_t i = 0; i < base.size(); ++i) same += base[i] == predictions[i] ? 1 : 0;
    variant.agreement_with_base =
        base.empty() ? 1 : static_cast<double>(same) / static_cast<double>(base.size());
    results.variants.push_back(std::move(variant));
  };
  add("ptq", changed(0.008, 0.3), 1593201, {timed(1, 0.184, 0.012), timed(128, 8.41, 0.52)});
  add("qat", changed(0.018, 0.7), 1593388, {timed(1, 0.182, 0.009), timed(128, 8.37, 0.61)});
  results.variants[1].layers = sample_layers();
  results.timing = {
      {"train_s", 774.2}, {"ptq_s", 2.41}, {"qat_s", 621.9}, {"eval_s", 12.8}, {"total_s", 1411.3}};
  results.history = sample_history();
  results.notes = {"3 of the 1,000 calibration images also occur in the test split.",
                   "This processor has no VNNI: weights are kept to seven bits."};
  return results;
}

}  // namespace octavo::testing
