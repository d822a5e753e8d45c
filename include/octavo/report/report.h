/// A comparison as text, JSON, Markdown and a self-contained HTML page.
#pragma once

#include <string>
#include <vector>

#include "octavo/data/dataset.h"
#include "octavo/eval/results.h"

namespace octavo {

/// Aligned table for a terminal; `color` uses ANSI codes, `width` columns.
std::string terminal_table(const Results& results, bool color, int width);

/// results.json, schema 1.
std::string to_json(const Results& results);
/// Inverse of to_json. Throws kBadInput, naming the key. (Predictions are not part of the file.)
Results results_from_json(const std::string& text, const std::string& where);

std::string to_markdown(const Results& results);

/// One HTML file without external references: plots are inline SVG, sample images inline PNG.
/// `test` provides the pictures for the images on which base and quantized models disagree.
std::string to_html(const Results& results, const Dataset& test);

/// A page of the same kind on one quantized model alone: a row per layer, and what was chosen for single
/// ones.
std::string layers_to_html(const std::string& model, const std::vector<LayerQuality>& layers,
                           const LayerChoices& choices = {});

}  // namespace octavo
