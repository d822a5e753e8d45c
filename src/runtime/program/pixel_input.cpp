#include "runtime/program/pixel_input.h"

#include <array>
#include <cmath>
#include <numeric>

#include "octavo/core/error.h"
#include "runtime/int8/steps.h"
#include "runtime/program/function_step.h"

namespace octavo {
namespace {

constexpr std::size_t kPixelValues = 256;

/// What each pixel value becomes: [channels, 256].
std::vector<float> real_tables(const Normalization& normalization) {
  const std::size_t channels = normalization.mean.size();
  std::vector<std::uint8_t> pixels(channels * kPixelValues);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i % kPixelValues);
  std::vector<float> tables(pixels.size());
  normalize(pixels, normalization, kPixelValues, tables);
  return tables;
}

std::vector<std::uint8_t> integer_tables(const Normalization& normalization, const QuantParams& params) {
  const std::vector<float> real = real_tables(normalization);
  std::vector<std::uint8_t> tables(real.size());
  for (std::size_t i = 0; i < real.size(); ++i) {
    tables[i] = static_cast<std::uint8_t>(
        quantize(real[i], params.scale(), params.zero_point(), params.qmin, params.qmax));
  }
  return tables;
}

/// Operands of the walk: y, x, index of the channel.
std::unique_ptr<Step> make_normalize_step(const std::string& kernel, const Walk& walk,
                                          std::vector<float> tables, BufferId x, BufferId y) {
  return function_step(
      kernel, [walk = simplified(walk), tables = std::move(tables), x, y](const StepArguments& a) {
        const auto* pixels = a.buffer<const std::uint8_t>(x);
        auto* real = a.buffer<float>(y);
        const std::int64_t step_y = walk.strides[0].back(), step_x = walk.strides[1].back(),
                           step_c = walk.strides[2].back();
        for_each_line(walk, a.threads, [&](const std::int64_t* at, std::int64_t count) {
          for (std::int64_t i = 0; i < count; ++i) {
            const std::int64_t channel = at[2] + i * step_c;
            const auto entry = static_cast<std::size_t>(channel) * kPixelValues + pixels[at[1] + i * step_x];
            real[at[0] + i * step_y] = tables[entry];
          }
        });
      });
}

}  // namespace

void check_pixels(const Graph& graph, const PixelInput& pixels) {
  const Shape& shape = graph.value(graph.input).shape;
  const auto& [mean, std] = pixels.normalization;
  const auto fail = [&](const std::string& problem) {
    throw Error(ErrorCode::kBadInput, graph.name, problem);
  };
  if (shape.size() != 4) fail("cannot read images; its input is not [N, C, H, W]");
  const auto channels = static_cast<std::size_t>(shape[1]);
  if (mean.size() != channels || std.size() != channels) {
    fail("expected a mean and a standard deviation for each of " + std::to_string(channels) +
         " channels, got " + std::to_string(mean.size()) + " and " + std::to_string(std.size()));
  }
  for (std::size_t c = 0; c < channels; ++c) {
    if (!std::isfinite(mean[c]) || !std::isfinite(std[c]) || !(std[c] > 0))
      fail("expected finite means and standard deviations above 0");
  }
}

void read_pixels(ProgramBuilder& program, const PixelInput& pixels) {
  const ValueId input = program.graph().input;
  const Shape shape = program.shape_of(input);
  const Strides from = pixels.channels_last ? channels_last(shape) : row_major(shape);
  const Strides channel{0, 1, 0, 0};
  if (const auto& params = program.graph().value(input).quant) {
    const Strides to = channels_last(shape);
    const BufferId y = program.new_bytes(input);
    program.emit(input,
                 make_int8_map_step("pixels", {shape, {to, from, channel}, {}},
                                    integer_tables(pixels.normalization, *params), kInputBuffer, y),
                 {kInputBuffer, y});
    program.set_integer(input, {y, to});
    return;
  }
  const onednn::Operand real{
      program.new_buffer(static_cast<std::size_t>(element_count(shape)) * sizeof(float)),
      onednn::Layout::plain(shape)};
  program.emit(input,
               make_normalize_step("pixels", {shape, {row_major(shape), from, channel}, {}},
                                   real_tables(pixels.normalization), kInputBuffer, real.buffer),
               {kInputBuffer, real.buffer});
  program.set_real(input, real);
}

}  // namespace octavo
