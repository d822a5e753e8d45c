#include "api.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <new>

#include "infer_request.h"
#include "octavo/core/error.h"
#include "octavo/data/picture.h"
#include "page.h"
#include "replies.h"

namespace octavo::serve {
namespace {

std::vector<std::string> segments(const std::string& path) {
  std::vector<std::string> result;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    if (end > at) result.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return result;
}

/// What a batch that did not run comes to.
std::optional<Reply> refusal_of(Outcome outcome) {
  Reply reply;
  switch (outcome) {
    case Outcome::kDone:
      return std::nullopt;
    case Outcome::kFull:
      reply = error_reply(503, "too many images wait; expected fewer requests at once (try again soon)");
      break;
    case Outcome::kLate:
      reply = error_reply(503, "the model did not answer in time (try again, or raise --timeout)");
      break;
    case Outcome::kStopped:
      reply = error_reply(503, "the server is stopping");
      break;
  }
  reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

Reply not_found(const std::string& path) {
  return error_reply(404, fmt::format("nothing is at {}; expected /, /classify, /metrics or a path of the "
                                      "Open Inference Protocol under /v2",
                                      path));
}

bool wants_body(Resource resource) { return resource == Resource::kInfer || resource == Resource::kClassify; }

/// The resource alone: no model is looked up yet. The name of the model, if the path has one.
std::optional<std::pair<Resource, std::string>> resource_of(const std::string& path) {
  std::vector<std::string> parts = segments(path);
  const auto is = [&](std::initializer_list<const char*> names) {
    return std::ranges::equal(parts, names, [](const std::string& a, const char* b) { return a == b; });
  };
  if (is({})) return {{Resource::kPage, {}}};
  if (is({"classify"})) return {{Resource::kClassify, {}}};
  if (is({"metrics"})) return {{Resource::kMetrics, {}}};
  if (is({"v2"})) return {{Resource::kServer, {}}};
  if (is({"v2", "health", "live"})) return {{Resource::kLive, {}}};
  if (is({"v2", "health", "ready"})) return {{Resource::kReady, {}}};
  if (is({"v2", "models"})) return {{Resource::kModels, {}}};
  if (parts.size() < 3 || parts[0] != "v2" || parts[1] != "models") return std::nullopt;
  const std::string name = parts[2];
  // Each model has one version.
  if (parts.size() >= 5 && parts[3] == "versions" && parts[4] == "1")
    parts.erase(parts.begin() + 3, parts.begin() + 5);
  if (parts.size() == 3) return {{Resource::kModel, name}};
  if (parts.size() != 4) return std::nullopt;
  if (parts[3] == "ready") return {{Resource::kModelReady, name}};
  if (parts[3] == "infer") return {{Resource::kInfer, name}};
  if (parts[3] == "classify") return {{Resource::kClassify, name}};
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> number_of(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Api::Api(const ApiConfig& config, const Registry& registry, Batcher& batcher, const Metrics& metrics)
    : config_(config),
      registry_(registry),
      batcher_(batcher),
      metrics_(metrics),
      decoders_(std::max(1, config.decoders)) {}

Route Api::route(const std::string& method, const std::string& path, const std::string& model) const {
  const auto found = resource_of(path);
  if (!found) return {.refusal = not_found(path)};
  const auto& [resource, in_path] = *found;
  const bool reads = method == "GET" || method == "HEAD";
  if (wants_body(resource) ? method != "POST" : !reads) {
    const std::string allowed = wants_body(resource) ? "POST" : "GET, HEAD";
    Reply reply = error_reply(405, fmt::format("{} does not take {}; expected {}", path, method, allowed));
    reply.headers.emplace_back("Allow", allowed);
    return {.resource = resource, .refusal = std::move(reply)};
  }
  Route route{.resource = resource};
  if (in_path.empty() && resource != Resource::kClassify) return route;
  const std::string& name = in_path.empty() ? model : in_path;
  route.model = name.empty() ? registry_.models().front() : registry_.find(name);
  if (!route.model) {
    std::string names;
    for (const auto& known : registry_.models()) names += (names.empty() ? "" : ", ") + known->name;
    route.refusal = error_reply(404, fmt::format("no model is named '{}'; expected one of {}", name, names));
  }
  return route;
}

Reply Api::answer(const Route& route, const Request& request, Batcher::Arrival* arrival) {
  try {
    switch (route.resource) {
      case Resource::kPage:
        return {.body = kPage,
                .content_type = "text/html; charset=utf-8",
                .headers = {{"Content-Security-Policy", kPagePolicy}}};
      case Resource::kServer:
        return server_reply();
      case Resource::kLive:
        return {.body = R"({"live":true})"};
      case Resource::kReady:
      case Resource::kModelReady:
        return {.body = R"({"ready":true})"};
      case Resource::kMetrics:
        return {.body = metrics_.text(), .content_type = "text/plain; version=0.0.4; charset=utf-8"};
      case Resource::kModels:
        return models_reply(registry_.models());
      case Resource::kModel:
        return model_reply(*route.model);
      case Resource::kInfer:
        return infer(route.model, request, *arrival);
      case Resource::kClassify:
        return classify(route.model, request, *arrival);
    }
    return not_found("here");
  } catch (const Error& error) {
    const bool theirs = error.code() == ErrorCode::kBadInput || error.code() == ErrorCode::kUsage;
    return error_reply(theirs ? 400 : 500, error.what());
  } catch (const std::bad_alloc&) {
    return error_reply(503, "memory is short; expected a smaller request");
  } catch (const std::exception& error) {
    return error_reply(500, fmt::format("a bug of the server: {}", error.what()));
  }
}

Reply Api::infer(const std::shared_ptr<const ServedModel>& model, const Request& request,
                 Batcher::Arrival& arrival) {
  std::optional<std::uint64_t> header_bytes;
  if (!request.inference_header_length.empty()) {
    header_bytes = number_of(request.inference_header_length);
    if (!header_bytes) {
      return error_reply(400,
                         fmt::format("Inference-Header-Content-Length: expected a number of bytes, got '{}'",
                                     request.inference_header_length));
    }
  }
  InferInput input = read_infer_body(*model, request.body, header_bytes);
  const Answer answer = batcher_.run(arrival, model, std::move(input.images), request.deadline);
  if (auto refusal = refusal_of(answer.outcome)) return *refusal;
  return infer_reply(*model, input.id, input.count, input.binary, answer.scores);
}

Reply Api::classify(const std::shared_ptr<const ServedModel>& model, const Request& request,
                    Batcher::Arrival& arrival) {
  const std::optional<std::uint64_t> top = request.top.empty() ? 5 : number_of(request.top);
  if (!top || *top == 0)
    return error_reply(400, fmt::format("top: expected a number of at least 1, got '{}'", request.top));
  if (!model->normalization || (model->channels() != 1 && model->channels() != 3)) {
    return error_reply(400,
                       fmt::format("model '{}' does not take pictures; expected one with 1 or 3 channels "
                                   "that says how pixels are normalized (use infer, or serve with --mean "
                                   "and --std)",
                                   model->name));
  }
  const Clock::time_point begin = Clock::now();
  // They take memory and all of a core: more of them at a time would end no sooner.
  if (!decoders_.try_acquire_until(request.deadline)) return *refusal_of(Outcome::kLate);
  std::vector<std::uint8_t> pixels;
  {
    const std::unique_ptr<std::counting_semaphore<>, void (*)(std::counting_semaphore<>*)> held(
        &decoders_, [](std::counting_semaphore<>* s) { s->release(); });
    pixels = decode_picture(std::as_bytes(std::span(request.body)),
                            {.channels = model->channels(),
                             .height = model->height(),
                             .width = model->width(),
                             .shorter = config_.resize,
                             .max_pixels = config_.max_pixels},
                            "picture");
  }
  std::vector<float> images(pixels.size());
  normalize(pixels, *model->normalization, model->height() * model->width(), images);
  const double decode_ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  const Answer answer = batcher_.run(arrival, model, std::move(images), request.deadline);
  if (auto refusal = refusal_of(answer.outcome)) return *refusal;
  return classify_reply(*model, static_cast<std::size_t>(*top), decode_ms, answer);
}

}  // namespace octavo::serve
