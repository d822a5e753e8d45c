/// Einsum, where it is a matrix product between Transposes and Reshapes.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <numeric>

#include "converters.h"
#include "importer.h"
#include "moves.h"
#include "octavo/core/error.h"
#include "quantization.h"
#include "tensor_proto.h"

namespace octavo::onnx_format {
namespace {

/// One letter for each dimension.
struct Equation {
  std::vector<std::string> operands;
  std::string result;
};

bool contains(const std::string& labels, char label) { return labels.find(label) != std::string::npos; }

Equation read_equation(NodeReader& reader) {
  std::string text = reader.attributes.text("equation", "");
  std::erase(text, ' ');
  const auto unsupported = [&] { throw Unsupported{"equation '" + printable(text) + "'"}; };
  const std::size_t arrow = text.find("->");
  const std::string left = text.substr(0, arrow);
  Equation equation;
  equation.operands.emplace_back();
  for (const char c : left) {
    if (c == ',') {
      equation.operands.emplace_back();
    } else if (std::isalpha(static_cast<unsigned char>(c)) == 0 || contains(equation.operands.back(), c)) {
      unsupported();  // Such as "..." and diagonals.
    } else {
      equation.operands.back() += c;
    }
  }
  if (static_cast<int>(equation.operands.size()) != reader.node.input_size() || equation.operands.size() > 2)
    unsupported();
  if (arrow != std::string::npos) {
    equation.result = text.substr(arrow + 2);
  } else {  // What occurs once, in alphabetical order.
    std::string all = left;
    std::erase(all, ',');
    std::ranges::sort(all);
    std::ranges::copy_if(all, std::back_inserter(equation.result),
                         [&](char c) { return std::ranges::count(all, c) == 1; });
  }
  for (const char c : equation.result) {
    const bool known = std::ranges::any_of(equation.operands, [&](const auto& o) { return contains(o, c); });
    if (!known || std::ranges::count(equation.result, c) != 1) unsupported();
  }
  return equation;
}

/// Labels in `from` that `condition` holds for, in the order of `from`.
template <typename Condition>
std::string select(const std::string& from, const Condition& condition) {
  std::string result;
  std::ranges::copy_if(from, std::back_inserter(result), condition);
  return result;
}

/// A value and what its dimensions are called.
struct Labelled {
  ValueId id = kNoValue;
  std::string labels;
};

Shape shape_of(const NodeReader& reader, const Labelled& x) {
  const Shape& shape = reader.importer.graph().value(x.id).shape;
  if (shape.size() != x.labels.size())
    reader.fail(fmt::format("'{}' for the shape {}", x.labels, to_string(shape)));
  return shape;
}

/// How to have `to` from what is called `from`.
std::vector<std::int64_t> order(const std::string& from, const std::string& to) {
  std::vector<std::int64_t> result;
  for (const char c : to) result.push_back(static_cast<std::int64_t>(from.find(c)));
  return result;
}

std::int64_t product(const Labelled& x, const Shape& shape, const std::string& labels) {
  std::int64_t result = 1;
  for (const char c : labels) result *= shape[x.labels.find(c)];
  return result;
}

/// `kept` as they are and then a dimension for each group.
ValueId arranged(const NodeReader& reader, const std::string& suffix, const Labelled& x,
                 const std::string& kept, const std::vector<std::string>& groups) {
  const Shape shape = shape_of(reader, x);
  std::string wanted = kept;
  Shape result;
  for (const char c : kept) result.push_back(shape[x.labels.find(c)]);
  for (const std::string& group : groups) {
    wanted += group;
    result.push_back(product(x, shape, group));
  }
  const ValueId moved = reader.emit_inner(suffix + "_moved", Op::kTranspose, {x.id},
                                          TransposeAttributes{order(x.labels, wanted)});
  return reader.emit_inner(suffix, Op::kReshape, {moved}, ReshapeAttributes{std::move(result)});
}

/// The node's output from a product whose dimensions, taken apart, are `apart`, called `labels`.
void finish(const NodeReader& reader, ValueId product, Shape apart, const std::string& labels,
            const std::string& result) {
  const ValueId split =
      reader.emit_inner("_apart", Op::kReshape, {product}, ReshapeAttributes{std::move(apart)});
  reader.emit(Op::kTranspose, {split}, TransposeAttributes{order(labels, result)});
}

void expect_batch(const Labelled& x, const std::string& result) {
  if (x.labels.empty() || result.empty() || x.labels[0] != result[0])
    throw Unsupported{"an equation that does not keep the batch first"};
}

/// A constant as a matrix of `rows` by `columns`.
Constant matrix(const NodeReader& reader, const Constant& constant, const std::string& labels,
                const std::string& rows, const std::string& columns) {
  Constant result = constant;
  if (constant.tensor->rank() != labels.size())
    reader.fail(fmt::format("'{}' for the shape {}", labels, to_string(constant.tensor->shape())));
  if (result.quant && result.quant->per_channel()) {
    if (columns == std::string(1, labels[static_cast<std::size_t>(result.quant->axis)])) {
      result.quant->axis = 1;
    } else {
      result.tensor = std::make_shared<Tensor>(dequantize(*constant.tensor, *constant.quant));
      result.quant.reset();
    }
  }
  const Tensor& tensor = *result.tensor;
  const std::vector<std::int64_t> strides = row_major(tensor.shape());
  Shape shape;
  std::vector<std::int64_t> moved;
  std::array<std::int64_t, 2> sizes{1, 1};
  for (const char c : rows + columns) {
    const std::size_t at = labels.find(c);
    shape.push_back(tensor.shape()[at]);
    moved.push_back(strides[at]);
    sizes[contains(rows, c) ? 0 : 1] *= shape.back();
  }
  reader.importer.budget().charge(tensor.size_bytes());
  result.tensor = std::make_shared<Tensor>(take(tensor, shape, 0, moved).reshaped({sizes[0], sizes[1]}));
  return result;
}

void convert_by_constant(NodeReader& reader, const Equation& equation, int flow) {
  const Labelled x{reader.flow(flow).id, equation.operands[static_cast<std::size_t>(flow)]};
  const std::string& w = equation.operands[static_cast<std::size_t>(1 - flow)];
  const Constant& constant = reader.constant(1 - flow);
  const std::string& result = equation.result;
  expect_batch(x, result);
  const std::string kept = select(result, [&](char c) { return contains(x.labels, c); });
  const std::string summed = select(w, [&](char c) { return contains(x.labels, c) && !contains(result, c); });
  const std::string added = select(w, [&](char c) { return !contains(x.labels, c); });
  if (summed.size() + added.size() != w.size() || kept.size() + summed.size() != x.labels.size() ||
      kept.size() + added.size() != result.size() || summed.empty())
    throw Unsupported{"an equation that is no matrix product"};
  const Shape shape = shape_of(reader, x);
  const Constant weight = matrix(reader, constant, w, summed, added);
  if (weight.tensor->dim(0) != product(x, shape, summed))
    reader.fail(fmt::format("{} by {} do not fit", to_string(shape), to_string(constant.tensor->shape())));
  const ValueId rows = arranged(reader, "_rows", x, kept, {summed});
  const ValueId y = reader.emit_inner("_product", Op::kMatMul,
                                      {rows, weight_value(reader, weight, {.axis = 1}, w + ">" + summed)});
  Shape apart;
  for (const char c : kept) apart.push_back(shape[x.labels.find(c)]);
  for (const char c : added) apart.push_back(constant.tensor->shape()[w.find(c)]);
  finish(reader, y, std::move(apart), kept + added, result);
}

void convert_of_values(NodeReader& reader, const Equation& equation) {
  const Labelled x{reader.flow(0).id, equation.operands[0]};
  const Labelled y{reader.flow(1).id, equation.operands[1]};
  const std::string& result = equation.result;
  expect_batch(x, result);
  expect_batch(y, result);
  const std::string both =
      select(result, [&](char c) { return contains(x.labels, c) && contains(y.labels, c); });
  const std::string summed =
      select(x.labels, [&](char c) { return contains(y.labels, c) && !contains(result, c); });
  const std::string left =
      select(result, [&](char c) { return contains(x.labels, c) && !contains(both, c); });
  const std::string right =
      select(result, [&](char c) { return contains(y.labels, c) && !contains(both, c); });
  if (both.size() + left.size() + summed.size() != x.labels.size() ||
      both.size() + right.size() + summed.size() != y.labels.size())
    throw Unsupported{"an equation that is no matrix product"};
  const Shape a = shape_of(reader, x);
  const Shape b = shape_of(reader, y);
  for (const char c : both + summed) {
    if (a[x.labels.find(c)] != b[y.labels.find(c)])
      reader.fail(fmt::format("{} by {} do not fit", to_string(a), to_string(b)));
  }
  const ValueId product = reader.emit_inner("_product", Op::kMatMulOfValues,
                                            {arranged(reader, "_left", x, both, {left, summed}),
                                             arranged(reader, "_right", y, both, {summed, right})},
                                            ScalarAttributes{.alpha = 1.0F});
  Shape apart;
  for (const char c : both + left) apart.push_back(a[x.labels.find(c)]);
  for (const char c : right) apart.push_back(b[y.labels.find(c)]);
  finish(reader, product, std::move(apart), both + left + right, result);
}

void convert_einsum(NodeReader& reader) {
  const Equation equation = read_equation(reader);
  if (equation.operands.size() == 1) {
    const Labelled x{reader.flow(0).id, equation.operands[0]};
    expect_batch(x, equation.result);
    shape_of(reader, x);
    if (equation.result.size() != x.labels.size()) throw Unsupported{"an equation that is no matrix product"};
    reader.emit(Op::kTranspose, {x.id}, TransposeAttributes{order(x.labels, equation.result)});
    return;
  }
  const bool first = std::holds_alternative<Flow>(reader.operand(0));
  const bool second = std::holds_alternative<Flow>(reader.operand(1));
  if (first && second) return convert_of_values(reader, equation);
  convert_by_constant(reader, equation, first ? 0 : 1);
}

}  // namespace

std::span<const ConverterEntry> einsum_converters() {
  static constexpr ConverterEntry kEntries[] = {{"Einsum", convert_einsum}};
  return kEntries;
}

}  // namespace octavo::onnx_format
