/// Files of transformers, which move the batch or merge it with another dimension between two operators: each
/// form with an open batch, its sizes as -1 or computed, and with a fixed one, against ONNX Runtime.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "octavo/core/file.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/onnx/onnx.h"
#include "octavo/runtime/reference.h"
#include "octavo/runtime/runtime.h"
#include "onnx/models.h"
#include "onnx/protos.h"
#include "support/ort.h"

namespace octavo {
namespace {

using testing::HasSubstr;

enum class Batch : std::uint8_t { kOpen, kComputed, kOne, kTwo };

std::string name_of(Batch batch) {
  switch (batch) {
    case Batch::kOpen:
      return "Open";
    case Batch::kComputed:
      return "Computed";
    case Batch::kOne:
      return "One";
    case Batch::kTwo:
      return "Two";
  }
  return "";
}

/// `count` times the batch, or a number alone.
struct Size {
  std::int64_t count = 1;
  bool batch = false;
};
Size n(std::int64_t count = 1) { return {count, true}; }

/// The text of a model of x [N, 3, 8, 8] under construction.
class Text {
 public:
  explicit Text(Batch batch, int opset = 13) : batch_(batch), opset_(opset) {
    if (batch == Batch::kComputed)
      body_ += "zero = Constant<value = int64[1] {0}>() shape = Shape(x) n = Gather(shape, zero) ";
  }

  Text& add(const std::string& nodes) {
    body_ += nodes + " ";
    return *this;
  }
  /// `values`: numbers, with commas.
  Text& integers(const std::string& name, const std::string& values) {
    const auto count = 1 + std::count(values.begin(), values.end(), ',');
    return add(fmt::format("{} = Constant<value = int64[{}] {{{}}}>()", name, count, values));
  }
  Text& index(const std::string& name, std::int64_t value) {
    return add(fmt::format("{} = Constant<value = int64 {{{}}}>()", name, value));
  }
  /// A constant drawn at random.
  Text& random(const std::string& name, const Shape& shape) {
    Tensor tensor(shape, DType::kFloat32);
    std::normal_distribution<float> normal(0, 0.5F);
    for (float& value : tensor.data<float>()) value = normal(engine_);
    constants_.emplace_back(name, std::move(tensor));
    return *this;
  }
  Text& reshape(const std::string& to, const std::string& from, const std::vector<Size>& sizes) {
    std::vector<std::string> parts;
    std::vector<std::string> numbers;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const std::int64_t images = batch_ == Batch::kTwo ? 2 : 1;
      const bool symbol = sizes[i].batch && (batch_ == Batch::kOpen || batch_ == Batch::kComputed);
      const std::string number =
          symbol ? "-1" : std::to_string(sizes[i].count * (sizes[i].batch ? images : 1));
      numbers.push_back(number);
      const std::string part = fmt::format("{}_{}", to, i);
      parts.push_back(part);
      if (batch_ != Batch::kComputed) continue;
      integers(part + (symbol ? "k" : ""), symbol ? std::to_string(sizes[i].count) : number);
      if (symbol) add(fmt::format("{} = Mul(n, {}k)", part, part));
    }
    if (batch_ == Batch::kComputed) {
      add(fmt::format("{}_to = Concat<axis=0>({})", to, fmt::join(parts, ", ")));
    } else {
      integers(to + "_to", fmt::format("{}", fmt::join(numbers, ",")));
    }
    return add(fmt::format("{} = Reshape({}, {}_to)", to, from, to));
  }
  Text& transpose(const std::string& to, const std::string& from, const std::string& permutation) {
    return add(fmt::format("{} = Transpose<perm=[{}]>({})", to, permutation, from));
  }

  onnx::ModelProto model() const {
    const std::string images = batch_ == Batch::kTwo ? "2" : batch_ == Batch::kOne ? "1" : "N";
    onnx::ModelProto proto = test::model_from_text(fmt::format(
        "<ir_version: 7, opset_import: [\"\" : {}]> g (float[{},3,8,8] x) => (float[{},M] y) {{{}}}", opset_,
        images, images, body_));
    for (const auto& [name, tensor] : constants_) test::add_initializer(proto, name, tensor);
    return proto;
  }

 private:
  Batch batch_;
  int opset_;
  std::string body_;
  std::vector<std::pair<std::string, Tensor>> constants_;
  std::mt19937 engine_{3};
};

float difference(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  if (a.size() != b.size()) return 1;
  float result = 0;
  for (std::size_t i = 0; i < a.size(); ++i) result = std::max(result, std::abs(a[i] - b[i]));
  return result;
}

/// Four images through the interpreter, through what is compiled and through ONNX Runtime.
void expect_as_onnx_runtime(const onnx::ModelProto& model, Batch batch) {
  Graph graph;
  ASSERT_NO_THROW(graph = test::import_model(model)) << test::import_error(model);
  EXPECT_EQ(parse_onnx(serialize_onnx(graph), "again.onnx"), graph);
  const Tensor input = test::random_input(graph, 4);
  const Tensor reference = interpret(graph, input);
  const auto ours = reference.data<float>();
  const CompiledModel compiled(graph, {.max_batch = 4, .threads = 1, .observe = {}});
  CompiledModel::Context context(compiled);
  std::vector<float> logits(ours.size());
  compiled.run(context, input.data<float>(), 4, logits);
  EXPECT_LT(difference(logits, ours), 1e-5F);
  if (const std::string why = test::why_no_onnx_runtime(); !why.empty()) GTEST_SKIP() << why;
  const TemporaryFolder folder;
  write_file(folder / "model.onnx", test::to_bytes(model));
  const std::int64_t images = batch == Batch::kOne ? 1 : batch == Batch::kTwo ? 2 : 4;
  EXPECT_LT(difference(ours, test::onnx_runtime_logits(folder / "model.onnx", input,
                                                       {.modules = {}, .batch = images, .optimize = false})),
            1e-5F);
}

class Views : public testing::TestWithParam<Batch> {};

/// x as `tokens` of 64 / tokens * 3 numbers... of 16 patches: [N, 16, 12].
Text tokens(Batch batch) {
  Text text(batch);
  text.reshape("patches", "x", {n(), {3}, {4}, {2}, {4}, {2}});
  text.transpose("ordered", "patches", "0,2,4,1,3,5");
  text.reshape("tokens", "ordered", {n(), {16}, {12}});
  return text;
}

/// softmax(q k^T / 2 + ...) v with k transposed by `turn`.
void attention(Text& text, const std::string& turn, const std::string& plus = "") {
  text.add("half = Constant<value = float {0.5}>()");
  text.transpose("kt", "k", turn);
  text.add("products = MatMul(q, kt) scaled = Mul(products, half)");
  text.add(plus.empty() ? "logits = Identity(scaled)" : plus);
  text.add("weights = Softmax<axis=-1>(logits) mixed = MatMul(weights, v)");
}

/// As timm writes it: queries, keys and values in front of the batch.
Text timm(Batch batch, bool split) {
  Text text = tokens(batch);
  text.random("w", {12, 36}).random("b", {36}).add("p = MatMul(tokens, w) qkv = Add(b, p)");
  text.reshape("r", "qkv", {n(), {16}, {3}, {2}, {6}}).transpose("t", "r", "2,0,3,1,4");
  if (split) {
    text.integers("axis0", "0").add("q1, k1, v1 = Split<axis=0>(t)");
    for (const std::string name : {"q", "k", "v"}) text.add(fmt::format("{0} = Squeeze({0}1, axis0)", name));
  } else {
    std::int64_t i = 0;
    for (const std::string name : {"q", "k", "v"}) {
      text.index("at" + name, i++);
      text.add(fmt::format("{0} = Gather<axis=0>(t, at{0})", name));
    }
  }
  attention(text, "0,1,3,2");
  text.transpose("back", "mixed", "0,2,1,3").reshape("joined", "back", {n(), {16}, {12}});
  return text.add("y = ReduceMean<axes=[1], keepdims=0>(joined)");
}

TEST_P(Views, QueriesKeysAndValuesInFrontOfTheBatch) {
  for (const bool split : {false, true}) expect_as_onnx_runtime(timm(GetParam(), split).model(), GetParam());
}

/// As PyTorch writes nn.MultiheadAttention: the batch behind the tokens, then merged with the heads, then
/// with the tokens. `merged`: the products are of [N * heads, T, d].
Text multihead(Batch batch, bool merged) {
  Text text = tokens(batch);
  text.transpose("t", "tokens", "1,0,2");
  text.random("w", {12, 36}).random("b", {36}).add("p = MatMul(t, w) qkv = Add(b, p)");
  text.reshape("r", "qkv", {{16}, n(), {3}, {12}}).integers("u0", "0").integers("u3", "3");
  text.add("u = Unsqueeze(r, u0)").transpose("turned", "u", "3,1,2,0,4").add("s = Squeeze(turned, u3)");
  std::int64_t i = 0;
  for (const std::string name : {"q", "k", "v"}) {
    text.index("at" + name, i++);
    text.add(fmt::format("{0}1 = Gather<axis=0>(s, at{0})", name));
    text.reshape(name + "2", name + "1", {{16}, n(2), {6}});
    text.transpose(merged ? name : name + "3", name + "2", "1,0,2");
    if (!merged) text.reshape(name, name + "3", {n(), {2}, {16}, {6}});
  }
  attention(text, merged ? "0,2,1" : "0,1,3,2");
  if (merged) {
    text.transpose("back", "mixed", "1,0,2");
  } else {
    text.transpose("back", "mixed", "2,0,1,3");
  }
  text.reshape("rows", "back", {n(16), {12}});
  text.random("o", {12, 12}).random("c", {12}).add("projected = Gemm<transB=1, alpha=0.5>(rows, o, c)");
  text.reshape("sequence", "projected", {{16}, n(), {12}}).transpose("first", "sequence", "1,0,2");
  text.random("scale", {12}).random("shift", {12});
  text.add("sum = Add(first, tokens)").index("token", 0);
  return text.add("y = Gather<axis=1>(sum, token)");
}

TEST_P(Views, TheBatchBehindTheTokensAndMergedWithTheHeads) {
  for (const bool merged : {false, true})
    expect_as_onnx_runtime(multihead(GetParam(), merged).model(), GetParam());
}

/// Windows of 4 x 4 of an image of 8 x 8, rolled by 2, as images of their own.
Text swin(Batch batch) {
  Text text(batch);
  text.transpose("last", "x", "0,2,3,1");
  text.integers("a1", "1").integers("a2", "2").integers("s0", "0").integers("s2", "2").integers("end", "8");
  text.add("top = Slice(last, s0, s2, a1) low = Slice(last, s2, end, a1) down = Concat<axis=1>(low, top)");
  text.add("l = Slice(down, s0, s2, a2) r = Slice(down, s2, end, a2) rolled = Concat<axis=2>(r, l)");
  text.reshape("split", "rolled", {n(), {2}, {4}, {2}, {4}, {3}}).transpose("apart", "split", "0,1,3,2,4,5");
  text.reshape("windows", "apart", {n(4), {16}, {3}});
  text.random("w", {3, 36}).random("b", {36}).add("p = MatMul(windows, w) qkv = Add(p, b)");
  text.reshape("r3", "qkv", {n(4), {16}, {3}, {2}, {6}}).transpose("t", "r3", "2,0,3,1,4");
  std::int64_t i = 0;
  for (const std::string name : {"q", "k", "v"}) {
    text.index("at" + name, i++);
    text.add(fmt::format("{0} = Gather<axis=0>(t, at{0})", name));
  }
  text.random("bias", {1, 2, 16, 16}).random("mask", {1, 4, 1, 16, 16});
  text.transpose("kt", "k", "0,1,3,2").add("products = MatMul(q, kt) biased = Add(products, bias)");
  text.reshape("images", "biased", {n(), {4}, {2}, {16}, {16}}).add("masked = Add(images, mask)");
  text.reshape("logits", "masked", {n(4), {2}, {16}, {16}});
  text.add("weights = Softmax<axis=-1>(logits) mixed = MatMul(weights, v)");
  text.transpose("back", "mixed", "0,2,1,3").reshape("joined", "back", {n(4), {16}, {12}});
  text.random("o", {12, 3})
      .add("out = MatMul(joined, o)")
      .reshape("grid", "out", {n(), {2}, {2}, {4}, {4}, {3}});
  text.transpose("whole", "grid", "0,1,3,2,4,5").reshape("map", "whole", {n(), {8}, {8}, {3}});
  return text.add("sum = Add(map, last) y = ReduceMean<axes=[1,2], keepdims=0>(sum)");
}

TEST_P(Views, WindowsAreImagesForAWhile) { expect_as_onnx_runtime(swin(GetParam()).model(), GetParam()); }

TEST_P(Views, UnsqueezedSqueezedAndFlattenedBatches) {
  Text text(GetParam());
  text.integers("zero1", "0").integers("both", "0,2");
  text.add("a = Unsqueeze(x, zero1) b = Relu(a) c = Squeeze(b, zero1)");
  text.add("d = Unsqueeze(c, both) e = Neg(d) f = Squeeze(e, both)");
  // [N * 3, 64] by a matrix, and [64, N * 3] again.
  text.add("g = Flatten<axis=2>(f)").random("w", {64, 5}).random("v", {5}).add("h = MatMul(g, w)");
  text.add("norm = LayerNormalization<axis=-1>(h, v) k = Transpose(norm)");
  text.reshape("l", "k", {{5}, n(), {3}}).random("m", {5, 1, 1}).random("z", {1, 1, 3});
  text.add("o = Add(l, m) s = Mul(z, o) t = Clip(s) u = ReduceMean<axes=[0], keepdims=0>(t)");
  text.add("y = Identity(u)");
  onnx::ModelProto model = text.model();
  model.mutable_opset_import(0)->set_version(17);
  expect_as_onnx_runtime(model, GetParam());
}

TEST_P(Views, PartsOfOtherDimensions) {
  Text text = tokens(GetParam());
  text.transpose("t", "tokens", "1,2,0").integers("sizes", "4,12").integers("from", "1").integers("to", "9");
  text.integers("axes", "0").integers("picks", "0,2,4,1");
  text.add("a, b = Split<axis=0>(t, sizes) c = Slice(b, from, to, axes) d = Gather<axis=1>(c, picks)");
  text.add("e = Concat<axis=0>(d, d) m = ReduceMean<axes=[0], keepdims=1>(e) f = Sub(e, m)");
  text.add("g = Softmax<axis=0>(f) h = PRelu(g, slope) k = ReduceSum(h, axes)").random("slope", {4, 1});
  return expect_as_onnx_runtime(text.add("l = Squeeze(k, axes) y = Transpose(l)").model(), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Batches, Views,
                         testing::Values(Batch::kOpen, Batch::kComputed, Batch::kOne, Batch::kTwo),
                         [](const auto& instance) { return name_of(instance.param); });

/// A file of one image may treat its batch as any other dimension, or leave it out.
TEST(OneImage, HasNoBatchThatMatters) {
  Text text(Batch::kOne);
  text.integers("zero", "0").add("image = Squeeze(x, zero)").transpose("last", "image", "1,2,0");
  text.random("w", {3, 4}).add("p = MatMul(last, w) s = Softmax<axis=0>(p)");
  text.reshape("rows", "s", {{64}, {4}}).random("v", {4, 5}).add("g = Gemm(rows, v)");
  text.add("m = ReduceMean<axes=[0], keepdims=0>(g) y = Unsqueeze(m, zero)");
  expect_as_onnx_runtime(text.model(), Batch::kOne);
}

/// What a file repeats for each of its images.
TEST(TwoImages, ShareConstantsThatAreTheSame) {
  const auto model = [](const std::string& second) {
    Text text(Batch::kTwo);
    text.transpose("t", "x", "1,0,2,3");
    text.add("c = Constant<value = float[1,2,1,1] {3," + second + "}>() a = Add(t, c)");
    text.add("e = Constant<value = float[2,3] {1,2,3,1,2,3}>()");
    text.add("m = ReduceMean<axes=[2,3], keepdims=0>(a)").transpose("r", "m", "1,0");
    return text.add("s = Mul(r, e) y = Concat<axis=1>(e, s)").model();
  };
  expect_as_onnx_runtime(model("3"), Batch::kTwo);
  EXPECT_THAT(test::import_error(model("4")), HasSubstr("a constant of 2 numbers along dimension 1"));
}

std::string refusal(const std::string& body, const std::string& batch = "N") {
  return test::import_error("<ir_version: 7, opset_import: [\"\" : 13]> g (float[" + batch +
                            ",3,8,8] x) => (float[" + batch + ",M] y) {" + body + "}");
}

TEST(MixedImages, AreRefused) {
  const std::string turned = "t = Transpose<perm=[1,0,2,3]>(x) ";
  const auto sizes = [](const std::string& values) {
    const auto count = std::to_string(1 + std::count(values.begin(), values.end(), ','));
    return "s = Constant<value = int64[" + count + "] {" + values + "}>() ";
  };
  for (const std::string batch : {"N", "2", "4"}) {
    EXPECT_THAT(refusal(turned + "r = Softmax<axis=1>(t) y = Flatten(r)", batch), HasSubstr("the batch"));
    EXPECT_THAT(refusal(turned + "y = Flatten(t)", batch), HasSubstr("merged into dimension 1"));
    EXPECT_THAT(refusal(turned + "r = GlobalAveragePool(t) y = Flatten(r)", batch),
                HasSubstr("with the batch in dimension 1"));
    EXPECT_THAT(refusal(turned + "r = Add(t, x) y = Flatten(r)", batch), HasSubstr("4: test.onnx"));
    EXPECT_THAT(
        refusal("f = Flatten<axis=2>(x) m = ReduceMean<axes=[0], keepdims=1>(f) y = Identity(m)", batch),
        HasSubstr("which is the batch"));
    EXPECT_THAT(refusal("f = Flatten<axis=2>(x) t = Transpose(f) m = MatMul(t, f) y = Flatten(m)", batch),
                HasSubstr("4: test.onnx"));
    EXPECT_THAT(refusal("f = Flatten<axis=2>(x) y = Softmax<axis=0>(f)", batch),
                HasSubstr("which is the batch"));
    // 64 rows of which each has numbers of all images.
    EXPECT_THAT(refusal(sizes("64,-1") + "r = Reshape(x, s) t = Transpose(r) y = Flatten(t)", batch),
                HasSubstr("4: test.onnx"));
    EXPECT_THAT(refusal(turned + sizes("-1,3,8,8") + "r = Reshape(t, s) y = Flatten(r)", batch),
                HasSubstr("4: test.onnx"));
    EXPECT_THAT(
        refusal(sizes("-1") + "r = Reshape(x, s) y = Unsqueeze(r, z) z = Constant<value = int64[1] {0}>()",
                batch),
        HasSubstr("4: test.onnx"));
  }
}

}  // namespace
}  // namespace octavo
