/// What was chosen for single layers beyond plain int8, as sections for every form of report.
#pragma once

#include <string>
#include <vector>

#include "octavo/quantize/layer_choices.h"

namespace octavo::report {

struct ChoiceSection {
  std::string title;
  std::string lead;                 ///< Plain sentences.
  std::vector<std::string> header;  ///< The layer first.
  std::vector<std::vector<std::string>> rows;
};

/// Of the model that a reader knows as `name`; empty where there is no other. None where there is nothing to
/// say.
std::vector<ChoiceSection> choice_sections(const LayerChoices& choices, const std::string& name);

}  // namespace octavo::report
