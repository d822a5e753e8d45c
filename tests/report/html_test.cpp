#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <regex>

#include "octavo/report/report.h"
#include "report/html_parts.h"
#include "report/sample_results.h"

namespace octavo {
namespace {

using testing::plain_text;
using testing::sample_dataset;
using testing::sample_results;

std::size_t occurrences(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

/// Well formed, self-contained, and no number that is none.
void expect_sound(const std::string& html) {
  EXPECT_EQ(testing::markup_error(html), "");
  const std::string own = std::regex_replace(html, std::regex("xmlns=\"http://www.w3.org/2000/svg\""), "");
  EXPECT_EQ(own.find("://"), std::string::npos);
  EXPECT_EQ(own.find("<script"), std::string::npos);
  EXPECT_EQ(own.find("<link"), std::string::npos);
  EXPECT_EQ(own.find("@import"), std::string::npos);
  EXPECT_FALSE(std::regex_search(own, std::regex("url\\(")));
  // Whatever is loaded is in the file itself. (Attributes are looked at in plain scans: pictures are long.)
  for (const std::string attribute : {" src=\"", " href=\""}) {
    for (std::size_t at = own.find(attribute); at != std::string::npos; at = own.find(attribute, at + 1)) {
      EXPECT_EQ(own.compare(at + attribute.size(), 22, "data:image/png;base64,"), 0) << own.substr(at, 60);
    }
  }
  std::string shown = own;
  for (std::size_t at = shown.find("base64,"); at != std::string::npos; at = shown.find("base64,", at + 1)) {
    shown.erase(at + 7, shown.find('"', at) - at - 7);
  }
  EXPECT_FALSE(std::regex_search(shown, std::regex("\\b-?(nan|inf|infinity)\\b", std::regex::icase)));
}

double first_number(const std::string& text) {
  std::string digits;
  bool negative = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 3, "−") == 0) negative = true;
    if ((text[i] >= '0' && text[i] <= '9') || text[i] == '.') {
      digits += text[i];
    } else if (!digits.empty() && text[i] != ',') {
      break;
    }
  }
  return (negative ? -1 : 1) * std::stod(digits);
}

TEST(Html, PageIsSoundAndSelfContained) {
  const Dataset test = sample_dataset(2000, 10);
  const std::string html = to_html(sample_results(test), test);
  expect_sound(html);
  EXPECT_LT(html.size(), 400000U);
}

TEST(Html, LatencyTableEqualsResults) {
  const Dataset test = sample_dataset(2000, 10);
  const Results results = sample_results(test);
  const auto rows = testing::table_rows(to_html(results, test), "stacked");
  ASSERT_EQ(rows.size(), 7U);
  std::size_t row = 1;
  for (const Variant& variant : results.variants) {
    for (const Latency& latency : variant.latency) {
      const std::vector<double> expected{static_cast<double>(latency.batch),
                                         static_cast<double>(latency.threads),
                                         static_cast<double>(latency.runs),
                                         latency.mean_ms,
                                         latency.std_ms,
                                         latency.median_ms,
                                         latency.p90_ms,
                                         latency.images_per_second};
      ASSERT_EQ(rows[row].size(), expected.size() + 1);
      for (std::size_t c = 0; c < expected.size(); ++c) {
        // Three decimals below 1, three significant digits above: half a unit of the last one.
        const double unit = std::max(0.0005, expected[c] * 0.005);
        EXPECT_NEAR(first_number(rows[row][c + 1]), expected[c], unit) << rows[0][c + 1];
      }
      ++row;
    }
  }
}

TEST(Html, ComparisonTableEqualsResults) {
  const Dataset test = sample_dataset(2000, 10);
  const Results results = sample_results(test);
  const auto rows = testing::table_rows(to_html(results, test), "compare");
  ASSERT_EQ(rows.size(), 15U);
  const Variant& base = results.variants[0];
  for (std::size_t v = 0; v < 3; ++v) {
    const Variant& variant = results.variants[v];
    const double accuracy = variant.accuracy.value() * 100;
    const auto size = static_cast<double>(variant.size_bytes);
    EXPECT_EQ(rows[1][v + 1], variant.precision);
    EXPECT_NEAR(first_number(rows[2][v + 1]), accuracy, 0.005);
    EXPECT_NEAR(first_number(rows[5][v + 1]), size / 1e6, 0.005);
    EXPECT_NEAR(first_number(rows[7][v + 1]), variant.latency[0].mean_ms, 0.0005);
    EXPECT_NEAR(first_number(rows[11][v + 1]), variant.latency[1].mean_ms, 0.05);
    if (v == 0) continue;
    EXPECT_NEAR(first_number(rows[3][v + 1]), accuracy - base.accuracy.value() * 100, 0.005);
    EXPECT_NEAR(first_number(rows[4][v + 1]), variant.agreement_with_base * 100, 0.005);
    EXPECT_NEAR(first_number(rows[6][v + 1]), (size / static_cast<double>(base.size_bytes) - 1) * 100, 0.05);
    EXPECT_NEAR(first_number(rows[14][v + 1]), base.latency[1].median_ms / variant.latency[1].median_ms,
                0.05);
  }
}

TEST(Html, LayerTableEqualsResults) {
  const Dataset test = sample_dataset(2000, 10);
  const Results results = sample_results(test);
  const std::vector<LayerQuality>& layers = results.variants[1].layers;
  for (const std::string& html : {to_html(results, test), layers_to_html("ptq.onnx", layers)}) {
    expect_sound(html);
    const auto rows = testing::table_rows(html, "stacked layers");
    ASSERT_EQ(rows.size(), layers.size() + 1);
    EXPECT_EQ(rows[1][0], "input");
    EXPECT_EQ(rows[1][1], "exact");
    for (std::size_t i = 1; i < layers.size(); ++i) {
      EXPECT_EQ(rows[i + 1][0], layers[i].layer);
      EXPECT_NEAR(first_number(rows[i + 1][1]), layers[i].sqnr_db, 0.05);
      EXPECT_NEAR(first_number(rows[i + 1][2]), layers[i].cosine, 0.000005);
      EXPECT_NEAR(first_number(rows[i + 1][3]), layers[i].clipped * 100, 0.005);
    }
    EXPECT_NE(html.find("Noisiest: conv4 with"), std::string::npos);
  }
}

TEST(Html, BarsStartAtZeroAndKeepProportion) {
  const Dataset test = sample_dataset(2000, 10);
  Results results = sample_results(test);
  results.variants[1].size_bytes = results.variants[0].size_bytes / 4;
  const std::string html = to_html(results, test);
  const std::size_t begin = html.find("aria-labelledby=\"plot-size-t");
  const std::string plot = html.substr(begin, html.find("</svg>", begin) - begin);
  const std::regex bar("<rect x=\"([0-9.]+)\" y=\"[0-9.]+\" width=\"([0-9.]+)\" height=\"16\" class=\"bar c");
  std::vector<double> widths;
  for (std::sregex_iterator it(plot.begin(), plot.end(), bar), end; it != end; ++it) {
    EXPECT_EQ((*it)[1], "1");
    widths.push_back(std::stod((*it)[2]));
  }
  ASSERT_EQ(widths.size(), 3U);
  EXPECT_NEAR(widths[1] * 4, widths[0], 0.3);
}

TEST(Html, SaysWhenDataAreNotOfficial) {
  Dataset test = sample_dataset(200, 4);
  Results results = sample_results(test);
  EXPECT_EQ(to_html(results, test).find("class=\"warning\""), std::string::npos);
  test.official = false;
  EXPECT_NE(to_html(results, test).find("class=\"warning\""), std::string::npos);
  results.dataset_note = "A copy made from <JPEG> files.";
  const std::string html = to_html(results, test);
  EXPECT_NE(html.find("Not the official data.</strong> A copy made from &lt;JPEG&gt; files."),
            std::string::npos);
  EXPECT_LT(html.find("class=\"warning\""), html.find("class=\"verdict\""));
  EXPECT_NE(to_markdown(results).find("A copy made from \\<JPEG\\> files."), std::string::npos);
  EXPECT_NE(terminal_table(results, false, 80).find("Note: A copy made from <JPEG> files."),
            std::string::npos);
}

TEST(Html, DisagreementsAreCountedAndShown) {
  const Dataset test = sample_dataset(6, 3);  // Labels 0 1 2 0 1 2.
  Results results = sample_results(test);
  results.variants.resize(2);
  results.variants[0].accuracy = testing::count(test, {0, 1, 0, 0, 1, 1});
  results.variants[1].accuracy = testing::count(test, {0, 0, 2, 0, 1, 0});
  const std::string html = to_html(results, test);
  const auto rows = testing::table_rows(html, "fit");
  ASSERT_EQ(rows.size(), 2U);
  // Image 1 got worse, image 2 better, image 5 is wrong in another way.
  EXPECT_EQ(rows[1], (std::vector<std::string>{"PTQ", "3", "1", "1", "1"}));
  EXPECT_EQ(occurrences(html, "<figure class=\"sample\">"), 3U);
  const std::size_t first = html.find("<figure class=\"sample\">");
  EXPECT_EQ(plain_text(html.substr(first, html.find("</figure>", first) - first)),
            "Truekind 1Basekind 1✓PTQkind 0✗");
}

TEST(Html, AtMostTwentyFourSamples) {
  const Dataset test = sample_dataset(500, 10, 1);
  Results results = sample_results(test);
  std::vector<std::int32_t> predictions(500, 0);
  results.variants[1].accuracy = testing::count(test, predictions);
  const std::string html = to_html(results, test);
  expect_sound(html);
  EXPECT_EQ(occurrences(html, "<figure class=\"sample\">"), 24U);
}

TEST(Html, NoDisagreementIsSaid) {
  const Dataset test = sample_dataset(200, 4);
  Results results = sample_results(test);
  for (Variant& variant : results.variants) variant.accuracy = results.variants[0].accuracy;
  const std::string html = to_html(results, test);
  expect_sound(html);
  EXPECT_NE(html.find("None: all models give the same class"), std::string::npos);
  EXPECT_NE(plain_text(html).find("has the base's accuracy"), std::string::npos);
}

TEST(Html, ResultsReadFromFileHaveNoSamples) {
  const Dataset test = sample_dataset(200, 4);
  const std::string html = to_html(results_from_json(to_json(sample_results(test)), "results.json"), test);
  expect_sound(html);
  EXPECT_EQ(html.find("class=\"sample\""), std::string::npos);
  EXPECT_NE(html.find("The single predictions are not at hand"), std::string::npos);
}

TEST(Html, EmptyAndSingleResultsAreSound) {
  expect_sound(to_html(Results{}, Dataset{}));
  const Dataset test = sample_dataset(200, 4);
  Results results = sample_results(test);
  results.variants.resize(1);
  results.history.clear();
  std::string html = to_html(results, test);
  expect_sound(html);
  EXPECT_EQ(html.find("vs base"), std::string::npos);
  EXPECT_EQ(html.find("<h2>Training</h2>"), std::string::npos);
  results.variants[0] = Variant{};
  html = to_html(results, test);
  expect_sound(html);
  EXPECT_EQ(html.find("0.00 %"), std::string::npos);
}

TEST(Html, NumbersThatAreNoneAreDashes) {
  const Dataset test = sample_dataset(200, 4);
  Results results = sample_results(test);
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInf = std::numeric_limits<double>::infinity();
  for (EpochRecord& record : results.history) record.train_loss = record.epoch % 2 == 0 ? kNan : kInf;
  results.history[0].lr = kNan;
  results.history[3].test_accuracy = kNan;
  for (Latency& latency : results.variants[1].latency) {
    latency = {.batch = latency.batch,
               .threads = 1,
               .runs = 0,
               .mean_ms = kNan,
               .std_ms = kInf,
               .median_ms = 0,
               .p90_ms = kNan,
               .images_per_second = kInf};
  }
  results.variants[0].latency[0].median_ms = 0;
  results.variants[0].size_bytes = 0;
  results.variants[2].agreement_with_base = kNan;
  results.timing["train_s"] = kInf;
  expect_sound(to_html(results, test));
  for (const std::string& text :
       {to_markdown(results), terminal_table(results, false, 80), to_json(results)}) {
    EXPECT_FALSE(std::regex_search(text, std::regex("\\b(nan|inf)\\b"))) << text;
  }
}

TEST(Html, HundredClassesWithHostileNamesAreSound) {
  Dataset test = sample_dataset(1000, 100);
  for (std::string& name : test.class_names) name = "<b onload=\"x\">" + std::string(200, '&') + "ü' " + name;
  Results results = sample_results(test);
  results.model = "</title><script>alert(1)</script>";
  results.environment["<i>"] = "\"'&<>";
  results.variants[1].name = "</svg><img src=x>";
  results.variants[1].layers.back().layer = "</p><i>noisiest";
  results.variants[1].choices = testing::sample_choices();
  results.variants[1].choices.guard->cpu = "<b>";
  results.variants[2].precision = "</table>";
  results.notes = {"</main>"};
  const std::string html = to_html(results, test);
  expect_sound(html);
  EXPECT_EQ(occurrences(html, "class=\"pixels\""), 3U);
}

TEST(Html, InconsistentCountsDoNotBreakThePage) {
  const Dataset test = sample_dataset(200, 4);
  Results results = sample_results(test);
  results.class_names.resize(1);
  results.variants[0].accuracy.class_correct.resize(2);
  results.variants[1].accuracy.confusion.pop_back();
  results.variants[2].accuracy.class_images.push_back(0);
  results.variants[2].accuracy.predictions.push_back(7);
  expect_sound(to_html(results, test));
}

}  // namespace
}  // namespace octavo
