#include "importer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <span>
#include <string_view>

#include "canonical.h"
#include "external_data.h"
#include "import.h"
#include "octavo/core/error.h"
#include "octavo/core/file.h"
#include "octavo/core/finite.h"
#include "octavo/onnx/onnx.h"
#include "tensor_proto.h"

namespace octavo {
namespace onnx_format {

Importer::Importer(const ModelFile& file, std::string where, std::filesystem::path folder, WorkBudget& budget)
    : file_(file),
      model_(file.model()),
      proto_(model_.graph()),
      where_(std::move(where)),
      folder_(std::move(folder)),
      budget_(budget) {}

const Symbol* Importer::find(const std::string& name) const {
  const auto found = symbols_.find(name);
  return found == symbols_.end() ? nullptr : &found->second;
}

void Importer::define(const std::string& name, Symbol symbol) {
  symbols_.insert_or_assign(name, std::move(symbol));
}

int Importer::readers(const std::string& name) const {
  const auto found = readers_.find(name);
  return found == readers_.end() ? 0 : found->second;
}

bool Importer::read_as_same_integers(const std::string& name) {
  const auto [known, is_new] = same_integers_.try_emplace(name, false);
  if (is_new) known->second = compare_integer_readers(name);
  return known->second;
}

bool Importer::compare_integer_readers(const std::string& name) {
  const auto found = quantize_readers_.find(name);
  if (found == quantize_readers_.end() || static_cast<int>(found->second.size()) != readers(name))
    return false;
  const auto same = [&](const onnx::NodeProto& a, const onnx::NodeProto& b, int index) {
    const auto input = [&](const onnx::NodeProto& node) {
      return index < node.input_size() ? node.input(index) : std::string();
    };
    if (input(a) == input(b)) return true;
    const Symbol* x = find(input(a));
    const Symbol* y = find(input(b));
    const auto* first = x ? std::get_if<Constant>(x) : nullptr;
    const auto* second = y ? std::get_if<Constant>(y) : nullptr;
    if (!first || !second) return false;
    budget_.work(second->tensor->size_bytes());
    return *first->tensor == *second->tensor;
  };
  return std::ranges::all_of(found->second, [&](const onnx::NodeProto* node) {
    return same(*found->second[0], *node, 1) && same(*found->second[0], *node, 2);
  });
}

void Importer::annotate(const Integers& integers) {
  std::optional<QuantParams>& quant = graph_.value(integers.id).quant;
  if (quant && *quant != integers.quant)
    throw Unsupported{"quantizes a tensor for the second time, differently"};
  quant = integers.quant;
}

Tensor Importer::read(const onnx::TensorProto& proto, const std::string& what) {
  if (!is_external(proto)) return read_tensor(proto, what);
  return read_external_tensor(proto, folder_, what, budget_);
}

Tensor Importer::read_initializer(int index, const std::string& what) {
  const onnx::TensorProto& proto = proto_.initializer(index);
  const std::optional<Extent>& raw = file_.raw_data(index);
  if (!raw || is_external(proto)) return read(proto, what);
  Tensor tensor = tensor_of_size(proto, raw->size, what);
  file_.read(*raw, tensor.raw());
  return tensor;
}

Tensor Importer::take(const Constant& constant) const {
  const bool last = constant.tensor.use_count() == 1 && readers(constant.name) == 1;
  return last ? std::move(*constant.tensor) : *constant.tensor;
}

void Importer::note_float_reader(ValueId id, const NodeReader& node) {
  float_readers_.push_back({id, node.name, node.node.op_type()});
}

std::string Importer::unique_value_name(const std::string& wanted) { return value_names_.take(wanted); }

ValueId Importer::add_value(const std::string& wanted, Shape shape) {
  graph_.values.push_back({unique_value_name(wanted), std::move(shape), {}, {}});
  return static_cast<ValueId>(graph_.values.size() - 1);
}

ValueId Importer::add_constant(const std::string& wanted, Made made) {
  const auto fail = [&](const std::string& problem) {
    throw Error(ErrorCode::kBadInput, fmt::format("{}: tensor '{}'", where_, printable(wanted)), problem);
  };
  if (made.tensor.size() == 0)
    fail("is empty; expected positive dimensions, got " + to_string(made.tensor.shape()));
  if (made.tensor.dtype() == DType::kFloat32) {
    if (!all_finite(made.tensor.data<float>())) fail("holds a value that is not finite");
  }
  budget_.charge(made.tensor.size_bytes());
  const ValueId id = add_value(wanted, made.tensor.shape());
  Value& value = graph_.value(id);
  if (made.quant && made.quant->dtype != DType::kInt32) {
    IntegerRange range = apparent_range(made.tensor, *made.quant);
    const auto kept = ranges_.find(value.name);
    if (kept != ranges_.end()) {
      // "<qmin>,<qmax>", nothing before, between or after.
      const char* const end = kept->second.data() + kept->second.size();
      const auto [comma, low] = std::from_chars(kept->second.data(), end, range.qmin);
      const bool more = low == std::errc() && comma != end && *comma == ',';
      const auto [last, high] = std::from_chars(more ? comma + 1 : end, end, range.qmax);
      if (!more || high != std::errc() || last != end)
        fail("its range in the metadata reads '" + printable(kept->second) + "'; expected two integers");
    }
    made.quant->qmin = range.qmin;
    made.quant->qmax = range.qmax;
    validate(*made.quant, fmt::format("{}: tensor '{}'", where_, printable(wanted)));
    const auto outside = [&](auto values) {
      for (const std::int32_t q : values) {
        if (q < range.qmin || q > range.qmax)
          fail(fmt::format("holds {}; expected {} to {}", q, range.qmin, range.qmax));
      }
    };
    if (made.tensor.dtype() == DType::kInt8) outside(std::as_const(made.tensor).data<std::int8_t>());
  }
  value.constant = std::move(made.tensor);
  value.quant = std::move(made.quant);
  return id;
}

void Importer::read_opset() {
  for (const onnx::OperatorSetIdProto& entry : model_.opset_import()) {
    if (entry.domain().empty() || entry.domain() == "ai.onnx") opset_ = entry.version();
  }
  if (opset_ < 7 || opset_ > 17) {
    throw Error(ErrorCode::kUnsupported, where_, fmt::format("ONNX opset {}; expected 7 to 17", opset_));
  }
}

void Importer::read_initializers() {
  if (proto_.sparse_initializer_size() > 0) {
    throw Error(ErrorCode::kUnsupported, where_, "sparse initializers; expected dense ones");
  }
  for (const onnx::TensorProto& tensor : proto_.initializer()) {
    if (!makers_.emplace(tensor.name(), -1).second) {
      throw Error(ErrorCode::kBadInput, where_,
                  fmt::format("two initializers are named '{}'", printable(tensor.name())));
    }
  }
}

void Importer::read_input() {
  const onnx::ValueInfoProto* input = nullptr;
  for (const onnx::ValueInfoProto& candidate : proto_.input()) {
    // Up to IR version 3, initializers are inputs too.
    if (makers_.contains(candidate.name())) continue;
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
  if (type.elem_type() != onnx::TensorProto::FLOAT)
    throw Error(ErrorCode::kUnsupported, what, "is not float32");
  if (!type.has_shape() || type.shape().dim_size() != 4) {
    throw Error(ErrorCode::kUnsupported, what,
                fmt::format("expected the dimensions [N, C, H, W], got {}", type.shape().dim_size()));
  }
  Shape shape{kDynamic};
  constexpr std::int64_t kLargest = std::int64_t{1} << 20;
  for (int i = 1; i < 4; ++i) {
    const auto& dim = type.shape().dim(i);
    if (!dim.has_dim_value()) {
      throw Error(ErrorCode::kUnsupported, what,
                  fmt::format("dimension {} is not fixed; only the batch may vary", i));
    }
    if (dim.dim_value() < 1 || dim.dim_value() > kLargest) {
      throw Error(ErrorCode::kBadInput, what,
                  fmt::format("dimension {} is {}; expected 1 to {}", i, dim.dim_value(), kLargest));
    }
    shape.push_back(dim.dim_value());
  }
  if (type.shape().dim(0).dim_value() > 0) fixed_batch_ = type.shape().dim(0).dim_value();
  makers_.emplace(input->name(), -1);
  graph_.input = add_value(input->name(), std::move(shape));
  define(input->name(), Flow{.id = graph_.input});
}

void Importer::find_live_nodes() {
  for (int i = 0; i < proto_.node_size(); ++i) {
    for (const std::string& output : proto_.node(i).output()) {
      if (output.empty()) continue;
      if (!makers_.emplace(output, i).second) {
        throw Error(ErrorCode::kBadInput, where_,
                    fmt::format("tensor '{}' is made twice", printable(output)));
      }
    }
  }
  live_.assign(static_cast<std::size_t>(proto_.node_size()), false);
  std::vector<std::string> pending{proto_.output(0).name()};
  ++readers_[proto_.output(0).name()];
  while (!pending.empty()) {
    const auto maker = makers_.find(pending.back());
    pending.pop_back();
    if (maker == makers_.end() || maker->second < 0 || live_[static_cast<std::size_t>(maker->second)])
      continue;
    live_[static_cast<std::size_t>(maker->second)] = true;
    const onnx::NodeProto& node = proto_.node(maker->second);
    if (node.op_type() == "QuantizeLinear" && node.input_size() > 0)
      quantize_readers_[node.input(0)].push_back(&node);
    for (const std::string& input : node.input()) {
      if (input.empty()) continue;
      ++readers_[input];
      pending.push_back(input);
    }
  }
  std::unordered_set<std::string> needed;
  for (const auto& [name, count] : readers_) needed.insert(name);
  for (int i = 0; i < proto_.initializer_size(); ++i) {
    const onnx::TensorProto& proto = proto_.initializer(i);
    if (!needed.contains(proto.name())) continue;
    const std::string what = fmt::format("{}: initializer '{}'", where_, printable(proto.name()));
    try {
      define(proto.name(), Constant{proto.name(), std::make_shared<Tensor>(read_initializer(i, what)), {}});
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kUnsupported) throw;
      unsupported_.push_back(std::string(error.what()).substr(where_.size() + 2));
      define(proto.name(), Poison{});
    }
  }
}

std::string Importer::missing_tensor(const std::string& name) const {
  const std::string shown = printable(name);
  return makers_.contains(name)
             ? fmt::format("reads '{}' before it is made; expected nodes in order, without cycles", shown)
             : fmt::format("reads '{}', which no node, input or initializer makes", shown);
}

void Importer::note_unsupported(const onnx::NodeProto& node, const std::string& reason) {
  const bool standard = node.domain().empty() || node.domain() == "ai.onnx";
  unsupported_.push_back(fmt::format("'{}' ({}{}, opset {}{}{})", printable(node.name()),
                                     standard ? std::string() : printable(node.domain()) + "::",
                                     printable(node.op_type()), opset_, reason.empty() ? "" : ": ", reason));
}

void Importer::convert(const onnx::NodeProto& node) {
  const std::string what =
      fmt::format("{}: node '{}' ({})", where_, printable(node.name()), printable(node.op_type()));
  if (node.output_size() == 0 || node.output(0).empty())
    throw Error(ErrorCode::kBadInput, what, "has no output");
  const Converter converter = find_converter(node);
  bool poisoned = converter == nullptr;
  if (!converter) note_unsupported(node, "");
  for (const std::string& input : node.input()) {
    if (input.empty()) continue;
    const Symbol* symbol = find(input);
    if (!symbol) throw Error(ErrorCode::kBadInput, what, missing_tensor(input));
    poisoned = poisoned || std::holds_alternative<Poison>(*symbol);
  }
  if (!poisoned) {
    try {
      const std::string name =
          node.name().empty() ? fmt::format("{}_{}", node.op_type(), graph_.nodes.size()) : node.name();
      NodeReader reader(*this, node, node_names_.take(name));
      if (!fold_constants(reader)) converter(reader);
      reader.attributes.finish();
      reader.expect_outputs();
    } catch (const Unsupported& problem) {
      note_unsupported(node, problem.reason);
      poisoned = true;
    }
  }
  if (!poisoned) return;
  for (const std::string& output : node.output()) {
    if (!output.empty()) define(output, Poison{});
  }
}

void Importer::read_output() {
  const std::string& name = proto_.output(0).name();
  const Symbol* symbol = find(name);
  if (!symbol) {
    throw Error(ErrorCode::kBadInput, where_, fmt::format("nothing makes the output '{}'", printable(name)));
  }
  if (std::holds_alternative<Poison>(*symbol)) return;
  const Flow* flow = std::get_if<Flow>(symbol);
  if (!flow || flow->id == graph_.input) {
    throw Error(ErrorCode::kUnsupported, where_,
                fmt::format("output '{}' is not a float tensor computed from the input", printable(name)));
  }
  graph_.output = flow->id;
  Value& value = graph_.value(flow->id);
  if (value.name != name) value.name = unique_value_name(name);
  if (!flow->dequantized) float_readers_.push_back({flow->id, name, "output"});
}

void Importer::check_float_readers() {
  for (const FloatReader& reader : float_readers_) {
    const Value& value = graph_.value(reader.id);
    if (!value.quant) continue;
    unsupported_.push_back(
        fmt::format("'{}' ({}, opset {}: reads '{}' in float while another node reads it quantized)",
                    printable(reader.node), printable(reader.op), opset_, printable(value.name)));
  }
}

void Importer::report_unsupported() const {
  if (unsupported_.empty()) return;
  constexpr std::size_t kMostShown = 50;
  const auto shown = std::span(unsupported_).first(std::min(kMostShown, unsupported_.size()));
  const std::string more = shown.size() < unsupported_.size()
                               ? fmt::format(", and {} more", unsupported_.size() - shown.size())
                               : "";
  throw Error(ErrorCode::kUnsupported, where_,
              fmt::format("{} unsupported: {}{}; expected {}", unsupported_.size(), fmt::join(shown, ", "),
                          more, supported_operators()));
}

Graph Importer::run() {
  read_opset();
  graph_.name = proto_.name().empty() ? "model" : proto_.name();
  for (const onnx::StringStringEntryProto& entry : model_.metadata_props()) {
    if (entry.key().starts_with(kRangePrefix)) {
      ranges_[entry.key().substr(kRangePrefix.size())] = entry.value();
    } else {
      graph_.metadata[entry.key()] = entry.value();
    }
  }
  if (proto_.output_size() == 0) throw Error(ErrorCode::kBadInput, where_, "has no output");
  if (proto_.output_size() > 1) {
    throw Error(ErrorCode::kUnsupported, where_,
                fmt::format("{} outputs; expected one", proto_.output_size()));
  }
  read_initializers();
  read_input();
  find_live_nodes();
  for (int i = 0; i < proto_.node_size(); ++i) {
    if (live_[static_cast<std::size_t>(i)]) convert(proto_.node(i));
  }
  read_output();
  check_float_readers();
  report_unsupported();
  return std::move(graph_);
}

}  // namespace onnx_format

Graph onnx_format::import_model(const ModelFile& file, const std::string& where,
                                const std::filesystem::path& folder, WorkBudget& budget) {
  budget.add_file(file.size());
  try {
    return to_stored_form(Importer(file, where, folder, budget).run(), &budget);
  } catch (const Error& error) {
    // What a shape or a graph says of itself does not name the file.
    if (std::string_view(error.what()).starts_with(where)) throw;
    throw Error(error.code(), where, error.what());
  }
}

Graph parse_onnx(std::span<const std::byte> bytes, const std::string& where) {
  onnx_format::WorkBudget budget(where);
  return onnx_format::import_model(onnx_format::ModelFile(bytes, where), where, {}, budget);
}

Graph load_onnx(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  onnx_format::WorkBudget budget(path.string());
  const auto import = [&](const onnx_format::ModelFile& file) {
    return onnx_format::import_model(file, path.string(), folder, budget);
  };
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    // What cannot be read at any place, such as a pipe.
    const std::vector<std::byte> bytes = read_file(path, std::numeric_limits<std::int32_t>::max());
    return import(onnx_format::ModelFile(bytes, path.string()));
  }
  return import(onnx_format::ModelFile(path));
}

}  // namespace octavo
