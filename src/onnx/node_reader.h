/// What a converter sees of the node that it converts.
#pragma once

#include <onnx/onnx_pb.h>

#include <optional>
#include <string>
#include <vector>

#include "attributes.h"
#include "symbols.h"

namespace octavo::onnx_format {

class Importer;

/// One node under conversion: its operands and attributes, with errors that name it.
class NodeReader {
 public:
  NodeReader(Importer& importer, const onnx::NodeProto& node, std::string name);

  Importer& importer;
  const onnx::NodeProto& node;
  const std::string name;  ///< Unique among the graph's nodes.
  const std::string what;  ///< "model.onnx: node 'conv1' (Conv)"
  AttributeReader attributes;

  [[noreturn]] void fail(const std::string& problem) const;

  bool has(int index) const { return index < node.input_size() && !node.input(index).empty(); }
  /// Throws kBadInput if the operand is missing.
  const Symbol& operand(int index) const;
  /// A float tensor that flows, with the batch first; throws Unsupported for anything else. Notes who reads
  /// it.
  Flow flow(int index) const;
  /// As flow(), wherever the batch is: what emit() defines has the same view.
  Flow viewed(int index);
  /// As viewed(), for operators that move elements and do not change them: they may read the integers between
  /// QuantizeLinear and DequantizeLinear too, and what emit() defines then are integers as well.
  Flow moved(int index);
  /// The same with the batch first.
  Flow moved_images(int index);
  /// Where emit() says that the batch is in what it defines.
  BatchView view;
  /// The value's shape.
  const Shape& shape(const Flow& flow) const;
  /// Dimensions of the file's tensor.
  std::size_t rank(const Flow& flow) const;
  /// The flow with the batch first. Throws Unsupported if it is elsewhere, and of more than one image.
  Flow plain(const Flow& flow) const;
  /// The one image of a batch that the file fixes to one, all of the tensor's dimensions its own. Throws
  /// Unsupported with `reason` if there may be several.
  Flow one_image(const Flow& flow, const std::string& reason) const;
  /// The flow with dimensions of 1 in front, so that the file's tensor has `rank`.
  Flow lifted(const Flow& flow, std::size_t rank) const;
  /// Gives tensors of the same rank the same view, which emit() then defines. Throws Unsupported where they
  /// have the batch in different places, unless it is one image.
  void align(std::vector<Flow>& flows);
  /// The same elements in a tensor of the file with the dimensions `file`: the shape, and the value for it.
  void emit_reshaped(const Flow& flow, const Shape& file, const BatchView& to);
  /// A constant; throws Unsupported for anything else.
  const Constant& constant(int index) const;
  /// A constant in float32, dequantized if need be.
  Tensor real(int index) const;
  /// A float constant of one element.
  float scalar(int index) const;
  /// A constant row of int32 or int64. Throws Unsupported if the batch size is among them, unless `batch`.
  std::vector<std::int64_t> integers(int index, bool batch = false) const;
  /// A float constant as a value of the graph.
  ValueId real_value(int index) const;
  /// The same, in another shape of as many elements.
  ValueId real_value(int index, const Shape& shape) const;
  /// A float constant beside tensors of the file with `rank` dimensions in `view`: its dimensions as the
  /// value's, the batch 1. Throws Unsupported if its numbers differ from image to image.
  Tensor real_in_view(int index, std::size_t rank) const;
  /// The same as a value, that broadcasts as the constant does.
  ValueId real_value_in_view(int index, std::size_t rank) const;
  /// A number of the converter's own as a constant of one element; its name ends in `suffix`.
  ValueId number(const std::string& suffix, float value) const;

  /// `wanted` as an index from 0. Throws kBadInput if there is no such dimension.
  std::size_t axis(std::int64_t wanted, std::size_t rank) const;
  /// The value's dimension for one of the file's tensor. If that is the batch, the flow becomes one_image().
  std::size_t image_axis(std::int64_t wanted, Flow& flow);
  /// The same where all dimensions from `wanted` on have to be the image's.
  std::size_t first_image_axis(std::int64_t wanted, Flow& flow);

  /// Throws Unsupported if an output is read that the converter did not define.
  void expect_outputs() const;

  void define(Symbol symbol, int output = 0) const;
  /// Appends a graph node whose output takes the ONNX output's name, infers its shape and defines the output.
  ValueId emit(Op op, std::vector<ValueId> inputs, Attributes attributes = {}, int output = 0) const;
  /// A node before the one that emit() appends; both names end in `suffix`.
  ValueId emit_inner(const std::string& suffix, Op op, std::vector<ValueId> inputs,
                     Attributes attributes = {}) const;

 private:
  Flow flow_as_it_is(int index) const;
  ValueId append(const std::string& node_name, const std::string& value_name, Op op,
                 std::vector<ValueId> inputs, Attributes node_attributes) const;

  std::optional<QuantParams> moved_;
};

}  // namespace octavo::onnx_format
