#include "runtime/float/onednn.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "octavo/core/cpu.h"
#include "octavo/core/error.h"
#include "octavo/core/memory.h"
#include "runtime/float/onednn_common.h"

namespace octavo::onednn {

namespace d = dnnl;

namespace {

/// An instruction set as oneDNN's interface and its environment variable call it.
struct Limit {
  d::cpu_isa isa;
  const char* name;
};

/// How far oneDNN may go where OCTAVO_ISA asks for an instruction set.
std::optional<Limit> limit() {
  const Isa isa = isa_in_use();
  if (!isa_is_limited()) return std::nullopt;
  switch (isa) {
    case Isa::kGeneric:
      return Limit{.isa = d::cpu_isa::sse41, .name = "SSE41"};
    case Isa::kAvx2:
      return Limit{.isa = d::cpu_isa::avx2, .name = "AVX2"};
    case Isa::kAvxVnni:
      return Limit{.isa = d::cpu_isa::avx2_vnni, .name = "AVX2_VNNI"};
    case Isa::kAvx512Vnni:
      return Limit{.isa = d::cpu_isa::avx512_core_bf16, .name = "AVX512_CORE_BF16"};
    case Isa::kAmx:
      break;
  }
  return Limit{.isa = d::cpu_isa::all, .name = "ALL"};
}

/// oneDNN chooses among instruction sets itself; before its first primitive it can be told where to stop.
d::engine make_engine() {
  const std::optional<Limit> most = limit();
  // The user's own word to oneDNN stands. Refused where others in the process were first: they have chosen
  // for all.
  if (most && std::getenv("ONEDNN_MAX_CPU_ISA") == nullptr) d::set_max_cpu_isa(most->isa);
  return {d::engine::kind::cpu, 0};
}

}  // namespace

d::engine& engine() {
  static d::engine instance = make_engine();
  return instance;
}

std::shared_ptr<void> make_stream() { return std::make_shared<d::stream>(engine()); }

Layout::Layout() : desc_(std::make_unique<Desc>()) {}
Layout::Layout(Desc desc) : desc_(std::make_unique<Desc>(std::move(desc))) {}
Layout::Layout(const Layout& other) : desc_(std::make_unique<Desc>(*other.desc_)) {}
Layout& Layout::operator=(const Layout& other) {
  *desc_ = *other.desc_;
  return *this;
}
Layout::Layout(Layout&&) noexcept = default;
Layout& Layout::operator=(Layout&&) noexcept = default;
Layout::~Layout() = default;

Layout Layout::plain(const Shape& shape) {
  return Layout(Desc{plain_desc(shape, d::memory::data_type::f32)});
}

Layout Layout::channels_last(const Shape& shape) {
  if (shape.size() != 4) return plain(shape);
  return Layout(Desc{d::memory::desc(shape, d::memory::data_type::f32, d::memory::format_tag::nhwc)});
}

Layout Layout::blocked(const Shape& shape, std::int64_t block) {
  using Tag = d::memory::format_tag;
  if (block == 1) return plain(shape);
  if (block == shape[1]) return channels_last(shape);
  return Layout(
      Desc{d::memory::desc(shape, d::memory::data_type::f32, block == 8 ? Tag::nChw8c : Tag::nChw16c)});
}

std::optional<std::int64_t> Layout::channel_block() const {
  const d::memory::dims shape = desc_->md.dims();
  if (shape.size() != 4) return std::nullopt;
  for (const std::int64_t block : {std::int64_t{1}, shape[1], std::int64_t{8}, std::int64_t{16}}) {
    if (*this == blocked(shape, block)) return block;
  }
  return std::nullopt;
}

std::size_t Layout::bytes() const { return desc_->md.get_size(); }

bool operator==(const Layout& a, const Layout& b) { return a.desc_->md == b.desc_->md; }

d::memory::desc plain_desc(const Shape& shape, d::memory::data_type type) {
  return {shape, type, row_major(shape)};
}

d::memory prepack(const Tensor& tensor, const d::memory::desc& plain, const d::memory::desc& wanted) {
  d::memory packed(wanted, engine());
  prefer_huge_pages(packed.get_data_handle(), wanted.get_size());
  // dnnl takes a mutable pointer even where it only reads.
  d::memory source(plain, engine(), const_cast<std::byte*>(tensor.raw()));
  d::stream stream(engine());
  d::reorder(source, packed).execute(stream, source, packed);
  stream.wait();
  return packed;
}

namespace {

std::size_t bytes_of(const std::vector<std::pair<int, d::memory>>& constants) {
  std::size_t bytes = 0;
  for (const auto& [argument, memory] : constants) bytes += memory.get_desc().get_size();
  return bytes;
}

}  // namespace

PrimitiveStep::PrimitiveStep(std::string kernel, d::primitive primitive, std::vector<BoundBuffer> buffers,
                             std::vector<std::pair<int, d::memory>> constants, d::memory::desc scratch)
    : Step(std::move(kernel), bytes_of(constants)),
      primitive_(std::move(primitive)),
      buffers_(std::move(buffers)),
      constants_(std::move(constants)),
      scratch_(std::move(scratch)) {}

d::primitive_attr attributes_for_threads() {
  d::primitive_attr attributes;
  attributes.set_scratchpad_mode(d::scratchpad_mode::user);
  return attributes;
}

namespace {

/// A primitive's arguments in one context.
struct Arguments {
  std::vector<d::memory> memories;  ///< Of the buffers, in their order, and scratch memory.
  std::vector<dnnl_exec_arg_t> list;
};

}  // namespace

void PrimitiveStep::run(const StepArguments& arguments) const {
  if (!*arguments.kept) {
    auto made = std::make_shared<Arguments>();
    for (const BoundBuffer& b : buffers_) {
      made->memories.emplace_back(b.desc, engine(), arguments.buffer<void>(b.buffer));
      made->list.push_back({b.argument, made->memories.back().get()});
    }
    for (const auto& [argument, memory] : constants_) made->list.push_back({argument, memory.get()});
    if (scratch_.get_size() > 0) {
      made->memories.emplace_back(scratch_, engine());
      made->list.push_back({DNNL_ARG_SCRATCHPAD, made->memories.back().get()});
    }
    *arguments.kept = std::move(made);
  }
  auto& bound = *static_cast<Arguments*>(arguments.kept->get());
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    const BufferId buffer = buffers_[i].buffer;
    if (buffer == kInputBuffer || buffer == kOutputBuffer)
      bound.memories[i].set_data_handle(arguments.buffer<void>(buffer));
  }
  // The C function: the C++ one copies its arguments into vectors each time.
  auto& stream = *static_cast<d::stream*>(arguments.stream);
  d::error::wrap_c_api(dnnl_primitive_execute(primitive_.get(), stream.get(),
                                              static_cast<int>(bound.list.size()), bound.list.data()),
                       "could not execute a primitive");
  stream.wait();
}

void append_bounds(d::post_ops& ops, const ClipAttributes& bounds) {
  if (bounds.min == 0.0F && std::isinf(bounds.max)) {
    ops.append_eltwise(1.0F, d::algorithm::eltwise_relu, 0.0F, 0.0F);
  } else if (!std::isinf(bounds.min) || !std::isinf(bounds.max)) {
    constexpr float kLargest = std::numeric_limits<float>::max();
    ops.append_eltwise(1.0F, d::algorithm::eltwise_clip, std::max(bounds.min, -kLargest),
                       std::min(bounds.max, kLargest));
  }
}

WindowDims window_dims(const ConvAttributes& a) {
  return {{a.strides[0], a.strides[1]},
          {a.dilations[0] - 1, a.dilations[1] - 1},
          {a.pads[0], a.pads[1]},
          {a.pads[2], a.pads[3]}};
}

// ---- convolution ----

struct FloatConv::Impl {
  d::convolution_forward::primitive_desc pd;
  Layout input, output;
  d::memory weights, bias;
};

FloatConv::FloatConv(const ConvArguments& c) {
  using Tag = d::memory::format_tag;
  constexpr auto kF32 = d::memory::data_type::f32;
  auto impl = std::make_shared<Impl>();
  const Shape& w = c.weight->shape();
  Shape w_shape = w;
  if (c.attributes.group > 1) {
    w_shape = {c.attributes.group, w[0] / c.attributes.group, w[1], w[2], w[3]};
  }
  const WindowDims window = window_dims(c.attributes);
  const d::memory::desc x_any(c.x_shape, kF32, Tag::any);
  const d::memory::desc w_any(w_shape, kF32, Tag::any);
  const d::memory::desc b_desc({w[0]}, kF32, Tag::a);
  const d::memory::desc y_desc = c.output ? c.output->desc().md : d::memory::desc(c.y_shape, kF32, Tag::any);
  d::post_ops ops;
  if (c.epilogue.accumulate) ops.append_sum(1.0F);
  append_bounds(ops, c.epilogue.bounds);
  d::primitive_attr attributes = attributes_for_threads();
  attributes.set_post_ops(ops);
  const d::convolution_forward::desc desc =
      c.bias ? d::convolution_forward::desc(d::prop_kind::forward_inference, d::algorithm::convolution_direct,
                                            x_any, w_any, b_desc, y_desc, window.strides, window.dilations,
                                            window.pads_begin, window.pads_end)
             : d::convolution_forward::desc(d::prop_kind::forward_inference, d::algorithm::convolution_direct,
                                            x_any, w_any, y_desc, window.strides, window.dilations,
                                            window.pads_begin, window.pads_end);
  impl->pd = d::convolution_forward::primitive_desc(desc, attributes, engine());
  impl->input = Layout(Layout::Desc{impl->pd.src_desc()});
  impl->output = Layout(Layout::Desc{impl->pd.dst_desc()});
  impl->weights = prepack(*c.weight, plain_desc(w_shape, kF32), impl->pd.weights_desc());
  if (c.bias) impl->bias = prepack(*c.bias, b_desc, b_desc);
  impl_ = std::move(impl);
}

FloatConv::~FloatConv() = default;
const Layout& FloatConv::input() const { return impl_->input; }
const Layout& FloatConv::output() const { return impl_->output; }
std::size_t FloatConv::scratch_bytes() const { return impl_->pd.scratchpad_desc().get_size(); }

std::unique_ptr<Step> FloatConv::step(const std::string& kernel, BufferId x, BufferId y,
                                      BufferId scratch) const {
  std::vector<BoundBuffer> buffers{{DNNL_ARG_SRC, x, impl_->pd.src_desc()},
                                   {DNNL_ARG_DST, y, impl_->pd.dst_desc()}};
  if (scratch >= 0) buffers.push_back({DNNL_ARG_SCRATCHPAD, scratch, impl_->pd.scratchpad_desc()});
  std::vector<std::pair<int, d::memory>> constants{{DNNL_ARG_WEIGHTS, impl_->weights}};
  if (impl_->bias) constants.emplace_back(DNNL_ARG_BIAS, impl_->bias);
  return std::make_unique<PrimitiveStep>(fmt::format("{} [{}]", kernel, impl_->pd.impl_info_str()),
                                         d::convolution_forward(impl_->pd), std::move(buffers),
                                         std::move(constants));
}

// ---- the other float steps ----

std::unique_ptr<Step> make_gemm(const std::string& kernel, std::int64_t batch, const Tensor& weight,
                                const Tensor* bias, const ClipAttributes& bounds, BufferId x, BufferId y) {
  constexpr auto kF32 = d::memory::data_type::f32;
  const d::memory::desc x_desc = plain_desc({batch, weight.dim(1)}, kF32);
  const d::memory::desc y_desc = plain_desc({batch, weight.dim(0)}, kF32);
  const d::memory::desc w_any(weight.shape(), kF32, d::memory::format_tag::any);
  const d::memory::desc b_desc({weight.dim(0)}, kF32, d::memory::format_tag::a);
  d::post_ops ops;
  append_bounds(ops, bounds);
  d::primitive_attr attributes = attributes_for_threads();
  attributes.set_post_ops(ops);
  const auto desc =
      bias ? d::inner_product_forward::desc(d::prop_kind::forward_inference, x_desc, w_any, b_desc, y_desc)
           : d::inner_product_forward::desc(d::prop_kind::forward_inference, x_desc, w_any, y_desc);
  const d::inner_product_forward::primitive_desc pd(desc, attributes, engine());
  std::vector<std::pair<int, d::memory>> constants{
      {DNNL_ARG_WEIGHTS, prepack(weight, plain_desc(weight.shape(), kF32), pd.weights_desc())}};
  if (bias) constants.emplace_back(DNNL_ARG_BIAS, prepack(*bias, b_desc, b_desc));
  return std::make_unique<PrimitiveStep>(
      fmt::format("{} [{}]", kernel, pd.impl_info_str()), d::inner_product_forward(pd),
      std::vector<BoundBuffer>{{DNNL_ARG_SRC, x, x_desc}, {DNNL_ARG_DST, y, y_desc}}, std::move(constants),
      pd.scratchpad_desc());
}

std::unique_ptr<Step> make_matmul(const std::string& kernel, const Products& sizes, float alpha, BufferId x,
                                  BufferId w, BufferId y) {
  constexpr auto kF32 = d::memory::data_type::f32;
  const d::memory::desc x_desc = plain_desc({sizes.batch, sizes.m, sizes.k}, kF32);
  const d::memory::desc w_desc = plain_desc({sizes.batch, sizes.k, sizes.p}, kF32);
  const d::memory::desc y_desc = plain_desc({sizes.batch, sizes.m, sizes.p}, kF32);
  d::primitive_attr attributes = attributes_for_threads();
  if (alpha != 1.0F) attributes.set_output_scales(0, {alpha});
  const d::matmul::primitive_desc pd(d::matmul::desc(x_desc, w_desc, y_desc), attributes, engine());
  return std::make_unique<PrimitiveStep>(
      fmt::format("{} [{}]", kernel, pd.impl_info_str()), d::matmul(pd),
      std::vector<BoundBuffer>{
          {DNNL_ARG_SRC, x, x_desc}, {DNNL_ARG_WEIGHTS, w, w_desc}, {DNNL_ARG_DST, y, y_desc}},
      std::vector<std::pair<int, d::memory>>{}, pd.scratchpad_desc());
}

std::unique_ptr<Step> make_reorder(const std::string& kernel, const Operand& from, const Operand& to) {
  const d::reorder::primitive_desc pd(engine(), from.layout.desc().md, engine(), to.layout.desc().md,
                                      attributes_for_threads());
  return std::make_unique<PrimitiveStep>(
      kernel, d::reorder(pd),
      std::vector<BoundBuffer>{{DNNL_ARG_SRC, from.buffer, from.layout.desc().md},
                               {DNNL_ARG_DST, to.buffer, to.layout.desc().md}},
      std::vector<std::pair<int, d::memory>>{}, pd.scratchpad_desc());
}

namespace {

/// Padding at the end of an axis so that oneDNN, which derives the output size from the pads, makes the size
/// we want: a ceil_mode window that hangs over is more padding.
std::int64_t pad_end(const Shape& x_shape, const Shape& y_shape, const PoolAttributes& a, std::size_t axis) {
  return (y_shape[axis + 2] - 1) * a.strides[axis] + a.kernel[axis] - x_shape[axis + 2] - a.pads[axis];
}

}  // namespace

bool average_pool_applies(const Shape& x_shape, const Shape& y_shape, const PoolAttributes& a) {
  const bool hangs_over =
      pad_end(x_shape, y_shape, a, 0) > a.pads[2] || pad_end(x_shape, y_shape, a, 1) > a.pads[3];
  return !(a.count_include_pad && hangs_over);
}

std::unique_ptr<Step> make_pool(const std::string& kernel, PoolKind kind, const Operand& x,
                                const Shape& x_shape, const Shape& y_shape, const PoolAttributes& a,
                                BufferId y, Layout& y_layout) {
  d::algorithm algorithm = d::algorithm::pooling_max;
  if (kind == PoolKind::kAverage) {
    algorithm = a.count_include_pad ? d::algorithm::pooling_avg_include_padding
                                    : d::algorithm::pooling_avg_exclude_padding;
  }
  const auto& md = x.layout.desc().md;
  const d::memory::desc y_any(y_shape, d::memory::data_type::f32, d::memory::format_tag::any);
  const d::pooling_forward::desc desc(d::prop_kind::forward_inference, algorithm, md, y_any,
                                      {a.strides[0], a.strides[1]}, {a.kernel[0], a.kernel[1]},
                                      {a.pads[0], a.pads[1]},
                                      {pad_end(x_shape, y_shape, a, 0), pad_end(x_shape, y_shape, a, 1)});
  const d::pooling_forward::primitive_desc pd(desc, attributes_for_threads(), engine());
  y_layout = Layout(Layout::Desc{pd.dst_desc()});
  return std::make_unique<PrimitiveStep>(
      fmt::format("{} [{}]", kernel, pd.impl_info_str()), d::pooling_forward(pd),
      std::vector<BoundBuffer>{{DNNL_ARG_SRC, x.buffer, md}, {DNNL_ARG_DST, y, pd.dst_desc()}},
      std::vector<std::pair<int, d::memory>>{}, pd.scratchpad_desc());
}

std::string isa_limit() {
  const std::optional<Limit> most = limit();
  return most ? most->name : "";
}

std::string version() {
  const d::version_t* v = d::version();
  return fmt::format("{}.{}.{}", v->major, v->minor, v->patch);
}

void rethrow() {
  try {
    throw;
  } catch (const d::error& error) {
    if (error.status == dnnl_out_of_memory) throw std::bad_alloc();
    throw Error(ErrorCode::kInternal, "oneDNN", error.what());
  }
}

}  // namespace octavo::onednn
