#include <fmt/format.h>

#include <algorithm>

#include "bars.h"
#include "choices.h"
#include "comparison.h"
#include "confusion.h"
#include "curves.h"
#include "format.h"
#include "layers.h"
#include "octavo/core/version.h"
#include "octavo/report/report.h"
#include "samples.h"
#include "style.h"
#include "svg.h"

namespace octavo {
namespace {

using namespace report;

/// Escaped text in which no line ends between a number and its unit.
std::string unbroken(const std::string& text) {
  std::string out = escape(text);
  for (const char* unit : {" %", " ms", " µs", " MB", " kB", " GB", " dB"}) {
    for (std::size_t at = out.find(unit); at != std::string::npos; at = out.find(unit, at + 1)) {
      if (at > 0 && out[at - 1] >= '0' && out[at - 1] <= '9') out.replace(at, 1, "&nbsp;");
    }
  }
  return out;
}

/// `lead` is markup. Empty where the body is.
std::string section(const std::string& title, const std::string& lead, const std::string& body) {
  if (body.empty()) return "";
  return fmt::format("<section>\n<h2>{}</h2>\n{}{}</section>\n", escape(title),
                     lead.empty() ? "" : "<p class=\"lead\">" + lead + "</p>\n", body);
}

std::string grid(const std::string& figures, const std::string& kind) {
  return figures.empty() ? "" : fmt::format("<div class=\"grid {}\">\n{}</div>\n", kind, figures);
}

std::string variant_legend(const Results& results) {
  std::vector<LegendEntry> entries;
  for (std::size_t i = 0; i < results.variants.size(); ++i) {
    entries.push_back({color_class(i), display_name(results.variants[i].name)});
  }
  return legend(entries);
}

std::string facts(const Results& results) {
  std::vector<std::string> items;
  if (results.parameters > 0) items.push_back(grouped(results.parameters) + " parameters");
  if (results.macs > 0) {
    items.push_back(fmt::format("{} million multiply-accumulates an image",
                                plain(static_cast<double>(results.macs) / 1e6)));
  }
  if (results.train_images > 0) items.push_back(grouped(results.train_images) + " training images");
  if (results.test_images > 0) items.push_back(grouped(results.test_images) + " test images");
  if (!results.class_names.empty()) items.push_back(fmt::format("{} classes", results.class_names.size()));
  std::string out;
  for (const std::string& item : items) out += "<li>" + escape(item) + "</li>";
  return out.empty() ? "" : "<ul class=\"facts\">" + out + "</ul>\n";
}

std::string data_note(const Results& results, const Dataset& test) {
  std::string text = results.dataset_note;
  if (text.empty() && !test.official) {
    text =
        "The checksums of these files are not those of the official ones, so accuracies do not compare with "
        "published "
        "figures.";
  }
  if (text.empty()) return "";
  return "<aside class=\"warning\" role=\"note\"><strong>Not the official data.</strong> " + escape(text) +
         "</aside>\n";
}

std::string comparison_html(const Results& results) {
  const ComparisonTable table = comparison_table(results);
  if (table.header.empty()) return "";
  std::string out = "<div class=\"scroll\"><table class=\"compare\"><thead><tr><td></td>";
  for (const std::string& name : table.header) out += "<th scope=\"col\">" + escape(name) + "</th>";
  out += "</tr></thead><tbody>\n";
  for (const TableRow& row : table.rows) {
    out += fmt::format("<tr{}><th scope=\"row\">{}</th>", row.detail ? " class=\"detail\"" : "",
                       escape(row.label));
    for (const std::string& cell : row.cells) out += "<td>" + unbroken(cell) + "</td>";
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string latency_table(const Results& results) {
  std::string rows;
  for (const Variant& variant : results.variants) {
    for (const Latency& l : variant.latency) {
      rows += fmt::format("<tr><th scope=\"row\">{}</th>", escape(display_name(variant.name)));
      const std::vector<std::pair<std::string, std::string>> cells{
          {"Batch", grouped(l.batch)},     {"Threads", grouped(l.threads)},
          {"Runs", grouped(l.runs)},       {"Mean", milliseconds(l.mean_ms)},
          {"Std", milliseconds(l.std_ms)}, {"Median", milliseconds(l.median_ms)},
          {"p90", milliseconds(l.p90_ms)}, {"Images/s", rate(l.images_per_second)}};
      for (const auto& [name, text] : cells)
        rows += fmt::format("<td data-label=\"{}\">{}</td>", name, escape(text));
      rows += "</tr>\n";
    }
  }
  if (rows.empty()) return "";
  std::string head;
  for (const char* name : {"Model", "Batch", "Threads", "Runs", "Mean", "Std", "Median", "p90", "Images/s"}) {
    head += fmt::format("<th scope=\"col\">{}</th>", name);
  }
  return "<table class=\"stacked\"><thead><tr>" + head + "</tr></thead><tbody>\n" + rows +
         "</tbody></table>\n";
}

template <typename Pairs>
std::string pairs_table(const Pairs& entries) {
  std::string rows;
  for (const auto& [key, value] : entries) {
    rows += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape(key), escape(value));
  }
  return rows.empty() ? "" : "<table class=\"pairs\"><tbody>\n" + rows + "</tbody></table>\n";
}

std::string notes_list(const Results& results) {
  std::string out;
  for (const std::string& note : results.notes) out += "<li>" + escape(note) + "</li>\n";
  return out.empty() ? "" : "<ul>\n" + out + "</ul>\n";
}

std::string choices_html(const LayerChoices& choices, const std::string& name) {
  std::string out;
  for (const ChoiceSection& choice : choice_sections(choices, name)) {
    std::string head;
    for (const std::string& cell : choice.header) head += "<th scope=\"col\">" + escape(cell) + "</th>";
    std::string rows;
    for (const std::vector<std::string>& row : choice.rows) {
      rows += "<tr><th scope=\"row\">" + escape(row.front()) + "</th>";
      for (std::size_t i = 1; i < row.size(); ++i)
        rows += fmt::format("<td data-label=\"{}\">{}</td>", escape(choice.header[i]), unbroken(row[i]));
      rows += "</tr>\n";
    }
    const std::string table = rows.empty() ? ""
                                           : "<table class=\"stacked choices\"><thead><tr>" + head +
                                                 "</tr></thead><tbody>\n" + rows + "</tbody></table>\n";
    out += section(choice.title, "", "<p class=\"lead\">" + unbroken(choice.lead) + "</p>\n" + table);
  }
  return out;
}

std::string sections(const Results& results, const Dataset& test) {
  std::string out =
      section("Comparison", "", grid(comparison_panels(results), "three") + comparison_html(results));
  const std::string classes = class_panels(results);
  const std::string samples = disagreements(results, test);
  const std::string latency = grid(latency_panels(results), "three") + latency_table(results);
  out += section(
      "Inference time",
      "Each run is timed alone, after warm-up, on the runtime that ships; the models take turns. p90 is the "
      "smallest time that 90 % of the runs do not exceed; images per second come from the median.",
      latency);
  out += section("Training", "", grid(training_curves(results), "three"));
  out += section("Accuracy by class", "Per cent of each class's test images classified correctly.",
                 classes.empty() ? "" : variant_legend(results) + grid(classes, "three"));
  out += section("Confusion matrices",
                 "How many images of a class (row) the model put where (column). Blue: right. Orange: wrong, "
                 "the stronger the "
                 "larger its share of the row.",
                 grid(confusion_matrices(results), "three"));
  out += section("Where quantization changes the answer", "", samples);
  for (const Variant& variant : results.variants)
    out += choices_html(variant.choices, display_name(variant.name));
  for (const Variant& variant : results.variants) {
    out += section("Layer by layer: " + display_name(variant.name), unbroken(layer_summary(variant.layers)),
                   layer_table(variant.layers));
  }
  out += section("Notes", "", notes_list(results));
  out += section("Time taken", "", pairs_table(timing_rows(results)));
  out += section("Environment", "", pairs_table(results.environment));
  out += section("Settings", "", pairs_table(results.settings));
  return out;
}

std::string page_header(const std::string& title, const std::string& subtitle, const std::string& facts) {
  return fmt::format("<header>\n<p class=\"mark\">Octavo</p>\n<h1>{}<span>{}</span></h1>\n{}</header>\n",
                     escape(title), escape(subtitle), facts);
}

/// A whole page around what stands in it.
std::string page(const std::string& title, const std::string& content) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<style>\n{}</style>\n</head>\n"
      "<body>\n<main>\n{}<footer>Made by Octavo {}.</footer>\n</main>\n</body>\n</html>\n",
      escape(title), kStyle, content, escape(version()));
}

}  // namespace

std::string to_html(const Results& results, const Dataset& test) {
  const std::string header =
      page_header(subject(results), "float and quantized, side by side", facts(results));
  return page(subject(results) + ": float and quantized",
              header + data_note(results, test) + "<p class=\"verdict\">" + unbroken(verdict(results)) +
                  "</p>\n" + sections(results, test));
}

std::string layers_to_html(const std::string& model, const std::vector<LayerQuality>& layers,
                           const LayerChoices& choices) {
  const std::string summary =
      layers.empty() ? "" : "<p class=\"verdict\">" + unbroken(layer_summary(layers)) + "</p>\n";
  return page(model + ": layer by layer", page_header(model, "what quantization costs, layer by layer", "") +
                                              summary + choices_html(choices, "") +
                                              section("Layers", "", layer_table(layers)));
}

}  // namespace octavo
