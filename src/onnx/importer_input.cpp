/// The model's input: images, in whatever layout a file takes them.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "importer.h"
#include "octavo/core/error.h"
#include "octavo/graph/preprocessing.h"
#include "tensor_proto.h"

namespace octavo::onnx_format {

namespace {

/// The images [N, C, H, W] behind an input of `shape`: itself; [N, H, W, C] in another order where the last
/// dimension can be that of colours and no other can; or a row of the pixels of a square, grey or in colour.
Shape images_of(const Shape& shape, const std::string& what) {
  const auto colours = [](std::int64_t size) { return size == 1 || size == 3; };
  if (shape.size() == 4) {
    const bool channels_last = shape[1] > 4 && shape[2] > 4 && colours(shape[3]);
    return channels_last ? Shape{shape[0], shape[3], shape[1], shape[2]} : shape;
  }
  for (const std::int64_t channels : {1, 3}) {
    const auto side =
        static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(shape[1] / channels))));
    if (channels * side * side == shape[1]) return {shape[0], channels, side, side};
  }
  throw Error(
      ErrorCode::kUnsupported, what,
      fmt::format("expected the dimensions [N, C, H, W], or a row of the pixels of a square image, got {}",
                  to_string(shape)));
}

}  // namespace

void Importer::read_input() {
  const onnx::ValueInfoProto* input = nullptr;
  for (const onnx::ValueInfoProto& candidate : proto_.input()) {
    // Up to IR version 3, initializers are inputs too.
    const NodeTable::Maker* maker = nodes_.maker(candidate.name());
    if (maker && maker->kind == NodeTable::Maker::Kind::kStored) continue;
    if (input) {
      throw Error(ErrorCode::kUnsupported, where_,
                  fmt::format("inputs '{}' and '{}'; expected one", printable(input->name()),
                              printable(candidate.name())));
    }
    input = &candidate;
  }
  if (!input || input->name().empty()) throw Error(ErrorCode::kBadInput, where_, "has no input");

  const std::string what = fmt::format("{}: input '{}'", where_, printable(input->name()));
  if (!input->type().has_tensor_type()) throw Error(ErrorCode::kUnsupported, what, "is not a tensor");
  const onnx::TypeProto_Tensor& type = input->type().tensor_type();
  const bool bytes = type.elem_type() == onnx::TensorProto::UINT8;
  if (!bytes && !is_real(type.elem_type()))
    throw Error(ErrorCode::kUnsupported, what, "is no tensor of floats or bytes");
  if (!type.has_shape() || (type.shape().dim_size() != 4 && type.shape().dim_size() != 2)) {
    throw Error(ErrorCode::kUnsupported, what,
                fmt::format("expected the dimensions [N, C, H, W], got {}",
                            type.has_shape() ? type.shape().dim_size() : 0));
  }
  Shape shape{kDynamic};
  std::array<bool, 4> open{};
  constexpr std::int64_t kLargest = std::int64_t{1} << 20;
  for (int i = 1; i < type.shape().dim_size(); ++i) {
    const auto& dim = type.shape().dim(i);
    // Some programs write -1 for what is open.
    if (!dim.has_dim_value() || dim.dim_value() == -1) {
      if (type.shape().dim_size() != 4 || options_.image_size <= 0) {
        throw Error(
            ErrorCode::kUnsupported, what,
            fmt::format("dimension {} is not fixed; expected the batch alone to vary{}", i,
                        type.shape().dim_size() == 4 ? " (fix height and width with --image-size)" : ""));
      }
      shape.push_back(std::min(options_.image_size, kLargest));
      open[static_cast<std::size_t>(i)] = true;
      continue;
    }
    if (dim.dim_value() < 1 || dim.dim_value() > kLargest) {
      throw Error(ErrorCode::kBadInput, what,
                  fmt::format("dimension {} is {}; expected 1 to {}", i, dim.dim_value(), kLargest));
    }
    shape.push_back(dim.dim_value());
  }
  if (open[1] && (open[3] || (shape[3] != 1 && shape[3] != 3)))
    throw Error(ErrorCode::kUnsupported, what, "the number of channels is not fixed; expected it to be");
  if (type.shape().dim(0).dim_value() > 0) fixed_batch_ = type.shape().dim(0).dim_value();
  nodes_.add_input(input->name());
  const Shape images = images_of(shape, what);
  graph_.input = add_value(input->name(), images);
  if (bytes) {
    input_is_bytes_ = true;
    // As the model wants them: pixels from 0 to 255.
    const auto channels = static_cast<std::size_t>(images[1]);
    if (!get_normalization(graph_)) {
      set_normalization(graph_, {.mean = std::vector<float>(channels, 0.0F),
                                 .std = std::vector<float>(channels, 1.0F / 255.0F)});
    }
  }
  ValueId id = graph_.input;
  if (images != shape) {
    const bool flat = shape.size() == 2;
    id = add_value(input->name() + (flat ? "_flat" : "_nhwc"), shape);
    Node node{.name = node_names_.take(graph_.value(id).name),
              .op = flat ? Op::kFlatten : Op::kTranspose,
              .inputs = {graph_.input},
              .output = id,
              .attributes = {}};
    if (!flat) node.attributes = TransposeAttributes{{0, 2, 3, 1}};
    graph_.nodes.push_back(std::move(node));
  }
  define(input->name(), Flow{.id = id});
}

}  // namespace octavo::onnx_format
