/// Octavo against ONNX's own test data, and the page that says how that went.
///   OCTAVO_UPDATE_DOCS=1 build/release/tests/onnx/onnx_conformance_test
/// writes the generated part of docs/onnx.md anew.
#include "onnx/conformance.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "octavo/core/file.h"

namespace octavo {
namespace {

constexpr const char* kPage = OCTAVO_SOURCE_DIR "/docs/onnx.md";
constexpr const char* kBegin = "<!-- generated: onnx_conformance_test -->\n";
constexpr const char* kEnd = "<!-- end of what is generated -->\n";

class Conformance : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (std::filesystem::exists(test::kConformanceData)) report_ = test::run_conformance();
  }
  void SetUp() override {
    if (report_.counts.empty())
      GTEST_SKIP() << "ONNX's test data are not installed; run: apt-get install libonnx-testdata";
  }
  static test::ConformanceReport report_;
};
test::ConformanceReport Conformance::report_;

TEST_F(Conformance, NothingThatOctavoAcceptsComesOutWrong) {
  for (const std::string& failure : report_.failures) ADD_FAILURE() << failure;
}

TEST_F(Conformance, EveryClaimedOperatorPassesATest) {
  for (const auto& [op, how] : test::claimed_operators()) {
    // All of Cast's tests are about types that Octavo has not got.
    if (op == "Cast") continue;
    const auto found = report_.counts.find(op);
    EXPECT_TRUE(found != report_.counts.end() && found->second.at("import").passed > 0) << op;
  }
}

TEST_F(Conformance, PageSaysHowItWent) {
  std::string page = read_text_file(kPage);
  const std::size_t begin = page.find(kBegin);
  const std::size_t end = page.find(kEnd);
  ASSERT_NE(begin, std::string::npos);
  ASSERT_NE(end, std::string::npos);
  const std::size_t from = begin + std::string(kBegin).size();
  const std::string wanted = test::conformance_section(report_);
  if (std::getenv("OCTAVO_UPDATE_DOCS")) {
    write_file(kPage, page.replace(from, end - from, wanted));
    return;
  }
  EXPECT_EQ(page.substr(from, end - from), wanted)
      << "docs/onnx.md is out of date; run this test with OCTAVO_UPDATE_DOCS=1";
}

}  // namespace
}  // namespace octavo
