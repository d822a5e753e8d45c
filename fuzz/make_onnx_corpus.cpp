/// Writes the ONNX fuzzer's seed corpus: small models that between them hold every operator and every form of
/// quantization. Deterministic.
///   make_onnx_corpus FOLDER
#include <cstdio>
#include <filesystem>

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
    save_onnx(quantize_all(plain_network(), 255, 127, true), folder / "plain-int8.onnx");
    save_onnx(quantize_all(residual_network(), 127, 7, true), folder / "residual-narrow.onnx");
    save_onnx(quantize_all(residual_network(), 255, 127, false), folder / "residual-per-tensor.onnx");
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
  return 0;
}
