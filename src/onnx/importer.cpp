#include "importer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "converters.h"
#include "external_data.h"
#include "octavo/core/error.h"
#include "octavo/core/finite.h"
#include "quantization.h"
#include "tensor_proto.h"

namespace octavo::onnx_format {

namespace {

std::string counted_dimensions(const onnx::TensorShapeProto& shape) {
  std::vector<std::string> sizes;
  for (const auto& dim : shape.dim()) {
    const std::string name = dim.dim_param().empty() ? "?" : printable(dim.dim_param());
    sizes.push_back(dim.has_dim_value() ? std::to_string(dim.dim_value()) : name);
    if (sizes.size() == 8) break;
  }
  return fmt::format("[{}]", fmt::join(sizes, ", "));
}

}  // namespace

Importer::Importer(const ModelFile& file, std::string where, DataFolders folders, WorkBudget& budget,
                   ImportOptions options)
    : file_(file),
      model_(file.model()),
      proto_(model_.graph()),
      where_(std::move(where)),
      folders_(std::move(folders)),
      options_(std::move(options)),
      budget_(budget),
      nodes_(model_, where_, budget) {}

const Symbol* Importer::find(const std::string& name) const {
  const auto found = symbols_.find(name);
  return found == symbols_.end() ? nullptr : &found->second;
}

void Importer::define(const std::string& name, Symbol symbol) {
  symbols_.insert_or_assign(name, std::move(symbol));
}

bool Importer::read_as_same_integers(const std::string& name) {
  const auto [known, is_new] = same_integers_.try_emplace(name, false);
  if (is_new) known->second = compare_integer_readers(name);
  return known->second;
}

bool Importer::compare_integer_readers(const std::string& name) {
  const std::vector<const onnx::NodeProto*>& all = nodes_.quantize_readers(name);
  if (all.empty() || static_cast<int>(all.size()) != readers(name)) return false;
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
  return std::ranges::all_of(
      all, [&](const onnx::NodeProto* node) { return same(*all[0], *node, 1) && same(*all[0], *node, 2); });
}

void Importer::annotate(const Integers& integers) {
  std::optional<QuantParams>& quant = graph_.value(integers.id).quant;
  if (quant && *quant != integers.quant)
    throw Unsupported{"quantizes a tensor for the second time, differently"};
  quant = integers.quant;
}

Tensor Importer::read(const onnx::TensorProto& proto, const std::string& what) {
  if (!is_external(proto)) return read_tensor(proto, what);
  return read_external_tensor(proto, folders_, what, budget_);
}

Tensor Importer::read(const StoredTensor& stored, const std::string& what) {
  if (stored.sparse) return read_sparse(*stored.sparse, what);
  const onnx::TensorProto& proto = *stored.dense;
  if (!stored.initializer || !file_.raw_data(*stored.initializer) || is_external(proto))
    return read(proto, what);
  const Extent& raw = *file_.raw_data(*stored.initializer);
  return tensor_from_raw(read_type(proto, what), raw.size, what, [&](std::byte* to) { file_.read(raw, to); });
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
  opset_ = standard_opset(model_.opset_import(), 0);
  // Later ones are read operator by operator: what changed shows in a node's operands and attributes.
  if (opset_ < 7) {
    throw Error(ErrorCode::kUnsupported, where_, fmt::format("ONNX opset {}; expected 7 or later", opset_));
  }
}

/// What ArgMax chooses a class from, if that is what makes `output`, by way of Cast, Identity or Squeeze too;
/// else `output` itself. Whoever evaluates chooses the class, and wants the numbers.
std::string Importer::without_arg_max(const std::string& output) const {
  std::string name = output;
  for (int step = 0; step < nodes_.size(); ++step) {  // More would be a cycle.
    const NodeTable::Maker* maker = nodes_.maker(name);
    if (!maker || maker->kind != NodeTable::Maker::Kind::kNode) return output;
    const onnx::NodeProto& node = nodes_.node(maker->index);
    if (node.input_size() == 0) return output;
    if (node.op_type() == "ArgMax") {
      AttributeReader attributes(node, where_);
      const std::int64_t axis = attributes.integer("axis", 0);
      return axis == 1 || axis == -1 ? node.input(0) : output;
    }
    if (node.op_type() != "Cast" && node.op_type() != "Identity" && node.op_type() != "Squeeze")
      return output;
    name = node.input(0);
  }
  return output;
}

void Importer::read_stored(const std::string& name, const StoredTensor& stored) {
  const std::string what = fmt::format("{}: initializer '{}'", where_, printable(name));
  try {
    const onnx::TensorProto& proto = stored.sparse ? stored.sparse->values() : *stored.dense;
    define(name, Constant{name, std::make_shared<Tensor>(read(stored, what)), {}, proto.data_type()});
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnsupported) throw;
    // It begins with the tensor's place, or with the file's where all of the file is at fault.
    const std::string text = error.what();
    const std::string problem = text.substr((text.starts_with(what) ? what : where_).size() + 2);
    note_unsupported(fmt::format("initializer '{}'", printable(name)), problem);
    define(name, Poison{});
  }
}

/// The node that has to be converted before `name` means something. Stored tensors are read here.
std::optional<int> Importer::wanted_node(const std::string& name) {
  const NodeTable::Maker* maker = nodes_.maker(name);
  if (!maker) return std::nullopt;
  if (maker->kind == NodeTable::Maker::Kind::kStored && !find(name))
    read_stored(name, nodes_.stored(maker->index));
  if (maker->kind != NodeTable::Maker::Kind::kNode) return std::nullopt;
  const State& state = states_[static_cast<std::size_t>(maker->index)];
  return state == State::kNew ? std::optional(maker->index) : std::nullopt;
}

/// Converts a node behind those that it reads: files should have nodes in order; some have not, and what the
/// branch of an If reads shows when it is entered. Of a cycle, convert() says what it reads too early.
void Importer::make(int first) {
  struct Visit {
    int node, next_input;
  };
  std::vector<Visit> open;
  const auto begin = [&](int node) {
    states_[static_cast<std::size_t>(node)] = State::kOpen;
    open.push_back({node, 0});
  };
  begin(first);
  while (!open.empty()) {
    Visit& visit = open.back();
    const onnx::NodeProto& node = nodes_.node(visit.node);
    if (visit.next_input < node.input_size()) {
      // An If gives way to what makes its outputs in the branch: asked for again, there is more to do.
      if (const std::optional<int> wanted = wanted_node(node.input(visit.next_input))) {
        begin(*wanted);
      } else {
        ++visit.next_input;
      }
      continue;
    }
    const int done = visit.node;
    open.pop_back();
    convert(done);
    states_.resize(static_cast<std::size_t>(nodes_.size()), State::kNew);
    states_[static_cast<std::size_t>(done)] = State::kDone;
  }
}

void Importer::make_live() {
  nodes_.find_live(output_);
  const int written = nodes_.size();
  states_.assign(static_cast<std::size_t>(written), State::kNew);
  for (int i = 0; i < written; ++i) {
    if (nodes_.live(i) && states_[static_cast<std::size_t>(i)] == State::kNew) make(i);
  }
  while (const std::optional<int> last = wanted_node(output_)) make(*last);
}

std::string Importer::missing_tensor(const std::string& name) const {
  const std::string shown = printable(name);
  return nodes_.maker(name) ? fmt::format("reads '{}' before it is made; expected no cycles", shown)
                            : fmt::format("reads '{}', which no node, input or initializer makes", shown);
}

void Importer::note_unsupported(const std::string& subject, const std::string& problem) {
  const auto [known, is_new] = refusals_.try_emplace(problem, unsupported_.size());
  if (is_new) unsupported_.push_back({.first = subject, .problem = problem});
  ++unsupported_[known->second].count;
}

void Importer::note_unsupported(const onnx::NodeProto& node, const std::string& reason) {
  note_unsupported(
      fmt::format("'{}'", printable(node.name())),
      fmt::format("{}{}, opset {}{}{}", is_standard(node) ? std::string() : printable(node.domain()) + "::",
                  printable(node.op_type()), opset_, reason.empty() ? "" : ": ", reason));
}

/// Puts the nodes of the branch that is taken in place of an If. Throws Unsupported if that is not known.
void Importer::enter_branch(int index) {
  const onnx::NodeProto& node = nodes_.node(index);
  const auto* condition = std::get_if<Constant>(find(node.input(0)));
  if (!condition) throw Unsupported{"a condition that depends on the image"};
  const Tensor& value = *condition->tensor;
  if (value.size() != 1 || value.dtype() != DType::kUInt8 || condition->quant)
    throw Unsupported{"a condition that is not one boolean"};
  const std::string_view taken = value.data<std::uint8_t>()[0] != 0 ? "then_branch" : "else_branch";
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.name() == taken && attribute.has_g()) return nodes_.enter(index, attribute.g());
  }
  throw Unsupported{fmt::format("without attribute '{}'", taken)};
}

void Importer::convert(int index) {
  const onnx::NodeProto& node = nodes_.node(index);
  opset_ = nodes_.opset(index);
  const std::string what =
      fmt::format("{}: node '{}' ({})", where_, printable(node.name()), printable(node.op_type()));
  if (node.output_size() == 0 || node.output(0).empty())
    throw Error(ErrorCode::kBadInput, what, "has no output");
  const bool branches = is_standard(node) && node.op_type() == "If" && node.input_size() == 1;
  const Converter converter = branches ? nullptr : find_converter(node);
  bool poisoned = !branches && converter == nullptr;
  if (poisoned) note_unsupported(node, "");
  for (const std::string& input : node.input()) {
    if (input.empty()) continue;
    const Symbol* symbol = find(input);
    if (!symbol) throw Error(ErrorCode::kBadInput, what, missing_tensor(input));
    poisoned = poisoned || std::holds_alternative<Poison>(*symbol);
  }
  if (!poisoned) {
    try {
      if (branches) return enter_branch(index);
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

/// The batch of one image that a file fixes, first again; kNoValue where there may be more images.
ValueId Importer::batch_first(const Flow& flow) {
  if (fixed_batch_ != 1) return kNoValue;
  Shape file = file_shape(graph_.value(flow.id).shape, flow.view);
  // A row of classes, without a batch.
  if (file.size() == 1 && !flow.view.position) return flow.id;
  if (file.empty() || file[0] != 1) return kNoValue;
  const ValueId id = add_value(graph_.value(flow.id).name + "_batch", value_shape(file, {}));
  Node node{.name = node_names_.take(graph_.value(id).name),
            .op = Op::kReshape,
            .inputs = {flow.id},
            .output = id,
            .attributes = ReshapeAttributes{graph_.value(id).shape}};
  graph_.nodes.push_back(std::move(node));
  return id;
}

/// The output that is asked for, the only one, or the only one that can be [N, classes] by its rank.
std::string Importer::choose_output() const {
  std::vector<std::string> shown;
  std::vector<std::string> of_two_dimensions;
  for (const onnx::ValueInfoProto& output : proto_.output()) {
    if (output.name() == options_.output && !options_.output.empty()) return output.name();
    const auto& type = output.type().tensor_type();
    const bool known = output.type().has_tensor_type() && type.has_shape();
    if (known && type.shape().dim_size() == 2) of_two_dimensions.push_back(output.name());
    shown.push_back(fmt::format("'{}'", printable(output.name())));
    if (known) shown.back() += " of " + counted_dimensions(type.shape());
  }
  constexpr std::size_t kMostShown = 20;
  if (shown.size() > kMostShown) {
    shown.resize(kMostShown);
    shown.emplace_back("...");
  }
  if (!options_.output.empty()) {
    throw Error(ErrorCode::kUsage, where_,
                fmt::format("has no output '{}'; expected one of {}", printable(options_.output),
                            fmt::join(shown, ", ")));
  }
  if (proto_.output_size() == 1) return proto_.output(0).name();
  if (of_two_dimensions.size() == 1) return of_two_dimensions[0];
  throw Error(ErrorCode::kUnsupported, where_,
              fmt::format("{} outputs; expected one, or the name of one that is [N, classes] (--output): {}",
                          proto_.output_size(), fmt::join(shown, ", ")));
}

void Importer::read_output() {
  const std::string& name = output_;
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
  if (!flow->dequantized) float_readers_.push_back({flow->id, name, "output"});
  graph_.output = flow->view.plain() ? flow->id : batch_first(*flow);
  if (graph_.output == kNoValue) {
    note_unsupported(fmt::format("output '{}'", printable(name)), describe(flow->view));
    return;
  }
  Value& value = graph_.value(graph_.output);
  if (value.name != name) value.name = unique_value_name(name);
}

void Importer::check_float_readers() {
  for (const FloatReader& reader : float_readers_) {
    const Value& value = graph_.value(reader.id);
    if (!value.quant) continue;
    note_unsupported(fmt::format("'{}'", printable(reader.node)),
                     fmt::format("{}, opset {}: reads '{}' in float while another node reads it quantized",
                                 printable(reader.op), opset_, printable(value.name)));
  }
}

void Importer::report_unsupported() const {
  if (unsupported_.empty()) return;
  // Every kind is named, with the first that is of it; a hostile file may have as many as nodes.
  constexpr std::size_t kMostShown = 50;
  std::vector<std::string> shown;
  int count = 0;
  bool dynamic = false;
  for (const Refusal& refusal : unsupported_) {
    count += refusal.count;
    dynamic = dynamic || refusal.problem.starts_with("DynamicQuantizeLinear,");
    if (shown.size() == kMostShown) continue;
    shown.push_back(refusal.count == 1 ? fmt::format("{} ({})", refusal.first, refusal.problem)
                                       : fmt::format("{} and {} more ({})", refusal.first, refusal.count - 1,
                                                     refusal.problem));
  }
  if (shown.size() < unsupported_.size())
    shown.push_back(fmt::format("and {} kinds more", unsupported_.size() - shown.size()));
  throw Error(ErrorCode::kUnsupported, where_,
              fmt::format("{} unsupported: {}; {}", count, fmt::join(shown, ", "),
                          dynamic ? "expected the float model that this one was quantized from, at run time, "
                                    "image by image (octavo ptq quantizes it ahead)"
                                  : "expected operators that docs/onnx.md lists"));
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
  read_input();
  output_ = without_arg_max(choose_output());
  make_live();
  opset_ = standard_opset(model_.opset_import(), 0);
  read_output();
  check_float_readers();
  report_unsupported();
  return std::move(graph_);
}

}  // namespace octavo::onnx_format
