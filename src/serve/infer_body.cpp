#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "infer_request.h"
#include "octavo/core/error.h"

namespace octavo::serve {
namespace {

[[noreturn]] void refuse(const std::string& where, const std::string& problem) {
  throw Error(ErrorCode::kBadInput, where, problem);
}

/// How the images lie in the tensor.
struct Layout {
  std::int64_t count = 0;
  bool channels_last = false;
};

Layout layout_of(const ServedModel& model, const InputTensor& tensor, const std::string& where) {
  const auto& s = tensor.shape;
  const bool pixels = tensor.datatype == "UINT8";
  const std::int64_t c = model.channels();
  const std::int64_t h = model.height();
  const std::int64_t w = model.width();
  // A request is far smaller: this keeps products of sizes from overflowing.
  constexpr std::int64_t kMostImages = std::int64_t{1} << 31;
  if (s.size() == 4 && s[0] >= 1 && s[0] <= kMostImages) {
    if (s[1] == c && s[2] == h && s[3] == w) return {s[0], false};
    if (pixels && s[1] == h && s[2] == w && s[3] == c) return {s[0], true};
  }
  refuse(where,
         fmt::format("shape does not fit; expected [N, {}, {}, {}]{}, got {}", c, h, w,
                     pixels ? fmt::format(" or [N, {}, {}, {}]", h, w, c) : std::string(), to_string(s)));
}

void expect_size(const std::string& where, const std::string& what, std::uint64_t expected,
                 std::uint64_t got) {
  if (expected != got)
    refuse(where, fmt::format("{} does not fit its shape; expected {}, got {}", what, expected, got));
}

std::vector<float> numbers_of(const InputTensor& tensor, std::string_view binary, std::uint64_t values,
                              const std::string& where) {
  if (!tensor.binary_size) {
    expect_size(where, "number of values in data", values, tensor.data.size());
    return tensor.data;
  }
  expect_size(where, "binary_data_size", values * sizeof(float), binary.size());
  std::vector<float> numbers(static_cast<std::size_t>(values));
  std::memcpy(numbers.data(), binary.data(), binary.size());
  return numbers;
}

std::vector<std::uint8_t> pixels_of(const InputTensor& tensor, std::string_view binary, std::uint64_t values,
                                    const std::string& where) {
  if (tensor.binary_size) {
    expect_size(where, "binary_data_size", values, binary.size());
    return {binary.begin(), binary.end()};
  }
  expect_size(where, "number of values in data", values, tensor.data.size());
  std::vector<std::uint8_t> pixels;
  pixels.reserve(tensor.data.size());
  for (const float value : tensor.data) {
    if (!(value >= 0 && value <= 255) || value != std::floor(value))
      refuse(where, fmt::format("holds {}; expected integers from 0 to 255", value));
    pixels.push_back(static_cast<std::uint8_t>(value));
  }
  return pixels;
}

/// [N, H, W, C] as [N, C, H, W].
std::vector<std::uint8_t> planes(const std::vector<std::uint8_t>& pixels, std::size_t channels,
                                 std::size_t plane) {
  std::vector<std::uint8_t> result(pixels.size());
  auto* next = result.data();
  for (std::size_t image = 0; image < pixels.size(); image += channels * plane) {
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t i = 0; i < plane; ++i) *next++ = pixels[image + i * channels + c];
    }
  }
  return result;
}

std::vector<float> images_of(const ServedModel& model, const InputTensor& tensor, std::string_view binary,
                             const Layout& layout, const std::string& where) {
  const auto values = static_cast<std::uint64_t>(layout.count * model.image_values());
  if (tensor.datatype == "FP32") {
    std::vector<float> images = numbers_of(tensor, binary, values, where);
    const auto bad = std::ranges::find_if_not(images, [](float value) { return std::isfinite(value); });
    if (bad != images.end()) {
      refuse(where, fmt::format("holds {} at index {}; expected finite numbers", *bad, bad - images.begin()));
    }
    return images;
  }
  std::vector<std::uint8_t> pixels = pixels_of(tensor, binary, values, where);
  const std::int64_t plane = model.height() * model.width();
  if (layout.channels_last)
    pixels = planes(pixels, static_cast<std::size_t>(model.channels()), static_cast<std::size_t>(plane));
  std::vector<float> images(pixels.size());
  normalize(pixels, *model.normalization, plane, images);
  return images;
}

/// Whether the scores shall follow as bytes.
bool wants_binary(const ServedModel& model, const InferRequest& request) {
  bool binary = request.binary_output;
  for (const RequestedOutput& output : request.outputs) {
    if (output.name != model.output) {
      refuse("request", fmt::format("asks for output '{}'; expected '{}', which is the only one", output.name,
                                    model.output));
    }
    binary = output.binary.value_or(request.binary_output);
  }
  return binary;
}

}  // namespace

InferInput read_infer_body(const ServedModel& model, std::string_view body,
                           std::optional<std::uint64_t> header_bytes) {
  if (header_bytes.value_or(0) > body.size()) {
    refuse("Inference-Header-Content-Length",
           fmt::format("goes beyond the body; expected at most {}, got {}", body.size(), *header_bytes));
  }
  const auto json_bytes = static_cast<std::size_t>(header_bytes.value_or(body.size()));
  const InferRequest request = parse_infer_request(body.substr(0, json_bytes));
  const std::string_view binary = body.substr(json_bytes);
  if (request.inputs.size() != 1)
    refuse("request", fmt::format("expected one tensor in inputs, got {}", request.inputs.size()));
  const InputTensor& tensor = request.inputs.front();
  const std::string where = fmt::format("input '{}'", tensor.name);
  if (tensor.name != model.input) refuse(where, fmt::format("is unknown; expected '{}'", model.input));
  if (tensor.datatype != "FP32" && tensor.datatype != "UINT8") {
    refuse(where, fmt::format("datatype is not understood; expected FP32 (normalized numbers) or UINT8 "
                              "(pixels), got '{}'",
                              tensor.datatype));
  }
  if (tensor.datatype == "UINT8" && !model.normalization) {
    refuse(where, "the model does not say how pixels are normalized; expected FP32 (normalized numbers)");
  }
  if (tensor.binary_size && !tensor.data.empty())
    refuse(where, "has data and binary_data_size; expected one of them");
  expect_size("request", "what follows the JSON, in bytes,", tensor.binary_size.value_or(0), binary.size());
  const Layout layout = layout_of(model, tensor, where);
  return {.id = request.id,
          .images = images_of(model, tensor, binary, layout, where),
          .count = layout.count,
          .binary = wants_binary(model, request)};
}

}  // namespace octavo::serve
