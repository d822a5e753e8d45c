#include <gtest/gtest.h>

#include <sstream>

#include "format.h"
#include "octavo/report/report.h"
#include "report/sample_results.h"

namespace octavo {
namespace {

/// A small comparison with round numbers.
Results round_results() {
  Results results;
  results.dataset = "cifar10";
  results.model = "simple-cnn";
  const auto add = [&](const char* name, const char* precision, std::int64_t correct, std::int64_t size,
                       double ms) {
    Variant variant;
    variant.name = name;
    variant.precision = precision;
    variant.accuracy.images = 1000;
    variant.accuracy.correct = correct;
    variant.size_bytes = size;
    variant.agreement_with_base = 0.993;
    variant.latency = {{.batch = 128,
                        .threads = 2,
                        .runs = 100,
                        .mean_ms = ms + 1,
                        .std_ms = 0.5,
                        .median_ms = ms,
                        .p90_ms = ms + 2,
                        .images_per_second = 128 / ms * 1000}};
    results.variants.push_back(variant);
  };
  add("base", "fp32", 872, 6000000, 100);
  add("ptq", "int8", 871, 1500000, 8);
  add("qat", "int8", 875, 1500000, 200);
  return results;
}

TEST(TerminalTable, ShowsMeasuredNumbersAligned) {
  EXPECT_EQ(terminal_table(round_results(), false, 80),
            "simple-cnn on cifar10\n"
            "\n"
            "                                Base             PTQ             QAT\n"
            "────────────────────────────────────────────────────────────────────\n"
            "Precision                       fp32            int8            int8\n"
            "Accuracy                     87.20 %         87.10 %         87.50 %\n"
            "  vs base                               −0.10 points    +0.30 points\n"
            "  Same class as base                         99.30 %         99.30 %\n"
            "File size                    6.00 MB         1.50 MB         1.50 MB\n"
            "  vs base                                    −75.0 %         −75.0 %\n"
            "Time, batch 128       101.0 ± 0.5 ms  9.00 ± 0.50 ms  201.0 ± 0.5 ms\n"
            "  median                    100.0 ms         8.00 ms        200.0 ms\n"
            "  images/s                     1,280          16,000             640\n"
            "  speed-up                                     12.5×           0.50×\n"
            "\n");
}

TEST(TerminalTable, NeverWiderThanAsked) {
  Results results = testing::sample_results(testing::sample_dataset(300, 10));
  results.notes.push_back(std::string(30, 'x') + " " + std::string(60, 'y') +
                          " several short words that must be wrapped");
  Variant extra = results.variants[1];
  extra.name = std::string(300, 'n');
  results.variants.push_back(extra);
  for (const int width : {80, 100, 60}) {
    std::istringstream lines(terminal_table(results, false, width));
    for (std::string line; std::getline(lines, line);) {
      if (line.find(std::string(60, 'y')) != std::string::npos) continue;
      EXPECT_LE(report::text_width(line), static_cast<std::size_t>(width)) << line;
    }
  }
}

TEST(TerminalTable, ColorAddsCodesAndNothingElse) {
  const Results results = round_results();
  std::string colored = terminal_table(results, true, 80);
  EXPECT_NE(colored.find("\033["), std::string::npos);
  for (const std::string code : {"\033[0m", "\033[1m", "\033[2m", "\033[33m"}) {
    for (std::size_t at = colored.find(code); at != std::string::npos; at = colored.find(code))
      colored.erase(at, code.size());
  }
  EXPECT_EQ(colored, terminal_table(results, false, 80));
}

TEST(TerminalTable, SlowerThanTheBaseHasAnotherColor) {
  const std::string colored = terminal_table(round_results(), true, 80);
  EXPECT_NE(colored.find("\033[33m0.50×\033[0m"), std::string::npos) << colored;
  EXPECT_EQ(colored.find("\033[33m12.5×"), std::string::npos);
}

TEST(TextWidth, WideLettersTakeTwoColumnsAndMarksNone) {
  EXPECT_EQ(report::text_width("plain"), 5U);
  EXPECT_EQ(report::text_width("−0.5 ±"), 6U);
  EXPECT_EQ(report::text_width("猫"), 2U);
  EXPECT_EQ(report::text_width("ネコ"), 4U);
  EXPECT_EQ(report::text_width("고양이"), 6U);
  EXPECT_EQ(report::text_width("🐈"), 2U);
  EXPECT_EQ(report::text_width("e\u0301"), 1U);
  EXPECT_EQ(report::text_width("\xFF\xC3"), 2U);  // Not UTF-8.
}

TEST(Shorten, CutsWholeLettersToColumns) {
  EXPECT_EQ(report::shorten("猫猫猫", 6), "猫猫猫");
  EXPECT_EQ(report::shorten("猫猫猫", 5), "猫猫…");
  EXPECT_EQ(report::shorten("猫猫猫", 4), "猫…");
  EXPECT_EQ(report::shorten_front("a/long/path.onnx", 10), "…path.onnx");
  EXPECT_EQ(report::shorten_front("猫猫猫", 4), "…猫");
  EXPECT_EQ(report::shorten_front("short", 5), "short");
}

TEST(TerminalTable, ControlCharactersOfNamesAreNotPrinted) {
  Results results = round_results();
  results.variants[1].name = "evil\033[2J\r";
  results.model = "m\033]0;title\007";
  EXPECT_EQ(terminal_table(results, false, 80).find_first_of("\033\r\007"), std::string::npos);
}

TEST(TerminalTable, WithoutVariantsSaysSo) {
  EXPECT_NE(terminal_table(Results{}, false, 80).find("No model was compared."), std::string::npos);
}

TEST(Markdown, SaysWhatTheNumbersSay) {
  const std::string text = to_markdown(round_results());
  EXPECT_NE(
      text.find(
          "The fp32 model classifies 872 of 1,000 test images correctly (87.20 %). Its file takes 6.00 MB. "
          "Quantized after training (PTQ), the int8 model reaches 87.10 %, 0.10 points below the base, its "
          "file "
          "is 75.0 % smaller, and a batch of 128 runs 12.5 times as fast (8.00 ms instead of 100.0 ms). "
          "Fine-tuned while quantized (QAT), the int8 model reaches 87.50 %, 0.30 points above the base, its "
          "file is 75.0 % smaller, and a batch of 128 takes 2.00 times as long (200.0 ms instead of 100.0 "
          "ms)."),
      std::string::npos)
      << text;
  EXPECT_NE(text.find("| **Accuracy** | 87.20 % | 87.10 % | 87.50 % |"), std::string::npos) << text;
  EXPECT_NE(text.find("| PTQ | 128 | 2 | 100 | 9.00 ms | 0.500 ms | 8.00 ms | 10.0 ms | 16,000 |"),
            std::string::npos);
}

TEST(Markdown, MarkupOfNamesIsEscaped) {
  Results results = round_results();
  results.model = "a|b_<script>";
  results.notes = {"line\nbreak | pipe"};
  const std::string text = to_markdown(results);
  EXPECT_NE(text.find("# a\\|b\\_\\<script\\> on cifar10"), std::string::npos);
  EXPECT_NE(text.find("- line break \\| pipe\n"), std::string::npos);
}

TEST(Markdown, EmptyResultsHaveNoTable) {
  const std::string text = to_markdown(Results{});
  EXPECT_EQ(text.find('|'), std::string::npos);
  EXPECT_NE(text.find("Nothing was compared"), std::string::npos);
}

}  // namespace
}  // namespace octavo
