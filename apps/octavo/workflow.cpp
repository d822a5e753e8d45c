#include "workflow.h"
#include "model_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "interrupt.h"
#include "octavo/core/error.h"
#include "octavo/core/version.h"
#include "octavo/data/resize.h"
#include "octavo/eval/evaluate.h"
#include "octavo/onnx/onnx.h"
#include "octavo/quantize/layer_choices.h"
#include "run_folder.h"

namespace octavo::app {
namespace {

void limit(Dataset& split, std::int64_t count, const std::string& flag, std::vector<std::string>& notes) {
  if (count == 0 || split.size() == 0) return;  // an empty split was not asked for
  if (count > split.size()) {
    throw Error(ErrorCode::kUsage, flag,
                fmt::format("more images than there are; expected at most {}, got {} (0 takes all)",
                            split.size(), count));
  }
  notes.push_back(fmt::format("Only the first {} {} images were used.", count, split.split));
  split = head(split, count);
}

/// --mean and --std, if given.
void apply_normalization(const Settings& settings, LoadedData& data) {
  if (settings.mean.empty() && settings.std.empty()) return;
  const auto channels = static_cast<std::size_t>(data.pair.train.channels);
  if (settings.mean.size() != channels || settings.std.size() != channels) {
    throw Error(ErrorCode::kUsage, "--mean, --std",
                fmt::format("expected {} numbers each, one per channel, got {} and {}", channels,
                            settings.mean.size(), settings.std.size()));
  }
  data.pair.normalization = {.mean = {settings.mean.begin(), settings.mean.end()},
                             .std = {settings.std.begin(), settings.std.end()}};
  data.normalization_asked = true;
}

/// Data sets of one size, brought to the model's. Resized images can be many times larger, so that only those
/// that the command reads are made.
void fit_images(const Session& session, const ImageFolderConfig& images, LoadedData& data) {
  const Dataset& train = data.pair.train;
  const bool fits = train.height == images.height && train.width == images.width && images.resize == 0;
  if (train.name == "image-folder" || images.height == 0 || fits) return;
  const std::string change = fmt::format("{} x {} pixels are resized to {} x {}", train.height, train.width,
                                         images.height, images.width);
  session.console.line(fmt::format("{}: images of {}", train.name, change));
  data.notes.push_back(fmt::format("Images of {}.", change));
  const std::int64_t samples = session.settings.ptq.calibration_samples;
  if (images.splits == WantedSplits::kTrain && samples <= train.size())
    data.pair.train = subset(train, calibration_indices(train, samples, session.settings.seed));
  for (Dataset* split : {&data.pair.train, &data.pair.test}) {
    const bool wanted = images.splits == WantedSplits::kBoth ||
                        (images.splits == WantedSplits::kTrain) == (split == &data.pair.train);
    if (!wanted) *split = subset(*split, {});
    *split = resized(*split, {.height = images.height, .width = images.width, .shorter = images.resize});
  }
}

LoadedData load_named(const Session& session, const std::string& dataset, ImageFolderConfig images,
                      const std::string& preferred = {}) {
  LoadedData data;
  DataRequest request = session.settings.data;
  request.dataset = dataset;
  request.preferred = preferred;
  request.stop = session.stop;
  images.resize = request.images.resize;
  images.train_limit = session.settings.train_limit;
  images.test_limit = session.settings.test_limit;
  images.stop = session.stop;
  images.on_image = [&session](std::int64_t done, std::int64_t total) {
    session.console.bar("images", static_cast<double>(done) / static_cast<double>(total),
                        fmt::format("{} of {}", done, total));
  };
  request.images = images;
  request.on_note = [&session](const std::string& note) { session.console.line(note); };
  request.on_progress = [&session](const DownloadProgress& p) {
    const double part = p.total == 0 ? 0 : static_cast<double>(p.received) / static_cast<double>(p.total);
    session.console.bar("download", part, bytes_text(p.received));
  };
  data.pair = load_dataset(request);
  apply_normalization(session.settings, data);
  if (dataset == "auto" && request.path.empty() && data.pair.train.name != "cifar10") {
    data.notes.push_back("CIFAR-10 was neither found nor reachable; Fashion-MNIST stands in for it.");
  }
  limit(data.pair.train, session.settings.train_limit, "--train-limit", data.notes);
  limit(data.pair.test, session.settings.test_limit, "--test-limit", data.notes);
  fit_images(session, images, data);
  return data;
}

}  // namespace

void stamp(Graph& graph, const Session& session, const LoadedData& data, const std::string& variant,
           Command phases) {
  const Dataset& train = data.pair.train;
  graph.metadata["octavo.version"] = version();
  graph.metadata["octavo.created_by"] = "octavo " + version();
  graph.metadata["octavo.variant"] = variant;
  graph.metadata["octavo.settings"] = join_settings(defining_settings(session.settings, phases));
  graph.metadata["octavo.seed"] = std::to_string(session.settings.seed);
  graph.metadata["octavo.dataset"] = train.name;
  graph.metadata["octavo.data_hash"] = train.hash;
}

std::string requested_dataset(const Session& session) {
  const DataRequest& data = session.settings.data;
  return data.path.empty() || session.given.contains("data.dataset") ? data.dataset : "auto";
}

LoadedData load_data(const Session& session) {
  const Settings& settings = session.settings;
  return load_named(session, requested_dataset(session),
                    {.height = settings.image_size, .width = settings.image_size});
}

LoadedData load_data_for(const Session& session, const Graph& model, WantedSplits splits, bool labels) {
  const Settings& settings = session.settings;
  const Shape& input = model.value(model.input).shape;
  if (settings.image_size != 0 && (settings.image_size != input[2] || settings.image_size != input[3])) {
    throw Error(ErrorCode::kUsage, "--image-size",
                fmt::format("the model takes {} x {} pixels; expected that or 0, got {}", input[2], input[3],
                            settings.image_size));
  }
  const auto own = model.metadata.find("octavo.dataset");
  std::string dataset = requested_dataset(session);
  const std::string own_name = own == model.metadata.end() ? std::string() : own->second;
  if (!session.given.contains("data.dataset") && settings.data.path.empty() && !own_name.empty())
    dataset = own_name;
  LoadedData data = load_named(
      session, dataset,
      {.channels = input[1], .height = input[2], .width = input[3], .splits = splits, .labels = labels},
      own_name);
  if (!data.normalization_asked && !get_normalization(model)) {
    const Normalization& assumed = data.pair.normalization;
    session.console.line(
        fmt::format("the model does not say how its input is made; assumed: pixels from 0 to 1, less {}, by "
                    "{} (--mean, --std)",
                    fmt::join(assumed.mean, ", "), fmt::join(assumed.std, ", ")));
  }
  return data;
}

std::string origin_note(const DatasetPair& pair) {
  if (pair.train.official && pair.test.official) return {};
  return fmt::format(
      "These are not the official {} files (their checksums differ), so figures do not compare with "
      "published ones.",
      pair.train.name);
}

QuantizedPtq make_ptq(const Session& session, const LoadedData& data, const Graph& base) {
  PtqConfig config = ptq_config(session.settings);
  const Dataset& images = data.pair.train;
  if (images.name == "image-folder" && images.size() < config.calibration_samples) {
    config.calibration_samples = images.size();
    session.console.line(fmt::format("ptq: calibrates on all {} images of {}", images.size(), images.source));
  }
  const Normalization normalization = normalization_of(base, data);
  config.on_progress = [&session](std::int64_t done, std::int64_t total) {
    throw_if_stopped(session.stop);
    session.console.bar("calibrate", static_cast<double>(done) / static_cast<double>(total),
                        fmt::format("{} of {} images", done, total));
  };
  config.on_layer = [&session](std::int64_t done, std::int64_t total) {
    throw_if_stopped(session.stop);
    session.console.bar("repair", static_cast<double>(done) / static_cast<double>(total),
                        fmt::format("{} of {} layers", done, total));
  };
  PtqResult result = quantize_ptq(base, images, normalization, config);
  // The file says how its input is made, and what its outputs mean: an imported model's metadata may not.
  set_normalization(result.graph, normalization);
  if (get_class_names(base).empty() &&
      std::ssize(images.class_names) == base.value(base.output).shape.back()) {
    set_class_names(result.graph, images.class_names);
  }
  stamp(result.graph, session, data, "ptq", kPtq);
  QuantizedPtq ptq{.graph = std::move(result.graph),
                   .calibration_images = static_cast<std::int64_t>(result.indices.size()),
                   .shared_images = count_shared_images(images, result.indices, data.pair.test)};
  if (data.pair.test.size() > 0)
    ptq.graph.metadata["octavo.calibration_images_in_test"] = std::to_string(ptq.shared_images);
  return ptq;
}

std::string leakage_note(const QuantizedPtq& ptq) {
  if (ptq.shared_images == 0) return {};
  return fmt::format("{} of the {} calibration images have exactly the pixels of a test image.",
                     ptq.shared_images, ptq.calibration_images);
}

std::vector<std::int64_t> calibration_images(const Session& session, const LoadedData& data) {
  const Dataset& images = data.pair.train;
  std::int64_t samples = session.settings.ptq.calibration_samples;
  if (images.name == "image-folder") samples = std::min(samples, images.size());  // as make_ptq does
  return calibration_indices(images, samples, session.settings.seed);
}

std::vector<LayerQuality> layer_quality(const Session& session, const LoadedData& data, const Graph& base,
                                        const Graph& ptq) {
  // Noise is a mean over all pixels of all images: it settles long before the ranges do.
  constexpr std::size_t kImages = 256;
  std::vector<std::int64_t> indices = calibration_images(session, data);
  indices.resize(std::min(indices.size(), kImages));
  return measure_layer_quality(base, ptq, data.pair.train, normalization_of(base, data), indices, 32,
                               [&session](std::int64_t done, std::int64_t total) {
                                 throw_if_stopped(session.stop);
                                 session.console.bar("layers",
                                                     static_cast<double>(done) / static_cast<double>(total),
                                                     fmt::format("{} of {} images", done, total));
                               });
}

Normalization normalization_of(const Graph& model, const LoadedData& data) {
  const Normalization& other = data.pair.normalization;
  return data.normalization_asked ? other : get_normalization(model).value_or(other);
}

Variant evaluate_file(const Session& session, const LoadedData& data, const std::filesystem::path& path,
                      const std::string& name) {
  const Graph graph = load_model(session, path);
  const CompiledModel model(graph, {.threads = session.settings.threads, .observe = {}});
  Variant variant;
  variant.name = name;
  variant.precision = model.precision();
  const auto bits = graph.metadata.find("octavo.bits");
  if (variant.precision == "int8" && bits != graph.metadata.end() && bits->second != to_string(BitWidths{}))
    variant.precision += fmt::format(" ({})", bits->second);
  variant.choices = layer_choices(graph);
  variant.file = path.filename().string();
  variant.size_bytes = static_cast<std::int64_t>(std::filesystem::file_size(path));
  variant.accuracy = evaluate(
      model, data.pair.test, normalization_of(graph, data),
      [&session, &name](std::int64_t done, std::int64_t total) {
        session.console.bar("evaluate " + name, static_cast<double>(done) / static_cast<double>(total),
                            fmt::format("{} of {} images", done, total));
      },
      session.stop, decision_threshold(graph));
  return variant;
}

std::vector<std::vector<Latency>> measure_all(const Session& session, const std::vector<Graph>& models) {
  const Settings& settings = session.settings;
  std::vector<std::vector<Latency>> measured(models.size());
  for (const std::int64_t batch : settings.batches) {
    throw_if_stopped(session.stop);
    session.console.bar(
        "time", static_cast<double>(measured.front().size()) / static_cast<double>(settings.batches.size()),
        fmt::format("batch {}, {} runs of {} models", batch, settings.runs, models.size()));
    std::vector<std::unique_ptr<CompiledModel>> compiled;
    std::vector<const CompiledModel*> views;
    for (const Graph& graph : models) {
      compiled.push_back(std::make_unique<CompiledModel>(
          graph, CompileOptions{.max_batch = batch, .threads = settings.threads, .observe = {}}));
      views.push_back(compiled.back().get());
    }
    const auto latencies =
        measure_latencies(views, {.batch = batch, .warmup = settings.warmup, .runs = settings.runs});
    for (std::size_t i = 0; i < models.size(); ++i) measured[i].push_back(latencies[i]);
  }
  return measured;
}

double timed(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace octavo::app
