#include "run_identity.h"

#include "octavo/core/version.h"

namespace octavo::app {
namespace {

constexpr const char* kDataset = "data.dataset";

}  // namespace

RunIdentity asked_identity(const Settings& settings, const std::string& dataset, Command command) {
  RunIdentity identity;
  PhaseIdentity& data = identity["data"] = defining_settings_of(settings, "data");
  data[kDataset] = dataset;
  if (dataset == "auto") data.erase(kDataset);
  data["arithmetic version"] = std::to_string(kArithmeticVersion);
  PhaseIdentity& train = identity["train"] = defining_settings_of(settings, "train");
  for (const char* section : {"model", "run"}) train.merge(defining_settings_of(settings, section));
  if (command == kTrain) return identity;
  for (const char* section : {"ptq", "qat"}) identity[section] = defining_settings_of(settings, section);
  return identity;
}

void add_images(RunIdentity& identity, const DatasetPair& pair) {
  PhaseIdentity& data = identity["data"];
  data[kDataset] = pair.train.name;
  data["SHA-256 of the training images"] = pair.train.hash;
  data["SHA-256 of the test images"] = pair.test.hash;
}

std::vector<Difference> differences(const PhaseIdentity& earlier, const PhaseIdentity& now) {
  std::vector<Difference> result;
  for (const auto& [key, value] : now) {
    const auto found = earlier.find(key);
    if (found != earlier.end() && found->second != value) result.push_back({key, found->second, value});
  }
  return result;
}

}  // namespace octavo::app
