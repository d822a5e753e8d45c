#include "replies.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "octavo/core/version.h"

namespace octavo::serve {
namespace {

using Json = nlohmann::ordered_json;
/// Writes each number as the shortest decimal that is read as the same float32.
using FloatJson = nlohmann::basic_json<nlohmann::ordered_map, std::vector, std::string, bool, std::int64_t,
                                       std::uint64_t, float>;

/// Bytes that are not UTF-8, as names in files may hold, become U+FFFD.
template <typename AnyJson>
std::string text(const AnyJson& json) {
  return json.dump(-1, ' ', false, AnyJson::error_handler_t::replace);
}

Json tensor(const std::string& name, std::vector<std::int64_t> shape) {
  return {{"name", name}, {"datatype", "FP32"}, {"shape", std::move(shape)}};
}

std::string metadata_shape(const ServedModel& model) {
  return model.weight_bits == 32 ? "float32" : std::to_string(model.weight_bits) + " bits";
}

std::string class_name(const ServedModel& model, std::size_t label) {
  return label < model.classes.size() ? model.classes[label] : std::to_string(label);
}

}  // namespace

Reply error_reply(int status, const std::string& sentence) {
  return {.status = status, .body = text(Json{{"error", sentence}})};
}

Reply server_reply() {
  return {.body =
              text(Json{{"name", "octavo"}, {"version", version()}, {"extensions", {"binary_tensor_data"}}})};
}

Reply model_reply(const ServedModel& model) {
  return {.body = text(
              Json{{"name", model.name},
                   {"versions", {"1"}},
                   {"platform", "onnx_octavo"},
                   {"inputs", {tensor(model.input, {-1, model.channels(), model.height(), model.width()})}},
                   {"outputs", {tensor(model.output, {-1, model.model.classes()})}}})};
}

Reply models_reply(const std::vector<std::shared_ptr<const ServedModel>>& models) {
  Json list = Json::array();
  for (const auto& model : models) {
    list.push_back({{"name", model->name},
                    {"file", model->file.filename().string()},
                    {"bytes", model->file_bytes},
                    {"precision", model->model.precision()},
                    {"weight_bits", model->weight_bits},
                    {"weights", metadata_shape(*model)},
                    {"group", model->group},
                    {"input", {model->channels(), model->height(), model->width()}},
                    {"classes", model->classes},
                    {"pictures", model->normalization.has_value()}});
  }
  return {.body = text(Json{{"models", list}})};
}

Reply infer_reply(const ServedModel& model, const std::string& id, std::int64_t count, bool binary,
                  const std::vector<float>& scores) {
  FloatJson output{{"name", model.output}, {"datatype", "FP32"}, {"shape", {count, model.model.classes()}}};
  const std::size_t bytes = scores.size() * sizeof(float);
  if (binary) {
    output["parameters"] = {{"binary_data_size", bytes}};
  } else {
    output["data"] = scores;
  }
  FloatJson answer{{"model_name", model.name}, {"model_version", "1"}};
  if (!id.empty()) answer["id"] = id;
  answer["outputs"] = FloatJson::array({output});
  Reply reply{.body = text(answer)};
  if (!binary) return reply;
  reply.headers.emplace_back("Inference-Header-Content-Length", std::to_string(reply.body.size()));
  reply.content_type = "application/octet-stream";
  reply.body.append(reinterpret_cast<const char*>(scores.data()), bytes);
  return reply;
}

Reply classify_reply(const ServedModel& model, std::size_t top, double decode_ms, const Answer& answer) {
  const std::vector<double> all = probabilities(model.scores, answer.scores);
  std::vector<std::size_t> labels(all.size());
  std::iota(labels.begin(), labels.end(), std::size_t{0});
  top = std::min(top, labels.size());
  // Of equals the first, as everywhere.
  std::ranges::partial_sort(
      labels, labels.begin() + static_cast<std::ptrdiff_t>(top),
      [&](std::size_t a, std::size_t b) { return all[a] != all[b] ? all[a] > all[b] : a < b; });
  Json classes = Json::array();
  for (const std::size_t label : std::span(labels).first(top))
    classes.push_back({{"class", class_name(model, label)}, {"label", label}, {"probability", all[label]}});
  return {.body = text(Json{{"model_name", model.name},
                            {"top", classes},
                            {"decode_ms", decode_ms},
                            {"queue_ms", answer.queue_ms},
                            {"compute_ms", answer.compute_ms},
                            {"batch", answer.batch}})};
}

}  // namespace octavo::serve
