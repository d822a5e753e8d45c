// octavo.h on top of CompiledModel. No exception leaves these functions.
#include <algorithm>
#include <cstring>
#include <exception>
#include <filesystem>
#include <new>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "octavo.h"
#include "octavo/core/error.h"
#include "octavo/core/version.h"
#include "octavo/onnx/onnx.h"
#include "octavo/runtime/runtime.h"

struct octavo_model {
  octavo::CompiledModel model;
  std::vector<std::string> class_names;
  std::string precision;
  bool reads_pixels;
};

struct octavo_context {
  const octavo_model* owner;
  octavo::CompiledModel::Context scratch;
};

namespace {

using octavo::Error;
using octavo::ErrorCode;

thread_local std::string last_error;

octavo_status fail(octavo_status status, const char* message) {
  try {
    last_error = message;
  } catch (...) {
    last_error.clear();  // Out of memory: the status has to say it alone.
  }
  return status;
}

/// Runs `body`; what it throws becomes a status and a message.
template <typename Body>
octavo_status guarded(const Body& body) {
  try {
    body();
    return OCTAVO_OK;
  } catch (const Error& error) {
    return fail(static_cast<octavo_status>(error.exit_code()), error.what());
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(OCTAVO_IO, error.what());
  } catch (const std::bad_alloc&) {
    return fail(OCTAVO_INTERNAL, "out of memory");
  } catch (const std::exception& error) {
    return fail(OCTAVO_INTERNAL, error.what());
  } catch (...) {
    return fail(OCTAVO_INTERNAL, "unknown failure");
  }
}

void require(bool condition, const char* argument, const char* problem) {
  if (!condition) throw Error(ErrorCode::kUsage, argument, problem);
}

octavo::Normalization normalization_of(const octavo::Graph& graph, const octavo_options& options) {
  require((options.mean == nullptr) == (options.std == nullptr), "mean and std", "give both or neither");
  if (options.mean) {
    const octavo::Shape& shape = graph.value(graph.input).shape;
    const std::int64_t channels = shape.size() > 1 ? shape[1] : 1;
    return {{options.mean, options.mean + channels}, {options.std, options.std + channels}};
  }
  if (auto found = octavo::get_normalization(graph)) return std::move(*found);
  throw Error(ErrorCode::kBadInput, graph.name,
              "does not say how pixels are normalized; give mean and std, or floats");
}

/// A C program may have put any number there, which C++ must not even read as an octavo_input.
bool is_input(const octavo_options& options) {
  std::underlying_type_t<octavo_input> number{};
  std::memcpy(&number, &options.input, sizeof number);
  return number <= OCTAVO_FLOATS_NCHW;
}

octavo_model* compile(const octavo::Graph& graph, const octavo_options* given) {
  const octavo_options options = given ? *given : octavo_options{};
  require(is_input(options), "input", "expected one of the values of octavo_input");
  octavo::CompileOptions compile_options;
  compile_options.max_batch = options.max_batch == 0 ? 1 : options.max_batch;
  compile_options.threads = options.threads;
  const bool pixels = options.input != OCTAVO_FLOATS_NCHW;
  if (pixels) {
    compile_options.pixels =
        octavo::PixelInput{normalization_of(graph, options), options.input == OCTAVO_PIXELS_NHWC};
  }
  octavo::CompiledModel model(graph, compile_options);
  std::string precision = model.precision();
  return new octavo_model{std::move(model), octavo::get_class_names(graph), std::move(precision), pixels};
}

}  // namespace

const char* octavo_version(void) {
  static const std::string version = octavo::version();
  return version.c_str();
}

const char* octavo_last_error(void) { return last_error.c_str(); }

octavo_status octavo_model_load(const char* file, const octavo_options* options, octavo_model** model) {
  if (model) *model = nullptr;
  return guarded([&] {
    require(model != nullptr, "model", "expected a place for the result, got NULL");
    require(file != nullptr, "file", "expected a path, got NULL");
    *model = compile(octavo::load_onnx(file), options);
  });
}

octavo_status octavo_model_parse(const void* bytes, size_t size, const octavo_options* options,
                                 octavo_model** model) {
  if (model) *model = nullptr;
  return guarded([&] {
    require(model != nullptr, "model", "expected a place for the result, got NULL");
    require(bytes != nullptr || size == 0, "bytes", "expected a file's contents, got NULL");
    const std::span file(static_cast<const std::byte*>(bytes), size);
    *model = compile(octavo::parse_onnx(file, "the model in memory"), options);
  });
}

void octavo_model_free(octavo_model* model) { delete model; }

int64_t octavo_model_channels(const octavo_model* model) { return model->model.input_shape()[1]; }
int64_t octavo_model_height(const octavo_model* model) { return model->model.input_shape()[2]; }
int64_t octavo_model_width(const octavo_model* model) { return model->model.input_shape()[3]; }
int64_t octavo_model_classes(const octavo_model* model) { return model->model.classes(); }
int64_t octavo_model_max_batch(const octavo_model* model) { return model->model.max_batch(); }
const char* octavo_model_precision(const octavo_model* model) { return model->precision.c_str(); }

const char* octavo_model_class_name(const octavo_model* model, int64_t label) {
  const auto count = static_cast<int64_t>(model->class_names.size());
  return label >= 0 && label < count ? model->class_names[static_cast<std::size_t>(label)].c_str() : nullptr;
}

octavo_status octavo_context_create(const octavo_model* model, octavo_context** context) {
  if (context) *context = nullptr;
  return guarded([&] {
    require(context != nullptr, "context", "expected a place for the result, got NULL");
    require(model != nullptr, "model", "expected a model, got NULL");
    *context = new octavo_context{model, octavo::CompiledModel::Context(model->model)};
  });
}

void octavo_context_free(octavo_context* context) { delete context; }

octavo_status octavo_run(octavo_context* context, const void* images, int64_t batch, float* logits) {
  return guarded([&] {
    require(context != nullptr, "context", "expected a context, got NULL");
    require(images != nullptr, "images", "expected images, got NULL");
    require(logits != nullptr, "logits", "expected a place for the result, got NULL");
    const octavo_model& owner = *context->owner;
    const octavo::CompiledModel& model = owner.model;
    // Before the sizes are computed from it.
    if (batch < 1 || batch > model.max_batch()) {
      throw Error(ErrorCode::kUsage, "batch",
                  "out of range; expected 1 to " + std::to_string(model.max_batch()) + ", got " +
                      std::to_string(batch) + " (octavo_options.max_batch)");
    }
    const octavo::Shape& shape = model.input_shape();
    const auto inputs = static_cast<std::size_t>(batch * shape[1] * shape[2] * shape[3]);
    const std::span<float> out(logits, static_cast<std::size_t>(batch * model.classes()));
    if (owner.reads_pixels) {
      model.run_pixels(context->scratch, {static_cast<const std::uint8_t*>(images), inputs}, batch, out);
    } else {
      model.run(context->scratch, {static_cast<const float*>(images), inputs}, batch, out);
    }
  });
}
