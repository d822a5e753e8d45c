/// The JSON of answers.
#pragma once

#include <string>
#include <vector>

#include "api.h"

namespace octavo::serve {

/// GET /v2 of the Open Inference Protocol.
Reply server_reply();
/// GET /v2/models/NAME of it.
Reply model_reply(const ServedModel& model);
/// GET /v2/models: what the page wants to know of all models.
Reply models_reply(const std::vector<std::shared_ptr<const ServedModel>>& models);
/// POST /v2/models/NAME/infer of the protocol, with the scores as bytes behind the JSON where `binary`.
Reply infer_reply(const ServedModel& model, const std::string& id, std::int64_t count, bool binary,
                  const std::vector<float>& scores);
/// POST /classify: the `top` most probable classes, and what it took.
Reply classify_reply(const ServedModel& model, std::size_t top, double decode_ms, const Answer& answer);

}  // namespace octavo::serve
