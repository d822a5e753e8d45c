/// Writes the ONNX fuzzer's seed corpus: small models that between them hold every operator and every form of
/// quantization. Deterministic.
///   make_onnx_corpus FOLDER
#include <onnx/defs/parser.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "octavo/core/error.h"
#include "octavo/core/file.h"
#include "octavo/core/quant.h"
#include "octavo/graph/builder.h"
#include "octavo/graph/passes.h"
#include "octavo/onnx/onnx.h"

namespace {

using namespace octavo;

Graph plain_network() {
  GraphBuilder b("plain", 2, 6, 6, 1);
  ValueId x = b.conv("conv", b.input(), 3, {.kernel = {3, 3}, .pads = {1, 1, 1, 1}}, true);
  x = b.batch_norm("norm", x);
  x = b.relu("relu", x);
  x = b.max_pool("max", x, {.kernel = {2, 2}, .strides = {2, 2}, .ceil_mode = true});
  x = b.average_pool("average", x, {.kernel = {2, 2}, .strides = {1, 1}, .count_include_pad = true});
  x = b.global_average_pool("global", x);
  x = b.flatten("flatten", x);
  return b.finish(b.gemm("gemm", x, 2));
}

Graph residual_network() {
  GraphBuilder b("residual", 2, 4, 4, 2);
  ValueId x = b.clip("clip", b.conv("first", b.input(), 2, {.group = 2}, false), -1.0F, 6.0F);
  x = b.add("add",
            b.conv("second", x, 2, {.kernel = {3, 1}, .dilations = {2, 1}, .pads = {2, 0, 2, 0}}, true), x);
  x = b.flatten("flatten", b.relu("relu", x));
  return b.finish(b.gemm("gemm", x, 2));
}

Graph gated_network() {
  GraphBuilder b("gated", 2, 4, 4, 3);
  ValueId x = b.silu("silu", b.conv("conv", b.input(), 4, {.kernel = {1, 1}}, true));
  x = b.mul("excite", x, b.hard_sigmoid("gate", b.global_average_pool("squeeze", x)));
  x = b.concat("concat", {b.gelu("gelu", b.slice("left", x, 1, 0, 2)),
                          b.hard_swish("swish", b.slice("right", x, 1, 3, 1, -1))});
  x = b.prelu("prelu", b.leaky_relu("leaky", x, 0.1F));
  x = b.transpose("shuffle", b.reshape("groups", x, {kDynamic, 2, 2, 4, 4}), {0, 2, 1, 3, 4});
  x = b.reshape("together", x, {kDynamic, 4, 4, 4});
  x = b.pad("pad", x, {0, 0, 1, 0}, {0, 0, 0, 2}, 1.0F);
  x = b.flatten("flatten", b.global_max_pool("max", x));
  return b.finish(b.softmax("softmax", b.gemm("gemm", x, 2)));
}

Graph token_network() {
  GraphBuilder b("token", 2, 3, 3, 4);
  ValueId x = b.transpose("last", b.input(), {0, 2, 3, 1});
  const ValueId centered = b.sub("center", x, b.reduce_mean("mean", x, {3}));
  const ValueId variance = b.reduce_mean("variance", b.pow("square", centered, 2.0F), {3});
  const ValueId epsilon = b.constant("epsilon", Tensor::from<float>({1}, std::vector<float>{1e-5F}));
  x = b.div("normalize", centered, b.sqrt("deviation", b.add("shift", variance, epsilon)));
  x = b.erf("erf", b.matmul("matmul", x, 3));
  x = b.reduce_mean("pool", x, {1, 2}, false);
  return b.finish(b.log_softmax("log", b.sigmoid("sigmoid", x)));
}

/// What exporters write and Octavo does not, in ONNX's text form.
constexpr const char* kShapeChain =
    R"(<ir_version: 7, opset_import: ["" : 13]> shapes (float[N,2,2,2] x) => (float[N,8] y) <int64 zero = {0}, int64[1] first = {0}, int64[1] rest = {-1}, int64[2] halves = {1, 1}> {
  h = Shape(x) n = Gather(h, zero) u = Unsqueeze(n, first) s = Concat<axis=0>(u, rest)
  a, b = Split<axis=1>(x, halves) c = Concat<axis=-3>(b, a) d = Dropout(c) y = Reshape(d, s)})";
constexpr const char* kOldForms =
    R"(<ir_version: 3, opset_import: ["" : 9]> old (float[1,2,4,4] x) => (float[1,2] y) {
  a = Clip<min=0.0, max=6.0>(x) b = Pad<pads=[0,0,1,0,0,0,0,1], value=1.0>(a) c = Slice<axes=[2], starts=[1], ends=[3]>(b)
  d, e = Split<axis=3, split=[2,3]>(c) f = Softmax<axis=2>(d) g = ReduceMean<axes=[2,3], keepdims=0>(f) h = Unsqueeze<axes=[2]>(g)
  i = Squeeze<axes=[2]>(h) j = Cast<to=1>(i) y = LogSoftmax(j)})";
constexpr const char* kOperatorsOnIntegers =
    R"(<ir_version: 7, opset_import: ["" : 13, "com.microsoft" : 1]> integers (float[N,1,2,2] x) => (float[N,2] y) <float s = {0.5}, int8 z = {-3}, int8[1,1,1,1] w = {7}, float[1] ws = {0.1}, int8[1] wz = {0}, int32[1] b = {5}, int8[1,2] m = {3,-4}> {
  q = QuantizeLinear(x, s, z) c = QLinearConv(q, s, z, w, ws, wz, s, z, b) a = com.microsoft.QLinearAdd(c, s, z, q, s, z, s, z)
  p = com.microsoft.QLinearGlobalAveragePool(a, s, z, s, z) f = Flatten(p) r = QLinearMatMul(f, s, z, m, ws, wz, s, z) y = DequantizeLinear(r, s, z)})";

constexpr const char* kBranches =
    R"(<ir_version: 8, opset_import: ["" : 13]> branches (float[N,1,2,2] x) => (float[N,4] y) <int64 three = {3}, int64 two = {2}, bool no = {0}> {
  s = Shape(x) w = Gather(s, three) c = Equal(w, two)
  h = If(c) <then_branch = t () => (float[N,4] a) { b = If(no) <then_branch = u () => (float[N,4] a) {a = Flatten(x)}, else_branch = v () => (float[N,4] d) {e = Neg(x) d = Flatten(e)}> a = Relu(b)},
             else_branch = z () => (float[N,4] a) {a = Flatten(x)}>
  y = Abs(h)})";
constexpr const char* kCalls =
    R"(<ir_version: 8, opset_import: ["" : 13, "p" : 1]> calls (float[N,1,2,2] x) => (float[N,4] y) {
  a = p.F<slope = 0.5>(x) b = p.G(a) y = Flatten(b)})";
constexpr const char* kFunctions[] = {
    R"(<opset_import: ["" : 13], domain: "p"> F <slope> (v) => (w) {w = LeakyRelu(v)})",
    R"(<opset_import: ["" : 13, "p" : 1], domain: "p"> G (v) => (w) {u = p.F(v) w = Add(u, v)})"};
constexpr const char* kWindows =
    R"(<ir_version: 8, opset_import: ["" : 13]> windows (float[N,2,4,4] x) => (float[N,8] y) <float[2,1,2,2] w = {1,2,3,4,5,6,7,8}> {
  a = ConvTranspose<strides = [2,2], group = 2, pads = [1,1,1,1]>(x, w) b = MaxPool<kernel_shape = [2,2], dilations = [2,3], pads = [1,1,0,0], strides = [2,1]>(a)
  c = Einsum<equation = "nchw->nhwc">(b) y = Flatten(c)})";
/// To be in other number formats: w in 4 bits, the zero point z in 16.
constexpr const char* kFormats =
    R"(<ir_version: 10, opset_import: ["" : 21]> formats (float[N,1,2,2] x) => (float[N,2] y) <float s = {0.5}, float[4,1] t = {0.1, 0.2, 0.3, 0.4}> {
  q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) f = Flatten(d) k = DequantizeLinear<axis = 1, block_size = 2>(w, t)
  g = MatMul(f, k) y = Mul(g, v)})";

onnx::ModelProto parsed(const char* text) {
  onnx::ModelProto model;
  const auto status = onnx::OnnxParser::Parse(model, text);
  if (!status.IsOK()) throw Error(ErrorCode::kInternal, text, status.ErrorMessage());
  return model;
}

void write_text(const std::filesystem::path& path, const char* text) {
  write_file(path, parsed(text).SerializeAsString());
}

onnx::ModelProto calls_of_functions() {
  onnx::ModelProto model = parsed(kCalls);
  for (const char* text : kFunctions) {
    onnx::OnnxParser parser(text);
    const auto status = parser.Parse(*model.add_functions());
    if (!status.IsOK()) throw Error(ErrorCode::kInternal, text, status.ErrorMessage());
  }
  onnx::AttributeProto& alpha = *model.mutable_functions(0)->mutable_node(0)->add_attribute();
  alpha.set_name("alpha");
  alpha.set_ref_attr_name("slope");
  alpha.set_type(onnx::AttributeProto::FLOAT);
  return model;
}

void add_raw(onnx::GraphProto& graph, const char* name, int type, const std::vector<int>& shape,
             const std::string& raw) {
  onnx::TensorProto& tensor = *graph.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(type);
  for (const int size : shape) tensor.add_dims(size);
  tensor.set_raw_data(raw);
}

onnx::ModelProto number_formats() {
  onnx::ModelProto model = parsed(kFormats);
  onnx::GraphProto& graph = *model.mutable_graph();
  add_raw(graph, "w", 22, {4, 2}, "\x12\x34\x9a\xf0");
  add_raw(graph, "z", onnx::TensorProto::UINT16, {}, std::string("\x00\x80", 2));
  onnx::SparseTensorProto& sparse = *graph.add_sparse_initializer();
  sparse.add_dims(2);
  sparse.mutable_values()->set_name("v");
  sparse.mutable_values()->set_data_type(onnx::TensorProto::FLOAT);
  sparse.mutable_values()->add_dims(1);
  sparse.mutable_values()->add_float_data(2);
  sparse.mutable_indices()->set_data_type(onnx::TensorProto::INT64);
  sparse.mutable_indices()->add_dims(1);
  sparse.mutable_indices()->add_int64_data(1);
  return model;
}

/// Annotates with made-up scales: the file's form is what counts.
Graph quantize_all(const Graph& graph, std::int32_t activation_qmax, std::int32_t weight_qmax,
                   bool per_channel) {
  Graph result = fold_batch_norm(graph);
  result.value(result.input).quant = activation_params(0.02F, 100, 0, activation_qmax);
  for (const FusedGroup& group : fuse(result)) {
    const Node& anchor = result.nodes[static_cast<std::size_t>(group.anchor)];
    if (group.output != result.output)
      result.value(group.output).quant = activation_params(0.05F, 3, 0, activation_qmax);
    if (anchor.op != Op::kConv && anchor.op != Op::kGemm) continue;
    Value& weight = result.value(anchor.inputs[1]);
    const auto channels = static_cast<std::size_t>(weight.shape[0]);
    weight.quant = per_channel ? weight_params(std::vector<float>(channels, 0.01F), 0, weight_qmax)
                               : weight_params({0.01F}, QuantParams::kPerTensor, weight_qmax);
  }
  return result;
}

}  // namespace

int main(int count, char** words) {
  if (count != 2) {
    std::fputs("usage: make_onnx_corpus FOLDER\n", stderr);
    return 2;
  }
  try {
    const std::filesystem::path folder = words[1];
    make_writable_folder(folder);
    Graph with_metadata = plain_network();
    with_metadata.metadata = {{"octavo.classes", "a\nb"}, {"octavo.mean", "0.5,0.5"}};
    save_onnx(with_metadata, folder / "plain.onnx");
    save_onnx(fold_batch_norm(plain_network()), folder / "folded.onnx");
    save_onnx(residual_network(), folder / "residual.onnx");
    save_onnx(gated_network(), folder / "gated.onnx");
    save_onnx(quantize_all(gated_network(), 255, 127, true), folder / "gated-int8.onnx");
    save_onnx(token_network(), folder / "token.onnx");
    write_text(folder / "shapes.onnx", kShapeChain);
    write_text(folder / "old-forms.onnx", kOldForms);
    write_text(folder / "integers.onnx", kOperatorsOnIntegers);
    write_text(folder / "branches.onnx", kBranches);
    write_text(folder / "windows.onnx", kWindows);
    write_file(folder / "calls.onnx", calls_of_functions().SerializeAsString());
    write_file(folder / "formats.onnx", number_formats().SerializeAsString());
    save_onnx(quantize_all(plain_network(), 255, 127, true), folder / "plain-int8.onnx");
    save_onnx(quantize_all(residual_network(), 127, 7, true), folder / "residual-narrow.onnx");
    save_onnx(quantize_all(residual_network(), 255, 127, false), folder / "residual-per-tensor.onnx");
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
  return 0;
}
