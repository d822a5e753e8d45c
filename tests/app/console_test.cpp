#include "console.h"

#include <gtest/gtest.h>

#include "layer_table.h"
#include "octavo/report/text.h"

namespace octavo::app {
namespace {

TEST(ClockText, RoundsToSecondsAndGrowsHours) {
  EXPECT_EQ(clock_text(0.4), "0:00");
  EXPECT_EQ(clock_text(59.6), "1:00");
  EXPECT_EQ(clock_text(3723), "1:02:03");
  EXPECT_EQ(clock_text(-1), "0:00");
}

TEST(BytesText, TakesTheUnitThatFits) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(1023), "1023 B");
  EXPECT_EQ(bytes_text(1536), "1.5 KiB");
  EXPECT_EQ(bytes_text(6250000), "5.96 MiB");
  EXPECT_EQ(bytes_text(25276502016), "23.5 GiB");
}

// What somebody who waits wants to know stays; the bar gives way.
TEST(BarLine, ShrinksTheBarBeforeTheDetails) {
  const std::string details = "loss 0.512  accuracy 87.1 %  2018 images/s  ETA 12:34";
  for (const int columns : {79, 99, 119, 199}) {
    const std::string line = bar_line("train epoch 3/24", 0.5, details, columns);
    EXPECT_LE(report::text_width(line), static_cast<std::size_t>(columns));
    EXPECT_TRUE(line.ends_with(details)) << line;
    EXPECT_NE(line.find(" 50 %"), std::string::npos) << line;
  }
  EXPECT_NE(bar_line("train epoch 3/24", 0.5, details, 119).find("[############............]"),
            std::string::npos);
}

TEST(BarLine, CutsTitleAndDetailsOnlyWithoutRoom) {
  for (int columns = 20; columns < 120; ++columns) {
    const std::string line =
        bar_line("time 猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫.onnx", 1, "batch 128, 100 runs", columns);
    EXPECT_LE(report::text_width(line), static_cast<std::size_t>(columns)) << line;
  }
  EXPECT_EQ(bar_line("download", 0, "", 60), "download [........................]   0 %");
}

TEST(Counted, OneHasNoPlural) {
  EXPECT_EQ(counted(1, "thread"), "1 thread");
  EXPECT_EQ(counted(2, "thread"), "2 threads");
}

LayerCost cost_of(const std::string& kernel, bool integer, double gops) {
  LayerCost cost;
  cost.step.kernel = kernel;
  cost.step.integer = integer;
  cost.gops = gops;
  return cost;
}

// Otherwise layers of a machine that was busy for a moment run at 363 % of its peak.
TEST(RaisePeaks, FasterKernelIsThePeak) {
  Peaks peaks{.threads = 1, .float32 = {"fma", 100}, .int8 = {"vnni", 400}, .int8_loops = {}};
  EXPECT_FALSE(raise_peaks({cost_of("gemm", false, 90), cost_of("gemm", true, 390)}, peaks));
  EXPECT_TRUE(raise_peaks({cost_of("conv", true, 800), cost_of("conv", true, 500)}, peaks));
  EXPECT_EQ(peaks.int8.gops, 800);
  EXPECT_EQ(peaks.float32.gops, 100);
}

TEST(RaisePeaks, WinogradMayPassThePeak) {
  Peaks peaks{.threads = 1, .float32 = {"fma", 100}, .int8 = {"vnni", 400}, .int8_loops = {}};
  EXPECT_FALSE(raise_peaks({cost_of("conv winograd [fp32 avx2]", false, 200)}, peaks));
  EXPECT_EQ(peaks.float32.gops, 100);
}

}  // namespace
}  // namespace octavo::app
