// The phases that train, and need LibTorch.
#include <fmt/format.h>

#include "interrupt.h"
#include "octavo/graph/preprocessing.h"
#include "octavo/graph/zoo.h"
#include "octavo/quantize/layer_choices.h"
#include "workflow.h"

namespace octavo::app {
namespace {

/// Progress and stop for a phase of training.
void connect(TrainConfig& config, const Session& session, const TrainSinks& sinks) {
  config.resume = session.resume;
  config.stop = session.stop;
  config.on_progress = [&session, &sinks](const TrainProgress& progress) {
    session.console.bar(progress);
    if (sinks.on_step) sinks.on_step(progress);
  };
  const std::int64_t epochs = config.epochs;
  config.on_epoch = [&session, &sinks, epochs](const EpochRecord& r) {
    const std::string test =
        r.test_accuracy < 0 ? std::string() : fmt::format(", test accuracy {:.2f} %", 100 * r.test_accuracy);
    session.console.line(fmt::format("{} epoch {}/{}: loss {:.4f}, accuracy {:.2f} %{}, {:.0f} images/s, {}",
                                     r.phase, r.epoch, epochs, r.train_loss, 100 * r.train_accuracy, test,
                                     r.images_per_second, clock_text(r.seconds)));
    if (sinks.on_epoch) sinks.on_epoch(r);
  };
}

std::map<std::string, QuantParams> activations_of(const Graph& quantized) {
  std::map<std::string, QuantParams> activations;
  for (const Value& value : quantized.values) {
    if (value.quant && !value.constant) activations.emplace(value.name, *value.quant);
  }
  return activations;
}

}  // namespace

TrainResult train_base(const Session& session, const LoadedData& data,
                       const std::filesystem::path& checkpoint, const TrainSinks& sinks) {
  const Dataset& images = data.pair.train;
  Graph graph = make_model(session.settings.model,
                           {.channels = images.channels,
                            .height = images.height,
                            .width = images.width,
                            .classes = static_cast<std::int64_t>(images.class_names.size())},
                           session.settings.seed);
  set_normalization(graph, data.pair.normalization);
  set_class_names(graph, images.class_names);
  graph.metadata["octavo.model"] = session.settings.model;
  TrainConfig config = train_config(session.settings);
  config.checkpoint = checkpoint;
  connect(config, session, sinks);
  const SavingScope saves;
  TrainResult result = train(graph, images, &data.pair.test, data.pair.normalization, config);
  for (const auto& [key, value] : graph.metadata) result.graph.metadata.emplace(key, value);
  stamp(result.graph, session, data, "base", kTrain);
  return result;
}

QatResult make_qat(const Session& session, const LoadedData& data, const Graph& base, const Graph& ptq,
                   const std::filesystem::path& checkpoint, const TrainSinks& sinks) {
  QatConfig config = qat_config(session.settings);
  config.train.checkpoint = checkpoint;
  connect(config.train, session, sinks);
  const SavingScope saves;
  QatResult result = train_quantized(base, activations_of(ptq), data.pair.train, &data.pair.test,
                                     normalization_of(base, data), config);
  for (const auto& [key, value] : ptq.metadata) result.graph.metadata.emplace(key, value);
  result.graph.metadata.erase("octavo.methods");  // They changed PTQ's weights; training has its own.
  forget_layer_choices(result.graph);
  stamp(result.graph, session, data, "qat", kQat);
  return result;
}

}  // namespace octavo::app
