/// The input is a program of calls to the C API, right and wrong ones; what its header forbids a caller (a
/// freed model, a buffer too small, a model's properties asked of NULL) is left out.
#include <array>
#include <climits>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "octavo.h"
#include "octavo/core/file.h"
#include "target.h"

namespace {

using octavo::fuzz::Pieces;
using octavo::fuzz::require;

struct FreeModel {
  bool kept = false;  ///< For other inputs.
  void operator()(octavo_model* model) const {
    if (!kept) octavo_model_free(model);
  }
};
using Handle = std::unique_ptr<octavo_model, FreeModel>;
struct FreeContext {
  void operator()(octavo_context* context) const { octavo_context_free(context); }
};

struct Context {
  std::unique_ptr<octavo_context, FreeContext> handle;
};

/// Contexts go first.
struct Model {
  Handle handle;
  octavo_input input = OCTAVO_PIXELS_NHWC;
  std::vector<Context> contexts;
};

const std::vector<std::vector<std::byte>>& files() {
  static const std::vector<std::vector<std::byte>> kFiles = [] {
    std::vector<std::vector<std::byte>> read;
    for (const char* name : {"plain.onnx", "plain-int8.onnx", "residual.onnx", "shapes.onnx"})
      read.push_back(octavo::read_file(std::filesystem::path(OCTAVO_FUZZ_MODELS) / name));
    return read;
  }();
  return kFiles;
}

template <typename T, std::size_t N>
T pick(Pieces& pieces, const T (&values)[N]) {
  return values[pieces.byte() % N];
}

constexpr std::int64_t kBatches[] = {1, 2, 3, 0, -1, 7, INT64_MIN, INT64_MAX, std::int64_t{1} << 40};
constexpr int kThreads[] = {1, 2, 0, 3, -1, INT_MIN, INT_MAX};

/// A status that the header promises for a wrong argument or file, with a message.
void check(octavo_status status, const void* result) {
  require(status == OCTAVO_OK || status == OCTAVO_USAGE || status == OCTAVO_BAD_INPUT ||
              status == OCTAVO_UNSUPPORTED || status == OCTAVO_IO,
          octavo_last_error());
  require((status == OCTAVO_OK) == (result != nullptr), "a result if and only if the call succeeded");
  require(status == OCTAVO_OK || octavo_last_error()[0] != '\0', "a failure has a message");
}

void make_model(Pieces& pieces, std::vector<Model>& models) {
  const std::uint8_t how = pieces.byte();
  octavo_options options{};
  options.max_batch = pick(pieces, kBatches);
  options.threads = pick(pieces, kThreads);
  // A C caller can put any number there.
  const int input = pieces.byte() % 5 - 1;
  static_assert(sizeof input == sizeof options.input);
  std::memcpy(&options.input, &input, sizeof input);
  // As many as the largest number of channels of a model below; of others' models the numbers come from the
  // file.
  static const std::vector<float> kOnes(2, 0.5F);
  const std::uint8_t normalization = pieces.byte();
  const bool own = how % 8 < 4;
  if (own && (normalization & 1U) != 0) options.mean = kOnes.data();
  if (own && (normalization & 2U) != 0) options.std = kOnes.data();
  const octavo_options* given = (normalization & 4U) != 0 ? nullptr : &options;

  // Once it has been found sound.
  const auto taken = [&] { return given != nullptr ? options.input : OCTAVO_PIXELS_NHWC; };
  octavo_model* model = nullptr;
  const bool has_place = (normalization & 8U) == 0;
  // Compiling takes half a second under the sanitizers. All but one in 64 of requests that an input before
  // has made get the model that it got.
  static std::map<std::array<std::int64_t, 5>, octavo_model*> known;
  const std::array<std::int64_t, 5> request{how % 4, options.max_batch, options.threads, input,
                                            normalization & 7U};
  const bool anew = pieces.byte() % 64 == 0;
  if (own && has_place && !anew && known.contains(request)) {
    models.push_back({.handle = Handle(known.at(request), {.kept = true}), .input = taken(), .contexts = {}});
    return;
  }
  octavo_status status = OCTAVO_OK;
  if (own) {
    const std::vector<std::byte>& file = files()[how % 4];
    status = octavo_model_parse(file.data(), file.size(), given, has_place ? &model : nullptr);
  } else if (how % 8 == 4) {
    const std::vector<std::uint8_t> file(pieces.rest().begin(), pieces.rest().end());
    status = octavo_model_parse(file.data(), file.size(), given, has_place ? &model : nullptr);
  } else if (how % 8 == 5) {
    status = octavo_model_parse(nullptr, normalization, given, has_place ? &model : nullptr);
  } else {
    const char* const paths[] = {nullptr, "", "/nonexistent/model.onnx", "/dev/shm",
                                 OCTAVO_FUZZ_MODELS "/residual.onnx"};
    status = octavo_model_load(pick(pieces, paths), given, has_place ? &model : nullptr);
  }
  check(status, model);
  if (model == nullptr) return;
  constexpr std::size_t kMostKept = 256;
  const bool kept = own && known.size() < kMostKept && known.emplace(request, model).second;
  models.push_back({.handle = Handle(model, {.kept = kept}), .input = taken(), .contexts = {}});
}

void ask(Pieces& pieces, const octavo_model* model) {
  require(octavo_model_channels(model) > 0 && octavo_model_height(model) > 0 && octavo_model_width(model) > 0,
          "a model has an input");
  require(octavo_model_classes(model) > 0 && octavo_model_max_batch(model) > 0, "a model has an output");
  require(octavo_model_precision(model) != nullptr, "a model has a precision");
  constexpr std::int64_t kLabels[] = {0, 1, 2, -1, INT64_MIN, INT64_MAX};
  if (const char* name = octavo_model_class_name(model, pick(pieces, kLabels)))
    require(std::string(name).size() < 1'000'000, "a class's name has an end");
}

void run(Pieces& pieces, const Model& model, octavo_context* context) {
  const std::int64_t batch = pick(pieces, kBatches);
  const std::int64_t size = octavo_model_channels(model.handle.get()) *
                            octavo_model_height(model.handle.get()) * octavo_model_width(model.handle.get());
  const std::int64_t classes = octavo_model_classes(model.handle.get());
  const std::uint8_t nulls = pieces.byte();
  const bool fits = batch >= 1 && batch <= octavo_model_max_batch(model.handle.get());
  // Exactly as large as they must be: reading or writing past them is seen.
  const std::size_t images = fits ? static_cast<std::size_t>(batch) : 1;
  const std::size_t pixel = model.input == OCTAVO_FLOATS_NCHW ? sizeof(float) : 1;
  std::vector<float> floats;
  std::vector<std::uint8_t> bytes;
  if (pixel == 1) {
    bytes.assign(images * static_cast<std::size_t>(size), pieces.byte());
  } else {
    floats.assign(images * static_cast<std::size_t>(size), static_cast<float>(pieces.byte()) / 255.0F);
  }
  const void* pixels = pixel == 1 ? static_cast<const void*>(bytes.data()) : floats.data();
  std::vector<float> logits(images * static_cast<std::size_t>(classes));
  const bool sensible = fits && context != nullptr && (nulls & 3U) == 0;
  const octavo_status status = octavo_run(context, (nulls & 1U) != 0 ? nullptr : pixels, batch,
                                          (nulls & 2U) != 0 ? nullptr : logits.data());
  require(status == (sensible ? OCTAVO_OK : OCTAVO_USAGE), "a run fails if and only if an argument is wrong");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Pieces pieces(std::span(data, size));
  std::vector<Model> models;
  for (int calls = 0; calls < 12 && !pieces.empty(); ++calls) {
    const std::uint8_t call = pieces.byte();
    if (call % 6 == 0) {
      make_model(pieces, models);
      continue;
    }
    if (models.empty()) {
      octavo_context* context = nullptr;
      check(octavo_context_create(nullptr, &context), context);
      octavo_model_free(nullptr);
      octavo_context_free(nullptr);
      continue;
    }
    Model& model = models[pieces.byte() % models.size()];
    switch (call % 6) {
      case 1: {
        octavo_context* context = nullptr;
        const octavo_status status = octavo_context_create(model.handle.get(), &context);
        check(status, context);
        if (context) model.contexts.push_back({std::unique_ptr<octavo_context, FreeContext>(context)});
        break;
      }
      case 2:
        ask(pieces, model.handle.get());
        break;
      case 3: {
        if (!model.contexts.empty()) model.contexts.pop_back();
        check(octavo_context_create(model.handle.get(), nullptr), nullptr);
        break;
      }
      case 4:
        models.erase(models.begin() + (&model - models.data()));
        break;
      default:
        run(pieces, model, model.contexts.empty() ? nullptr : model.contexts.back().handle.get());
    }
  }
  return 0;
}
