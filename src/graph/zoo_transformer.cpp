// Transformers: images as rows of tokens, [N, T, C], or windows of them, [N, windows, T, C].
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "zoo_models.h"

namespace octavo::zoo {
namespace {

constexpr float kEpsilon = 1e-6F;  // Of ViT's layer norms; Swin has the usual 1e-5.

/// x without its last dimension but for `count` elements from `first` on.
ValueId part(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t first, std::int64_t count) {
  return b.slice(name, x, static_cast<std::int64_t>(b.shape(x).size()) - 1, first, first + count);
}

/// The same permutation of a value with and without a dimension of windows: `last` three dimensions.
std::vector<std::int64_t> of_last_three(std::size_t rank, std::array<std::int64_t, 3> order) {
  std::vector<std::int64_t> result(rank);
  std::iota(result.begin(), result.end(), 0);
  const auto start = static_cast<std::int64_t>(rank) - 3;
  for (std::size_t i = 0; i < 3; ++i) result[rank - 3 + i] = start + order[i];
  return result;
}

/// Tokens to heads: [..., T, C] to [..., heads, T, C / heads].
ValueId to_heads(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t heads) {
  Shape shape = b.shape(x);
  const std::int64_t width = shape.back() / heads;
  shape.back() = heads;
  shape.push_back(width);
  const ValueId split = b.reshape(name + ".split", x, shape);
  return b.transpose(name + ".heads", split, of_last_three(shape.size(), {1, 0, 2}));
}

/// Scaled dot-product attention of Vaswani et al. 2017 with `heads` heads; `biases` are added to the scores.
ValueId attention(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t heads,
                  const std::vector<ValueId>& biases = {}) {
  const Shape shape = b.shape(x);
  const std::int64_t width = shape.back();
  const ValueId qkv = b.matmul(name + ".qkv", x, 3 * width, true);
  const ValueId q = to_heads(b, name + ".q", part(b, name + ".q", qkv, 0, width), heads);
  const ValueId k = to_heads(b, name + ".k", part(b, name + ".k", qkv, width, width), heads);
  const ValueId v = to_heads(b, name + ".v", part(b, name + ".v", qkv, 2 * width, width), heads);
  const std::size_t rank = shape.size() + 1;
  const ValueId turned = b.transpose(name + ".k.turned", k, of_last_three(rank, {0, 2, 1}));
  const float alpha = 1.0F / std::sqrt(static_cast<float>(width / heads));
  ValueId scores = b.matmul_of_values(name + ".scores", q, turned, alpha);
  for (std::size_t i = 0; i < biases.size(); ++i)
    scores = b.add(name + ".bias" + std::to_string(i), scores, biases[i]);
  const ValueId weights = b.softmax(name + ".softmax", scores, static_cast<std::int64_t>(rank) - 1);
  const ValueId mixed = b.matmul_of_values(name + ".mix", weights, v);
  const ValueId joined = b.transpose(name + ".join", mixed, of_last_three(rank, {1, 0, 2}));
  return b.matmul(name + ".proj", b.reshape(name + ".flat", joined, shape), width, true);
}

/// Two layers with a GELU between them.
ValueId perceptron(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t hidden) {
  const std::int64_t width = b.shape(x).back();
  return b.matmul(name + ".fc2", b.gelu(name + ".gelu", b.matmul(name + ".fc1", x, hidden, true)), width,
                  true);
}

/// [N, C, H, W] to tokens [N, H * W, C].
ValueId to_tokens(GraphBuilder& b, const std::string& name, ValueId x) {
  const Shape s = b.shape(x);
  return b.transpose(name + ".tokens", b.reshape(name + ".flat", x, {kDynamic, s[1], s[2] * s[3]}),
                     {0, 2, 1});
}

/// Patches of the image as convolutions with their size for a stride.
ValueId patches(GraphBuilder& b, std::int64_t size, std::int64_t width) {
  return b.conv("patches", b.input(), width, {.kernel = {size, size}, .strides = {size, size}}, true);
}

struct Vision {
  std::int64_t patch, width, depth, heads;
};

/// Dosovitskiy et al. 2020 (arXiv 2010.11929), sizes of Touvron et al. 2020 (arXiv 2012.12877). The class
/// token is what `positions` has for the first position, in front of the image's patches.
Graph vision_transformer(const std::string& name, const ZooInput& input, std::uint64_t seed,
                         const Vision& v) {
  GraphBuilder b(name, input.channels, input.height, input.width, seed);
  ValueId x = to_tokens(b, "patches", patches(b, v.patch, v.width));
  x = b.pad("class_token", x, {0, 1, 0}, {0, 0, 0});
  x = b.add("positions", x, b.normal("positions.weight", {1, b.shape(x)[1], v.width}, 0.02F));
  for (std::int64_t i = 0; i < v.depth; ++i) {
    const std::string block = "block" + std::to_string(i);
    const ValueId mixed = attention(b, block + ".attn", b.layer_norm(block + ".norm1", x, kEpsilon), v.heads);
    x = b.add(block + ".add1", x, mixed);
    x = b.add(block + ".add2", x,
              perceptron(b, block + ".mlp", b.layer_norm(block + ".norm2", x, kEpsilon), 4 * v.width));
  }
  x = b.flatten("first", b.slice("class", b.layer_norm("norm", x, kEpsilon), 1, 0, 1));
  return b.finish(b.gemm("head", x, input.classes));
}

/// Tokens [N, H, W, C] in windows of `side` x `side`: [N, windows, side * side, C], and back.
ValueId to_windows(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t side) {
  const Shape s = b.shape(x);
  const std::int64_t rows = s[1] / side;
  const std::int64_t columns = s[2] / side;
  x = b.reshape(name + ".grid", x, {kDynamic, rows, side, columns, side, s[3]});
  x = b.transpose(name + ".windows", x, {0, 1, 3, 2, 4, 5});
  return b.reshape(name + ".rows", x, {kDynamic, rows * columns, side * side, s[3]});
}
ValueId from_windows(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t side,
                     const Shape& image) {
  x = b.reshape(name + ".grid", x, {kDynamic, image[1] / side, image[2] / side, side, side, image[3]});
  x = b.transpose(name + ".image", x, {0, 1, 3, 2, 4, 5});
  return b.reshape(name + ".pixels", x, image);
}

/// The image moved by `by` up or down (negative) along both axes; what leaves on one side comes in on the
/// other.
ValueId rolled(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t by) {
  for (const std::int64_t axis : {1, 2}) {
    const std::int64_t size = b.shape(x)[static_cast<std::size_t>(axis)];
    const std::int64_t cut = (by + size) % size;
    const std::string along = name + std::to_string(axis);
    x = b.concat(along,
                 {b.slice(along + ".tail", x, axis, cut, size), b.slice(along + ".head", x, axis, 0, cut)},
                 axis);
  }
  return x;
}

/// -100 between tokens of a window that come from different sides of the image before it was rolled by
/// `shift`: [1, windows, 1, T, T].
Tensor shift_mask(std::int64_t height, std::int64_t width, std::int64_t side, std::int64_t shift) {
  const auto region = [&](std::int64_t at, std::int64_t size) {
    return at < size - side ? 0 : at < size - shift ? 1 : 2;
  };
  const std::int64_t columns = width / side;
  const std::int64_t windows = height / side * columns;
  const std::int64_t tokens = side * side;
  Tensor mask({1, windows, 1, tokens, tokens}, DType::kFloat32);
  std::size_t i = 0;
  for (std::int64_t w = 0; w < windows; ++w) {
    const auto of = [&](std::int64_t t) {
      return region(w / columns * side + t / side, height) * 3 + region(w % columns * side + t % side, width);
    };
    for (std::int64_t a = 0; a < tokens; ++a) {
      for (std::int64_t c = 0; c < tokens; ++c) mask.data<float>()[i++] = of(a) == of(c) ? 0.0F : -100.0F;
    }
  }
  return mask;
}

/// Attention within windows of an image [N, H, W, C], shifted or not. Images that windows do not fill are
/// padded.
ValueId window_attention(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t heads,
                         std::int64_t side, bool shifted) {
  const Shape image = b.shape(x);
  side = std::min({side, image[1], image[2]});
  const std::int64_t below = (side - image[1] % side) % side;
  const std::int64_t right = (side - image[2] % side) % side;
  if (below + right > 0) x = b.pad(name + ".padded", x, {0, 0, 0, 0}, {0, below, right, 0});
  const Shape padded = b.shape(x);
  const std::int64_t shift = shifted && side < std::min(padded[1], padded[2]) ? side / 2 : 0;
  if (shift > 0) x = rolled(b, name + ".shift", x, shift);
  std::vector<ValueId> biases{
      b.normal(name + ".relative_position_bias", {1, 1, heads, side * side, side * side}, 0.02F)};
  if (shift > 0) biases.push_back(b.constant(name + ".mask", shift_mask(padded[1], padded[2], side, shift)));
  x = attention(b, name, to_windows(b, name + ".in", x, side), heads, biases);
  x = from_windows(b, name + ".out", x, side, padded);
  if (shift > 0) x = rolled(b, name + ".unshift", x, -shift);
  if (below > 0) x = b.slice(name + ".top", x, 1, 0, image[1]);
  if (right > 0) x = b.slice(name + ".left", x, 2, 0, image[2]);
  return x;
}

/// Four neighbours as one token of twice as many channels, [N, H, W, C] to [N, H / 2, W / 2, 2 C].
ValueId merged(GraphBuilder& b, const std::string& name, ValueId x) {
  const Shape s = b.shape(x);
  if (s[1] % 2 + s[2] % 2 > 0) x = b.pad(name + ".padded", x, {0, 0, 0, 0}, {0, s[1] % 2, s[2] % 2, 0});
  std::vector<ValueId> corners;
  for (const auto& [dy, dx] : {std::pair{0, 0}, {1, 0}, {0, 1}, {1, 1}}) {
    const std::string corner = name + "." + std::to_string(dy) + std::to_string(dx);
    const ValueId rows = b.slice(corner + ".rows", x, 1, dy, b.shape(x)[1], 2);
    corners.push_back(b.slice(corner, rows, 2, dx, b.shape(x)[2], 2));
  }
  x = b.layer_norm(name + ".norm", b.concat(name + ".join", corners, 3));
  return b.matmul(name + ".reduction", x, 2 * s[3]);
}

}  // namespace

Graph vit_tiny(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  return vision_transformer(name, input, seed, {.patch = 4, .width = 192, .depth = 12, .heads = 3});
}

Graph deit_tiny_224(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  return vision_transformer(name, input, seed, {.patch = 16, .width = 192, .depth = 12, .heads = 3});
}

/// Liu et al. 2021 (arXiv 2103.14030). The position biases are those of each pair of tokens, not the table of
/// distances from which the paper takes them.
Graph swin_tiny_224(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  GraphBuilder b(name, input.channels, input.height, input.width, seed);
  constexpr std::int64_t kWindow = 7;
  ValueId x = b.transpose("patches.last", patches(b, 4, 96), {0, 2, 3, 1});
  x = b.layer_norm("patches.norm", x);
  std::int64_t heads = 3;
  int stage = 0;
  for (const int depth : {2, 2, 6, 2}) {
    if (stage > 0) x = merged(b, "merge" + std::to_string(stage), x);
    for (int i = 0; i < depth; ++i) {
      const std::string block = "stage" + std::to_string(stage) + ".block" + std::to_string(i);
      const ValueId normed = b.layer_norm(block + ".norm1", x);
      x = b.add(block + ".add1", x, window_attention(b, block + ".attn", normed, heads, kWindow, i % 2 == 1));
      const std::int64_t width = b.shape(x).back();
      x = b.add(block + ".add2", x,
                perceptron(b, block + ".mlp", b.layer_norm(block + ".norm2", x), 4 * width));
    }
    heads *= 2;
    ++stage;
  }
  x = b.reduce_mean("pool", b.layer_norm("norm", x), {1, 2}, false);
  return b.finish(b.gemm("head", x, input.classes));
}

}  // namespace octavo::zoo
