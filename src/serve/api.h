/// What the server answers, without the HTTP around it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "batcher.h"
#include "metrics.h"
#include "registry.h"

namespace octavo::serve {

struct Reply {
  int status = 200;
  std::string body = {};
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers = {};
};

/// {"error": sentence}
Reply error_reply(int status, const std::string& sentence);

/// The whole text as a number, or nothing.
std::optional<std::uint64_t> number_of(const std::string& text);

enum class Resource : std::uint8_t {
  kPage,
  kServer,
  kLive,
  kReady,
  kMetrics,
  kModels,
  kModel,
  kModelReady,
  kInfer,
  kClassify
};

/// What a request is for, as far as its first line tells.
struct Route {
  Resource resource = Resource::kPage;
  std::shared_ptr<const ServedModel> model = {};  ///< Of those that are of one.
  std::optional<Reply> refusal = {};              ///< No such place, no such model, another method.
};

struct Request {
  std::string_view body;
  std::string inference_header_length;  ///< Header Inference-Header-Content-Length; empty: none.
  std::string top;                      ///< Query parameter: how many classes classify tells; empty: 5.
  Clock::time_point deadline;
};

struct ApiConfig {
  std::uint64_t max_pixels = 50'000'000;  ///< Of a picture.
  std::int64_t resize = 0;  ///< Its shorter side before the middle is cut out; 0: as small as covers.
  int decoders = 1;         ///< Pictures decoded at a time.
};

/// Thread-safe. Never throws: what goes wrong becomes a reply that says it.
class Api {
 public:
  Api(const ApiConfig& config, const Registry& registry, Batcher& batcher, const Metrics& metrics);

  /// `model` is the query parameter of that name, for POST /classify; empty: the first model.
  Route route(const std::string& method, const std::string& path, const std::string& model) const;
  /// Of a route without refusal. `arrival` is of the route's model; only POST has one.
  Reply answer(const Route& route, const Request& request, Batcher::Arrival* arrival);

 private:
  Reply infer(const std::shared_ptr<const ServedModel>& model, const Request& request,
              Batcher::Arrival& arrival);
  Reply classify(const std::shared_ptr<const ServedModel>& model, const Request& request,
                 Batcher::Arrival& arrival);

  const ApiConfig config_;
  const Registry& registry_;
  Batcher& batcher_;
  const Metrics& metrics_;
  std::counting_semaphore<> decoders_;
};

}  // namespace octavo::serve
