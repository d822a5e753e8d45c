// The playground in a real browser: a picture chosen, answers side by side, the slider by keyboard, a phone,
// the dark.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "data/image_files.h"
#include "octavo/core/file.h"
#include "serve/browser.h"
#include "serve/model_files.h"
#include "serve/test_server.h"

namespace octavo {
namespace {

using Json = nlohmann::json;
using testing::Browser;
using testing::ModelFiles;
using testing::TestServer;

class Playground : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!Browser::installed())
      GTEST_SKIP() << "Chromium is not installed, so the page is not looked at in a browser.";
  }

  void write_picture(const std::string& name) {
    const auto pixels = testing::random_pixels(24 * 24 * 3, 7);
    write_file(folder_ / name, std::string_view(testing::png_bytes(PNG_FORMAT_RGB, 24, 24, pixels)));
  }

  /// The page of `server` with an answered picture.
  void show_picture(Browser& browser, const TestServer& server) {
    write_picture("noise.png");
    browser.go_to(server.server.url() + "/");
    ASSERT_TRUE(browser.wait_for("document.body.dataset.ready"));
    browser.choose_file("#file", (folder_ / "noise.png").string());
    ASSERT_TRUE(browser.wait_for("document.body.dataset.answered"))
        << browser.value_of("document.body.innerText");
  }

  static Json models(Browser& browser) {
    return browser.value_of("[...document.querySelectorAll('.card')].map(card => card.dataset.model)");
  }
  /// For people who look: $OCTAVO_TEST_SCREENSHOTS names a folder.
  static void keep_screenshot(Browser& browser, const std::string& name) {
    if (const char* folder = std::getenv("OCTAVO_TEST_SCREENSHOTS"); folder != nullptr)
      std::ofstream(std::filesystem::path(folder) / (name + ".png"), std::ios::binary)
          << browser.screenshot();
  }

  static std::vector<std::filesystem::path> all_models() {
    const ModelFiles& files = ModelFiles::get();
    return {files / "float.onnx", files / "int8.onnx", files / "int4.onnx"};
  }

  TemporaryFolder folder_;
};

TEST_F(Playground, ShowsWhatEachModelAnswers) {
  const TestServer server(all_models());
  Browser browser(1200, 900);
  show_picture(browser, server);
  EXPECT_EQ(models(browser), Json({"float", "int8"}));
  for (const std::string name : {"float", "int8"}) {
    const auto answer = Json::parse(
        server.post("/v2/models/" + name + "/classify", read_text_file(folder_ / "noise.png"))->body);
    const std::string card = "document.querySelector('[data-model=" + name + "]')";
    EXPECT_EQ(browser.value_of(card + ".querySelector('.answers li span').textContent"),
              answer["top"][0]["class"]);
    EXPECT_EQ(browser.value_of(card + ".querySelectorAll('.answers li').length"), 5);
    const std::string text = browser.value_of(card + ".innerText");
    EXPECT_NE(text.find(" %"), std::string::npos) << text;
    EXPECT_NE(text.find(" ms"), std::string::npos) << text;
    EXPECT_NE(text.find("B"), std::string::npos) << text;
  }
  const std::string verdict = browser.value_of("document.getElementById('verdict').textContent");
  EXPECT_TRUE(verdict.starts_with("Both say ") || verdict.starts_with("They disagree: ")) << verdict;
  keep_screenshot(browser, "wide");
}

TEST_F(Playground, MarksWhereModelsDisagree) {
  const TestServer server(all_models());
  Browser browser(1200, 900);
  show_picture(browser, server);
  // Answers that differ, in place of the server's.
  browser.value_of(
      "answers.set('int8', {ms: 1, classes: [{class: 'nine', label: 9, probability: 0.6}, {class: 'one', "
      "label: 1, probability: 0.4}]}); answers.set('float', {ms: 2, classes: [{class: 'one', label: 1, "
      "probability: 0.7}, {class: 'nine', label: 9, probability: 0.3}]}); drawCards(groups[0]); "
      "drawVerdict()");
  EXPECT_EQ(browser.value_of("document.getElementById('verdict').textContent"),
            "They disagree: float says one; int8 says nine.");
  EXPECT_EQ(browser.value_of("[...document.querySelectorAll('.differs')].map(card => card.dataset.model)"),
            Json({"int8"}));
  EXPECT_EQ(browser.value_of("document.querySelector('.differs .mark').textContent"), "≠ float: one");
  EXPECT_EQ(browser.value_of("document.querySelector('.differs .was').style.left"), "30%");
  keep_screenshot(browser, "disagree");
}

TEST_F(Playground, IsUsedByKeyboard) {
  const TestServer server(all_models());
  Browser browser(1200, 900);
  show_picture(browser, server);
  browser.press("Tab");
  EXPECT_EQ(browser.value_of("document.activeElement.id"), "file");
  EXPECT_NE(browser.value_of("getComputedStyle(document.getElementById('drop')).outlineStyle"), "none");
  browser.press("Tab");
  EXPECT_EQ(browser.value_of("document.activeElement.type"), "range");
  browser.press("ArrowRight");
  EXPECT_EQ(browser.value_of("document.querySelector('.bits output').textContent"), "4 bits");
  EXPECT_EQ(browser.value_of("document.activeElement.getAttribute('aria-valuetext')"), "4 bits");
  EXPECT_EQ(models(browser), Json({"float", "int4"}));
  browser.press("ArrowLeft");
  EXPECT_EQ(models(browser), Json({"float", "int8"}));
}

TEST_F(Playground, WithoutModelsOfFewerBitsThereIsNoSlider) {
  const ModelFiles& files = ModelFiles::get();
  const TestServer server({files / "float.onnx", files / "int8.onnx"});
  Browser browser(1200, 900);
  browser.go_to(server.server.url() + "/");
  ASSERT_TRUE(browser.wait_for("document.body.dataset.ready"));
  EXPECT_EQ(browser.value_of("document.querySelectorAll('input[type=range]').length"), 0);
  EXPECT_EQ(models(browser), Json({"float", "int8"}));
}

TEST_F(Playground, FitsAPhoneAndIsDarkInTheDark) {
  const TestServer server(all_models());
  Browser browser(360, 740);
  show_picture(browser, server);
  constexpr const char* kWidest =
      "Math.max(document.documentElement.scrollWidth, ...[...document.querySelectorAll('body *')].map(e => "
      "Math.ceil(e.getBoundingClientRect().right)))";
  for (const int width : {320, 360, 700}) {
    browser.resize(width, 740);
    EXPECT_LE(browser.value_of(kWidest), width);
  }
  const auto brightness = [&](const std::string& property) {
    return browser
        .value_of("Math.max(...getComputedStyle(document.body)." + property +
                  ".match(/[0-9.]+/g).map(Number))")
        .get<double>();
  };
  browser.resize(360, 740);
  keep_screenshot(browser, "phone");
  EXPECT_GT(brightness("backgroundColor"), 200);
  EXPECT_LT(brightness("color"), 100);
  browser.resize(360, 740, true);
  keep_screenshot(browser, "phone-dark");
  EXPECT_LT(brightness("backgroundColor"), 100);
  EXPECT_GT(brightness("color"), 200);
}

TEST_F(Playground, SaysWhatIsWrongWithAPicture) {
  const TestServer server(all_models());
  Browser browser(1200, 900);
  write_file(folder_ / "text.png", std::string_view("no picture"));
  browser.go_to(server.server.url() + "/");
  ASSERT_TRUE(browser.wait_for("document.body.dataset.ready"));
  browser.choose_file("#file", (folder_ / "text.png").string());
  ASSERT_TRUE(browser.wait_for("document.body.dataset.answered"));
  EXPECT_EQ(browser.value_of("document.getElementById('problem').textContent"),
            "picture: is neither a JPEG nor a PNG file by its contents; expected one of them");
  EXPECT_EQ(browser.value_of("document.getElementById('problem').hidden"), false);
}

}  // namespace
}  // namespace octavo
