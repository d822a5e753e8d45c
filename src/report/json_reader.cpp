#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "octavo/core/error.h"
#include "octavo/report/report.h"

namespace octavo {
namespace {

using Json = nlohmann::json;

std::string kind_of(const Json& value) {
  if (value.is_number_integer()) return "an integer";
  if (value.is_number()) return "a fraction";
  if (value.is_string()) return "text";
  if (value.is_boolean()) return "a boolean";
  if (value.is_array()) return "a list";
  return value.is_null() ? "null" : "an object";
}

/// A JSON value and how one gets to it, so that every error can name the key.
class Field {
 public:
  Field(const Json& value, const std::string& where, std::string path)
      : value_(value), where_(where), path_(std::move(path)) {}

  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(ErrorCode::kBadInput, where_,
                path_.empty() ? problem : fmt::format("key '{}' {}", path_, problem));
  }

  /// An object with exactly these keys, and perhaps some of `optional`.
  void require_keys(std::initializer_list<std::string_view> keys,
                    std::initializer_list<std::string_view> optional = {}) const {
    require_object();
    for (const std::string_view key : keys) at(key);
    for (const auto& [key, unused] : value_.items()) {
      const bool known = std::find(keys.begin(), keys.end(), key) != keys.end() ||
                         std::find(optional.begin(), optional.end(), key) != optional.end();
      if (!known) {
        member(key).fail(fmt::format("is unknown; expected one of {}", fmt::join(keys, ", ")));
      }
    }
  }

  Field at(std::string_view key) const {
    require_object();
    const auto found = value_.find(key);
    const std::string path = path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
    if (found == value_.end()) Field(value_, where_, path).fail("is missing");
    return {*found, where_, path};
  }

  std::optional<Field> maybe(std::string_view key) const {
    return value_.contains(key) ? std::optional(at(key)) : std::nullopt;
  }

  std::vector<Field> items() const {
    if (!value_.is_array()) wrong_type("a list");
    std::vector<Field> nodes;
    for (std::size_t i = 0; i < value_.size(); ++i)
      nodes.emplace_back(value_[i], where_, fmt::format("{}[{}]", path_, i));
    return nodes;
  }

  std::vector<std::pair<std::string, Field>> members() const {
    require_object();
    std::vector<std::pair<std::string, Field>> nodes;
    for (const auto& [key, unused] : value_.items()) nodes.emplace_back(key, member(key));
    return nodes;
  }

  std::string text() const {
    if (!value_.is_string()) wrong_type("text");
    return value_.get<std::string>();
  }

  bool boolean() const {
    if (!value_.is_boolean()) wrong_type("a boolean");
    return value_.get<bool>();
  }

  std::int64_t integer(std::int64_t lowest,
                       std::int64_t highest = std::numeric_limits<std::int64_t>::max()) const {
    if (!value_.is_number_integer()) wrong_type("an integer");
    const bool too_large =
        value_.is_number_unsigned() && value_.get<std::uint64_t>() > static_cast<std::uint64_t>(highest);
    if (too_large || value_.get<std::int64_t>() < lowest || value_.get<std::int64_t>() > highest) {
      fail(fmt::format("is out of range; expected {} to {}, got {}", lowest, highest, value_.dump()));
    }
    return value_.get<std::int64_t>();
  }

  /// A number not below `lowest` nor above `highest`, or null for one that could not be measured (NaN).
  double measured(double lowest = 0, double highest = std::numeric_limits<double>::max()) const {
    if (value_.is_null()) return std::numeric_limits<double>::quiet_NaN();
    return number(lowest, highest);
  }

  double number(double lowest, double highest) const {
    if (!value_.is_number()) wrong_type("a number");
    const auto got = value_.get<double>();
    if (!(got >= lowest && got <= highest)) {
      fail(fmt::format("is out of range; expected {} to {}, got {}", lowest, highest, value_.dump()));
    }
    return got;
  }

  bool is_null() const { return value_.is_null(); }

 private:
  void require_object() const {
    if (!value_.is_object()) wrong_type("an object");
  }
  Field member(const std::string& key) const {
    return {value_.at(key), where_, path_.empty() ? key : fmt::format("{}.{}", path_, key)};
  }
  [[noreturn]] void wrong_type(const std::string& expected) const {
    const std::string problem =
        fmt::format("has the wrong type; expected {}, got {}", expected, kind_of(value_));
    if (path_.empty()) throw Error(ErrorCode::kBadInput, where_, "the document " + problem);
    fail(problem);
  }

  const Json& value_;
  const std::string& where_;
  std::string path_;
};

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();

Latency read_latency(const Field& node) {
  node.require_keys(
      {"batch", "threads", "runs", "mean_ms", "std_ms", "median_ms", "p90_ms", "images_per_second"});
  Latency latency;
  latency.batch = node.at("batch").integer(1);
  latency.threads = static_cast<int>(node.at("threads").integer(1, kInt32Max));
  latency.runs = static_cast<int>(node.at("runs").integer(0, kInt32Max));
  latency.mean_ms = node.at("mean_ms").measured();
  latency.std_ms = node.at("std_ms").measured();
  latency.median_ms = node.at("median_ms").measured();
  latency.p90_ms = node.at("p90_ms").measured();
  latency.images_per_second = node.at("images_per_second").measured();
  return latency;
}

std::vector<std::int64_t> read_counts(const Field& node) {
  std::vector<std::int64_t> counts;
  for (const Field& item : node.items()) counts.push_back(item.integer(0));
  return counts;
}

Accuracy read_accuracy(const Field& node) {
  Accuracy accuracy;
  accuracy.images = node.at("images").integer(0);
  accuracy.correct = node.at("correct").integer(0, accuracy.images);
  accuracy.class_images = read_counts(node.at("class_images"));
  accuracy.class_correct = read_counts(node.at("class_correct"));
  const std::size_t classes = accuracy.class_images.size();
  if (accuracy.class_correct.size() != classes) {
    node.at("class_correct")
        .fail(
            fmt::format("has the wrong length; expected {}, got {}", classes, accuracy.class_correct.size()));
  }
  for (std::size_t c = 0; c < classes; ++c) {
    if (accuracy.class_correct[c] > accuracy.class_images[c]) {
      node.at("class_correct")
          .items()[c]
          .fail(fmt::format("is out of range; expected 0 to {}, got {}", accuracy.class_images[c],
                            accuracy.class_correct[c]));
    }
  }
  const Field confusion = node.at("confusion");
  const std::vector<Field> rows = confusion.items();
  if (rows.size() != classes) {
    confusion.fail(fmt::format("has the wrong length; expected {}, got {}", classes, rows.size()));
  }
  for (const Field& row : rows) {
    accuracy.confusion.push_back(read_counts(row));
    if (accuracy.confusion.back().size() != classes) {
      row.fail(fmt::format("has the wrong length; expected {}, got {}", classes,
                           accuracy.confusion.back().size()));
    }
  }
  const double stated = node.at("accuracy").number(0, 1);
  if (std::abs(stated - accuracy.value()) > 1e-9) {
    node.at("accuracy")
        .fail(fmt::format("contradicts the counts; expected {} (correct / images), got {}", accuracy.value(),
                          stated));
  }
  return accuracy;
}

Distribution read_distribution(const Field& node) {
  node.require_keys({"min", "max", "counts"});
  constexpr double kLowest = std::numeric_limits<double>::lowest();
  Distribution distribution{node.at("min").measured(kLowest), node.at("max").measured(kLowest), {}};
  for (const std::int64_t count : read_counts(node.at("counts")))
    distribution.counts.push_back(static_cast<std::uint64_t>(count));
  return distribution;
}

LayerQuality read_layer(const Field& node) {
  node.require_keys({"value", "layer", "sqnr_db", "cosine", "clipped", "range", "activations", "weights"});
  constexpr double kLowest = std::numeric_limits<double>::lowest();
  LayerQuality layer;
  layer.value = node.at("value").text();
  layer.layer = node.at("layer").text();
  // Noise of exactly 0 is an infinite ratio, which JSON has no number for.
  layer.sqnr_db = node.at("sqnr_db").is_null() ? std::numeric_limits<double>::infinity()
                                               : node.at("sqnr_db").measured(kLowest);
  layer.cosine = node.at("cosine").measured(kLowest);
  layer.clipped = node.at("clipped").measured(0, 1);
  const std::vector<Field> ends = node.at("range").items();
  if (ends.size() != 2)
    node.at("range").fail(fmt::format("has the wrong length; expected 2, got {}", ends.size()));
  layer.range = {static_cast<float>(ends[0].measured(kLowest)),
                 static_cast<float>(ends[1].measured(kLowest))};
  layer.activations = read_distribution(node.at("activations"));
  layer.weights = read_distribution(node.at("weights"));
  return layer;
}

GuardChoice read_guard(const Field& node) {
  node.require_keys(
      {"batch", "threads", "cpu", "float_ms", "int8_ms", "guarded_ms", "all_float", "float_layers"});
  GuardChoice guard{.batch = node.at("batch").integer(1),
                    .threads = node.at("threads").integer(1),
                    .cpu = node.at("cpu").text(),
                    .float_ms = node.at("float_ms").measured(),
                    .int8_ms = node.at("int8_ms").measured(),
                    .guarded_ms = node.at("guarded_ms").measured(),
                    .all_float = node.at("all_float").boolean(),
                    .layers = {}};
  for (const Field& item : node.at("float_layers").items()) {
    item.require_keys({"layer", "float_ms", "int8_ms", "conversion_ms"});
    guard.layers.push_back({.name = item.at("layer").text(),
                            .float_ms = item.at("float_ms").measured(),
                            .int8_ms = item.at("int8_ms").measured(),
                            .conversion_ms = item.at("conversion_ms").measured()});
  }
  return guard;
}

SaturationChoice read_saturation(const Field& node) {
  node.require_keys({"images", "proven", "not_proven"});
  SaturationChoice saturation{
      .images = node.at("images").integer(0), .proven = node.at("proven").integer(0), .layers = {}};
  for (const Field& item : node.at("not_proven").items()) {
    item.require_keys({"layer", "narrowed", "largest", "risky_pairs", "events"});
    saturation.layers.push_back({.layer = item.at("layer").text(),
                                 .largest = item.at("largest").integer(0),
                                 .risky_pairs = item.at("risky_pairs").integer(0),
                                 .events = item.at("events").integer(0),
                                 .narrowed = item.at("narrowed").boolean()});
  }
  return saturation;
}

Variant read_variant(const Field& node) {
  node.require_keys({"name", "precision", "accuracy", "correct", "images", "class_images", "class_correct",
                     "confusion", "file", "size_bytes", "latency", "agreement_with_base", "layers"},
                    {"latency_guard", "saturation"});
  Variant variant;
  variant.name = node.at("name").text();
  variant.precision = node.at("precision").text();
  variant.accuracy = read_accuracy(node);
  variant.file = node.at("file").text();
  variant.size_bytes = node.at("size_bytes").integer(0);
  for (const Field& item : node.at("latency").items()) variant.latency.push_back(read_latency(item));
  variant.agreement_with_base = node.at("agreement_with_base").measured(0, 1);
  for (const Field& item : node.at("layers").items()) variant.layers.push_back(read_layer(item));
  if (const auto guard = node.maybe("latency_guard")) variant.choices.guard = read_guard(*guard);
  if (const auto saturation = node.maybe("saturation"))
    variant.choices.saturation = read_saturation(*saturation);
  return variant;
}

EpochRecord read_epoch(const Field& node) {
  node.require_keys({"phase", "epoch", "lr", "train_loss", "train_accuracy", "test_accuracy",
                     "images_per_second", "seconds"});
  EpochRecord record;
  record.phase = node.at("phase").text();
  record.epoch = node.at("epoch").integer(0);
  record.lr = node.at("lr").measured();
  record.train_loss = node.at("train_loss").measured(std::numeric_limits<double>::lowest());
  record.train_accuracy = node.at("train_accuracy").measured(0, 1);
  record.test_accuracy = node.at("test_accuracy").is_null() ? -1 : node.at("test_accuracy").number(0, 1);
  record.images_per_second = node.at("images_per_second").measured();
  record.seconds = node.at("seconds").measured();
  return record;
}

std::vector<std::string> read_texts(const Field& node) {
  std::vector<std::string> texts;
  for (const Field& item : node.items()) texts.push_back(item.text());
  return texts;
}

std::map<std::string, std::string> read_text_map(const Field& node) {
  std::map<std::string, std::string> entries;
  for (const auto& [key, value] : node.members()) entries[key] = value.text();
  return entries;
}

}  // namespace

Results results_from_json(const std::string& text, const std::string& where) {
  Json document;
  try {
    document = Json::parse(text);
  } catch (const Json::parse_error& error) {
    throw Error(ErrorCode::kBadInput, where,
                fmt::format("not a JSON document: error at byte {} of {}", error.byte, text.size()));
  } catch (const Json::exception&) {
    throw Error(ErrorCode::kBadInput, where,
                "not a JSON document of ours; expected numbers that a double holds, got a larger one");
  }
  const Field root(document, where, "");
  const std::int64_t schema = root.at("schema").integer(0);
  if (schema != 1) {
    root.at("schema").fail(
        fmt::format("is of another version; expected 1, got {} (written by another release?)", schema));
  }
  root.require_keys(
      {"schema", "dataset", "model", "environment", "settings", "variants", "timing", "history", "notes"},
      {"phases"});

  Results results;
  const Field dataset = root.at("dataset");
  dataset.require_keys({"name", "note", "train", "test", "classes"});
  results.dataset = dataset.at("name").text();
  results.dataset_note = dataset.at("note").text();
  results.train_images = dataset.at("train").integer(0);
  results.test_images = dataset.at("test").integer(0);
  results.class_names = read_texts(dataset.at("classes"));
  const Field model = root.at("model");
  model.require_keys({"name", "parameters", "macs"});
  results.model = model.at("name").text();
  results.parameters = model.at("parameters").integer(0);
  results.macs = model.at("macs").integer(0);
  results.environment = read_text_map(root.at("environment"));
  results.settings = read_text_map(root.at("settings"));
  if (const auto phases = root.maybe("phases")) {
    for (const auto& [phase, made_with] : phases->members()) results.phases[phase] = read_text_map(made_with);
  }
  for (const Field& item : root.at("variants").items()) results.variants.push_back(read_variant(item));
  for (const auto& [key, value] : root.at("timing").members()) results.timing[key] = value.measured();
  for (const Field& item : root.at("history").items()) results.history.push_back(read_epoch(item));
  results.notes = read_texts(root.at("notes"));
  return results;
}

}  // namespace octavo
