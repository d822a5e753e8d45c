#include <cmath>
#include <nlohmann/json.hpp>

#include "octavo/report/report.h"

namespace octavo {
namespace {

using Json = nlohmann::ordered_json;

/// JSON has no NaN or infinity: a measurement that is neither finite nor there is null.
Json measured(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json to_object(const Latency& latency) {
  return {{"batch", latency.batch},
          {"threads", latency.threads},
          {"runs", latency.runs},
          {"mean_ms", measured(latency.mean_ms)},
          {"std_ms", measured(latency.std_ms)},
          {"median_ms", measured(latency.median_ms)},
          {"p90_ms", measured(latency.p90_ms)},
          {"images_per_second", measured(latency.images_per_second)}};
}

Json to_object(const Distribution& distribution) {
  return {{"min", distribution.min}, {"max", distribution.max}, {"counts", distribution.counts}};
}

Json to_object(const LayerQuality& layer) {
  return {{"value", layer.value},
          {"layer", layer.layer},
          {"sqnr_db", measured(layer.sqnr_db)},
          {"cosine", measured(layer.cosine)},
          {"clipped", measured(layer.clipped)},
          {"range", {layer.range.min, layer.range.max}},
          {"activations", to_object(layer.activations)},
          {"weights", to_object(layer.weights)}};
}

Json to_object(const GuardChoice& guard) {
  Json layers = Json::array();
  for (const FloatLayer& layer : guard.layers) {
    layers.push_back({{"layer", layer.name},
                      {"float_ms", measured(layer.float_ms)},
                      {"int8_ms", measured(layer.int8_ms)},
                      {"conversion_ms", measured(layer.conversion_ms)}});
  }
  return {{"batch", guard.batch},
          {"threads", guard.threads},
          {"cpu", guard.cpu},
          {"float_ms", measured(guard.float_ms)},
          {"int8_ms", measured(guard.int8_ms)},
          {"guarded_ms", measured(guard.guarded_ms)},
          {"all_float", guard.all_float},
          {"float_layers", layers}};
}

Json to_object(const SaturationChoice& saturation) {
  Json layers = Json::array();
  for (const LayerSaturation& layer : saturation.layers) {
    layers.push_back({{"layer", layer.layer},
                      {"narrowed", layer.narrowed},
                      {"largest", layer.largest},
                      {"risky_pairs", layer.risky_pairs},
                      {"events", layer.events}});
  }
  return {{"images", saturation.images}, {"proven", saturation.proven}, {"not_proven", layers}};
}

Json to_object(const Variant& variant) {
  Json layers = Json::array();
  for (const LayerQuality& layer : variant.layers) layers.push_back(to_object(layer));
  Json latency = Json::array();
  for (const Latency& entry : variant.latency) latency.push_back(to_object(entry));
  const Accuracy& accuracy = variant.accuracy;
  Json object{{"name", variant.name},
              {"precision", variant.precision},
              {"accuracy", accuracy.value()},
              {"correct", accuracy.correct},
              {"images", accuracy.images},
              {"class_images", accuracy.class_images},
              {"class_correct", accuracy.class_correct},
              {"confusion", accuracy.confusion},
              {"file", variant.file},
              {"size_bytes", variant.size_bytes},
              {"latency", latency},
              {"agreement_with_base", measured(variant.agreement_with_base)},
              {"layers", layers}};
  // Only where there is something to say.
  if (variant.choices.guard) object["latency_guard"] = to_object(*variant.choices.guard);
  if (variant.choices.saturation) object["saturation"] = to_object(*variant.choices.saturation);
  return object;
}

Json to_object(const EpochRecord& record) {
  return {{"phase", record.phase},
          {"epoch", record.epoch},
          {"lr", measured(record.lr)},
          {"train_loss", measured(record.train_loss)},
          {"train_accuracy", measured(record.train_accuracy)},
          {"test_accuracy", record.test_accuracy < 0 ? Json(nullptr) : measured(record.test_accuracy)},
          {"images_per_second", measured(record.images_per_second)},
          {"seconds", measured(record.seconds)}};
}

Json to_object(const std::map<std::string, std::string>& entries) {
  Json object = Json::object();
  for (const auto& [key, value] : entries) object[key] = value;
  return object;
}

}  // namespace

std::string to_json(const Results& results) {
  Json root;
  root["schema"] = results.schema;
  root["dataset"] = {{"name", results.dataset},
                     {"note", results.dataset_note},
                     {"train", results.train_images},
                     {"test", results.test_images},
                     {"classes", results.class_names}};
  root["model"] = {{"name", results.model}, {"parameters", results.parameters}, {"macs", results.macs}};
  root["environment"] = to_object(results.environment);
  root["settings"] = to_object(results.settings);
  if (!results.phases.empty()) {
    root["phases"] = Json::object();
    for (const auto& [phase, made_with] : results.phases) root["phases"][phase] = to_object(made_with);
  }
  root["variants"] = Json::array();
  for (const Variant& variant : results.variants) root["variants"].push_back(to_object(variant));
  root["timing"] = Json::object();
  for (const auto& [key, seconds] : results.timing) root["timing"][key] = measured(seconds);
  root["history"] = Json::array();
  for (const EpochRecord& record : results.history) root["history"].push_back(to_object(record));
  root["notes"] = results.notes;
  // Text that is not UTF-8 (a path, a processor's name) must not stop the file from being written.
  return root.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace octavo
