// Integer kernels, channels last (NHWC), one table an instruction set. All tables compute exactly the same
// bits.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "octavo/core/cpu.h"
#include "octavo/core/tensor.h"
#include "runtime/lowering/integer_groups.h"
#include "runtime/lowering/integer_rows.h"
#include "runtime/lowering/walk.h"

namespace octavo {

/// Numbers in the order in which a kernel reads them, from the start of a cache line on.
class PackedWeights {
 public:
  /// `count` zeros.
  template <typename T>
  static PackedWeights zeros(std::int64_t count) {
    PackedWeights result;
    result.bytes_ = Tensor({count * static_cast<std::int64_t>(sizeof(T))}, DType::kInt8);
    return result;
  }
  template <typename T>
  T* data() {
    return reinterpret_cast<T*>(bytes_.raw());
  }
  template <typename T>
  const T* data() const {
    return reinterpret_cast<const T*>(bytes_.raw());
  }
  std::size_t size_bytes() const { return bytes_.size_bytes(); }

 private:
  Tensor bytes_;
};

/// A convolution (or matrix product) ready to run: geometry, packed weights and epilogue constants.
struct Int8Conv {
  std::int64_t in_h = 1, in_w = 1, out_h = 1, out_w = 1;
  std::int64_t c_in = 0, c_out = 0;
  ConvAttributes window;  ///< Groups of few channels are merged into one whose weights hold zeros.

  static constexpr std::int64_t kPanel = 16;  ///< Output channels that kernels make together.
  PackedWeights weights;                      ///< What they hold: Algorithm.
  /// For crossed products (avx2/tiles.h), where those pay; empty otherwise. One int32 for each column of each
  /// panel, to be added to that column's sums: minus the sum, over each four (w0, w1, w2, w3) of the column's
  /// weights, of w0 * w2 + w1 * w3.
  PackedWeights cross_terms;
  bool crossed() const { return cross_terms.size_bytes() > 0; }
  std::int64_t k = 0;       ///< kH * kW * c_in / group
  std::int64_t panels = 0;  ///< Per group.
  // Per group and panel, padded to whole panels.
  std::vector<float> bias;
  std::vector<float> multiplier;

  /// All ways give the same bits. A table of kernels runs one of the direct ones.
  enum class Algorithm {
    /// Weights as int16, so that a multiply-add of pairs (vpmaddwd) is exact, in pairs of k, which runs over
    /// (ky, kx, channel): packed_offset() in each panel of each group.
    kDirectPairs,
    /// The same as int8, widened as they are read: for few rows, which wait for weights.
    kDirectNarrowPairs,
    /// As int8 in quads of k: for vpdpbusd, which sums four products of bytes exactly.
    kDirectQuads,
    kWinograd2x2,      ///< int16: int8/winograd.h.
    kWinograd4x4,      ///< int16: int8/winograd.h.
    kWinogradStride2,  ///< int16: int8/winograd.h.
    kDepthwise,        ///< int16: depthwise_offset().
  };
  Algorithm algorithm = Algorithm::kDirectPairs;
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

/// What a convolution's kernel does besides, before it rounds.
struct ConvFollowers {
  bool pool2x2 = false;  ///< A 2x2 max pool with stride 2.
  std::optional<Int8Conv::Addition> addition = std::nullopt;
};

Int8Conv prepare_int8_conv(const IntegerConv& conv, const ConvExtent& extent, Int8Conv::Algorithm algorithm,
                           const ConvFollowers& followers = {});

/// True for convolutions that have one filter for each channel.
bool depthwise_applies(const IntegerConv& conv);

/// Steps of `depth` that a panel of weights takes k in, the last ones of zeros: whole quads of k.
inline std::int64_t packed_steps(std::int64_t k, std::int64_t depth) { return (k + 3) / 4 * 4 / depth; }

/// Where a matrix [k][column] spread over panels has its element (k, column of the panel): [panel][step of
/// k][column][depth], a step being `depth` of k, as many as one int32 sum takes in at a time.
inline std::size_t packed_offset(std::int64_t depth, std::int64_t panel, std::int64_t steps, std::int64_t k,
                                 std::int64_t column) {
  const std::int64_t row = (panel * steps + k / depth) * Int8Conv::kPanel + column;
  return static_cast<std::size_t>(row * depth + k % depth);
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

/// Products of two values: where the matrices of the operands lie. The output's lie one after the other.
struct Int8Product {
  static constexpr std::size_t kMostOuter = 6;

  IntegerProduct sums;
  Int8Conv epilogue;  ///< What becomes of sums; no weights.
  /// Elements between neighbours: rows and columns of each operand's matrices...
  std::array<std::int64_t, 2> a_strides{}, b_strides{};
  /// ...and matrices, along each of the dimensions before those two.
  std::size_t outer = 0;
  std::array<std::int64_t, kMostOuter> dims{}, a_outer{}, b_outer{};

  struct Offsets {
    std::int64_t a = 0, b = 0;
  };
  /// Of the matrices numbered `index`.
  Offsets matrix(std::int64_t index) const {
    Offsets at;
    for (std::size_t d = outer; d-- > 0; index /= dims[d]) {
      at.a += index % dims[d] * a_outer[d];
      at.b += index % dims[d] * b_outer[d];
    }
    return at;
  }
};

/// `sums`, ready to run but for where the operands lie.
Int8Product prepare_int8_product(const IntegerProduct& sums);

/// `x` may be read up to kReadSlack bytes past its end; buffers are laid out for that.
inline constexpr std::size_t kReadSlack = 64;

struct Int8Kernels {
  Isa isa;
  Int8Conv::Algorithm direct;        ///< The direct algorithm that it runs...
  Int8Conv::Algorithm direct_few;    ///< ...and for few rows (output pixels of all images).
  double direct_products_per_cycle;  ///< What that multiplies at best on one core.
  bool winograd;                     ///< Runs Winograd's algorithms too.
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
  /// y: uint8, or float where the sums say so.
  void (*product)(const Int8Product& product, std::int64_t matrices, const std::uint8_t* a,
                  const std::uint8_t* b, void* y, int threads);
  /// x: rows of uint8, or of float where the parameters say so.
  void (*layer_norm)(const IntegerLayerNorm& norm, std::int64_t rows, const void* x, std::uint8_t* y,
                     int threads);
  void (*softmax)(const IntegerRows& rows, std::int64_t count, const void* x, std::uint8_t* y, int threads);
};

/// The direct algorithm for so many rows.
Int8Conv::Algorithm direct_algorithm(const Int8Kernels& kernels, std::int64_t rows);

/// The way that should be fastest to run `conv` on `batch` images, in a model of so many weights in all.
Int8Conv::Algorithm best_algorithm(const Int8Kernels& kernels, const IntegerConv& conv,
                                   const ConvExtent& extent, std::int64_t batch,
                                   std::int64_t model_weights = 0);

/// Throws kInternal: these weights are packed for another instruction set.
[[noreturn]] void refuse_algorithm(Int8Conv::Algorithm algorithm, Isa isa);

/// Portable C++; runs both direct algorithms.
const Int8Kernels& int8_kernels_generic();
/// AVX2 and FMA.
const Int8Kernels& int8_kernels_avx2();
/// AVX-512 F, BW, DQ, VL and VNNI.
const Int8Kernels& int8_kernels_avx512vnni();
/// The table for isa_in_use(), or, where that has none of its own, the next narrower one. x86-64 alone has
/// the two tables above.
const Int8Kernels& int8_kernels();

}  // namespace octavo
