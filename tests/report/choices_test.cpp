// What the report says of layers in float32 and of seven-bit weights.
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "octavo/core/error.h"
#include "octavo/report/report.h"
#include "report/html_parts.h"
#include "report/sample_results.h"

namespace octavo {
namespace {

using Json = nlohmann::json;
using Cells = std::vector<std::string>;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// A comparison whose PTQ file says something of its layers.
Results results_with(const LayerChoices& choices) {
  Results results = testing::sample_results(testing::sample_dataset(200, 4));
  results.variants.at(1).choices = choices;
  return results;
}

std::string html_of(const Results& results) { return to_html(results, testing::sample_dataset(200, 4)); }

TEST(Choices, NothingIsShownWhereThereIsNothingToSay) {
  const Results results = results_with({});
  for (const std::string& text :
       {html_of(results), to_markdown(results), to_json(results), terminal_table(results, false, 80),
        layers_to_html("ptq.onnx", results.variants[1].layers)}) {
    for (const char* words : {"Latency guard", "latency_guard", "On CPUs without VNNI", "saturation",
                              "seven-bit layers", "layers in float32", "class=\"stacked choices\""})
      EXPECT_FALSE(contains(text, words)) << words;
  }
}

TEST(Choices, GuardShowsLayersWithBothTimesAndWholeModels) {
  LayerChoices choices;
  choices.guard = testing::sample_choices().guard;
  const Results results = results_with(choices);
  for (const std::string& html : {html_of(results), layers_to_html("ptq.onnx", {}, choices)}) {
    EXPECT_EQ(testing::markup_error(html), "");
    const auto rows = testing::table_rows(html, "stacked choices");
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[0], (Cells{"Layer in float32", "float32", "int8", "There and back"}));
    EXPECT_EQ(rows[1], (Cells{"features.se1.fc", "12.3 µs", "4.1 µs", "15.6 µs"}));
    EXPECT_EQ(rows[2], (Cells{"head", "30.2 µs", "35.5 µs", "0.2 µs"}));
    const std::string text = testing::plain_text(html);
    for (const char* words :
         {"at batch 8 on 2 threads of AMD EPYC 7B13", "takes 6.12 ms in float32 and 1.06 ms in int8 wherever",
          "as chosen, 0.975 ms", "2 layers stay in float32."})
      EXPECT_TRUE(contains(text, words)) << words;
  }
  const std::string markdown = to_markdown(results);
  EXPECT_TRUE(contains(markdown, "## Latency guard: PTQ\n\nEvery layer was timed")) << markdown;
  EXPECT_TRUE(
      contains(markdown,
               "| Layer in float32 | float32 | int8 | There and back |\n| --- | ---: | ---: | ---: |\n"
               "| features.se1.fc | 12.3 µs | 4.1 µs | 15.6 µs |\n"))
      << markdown;
  EXPECT_TRUE(
      contains(terminal_table(results, false, 80), "  layers in float32" + std::string(36, ' ') + "2\n"))
      << terminal_table(results, false, 80);
}

TEST(Choices, GuardWithoutLayersInFloatSaysSo) {
  LayerChoices choices;
  choices.guard = {.batch = 1,
                   .threads = 1,
                   .cpu = "cpu",
                   .float_ms = 3,
                   .int8_ms = 1,
                   .guarded_ms = 1,
                   .all_float = false,
                   .layers = {}};
  const std::string html = html_of(results_with(choices));
  EXPECT_TRUE(contains(testing::plain_text(html), "on 1 thread of cpu. ")) << html;
  EXPECT_TRUE(contains(testing::plain_text(html), "No layer stays in float32."));
  EXPECT_TRUE(testing::table_rows(html, "stacked choices").empty());
}

TEST(Choices, ModelThatStayedInFloatIsCalledThat) {
  LayerChoices choices{.guard = testing::sample_choices().guard, .saturation = std::nullopt};
  choices.guard->all_float = true;
  Results results = results_with(choices);
  results.variants[1].precision = "fp32";
  results.variants[1].layers.clear();
  const std::string text = testing::plain_text(html_of(results));
  EXPECT_TRUE(contains(text, "Nothing in int8 was faster than float32, so all of it stays in float32."));
  EXPECT_TRUE(contains(text, " PTQ, left in float32 by the latency guard, "));
  EXPECT_FALSE(contains(text, "as chosen"));
  EXPECT_FALSE(contains(terminal_table(results, false, 80), "layers in float32"));
}

TEST(Choices, SaturationShowsProofsCountsAndBits) {
  LayerChoices choices;
  choices.saturation = testing::sample_choices().saturation;
  const Results results = results_with(choices);
  const std::string html = html_of(results);
  EXPECT_EQ(testing::markup_error(html), "");
  const auto rows = testing::table_rows(html, "stacked choices");
  ASSERT_EQ(rows.size(), 5U);
  EXPECT_EQ(rows[0], (Cells{"Layer not proven", "Weights", "Largest sum", "Pairs that could", "Saturated"}));
  EXPECT_EQ(rows[1], (Cells{"conv1", "7 bits", "64,770", "1,203", "45,678×"}));
  EXPECT_EQ(rows[3], (Cells{"features.se1.fc", "8 bits", "33,000", "2", "never"}));
  EXPECT_EQ(rows[4], (Cells{"<b>&\"|", "8 bits", "32,768", "0", "never"}));
  const std::string text = testing::plain_text(html);
  for (const char* words : {"3 layers cannot get there: their two largest weights",
                            "on 64 calibration images: 2 layers saturated",
                            "; 2 layers never saturated, which is no proof, and kept eight bits."})
    EXPECT_TRUE(contains(text, words)) << words;
  EXPECT_TRUE(contains(to_markdown(results), "| \\<b\\>\\&\"\\| | 8 bits | 32,768 | 0 | never |"))
      << to_markdown(results);
  EXPECT_TRUE(
      contains(terminal_table(results, false, 80), "  seven-bit layers" + std::string(37, ' ') + "2\n"))
      << terminal_table(results, false, 80);
}

TEST(Choices, EveryLayerProvenNeedsNoTable) {
  LayerChoices choices;
  choices.saturation = {.images = 64, .proven = 1, .layers = {}};
  const std::string html = html_of(results_with(choices));
  EXPECT_TRUE(contains(testing::plain_text(html), "1 layer cannot get there: its two largest weights"));
  EXPECT_FALSE(contains(html, "emulated"));
  EXPECT_TRUE(testing::table_rows(html, "stacked choices").empty());
}

TEST(Choices, EachVariantHasItsOwnSections) {
  Results results = results_with(testing::sample_choices());
  results.variants[2].choices.guard = testing::sample_choices().guard;
  const std::string text = to_markdown(results);
  const std::size_t ptq = text.find("## Latency guard: PTQ");
  const std::size_t vnni = text.find("## On CPUs without VNNI: PTQ");
  const std::size_t qat = text.find("## Latency guard: QAT");
  EXPECT_LT(ptq, vnni);
  EXPECT_LT(vnni, qat);
  EXPECT_NE(qat, std::string::npos);
  EXPECT_EQ(text.find("## On CPUs without VNNI: QAT"), std::string::npos);
}

TEST(Choices, JsonRoundTripKeepsEverything) {
  const Results results = results_with(testing::sample_choices());
  const std::string text = to_json(results);
  const Results read = results_from_json(text, "results.json");
  EXPECT_EQ(to_json(read), text);
  EXPECT_EQ(to_markdown(read), to_markdown(results));
  EXPECT_TRUE(read.variants[0].choices.empty());
  EXPECT_TRUE(read.variants[2].choices.empty());
  ASSERT_TRUE(read.variants[1].choices.guard && read.variants[1].choices.saturation);
  const GuardChoice& guard = *read.variants[1].choices.guard;
  EXPECT_EQ(guard.cpu, "AMD EPYC 7B13");
  EXPECT_EQ(guard.guarded_ms, 0.975);
  ASSERT_EQ(guard.layers.size(), 2U);
  EXPECT_EQ(guard.layers[1].int8_ms, 0.0355);
  const SaturationChoice& saturation = *read.variants[1].choices.saturation;
  EXPECT_EQ(saturation.proven, 3);
  ASSERT_EQ(saturation.layers.size(), 4U);
  EXPECT_EQ(saturation.layers[0].events, 45678);
  EXPECT_TRUE(saturation.layers[1].narrowed);
  EXPECT_FALSE(saturation.layers[2].narrowed);

  const Json document = Json::parse(text);
  EXPECT_EQ(document["schema"], 1);
  EXPECT_FALSE(document["variants"][0].contains("latency_guard"));
  EXPECT_FALSE(document["variants"][0].contains("saturation"));
  EXPECT_EQ(document["variants"][1]["latency_guard"]["float_layers"][0]["layer"], "features.se1.fc");
  EXPECT_EQ(document["variants"][1]["saturation"]["not_proven"][0]["events"], 45678);
}

TEST(Choices, JsonErrorsNameTheKey) {
  const auto error_after = [](const std::function<void(Json&)>& change) -> std::string {
    Json document = Json::parse(to_json(results_with(testing::sample_choices())));
    change(document["variants"][1]);
    try {
      results_from_json(document.dump(), "results.json");
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_EQ(error_after([](Json& v) { v["latency_guard"].erase("cpu"); }),
            "results.json: key 'variants[1].latency_guard.cpu' is missing");
  EXPECT_EQ(error_after([](Json& v) { v["saturation"]["not_proven"][2]["narrowed"] = 1; }),
            "results.json: key 'variants[1].saturation.not_proven[2].narrowed' has the wrong type; expected "
            "a boolean, got "
            "an integer");
  EXPECT_TRUE(contains(error_after([](Json& v) { v["latency_guard"]["batch"] = 0; }),
                       "key 'variants[1].latency_guard.batch' is out of range"));
}

TEST(Choices, TimesThatAreNoneAreDashes) {
  LayerChoices choices = testing::sample_choices();
  choices.guard->float_ms = std::numeric_limits<double>::infinity();
  choices.guard->layers[0].int8_ms = std::numeric_limits<double>::quiet_NaN();
  const Results results = results_with(choices);
  for (const Results& r : {results, results_from_json(to_json(results), "results.json")}) {
    EXPECT_EQ(testing::table_rows(html_of(r), "stacked choices").at(1).at(2), "–");
    EXPECT_TRUE(contains(to_markdown(r), "takes – in float32")) << to_markdown(r);
  }
}

}  // namespace
}  // namespace octavo
