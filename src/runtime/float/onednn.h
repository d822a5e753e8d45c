// Everything that knows oneDNN: float32 steps, and int8 convolutions where the CPU's instructions make them
// exact. dnnl types stay behind this header but for the opaque memory description.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "octavo/graph/graph.h"
#include "runtime/int8/kernels.h"
#include "runtime/program/step.h"

namespace octavo::onednn {

/// How a float tensor lies in memory: a dnnl::memory::desc.
class Layout {
 public:
  Layout();
  /// Dense row-major.
  static Layout plain(const Shape& shape);
  /// [N, C, H, W] stored as NHWC; plain for any other rank.
  static Layout channels_last(const Shape& shape);
  Layout(const Layout&);
  Layout& operator=(const Layout&);
  Layout(Layout&&) noexcept;
  Layout& operator=(Layout&&) noexcept;
  ~Layout();

  /// [N, C, H, W] with `block` channels innermost: 1 (plain), 8, 16 or C (channels last).
  static Layout blocked(const Shape& shape, std::int64_t block);
  /// The channels that lie innermost, for layouts that blocked() makes.
  std::optional<std::int64_t> channel_block() const;
  std::size_t bytes() const;
  friend bool operator==(const Layout& a, const Layout& b);

  struct Desc;
  const Desc& desc() const { return *desc_; }
  explicit Layout(Desc desc);

 private:
  std::unique_ptr<Desc> desc_;
};

/// A stream for one context, owned through the deleter.
std::shared_ptr<void> make_stream();

/// A float value: where it is and how it lies there.
struct Operand {
  BufferId buffer = -1;
  Layout layout;
};

/// A step and the layouts it chose. `scratch_bytes` more are needed at buffer `scratch`.
struct FloatStep {
  std::unique_ptr<Step> step;
  Layout output;
  std::size_t scratch_bytes = 0;
};

/// What follows a convolution or matrix product inside the same kernel.
struct Epilogue {
  bool accumulate = false;  ///< Add what the output buffer holds: the residual.
  ClipAttributes bounds;
};

struct ConvArguments {
  Shape x_shape, y_shape;
  ConvAttributes attributes;
  const Tensor* weight = nullptr;
  const Tensor* bias = nullptr;
  Epilogue epilogue;
  /// The output must lie like this (set when it accumulates onto a residual); else the kernel chooses.
  std::optional<Layout> output;
};

/// Convolution whose kernel chooses the layouts. `input` tells the layout it wants; bring x there first.
class FloatConv {
 public:
  explicit FloatConv(const ConvArguments& arguments);
  ~FloatConv();
  const Layout& input() const;
  const Layout& output() const;
  std::size_t scratch_bytes() const;
  std::unique_ptr<Step> step(const std::string& kernel, BufferId x, BufferId y, BufferId scratch) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

/// x [N, K] plain, weight [M, K].
std::unique_ptr<Step> make_gemm(const std::string& kernel, std::int64_t batch, const Tensor& weight,
                                const Tensor* bias, const ClipAttributes& bounds, BufferId x, BufferId y);
/// alpha * x [B, M, K] by w [B, K, P], plain: `m`, `k` and `p` of each of `batch` products.
struct Products {
  std::int64_t batch = 1, m = 1, k = 1, p = 1;
};
std::unique_ptr<Step> make_matmul(const std::string& kernel, const Products& sizes, float alpha, BufferId x,
                                  BufferId w, BufferId y);
std::unique_ptr<Step> make_reorder(const std::string& kernel, const Operand& from, const Operand& to);
/// Whether make_unary() has the operator.
bool has_unary(const Node& node);
/// A unary operator, any layout, same layout out. Of HardSigmoid the line without its bounds.
std::unique_ptr<Step> make_unary(const std::string& kernel, const Node& node, const Operand& x, BufferId y);
/// y = a op b, then clipped; all of one shape and layout.
std::unique_ptr<Step> make_binary(const std::string& kernel, Op op, const Operand& a, const Operand& b,
                                  const ClipAttributes& bounds, BufferId y);
/// `y_layout` receives the output's layout (chosen to follow the inputs').
std::unique_ptr<Step> make_concat(const std::string& kernel, const std::vector<Operand>& inputs,
                                  std::int64_t axis, BufferId y, Layout& y_layout);
/// Softmax or its logarithm, same layout out.
std::unique_ptr<Step> make_softmax(const std::string& kernel, bool logarithm, const Operand& x,
                                   std::int64_t axis, BufferId y);

enum class PoolKind { kMax, kAverage };
/// False for windows that reach past their padding and count it: oneDNN would count too much.
bool average_pool_applies(const Shape& x_shape, const Shape& y_shape, const PoolAttributes& attributes);
/// `y_layout` receives the output's layout (chosen to follow the input's).
std::unique_ptr<Step> make_pool(const std::string& kernel, PoolKind kind, const Operand& x,
                                const Shape& x_shape, const Shape& y_shape, const PoolAttributes& attributes,
                                BufferId y, Layout& y_layout);
/// True if this CPU multiplies u8 by s8 exactly in oneDNN's kernels (VNNI or AMX).
bool exact_int8();
/// True if those kernels also use instructions that ours lack: AMX, or VNNI without AVX-512. With AVX-512
/// VNNI ours multiply as fast, take every zero point, and fuse pools and additions.
bool faster_int8();

/// The int8 convolution on oneDNN, or null where its arithmetic would differ from the contract: an output
/// zero point (it rounds after adding it), padding with a non-zero input zero point. Buffers are NHWC.
std::unique_ptr<Step> make_int8_conv(const std::string& kernel, const IntegerConv& conv, const Shape& x_shape,
                                     const Shape& y_shape, BufferId x, BufferId y);

std::string version();
/// See onednn_isa_limit() in octavo/runtime/runtime.h.
std::string isa_limit();

/// For the handlers around everything that calls oneDNN: the exception being handled as one that callers
/// know. oneDNN's is std::bad_alloc where memory was short, and kInternal otherwise; others go on as they
/// are.
[[noreturn]] void rethrow();

}  // namespace octavo::onednn
