#include "float_model.h"
#include "octavo/graph/graph.h"
#include "trainer.h"

namespace octavo {

using namespace train_detail;

TrainResult train(const Graph& graph, const Dataset& train_split, const Dataset* test_split,
                  const Normalization& normalization, const TrainConfig& config) {
  check_settings(config);
  validate(graph);
  check_data(graph, train_split);
  if (test_split != nullptr) check_data(graph, *test_split);
  const Splits splits{train_split, test_split, normalization};
  const Fingerprint identity = fingerprint("train", graph, splits, config);
  FloatModel model(graph, resolved_precision(config) == "fp32");
  std::vector<EpochRecord> history = fit(model, "train", splits, config, identity);
  return {model.snapshot(), std::move(history)};
}

}  // namespace octavo
