#include "samples.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "comparison.h"
#include "format.h"
#include "picture.h"
#include "svg.h"

namespace octavo::report {
namespace {

/// What became of the images on which a variant and the base differ.
struct Changes {
  std::int64_t differ = 0;
  std::int64_t now_right = 0;
  std::int64_t now_wrong = 0;
};

bool comparable(const Variant& variant, const Dataset& test) {
  return !variant.accuracy.predictions.empty() && std::ssize(variant.accuracy.predictions) == test.size();
}

bool has_pictures(const Dataset& test) {
  return (test.channels == 1 || test.channels == 3) && test.height > 0 && test.width > 0 &&
         std::ssize(test.pixels) == test.size() * test.image_size();
}

std::string name_of(const Results& results, std::int32_t label) {
  return label < 0 ? fmt::format("class {}", label) : class_name(results, static_cast<std::size_t>(label));
}

std::string changes_table(const Results& results, const Dataset& test,
                          const std::vector<const Variant*>& variants) {
  const std::vector<std::int32_t>& base = base_of(results)->accuracy.predictions;
  std::string rows;
  for (const Variant* variant : variants) {
    Changes changes;
    for (std::size_t i = 0; i < base.size(); ++i) {
      const std::int32_t predicted = variant->accuracy.predictions[i];
      if (predicted == base[i]) continue;
      ++changes.differ;
      changes.now_right += predicted == test.labels[i] ? 1 : 0;
      changes.now_wrong += base[i] == test.labels[i] ? 1 : 0;
    }
    rows += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                        escape(display_name(variant->name)), grouped(changes.differ),
                        grouped(changes.now_wrong), grouped(changes.now_right),
                        grouped(changes.differ - changes.now_right - changes.now_wrong));
  }
  return "<table class=\"fit\"><thead><tr><th scope=\"col\">Model</th><th scope=\"col\">Answers changed</th>"
         "<th scope=\"col\">right → wrong</th><th scope=\"col\">wrong → right</th>"
         "<th scope=\"col\">wrong → wrong</th></tr></thead><tbody>\n" +
         rows + "</tbody></table>\n";
}

/// The image as interleaved rows, from the planes a data set holds.
std::string picture(const Dataset& test, std::int64_t index) {
  const auto planes = test.image(index);
  const auto area = static_cast<std::size_t>(test.height * test.width);
  const auto channels = static_cast<std::size_t>(test.channels);
  std::vector<std::uint8_t> pixels(planes.size());
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t p = 0; p < area; ++p) pixels[p * channels + c] = planes[c * area + p];
  }
  return png_data_uri(pixels, test.width, test.height, test.channels);
}

std::string answer(const std::string& who, const std::string& what, const char* mark, const char* kind) {
  return fmt::format("<div class=\"{}\"><dt>{}</dt><dd>{}{}</dd></div>", kind, escape(who), escape(what),
                     mark);
}

std::string card(const Results& results, const Dataset& test, std::size_t index,
                 const std::vector<const Variant*>& variants) {
  const std::int32_t label = test.labels[index];
  std::string out = fmt::format(
      "<figure class=\"sample\"><img src=\"{}\" alt=\"Test image {}: {}\" width=\"{}\" height=\"{}\"><dl>",
      picture(test, static_cast<std::int64_t>(index)), index, escape(name_of(results, label)), test.width,
      test.height);
  out += answer("True", name_of(results, label), "", "true");
  const auto judged = [&](const Variant& variant) {
    const std::int32_t predicted = variant.accuracy.predictions[index];
    const bool right = predicted == label;
    out += answer(display_name(variant.name), name_of(results, predicted),
                  right ? "<b aria-label=\"right\">✓</b>" : "<b aria-label=\"wrong\">✗</b>",
                  right ? "ok" : "bad");
  };
  judged(*base_of(results));
  for (const Variant* variant : variants) judged(*variant);
  return out + "</dl></figure>\n";
}

}  // namespace

std::string disagreements(const Results& results, const Dataset& test) {
  const Variant* base = base_of(results);
  if (base == nullptr || results.variants.size() < 2) return "";
  std::vector<const Variant*> variants;
  for (const Variant& variant : results.variants) {
    if (&variant != base && comparable(variant, test)) variants.push_back(&variant);
  }
  if (!comparable(*base, test) || variants.empty()) {
    return "<p>The single predictions are not at hand: results.json keeps counts, not the answer for each "
           "image.</p>\n";
  }
  std::vector<std::size_t> differing;
  for (std::size_t i = 0; i < test.labels.size(); ++i) {
    const bool differs = std::any_of(variants.begin(), variants.end(), [&](const Variant* variant) {
      return variant->accuracy.predictions[i] != base->accuracy.predictions[i];
    });
    if (differs) differing.push_back(i);
  }
  if (differing.empty()) {
    return fmt::format("<p>None: all models give the same class for each of the {} test images.</p>\n",
                       grouped(test.size()));
  }
  std::string out = changes_table(results, test, variants);
  if (!has_pictures(test)) return out;
  const std::size_t shown = std::min(kMostSamples, differing.size());
  out +=
      fmt::format("<p>{} of {} such images, taken evenly over the test split.</p>\n<div class=\"samples\">\n",
                  shown, grouped(std::ssize(differing)));
  for (std::size_t k = 0; k < shown; ++k)
    out += card(results, test, differing[k * differing.size() / shown], variants);
  return out + "</div>\n";
}

}  // namespace octavo::report
