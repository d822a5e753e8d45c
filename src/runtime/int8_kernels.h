// Integer kernels, channels last (NHWC), one table an instruction set. All tables compute exactly the same
// bits.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/integer_groups.h"
#include "runtime/walk.h"

namespace octavo {

/// A convolution (or matrix product) ready to run: geometry, packed weights and epilogue constants.
struct Int8Conv {
  std::int64_t in_h = 1, in_w = 1, out_h = 1, out_w = 1;
  std::int64_t c_in = 0, c_out = 0;
  ConvAttributes window;  ///< Groups of few channels are merged into one whose weights hold zeros.

  // Weights as int16 so that a multiply-add of pairs is exact: no saturation on any CPU.
  // [group][panel of kPanel output channels][pair of k][channel in panel][2], k running over (ky, kx,
  // channel).
  static constexpr std::int64_t kPanel = 16;
  std::vector<std::int16_t> weights;
  std::int64_t k = 0;       ///< kH * kW * c_in / group
  std::int64_t panels = 0;  ///< Per group.
  // Per group and panel, padded to whole panels.
  std::vector<float> bias;
  std::vector<float> multiplier;

  /// How the weights are packed. All ways give the same bits.
  enum class Algorithm { kDirect, kWinograd2x2, kWinograd4x4, kDepthwise };
  Algorithm algorithm = Algorithm::kDirect;
  /// The output is reduced by a 2x2, stride 2 max pool before it is rounded: y is [batch, out_h / 2, out_w /
  /// 2, c_out]. Rounding is monotone, so this equals pooling the rounded integers.
  bool pool2x2 = false;

  /// The rounded output is not stored but added to another value of its shape: y is the sum.
  struct Addition {
    IntegerBinary sum;
    bool conv_is_first = true;  ///< Operand a of the sum; else b.
  };
  std::optional<Addition> addition;  ///< Not with pool2x2, a float output or kDepthwise.

  std::int32_t x_zero_point = 0;
  bool output_is_float = false;
  bool rounds_in_int32 =
      false;  ///< Rounded, but not saturated yet, every output and sum fits int32, whatever the input.
  std::int32_t y_zero_point = 0, y_min = 0, y_max = 255;
  float float_min = 0, float_max = 0;
};

/// Spatial sizes of a convolution: input, and output before pooling.
struct ConvExtent {
  std::int64_t in_h = 1, in_w = 1, out_h = 1, out_w = 1;
};

Int8Conv prepare_int8_conv(const IntegerConv& conv, const ConvExtent& extent, Int8Conv::Algorithm algorithm,
                           bool pool2x2 = false,
                           const std::optional<Int8Conv::Addition>& addition = std::nullopt);

/// True for one filter a channel.
bool depthwise_applies(const IntegerConv& conv);

/// Where a matrix [k][column] spread over panels has its element (k, column of the panel); pairs: of k.
inline std::size_t packed_offset(std::int64_t panel, std::int64_t pairs, std::int64_t k,
                                 std::int64_t column) {
  return static_cast<std::size_t>(((panel * pairs + k / 2) * Int8Conv::kPanel + column) * 2 + k % 2);
}

/// Depthwise weights come in blocks of so many channels: [block][pair of taps][4][half of the block][4
/// channels][2 taps], the order in which bytes leave AVX2's unpack instructions. Panels are whole blocks.
inline constexpr std::int64_t kDepthwiseBlock = 2 * Int8Conv::kPanel;
inline std::size_t depthwise_offset(std::int64_t pairs, std::int64_t channel, std::int64_t tap) {
  const std::int64_t in_half = channel % Int8Conv::kPanel;
  const std::int64_t row = (channel / kDepthwiseBlock * pairs + tap / 2) * 4 + in_half / 4;
  return static_cast<std::size_t>(row * 16 + channel / Int8Conv::kPanel % 2 * 8 + in_half % 4 * 2 + tap % 2);
}

/// A pooling window over [batch, h, w, c].
struct Int8Pool {
  std::int64_t in_h = 1, in_w = 1, out_h = 1, out_w = 1, channels = 0;
  IntegerAverage parameters;  ///< The window; the rest matters to averages alone.
};

/// `x` may be read up to kReadSlack bytes past its end; buffers are laid out for that.
inline constexpr std::size_t kReadSlack = 64;

struct Int8Kernels {
  const char* isa;
  bool winograd;  ///< Runs Winograd's algorithms too.
  /// y: uint8, or float where the convolution says so. `other`: the addition's other operand, laid out like
  /// y.
  void (*conv)(const Int8Conv& conv, std::int64_t batch, const std::uint8_t* x, const std::uint8_t* other,
               void* y, int threads);
  void (*max_pool)(const Int8Pool& pool, std::int64_t batch, const std::uint8_t* x, std::uint8_t* y,
                   int threads);
  /// y: uint8, or float where the parameters say so.
  void (*average_pool)(const Int8Pool& pool, std::int64_t batch, const std::uint8_t* x, void* y, int threads);
  /// Operands of the walk: y, a, b.
  void (*binary)(const IntegerBinary& binary, const Walk& walk, const std::uint8_t* a, const std::uint8_t* b,
                 std::uint8_t* y, int threads);
  /// Operands of the walk: y, x and the index along the axis.
  void (*affine)(const IntegerAffine& affine, const Walk& walk, const std::uint8_t* x, std::uint8_t* y,
                 int threads);
  /// Copies x, each integer replaced by its entry in a table unless `tables` is null. Operands of the walk:
  /// y, x and, where tables differ along an axis, the index of the table.
  void (*map)(const Walk& walk, const std::uint8_t* tables, const std::uint8_t* x, std::uint8_t* y,
              int threads);
  /// float [batch, channels, plane] to uint8 [batch, plane, channels].
  void (*quantize)(const QuantParams& params, std::int64_t batch, std::int64_t channels, std::int64_t plane,
                   const float* x, std::uint8_t* y, int threads);
  void (*dequantize)(const QuantParams& params, std::int64_t count, const std::uint8_t* x, float* y,
                     int threads);
};

/// The way that should be fastest to run `conv` on `batch` images.
Int8Conv::Algorithm best_algorithm(const Int8Kernels& kernels, const IntegerConv& conv,
                                   const ConvExtent& extent, std::int64_t batch);

/// Portable C++.
const Int8Kernels& int8_kernels_generic();
/// AVX2 and FMA.
const Int8Kernels& int8_kernels_avx2();
/// The best table that this CPU runs.
const Int8Kernels& int8_kernels();

}  // namespace octavo
