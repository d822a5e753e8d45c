// A checkpoint is of one run: every setting, the model, its weights and the images. Each of them in turn is
// another, and that is noticed.
#include <gtest/gtest.h>

#include <set>

#include "support.h"
#include "train/trainer.h"

namespace octavo::train_detail {
namespace {

using testing::coloured_images;
using testing::half_normalization;
using testing::small_model;

/// All that a fingerprint is made from.
struct Asked {
  Graph graph = small_model(8, 4);
  Dataset train = coloured_images(32, 8, 4);
  Normalization normalization = half_normalization();
  std::map<std::string, QuantParams> activations{{"relu1.out", activation_params(0.5F, 3, 0, 255)}};
  QatConfig config;
  std::string phase = "train";

  Fingerprint of_training() const {
    return fingerprint(phase, graph, {train, nullptr, normalization}, config.train);
  }
  Fingerprint of_qat() const {
    return qat_fingerprint(graph, activations, {train, nullptr, normalization}, config);
  }
};

struct Change {
  const char* key;  ///< Of the fingerprint: the only one that changes.
  void (*make)(Asked&);
};

Fingerprint usual(Fingerprint (Asked::*of)() const) {
  Asked asked;
  asked.config.train.precision = "fp32";
  return (asked.*of)();
}

/// Makes each change; answers the keys that were changed.
std::set<std::string> expect_noticed(const std::vector<Change>& changes, Fingerprint (Asked::*of)() const) {
  std::set<std::string> keys;
  const Fingerprint before = usual(of);
  for (const Change& change : changes) {
    Asked asked;
    asked.config.train.precision = "fp32";
    change.make(asked);
    Fingerprint changed = (asked.*of)();
    EXPECT_TRUE(before.contains(change.key)) << change.key;
    EXPECT_NE(changed[change.key], before.at(change.key)) << change.key;
    changed[change.key] = before.at(change.key);
    EXPECT_EQ(changed, before) << change.key << " changes others too";
    keys.insert(change.key);
  }
  return keys;
}

std::set<std::string> keys_of(const Fingerprint& print) {
  std::set<std::string> keys;
  for (const auto& [key, value] : print) keys.insert(key);
  return keys;
}

const std::vector<Change>& training_changes() {
  static const std::vector<Change> changes{
      {"phase", [](Asked& a) { a.phase = "other"; }},
      {"model", [](Asked& a) { a.graph.name = "other"; }},
      {"model structure", [](Asked& a) { a.graph.nodes[0].name = "other"; }},
      {"starting weights", [](Asked& a) { a.graph = small_model(8, 4, 4); }},
      {"data", [](Asked& a) { a.train.name = "other"; }},
      {"data hash", [](Asked& a) { a.train.hash = "other"; }},
      {"images", [](Asked& a) { a.train.labels.pop_back(); }},
      {"normalization", [](Asked& a) { a.normalization.mean[1] = 0.25F; }},
      {"normalization", [](Asked& a) { a.normalization.std[2] = 0.5F; }},
      {"epochs", [](Asked& a) { a.config.train.epochs = 7; }},
      {"seed", [](Asked& a) { a.config.train.seed = 7; }},
      {"precision", [](Asked& a) { a.config.train.precision = "bf16"; }},
      {"ema_decay", [](Asked& a) { a.config.train.ema_decay = 0.5; }},
      {"lr", [](Asked& a) { a.config.train.optimizer.lr = 0.3; }},
      {"momentum", [](Asked& a) { a.config.train.optimizer.momentum = 0.5; }},
      {"nesterov", [](Asked& a) { a.config.train.optimizer.nesterov = false; }},
      {"weight_decay", [](Asked& a) { a.config.train.optimizer.weight_decay = 1e-3; }},
      {"decay_norm_and_bias", [](Asked& a) { a.config.train.optimizer.decay_norm_and_bias = true; }},
      {"schedule", [](Asked& a) { a.config.train.optimizer.schedule = Schedule::kCosine; }},
      {"warmup_fraction", [](Asked& a) { a.config.train.optimizer.warmup_fraction = 0.5; }},
      {"step_epochs", [](Asked& a) { a.config.train.optimizer.step_epochs = 3; }},
      {"step_factor", [](Asked& a) { a.config.train.optimizer.step_factor = 0.5; }},
      {"label_smoothing", [](Asked& a) { a.config.train.optimizer.label_smoothing = 0.2; }},
      {"batch_size", [](Asked& a) { a.config.train.loader.batch_size = 8; }},
      {"shuffle", [](Asked& a) { a.config.train.loader.shuffle = false; }},
      {"drop_last", [](Asked& a) { a.config.train.loader.drop_last = true; }},
      {"crop_padding", [](Asked& a) { a.config.train.loader.augment.crop_padding = 2; }},
      {"horizontal_flip", [](Asked& a) { a.config.train.loader.augment.horizontal_flip = false; }},
      {"cutout", [](Asked& a) { a.config.train.loader.augment.cutout = 2; }},
  };
  return changes;
}

TEST(Fingerprint, NoticesEveryChangeOfATraining) {
  std::set<std::string> keys = expect_noticed(training_changes(), &Asked::of_training);
  keys.insert("test images");
  EXPECT_EQ(keys, keys_of(usual(&Asked::of_training))) << "a key that nothing here changes";
}

TEST(Fingerprint, NoticesTheTestImagesThatAccuraciesAreOf) {
  const Asked asked;
  const Dataset test = coloured_images(16, 8, 4, "test");
  const auto with =
      fingerprint("train", asked.graph, {asked.train, &test, asked.normalization}, asked.config.train);
  EXPECT_NE(with.at("test images"), asked.of_training().at("test images"));
}

TEST(Fingerprint, NoticesEveryChangeOfQat) {
  std::vector<Change> changes = training_changes();
  std::erase_if(changes, [](const Change& change) { return std::string(change.key) == "phase"; });
  changes.insert(changes.end(),
                 {{"freeze_batch_norm", [](Asked& a) { a.config.freeze_batch_norm = 0.75; }},
                  {"freeze_observers", [](Asked& a) { a.config.freeze_observers = 0.75; }},
                  {"learnable_scales", [](Asked& a) { a.config.learnable_scales = true; }},
                  {"bits", [](Asked& a) { a.config.bits.all.weights = 4; }},
                  {"weight_qmax", [](Asked& a) { a.config.weight_qmax = 63; }},
                  {"target", [](Asked& a) { a.config.target = "tensorrt"; }},
                  {"activation relu1.out", [](Asked& a) { a.activations["relu1.out"].scales[0] = 0.25F; }},
                  {"activation relu1.out", [](Asked& a) { a.activations["relu1.out"].zero_points[0] = 4; }}});
  std::set<std::string> keys = expect_noticed(changes, &Asked::of_qat);
  keys.insert({"test images", "phase"});
  EXPECT_EQ(keys, keys_of(usual(&Asked::of_qat))) << "a key that nothing here changes";
  EXPECT_NE(usual(&Asked::of_qat).at("phase"), usual(&Asked::of_training).at("phase"));
}

// A field that is new does not compile here: it belongs into the fingerprint and the lists above, or, if it
// changes no result, to those in brackets: TrainConfig (threads, eval_every, checkpoint, resume, on_progress,
// on_epoch, stop) and LoaderConfig (workers, prefetch, channels_last, and the seed, which is TrainConfig's).
[[maybe_unused]] void fields_are_all_known(const QatConfig& qat) {
  [[maybe_unused]] const auto& [train, freeze_batch_norm, freeze_observers, learnable_scales, bits,
                                weight_qmax, target] = qat;
  [[maybe_unused]] const auto& [epochs, optimizer, loader, seed, threads, precision, ema_decay, eval_every,
                                checkpoint, resume, on_progress, on_epoch, stop] = train;
  [[maybe_unused]] const auto& [lr, momentum, nesterov, weight_decay, decay_norm_and_bias, schedule,
                                warmup_fraction, step_epochs, step_factor, label_smoothing] = optimizer;
  [[maybe_unused]] const auto& [batch_size, shuffle, drop_last, workers, prefetch, channels_last, loader_seed,
                                augment] = loader;
  [[maybe_unused]] const auto& [crop_padding, horizontal_flip, cutout] = augment;
}

using Edit = void (*)(Graph&);

TEST(Fingerprint, NoticesEveryChangeOfTheModel) {
  const auto structure = [](const Graph& graph) {
    const Asked asked;
    return fingerprint("train", graph, {asked.train, nullptr, asked.normalization}, {}).at("model structure");
  };
  const Graph usual = small_model(8, 4);
  const std::vector<Edit> edits{
      [](Graph& g) { g.values[0].name = "other"; },   [](Graph& g) { g.values[0].shape.back() = 9; },
      [](Graph& g) { g.nodes[0].op = Op::kMatMul; },  [](Graph& g) { g.nodes[0].inputs[0] = 1; },
      [](Graph& g) { g.nodes[0].inputs.pop_back(); }, [](Graph& g) { g.nodes[0].output = 1; },
      [](Graph& g) { g.nodes.pop_back(); },           [](Graph& g) { std::swap(g.nodes[0], g.nodes[1]); },
  };
  for (std::size_t i = 0; i < edits.size(); ++i) {
    Graph graph = usual;
    edits[i](graph);
    EXPECT_NE(structure(graph), structure(usual)) << "edit " << i;
  }
  // Each field of each kind of attributes: two that differ in it alone.
  const std::vector<std::pair<Attributes, Attributes>> pairs{
      {ConvAttributes{}, ConvAttributes{.kernel = {2, 1}}},
      {ConvAttributes{}, ConvAttributes{.kernel = {1, 2}}},
      {ConvAttributes{}, ConvAttributes{.strides = {2, 1}}},
      {ConvAttributes{}, ConvAttributes{.strides = {1, 2}}},
      {ConvAttributes{}, ConvAttributes{.dilations = {2, 1}}},
      {ConvAttributes{}, ConvAttributes{.dilations = {1, 2}}},
      {ConvAttributes{}, ConvAttributes{.pads = {1, 0, 0, 0}}},
      {ConvAttributes{}, ConvAttributes{.pads = {0, 1, 0, 0}}},
      {ConvAttributes{}, ConvAttributes{.pads = {0, 0, 1, 0}}},
      {ConvAttributes{}, ConvAttributes{.pads = {0, 0, 0, 1}}},
      {ConvAttributes{}, ConvAttributes{.group = 2}},
      {PoolAttributes{}, PoolAttributes{.kernel = {2, 1}}},
      {PoolAttributes{}, PoolAttributes{.kernel = {1, 2}}},
      {PoolAttributes{}, PoolAttributes{.strides = {2, 1}}},
      {PoolAttributes{}, PoolAttributes{.strides = {1, 2}}},
      {PoolAttributes{}, PoolAttributes{.pads = {1, 0, 0, 0}}},
      {PoolAttributes{}, PoolAttributes{.pads = {0, 1, 0, 0}}},
      {PoolAttributes{}, PoolAttributes{.pads = {0, 0, 1, 0}}},
      {PoolAttributes{}, PoolAttributes{.pads = {0, 0, 0, 1}}},
      {PoolAttributes{}, PoolAttributes{.ceil_mode = true}},
      {PoolAttributes{}, PoolAttributes{.count_include_pad = true}},
      {BatchNormAttributes{}, BatchNormAttributes{.epsilon = 1e-3F}},
      {BatchNormAttributes{}, BatchNormAttributes{.momentum = 0.99F}},
      {ClipAttributes{}, ClipAttributes{.min = 0}},
      {ClipAttributes{}, ClipAttributes{.max = 6}},
      {ScalarAttributes{}, ScalarAttributes{.alpha = 1}},
      {ScalarAttributes{}, ScalarAttributes{.beta = 1}},
      {AxisAttributes{}, AxisAttributes{.axis = 2}},
      {SliceAttributes{{0, 1}, {8, 8}, {1, 1}}, SliceAttributes{{0, 2}, {8, 8}, {1, 1}}},
      {SliceAttributes{{0, 1}, {8, 8}, {1, 1}}, SliceAttributes{{0, 1}, {8, 7}, {1, 1}}},
      {SliceAttributes{{0, 1}, {8, 8}, {1, 1}}, SliceAttributes{{0, 1}, {8, 8}, {1, 2}}},
      {PadAttributes{{0, 1}, {0, 1}, 0}, PadAttributes{{0, 2}, {0, 1}, 0}},
      {PadAttributes{{0, 1}, {0, 1}, 0}, PadAttributes{{0, 1}, {0, 2}, 0}},
      {PadAttributes{{0, 1}, {0, 1}, 0}, PadAttributes{{0, 1}, {0, 1}, 1}},
      {ReshapeAttributes{{kDynamic, 4}}, ReshapeAttributes{{kDynamic, 2, 2}}},
      {TransposeAttributes{{0, 1, 2}}, TransposeAttributes{{0, 2, 1}}},
      {LayerNormAttributes{}, LayerNormAttributes{.epsilon = 1e-6F}},
      {ReduceAttributes{{1}, true}, ReduceAttributes{{2}, true}},
      {ReduceAttributes{{1}, true}, ReduceAttributes{{1}, false}},
  };
  std::set<std::size_t> kinds{0};  // the operators without attributes
  for (const auto& [one, other] : pairs) {
    const auto with = [&](const Attributes& attributes) {
      Graph graph = usual;
      graph.nodes[0].attributes = attributes;
      return structure(graph);
    };
    EXPECT_NE(with(one), with(other)) << "attributes of kind " << one.index();
    kinds.insert(one.index());
  }
  EXPECT_EQ(kinds.size(), std::variant_size_v<Attributes>) << "a kind of attributes that is not here";
}

}  // namespace
}  // namespace octavo::train_detail
