/// What makes two runs the same.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "octavo/data/dataset.h"
#include "settings.h"

namespace octavo::app {

/// Key -> value of all that determines what a phase computes.
using PhaseIdentity = std::map<std::string, std::string>;
/// By phase: "data" (the images, and the arithmetic of this version), "train", "ptq", "qat".
using RunIdentity = std::map<std::string, PhaseIdentity>;

/// As far as settings tell, for what `command` does (kTrain or kRun). `dataset` is the one asked for; "auto"
/// leaves its name open.
RunIdentity asked_identity(const Settings& settings, const std::string& dataset, Command command);

/// Adds what reading the images has shown: their name and hashes.
void add_images(RunIdentity& identity, const DatasetPair& pair);

/// A value that is not what it was.
struct Difference {
  std::string key;
  std::string expected;
  std::string got;
};

/// All keys of `now` that `earlier` has with another value.
std::vector<Difference> differences(const PhaseIdentity& earlier, const PhaseIdentity& now);

}  // namespace octavo::app
