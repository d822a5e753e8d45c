#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "octavo/core/error.h"
#include "octavo/report/report.h"
#include "report/sample_results.h"

namespace octavo {
namespace {

using Json = nlohmann::json;

Results sample() { return testing::sample_results(testing::sample_dataset(200, 4)); }

/// Message of the error that a changed results.json gives.
std::string error_after(const std::function<void(Json&)>& change) {
  Json document = Json::parse(to_json(sample()));
  change(document);
  try {
    results_from_json(document.dump(), "results.json");
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(ErrorCode::kBadInput));
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Json, RoundTripKeepsEverything) {
  Results results = sample();
  results.history.at(1).test_accuracy = -1;
  results.dataset_note = "Not the official files: \"quoted\" <&> ü";
  const std::string text = to_json(results);
  const Results read = results_from_json(text, "results.json");
  EXPECT_EQ(to_json(read), text);

  EXPECT_EQ(read.dataset_note, results.dataset_note);
  EXPECT_EQ(read.class_names, results.class_names);
  EXPECT_EQ(read.parameters, 1558026);
  EXPECT_EQ(read.environment, results.environment);
  EXPECT_EQ(read.settings, results.settings);
  EXPECT_EQ(read.timing, results.timing);
  EXPECT_EQ(read.notes, results.notes);
  ASSERT_EQ(read.variants.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    const Variant& got = read.variants[i];
    const Variant& expected = results.variants[i];
    EXPECT_EQ(got.name, expected.name);
    EXPECT_EQ(got.accuracy.correct, expected.accuracy.correct);
    EXPECT_EQ(got.accuracy.confusion, expected.accuracy.confusion);
    EXPECT_EQ(got.accuracy.class_correct, expected.accuracy.class_correct);
    EXPECT_TRUE(got.accuracy.predictions.empty());
    EXPECT_EQ(got.agreement_with_base, expected.agreement_with_base);
    ASSERT_EQ(got.layers.size(), expected.layers.size());
    for (std::size_t k = 0; k < got.layers.size(); ++k) {
      EXPECT_EQ(got.layers[k].layer, expected.layers[k].layer);
      EXPECT_EQ(got.layers[k].sqnr_db, expected.layers[k].sqnr_db);  // The exact one's is infinite.
      EXPECT_EQ(got.layers[k].range.max, expected.layers[k].range.max);
      EXPECT_EQ(got.layers[k].activations.counts, expected.layers[k].activations.counts);
      EXPECT_EQ(got.layers[k].weights.counts, expected.layers[k].weights.counts);
    }
    ASSERT_EQ(got.latency.size(), 2U);
    EXPECT_EQ(got.latency[1].mean_ms, expected.latency[1].mean_ms);
    EXPECT_EQ(got.latency[1].images_per_second, expected.latency[1].images_per_second);
  }
  ASSERT_EQ(read.history.size(), results.history.size());
  EXPECT_EQ(read.history[1].test_accuracy, -1);
  EXPECT_EQ(read.history[2].train_loss, results.history[2].train_loss);
}

TEST(Json, SchemaHasTheDocumentedKeys) {
  const Json document = Json::parse(to_json(sample()));
  EXPECT_EQ(document.at("schema"), 1);
  EXPECT_EQ(document.at("dataset").at("train"), 50000);
  EXPECT_EQ(document.at("dataset").at("test"), 200);
  EXPECT_EQ(document.at("dataset").at("classes").size(), 4U);
  EXPECT_EQ(document.at("model").at("macs"), 58400000);
  const Json& ptq = document.at("variants").at(1);
  EXPECT_EQ(ptq.at("name"), "ptq");
  EXPECT_EQ(ptq.at("precision"), "int8");
  EXPECT_EQ(ptq.at("file"), "ptq.onnx");
  EXPECT_EQ(ptq.at("size_bytes"), 1593201);
  EXPECT_DOUBLE_EQ(ptq.at("accuracy").get<double>(), ptq.at("correct").get<double>() / 200);
  for (const char* key :
       {"batch", "threads", "runs", "mean_ms", "std_ms", "median_ms", "p90_ms", "images_per_second"}) {
    EXPECT_TRUE(ptq.at("latency").at(0).contains(key)) << key;
  }
  EXPECT_DOUBLE_EQ(document.at("timing").at("ptq_s").get<double>(), 2.41);
}

TEST(Json, NotFiniteNumbersBecomeNull) {
  Results results = sample();
  results.history.at(0).train_loss = std::numeric_limits<double>::quiet_NaN();
  results.timing["train_s"] = std::numeric_limits<double>::infinity();
  const std::string text = to_json(results);
  EXPECT_EQ(text.find("nan"), std::string::npos);
  EXPECT_EQ(text.find("inf"), std::string::npos);
  const Results read = results_from_json(text, "results.json");
  EXPECT_TRUE(std::isnan(read.history[0].train_loss));
  EXPECT_TRUE(std::isnan(read.timing.at("train_s")));
}

TEST(Json, TextThatIsNotUtf8IsStillWritten) {
  Results results = sample();
  results.environment["cpu"] = "Xeon\xAE";
  EXPECT_EQ(results_from_json(to_json(results), "results.json").environment.at("cpu"), "Xeon\xEF\xBF\xBD");
}

TEST(Json, EmptyResultsRoundTrip) {
  const std::string text = to_json(Results{});
  EXPECT_EQ(to_json(results_from_json(text, "results.json")), text);
}

TEST(Json, TruncatedFileIsNotADocument) {
  const std::string text = to_json(sample());
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, text.size() / 2, text.size() - 3}) {
    try {
      results_from_json(text.substr(0, size), "runs/a/results.json");
      ADD_FAILURE() << size;
    } catch (const Error& error) {
      EXPECT_TRUE(
          std::string(error.what()).starts_with("runs/a/results.json: not a JSON document: error at byte "))
          << error.what();
    }
  }
}

TEST(Json, NumberThatNoDoubleHoldsIsBadInput) {
  try {
    results_from_json(R"({"schema": 1e999})", "results.json");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
  }
}

TEST(Json, ErrorsNameTheKey) {
  EXPECT_EQ(error_after([](Json& j) { j["variants"][1].erase("size_bytes"); }),
            "results.json: key 'variants[1].size_bytes' is missing");
  EXPECT_EQ(
      error_after([](Json& j) { j["variants"][0]["latency"][1]["mean_ms"] = "fast"; }),
      "results.json: key 'variants[0].latency[1].mean_ms' has the wrong type; expected a number, got text");
  EXPECT_EQ(error_after([](Json& j) { j["dataset"]["train"] = 1.5; }),
            "results.json: key 'dataset.train' has the wrong type; expected an integer, got a fraction");
  EXPECT_EQ(error_after([](Json& j) { j["timing"]["train_s"] = -1; }).substr(0, 56),
            "results.json: key 'timing.train_s' is out of range; expe");
  EXPECT_EQ(error_after([](Json& j) { j["variants"][2]["colour"] = 1; }).substr(0, 77),
            "results.json: key 'variants[2].colour' is unknown; expected one of name, prec");
  EXPECT_EQ(
      error_after([](Json& j) { j["schema"] = 2; }),
      "results.json: key 'schema' is of another version; expected 1, got 2 (written by another release?)");
  EXPECT_EQ(error_after([](Json& j) { j = Json::array(); }),
            "results.json: the document has the wrong type; expected an object, got a list");
  EXPECT_EQ(error_after([](Json& j) { j["history"] = Json::object(); }),
            "results.json: key 'history' has the wrong type; expected a list, got an object");
  EXPECT_EQ(error_after([](Json& j) { j["settings"]["seed"] = 42; }),
            "results.json: key 'settings.seed' has the wrong type; expected text, got an integer");
}

TEST(Json, CountsThatContradictAreRefused) {
  EXPECT_NE(error_after([](Json& j) {
              j["variants"][0]["accuracy"] = 0.5;
            }).find("'variants[0].accuracy' contradicts the counts"),
            std::string::npos);
  EXPECT_NE(error_after([](Json& j) {
              j["variants"][0]["correct"] = 201;
            }).find("'variants[0].correct' is out of range; expected 0 to 200, got 201"),
            std::string::npos);
  EXPECT_NE(error_after([](Json& j) {
              j["variants"][0]["confusion"][2].erase(0);
            }).find("'variants[0].confusion[2]' has the wrong length; expected 4, got 3"),
            std::string::npos);
  EXPECT_NE(error_after([](Json& j) {
              j["variants"][0]["class_correct"].erase(0);
            }).find("'variants[0].class_correct' has the wrong length; expected 4, got 3"),
            std::string::npos);
  EXPECT_NE(error_after([](Json& j) {
              j["variants"][0]["size_bytes"] = 18446744073709551615ULL;
            }).find("'variants[0].size_bytes' is out of range"),
            std::string::npos);
  EXPECT_NE(error_after([](Json& j) {
              j["variants"][0]["latency"][0]["batch"] = 0;
            }).find("'variants[0].latency[0].batch' is out of range"),
            std::string::npos);
}

}  // namespace
}  // namespace octavo
