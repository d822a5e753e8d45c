// What the two files that speak oneDNN share.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>
#include <utility>
#include <vector>

#include "runtime/float/onednn.h"

namespace octavo::onednn {

struct Layout::Desc {
  dnnl::memory::desc md;
};

dnnl::engine& engine();

dnnl::memory::desc plain_desc(const Shape& shape, dnnl::memory::data_type type);

/// A copy of `tensor` in the layout a kernel wants.
dnnl::memory prepack(const Tensor& tensor, const dnnl::memory::desc& plain, const dnnl::memory::desc& wanted);

struct WindowDims {
  dnnl::memory::dims strides, dilations, pads_begin, pads_end;
};
WindowDims window_dims(const ConvAttributes& attributes);

/// Relu or Clip as a post-op; nothing for unbounded.
void append_bounds(dnnl::post_ops& ops, const ClipAttributes& bounds);

struct BoundBuffer {
  int argument;
  BufferId buffer;
  dnnl::memory::desc desc;
};

/// For every primitive: its scratch memory is the caller's. oneDNN's own is one for all threads that run the
/// primitive, or only there in the thread that made it.
dnnl::primitive_attr attributes_for_threads();

/// One primitive over buffers of the arena and constants of its own.
class PrimitiveStep final : public Step {
 public:
  /// `scratch`: what the primitive needs of it, unless `buffers` has it. Each context allocates its own.
  PrimitiveStep(std::string kernel, dnnl::primitive primitive, std::vector<BoundBuffer> buffers,
                std::vector<std::pair<int, dnnl::memory>> constants, dnnl::memory::desc scratch = {});
  void run(const StepArguments& arguments) const override;
  bool uses_openmp() const override { return true; }

 private:
  dnnl::primitive primitive_;
  std::vector<BoundBuffer> buffers_;
  std::vector<std::pair<int, dnnl::memory>> constants_;
  dnnl::memory::desc scratch_;
};

}  // namespace octavo::onednn
