// The report in a real browser: nothing sticks out on a phone, dark mode is dark, print fits, nothing is
// loaded.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "octavo/core/file.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/report/report.h"
#include "report/sample_results.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFlags =
    "--headless --hide-scrollbars --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking "
    "--disable-component-update --disable-sync --virtual-time-budget=2000";

class Browser : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::system("command -v chromium >/dev/null 2>&1") != 0) {
      GTEST_SKIP() << "Chromium is not installed, so the report is not looked at in a browser.";
    }
  }

  /// Standard output of Chromium on a page in the folder.
  std::string chromium(const std::string& arguments, const std::string& page) {
    const std::string command = "timeout 100 chromium " + std::string(kFlags) + " --user-data-dir=" +
                                (folder_ / ("profile" + std::to_string(++profiles_))).string() + " " +
                                arguments + " file://" + (folder_ / page).string() + " 2>/dev/null";
    FILE* pipe = ::popen(command.c_str(), "r");
    if (pipe == nullptr) return "";
    std::string output;
    std::array<char, 65536> buffer{};
    for (std::size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
      output.append(buffer.data(), n);
    EXPECT_EQ(::pclose(pipe), 0) << command;
    return output;
  }

  /// `html` in frames of the given widths; each reports by its own title what `script` (over `page`, its
  /// document) finds.
  std::string in_frames(const std::string& html, const std::vector<int>& widths, const std::string& script) {
    write_file(folder_ / "report.html", std::string_view(html));
    std::string srcdoc;
    for (const char c : html)
      srcdoc += c == '"' ? std::string("&quot;") : c == '&' ? std::string("&amp;") : std::string(1, c);
    std::string page = "<!DOCTYPE html><html><body><p id=\"out\"></p>";
    for (const int width : widths) {
      page += "<iframe width=\"" + std::to_string(width) + "\" height=\"900\" style=\"border:0\" srcdoc=\"" +
              srcdoc + "\"></iframe>";
    }
    page +=
        "<script>addEventListener('load', () => { const found = [];"
        "for (const frame of document.querySelectorAll('iframe')) { const page = frame.contentDocument;" +
        script +
        "} document.getElementById('out').textContent = 'found:' + found.join(';') + ':end'; "
        "});</script></body></html>";
    write_file(folder_ / "frames.html", std::string_view(page));
    return answer(chromium("--window-size=1400,1000 --dump-dom", "frames.html"));
  }

  static std::string answer(const std::string& dom) {
    // The script's own text holds the word in quotes, so look for the paragraph.
    const std::string mark = "<p id=\"out\">found:";
    const std::size_t begin = dom.find(mark);
    if (begin == std::string::npos) return "no answer";
    return dom.substr(begin + mark.size(), dom.find(":end", begin) - begin - mark.size());
  }

  TemporaryFolder temporary_;
  fs::path folder_ = temporary_.path();
  int profiles_ = 0;
};

Results long_names(Results results) {
  results.variants[1].choices = testing::sample_choices();
  results.variants[1].choices.guard->layers[0].name = std::string(120, 'l');
  results.variants[1].choices.saturation->layers[0].layer = std::string(120, 's');
  Variant extra = results.variants[1];
  extra.name = "mixed-precision-" + std::string(60, 'w');
  results.variants.push_back(extra);
  results.environment["cpu"] = std::string(150, 'c');
  results.settings[std::string(120, 'k')] = std::string(150, 'v');
  results.notes.push_back(std::string(200, 'n'));
  results.model = std::string(90, 'm');
  return results;
}

// Every element but those inside a box that scrolls by itself must end within the page.
constexpr const char* kWidest =
    "const width = page.documentElement.clientWidth; let widest = page.documentElement.scrollWidth;"
    "for (const e of page.querySelectorAll('body *')) { if (!e.closest('.scroll') && !e.closest('thead'))"
    "widest = Math.max(widest, Math.ceil(e.getBoundingClientRect().right)); }"
    "found.push(width + '/' + (widest <= width ? 'fits' : 'overflows to ' + widest));";

// Texts of a plot may not leave it, and no two of one plot may overlap by more than the slack of their line
// boxes.
constexpr const char* kClashes =
    "let clashes = 0; for (const svg of page.querySelectorAll('svg')) { const box = "
    "svg.getBoundingClientRect();"
    "const texts = [...svg.querySelectorAll('text')].map(t => t.getBoundingClientRect());"
    "texts.forEach((a, i) => { if (a.left < box.left - 1 || a.right > box.right + 1 || a.bottom > box.bottom "
    "+ 1) ++clashes;"
    "for (const b of texts.slice(i + 1)) { const w = Math.min(a.right, b.right) - Math.max(a.left, b.left);"
    "const h = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top); if (w > 1 && h > 5) ++clashes; } }); }"
    "found.push(clashes);";

TEST_F(Browser, NothingSticksOutAndNoLabelsClash) {
  const Dataset test = testing::sample_dataset(600, 10);
  Results results = testing::sample_results(test);
  results.variants[1].choices = testing::sample_choices();
  const std::string html = to_html(results, test);
  EXPECT_EQ(in_frames(html, {320, 360, 700, 1200}, std::string(kWidest) + kClashes),
            "320/fits;0;360/fits;0;700/fits;0;1200/fits;0");
}

TEST_F(Browser, LongNamesAndManyClassesFitAPhone) {
  Dataset test = testing::sample_dataset(600, 100);
  for (std::string& name : test.class_names) name += std::string(70, 'l');
  const std::string html = to_html(long_names(testing::sample_results(test)), test);
  EXPECT_EQ(in_frames(html, {360, 1200}, kWidest), "360/fits;1200/fits");
}

TEST_F(Browser, DarkModeIsDarkAndLightModeIsLight) {
  const Dataset test = testing::sample_dataset(200, 4);
  std::string html = to_html(testing::sample_results(test), test);
  const std::string script =
      "<p id=\"out\"></p><script>const lum = (e, what) => { const [r, g, b] = "
      "getComputedStyle(e)[what].match(/[0-9.]+/g).map(Number); return (0.299 * r + 0.587 * g + 0.114 * b) < "
      "100 ? 'dark' : 'light'; };"
      "document.getElementById('out').textContent = 'found:' + [lum(document.body, 'backgroundColor'), "
      "lum(document.querySelector('.card'), 'backgroundColor'), lum(document.querySelector('.verdict'), "
      "'color'), "
      "lum(document.querySelector('svg text'), 'fill')].join(';') + ':end';</script></body>";
  html.replace(html.find("</body>"), 7, script);
  write_file(folder_ / "probe.html", std::string_view(html));
  EXPECT_EQ(answer(chromium("--blink-settings=preferredColorScheme=0 --dump-dom", "probe.html")),
            "dark;dark;light;light");
  EXPECT_EQ(answer(chromium("--blink-settings=preferredColorScheme=1 --dump-dom", "probe.html")),
            "light;light;dark;dark");
}

TEST_F(Browser, PrintsToAFewPages) {
  const Dataset test = testing::sample_dataset(600, 10);
  write_file(folder_ / "report.html", std::string_view(to_html(testing::sample_results(test), test)));
  const fs::path pdf = folder_ / "report.pdf";
  chromium("--no-pdf-header-footer --print-to-pdf=" + pdf.string(), "report.html");
  ASSERT_TRUE(fs::exists(pdf));
  const std::string text = read_text_file(pdf);
  EXPECT_TRUE(text.starts_with("%PDF"));
  int pages = 0;
  for (std::size_t at = text.find("/Type /Page"); at != std::string::npos;
       at = text.find("/Type /Page", at + 1)) {
    pages += text.compare(at, 12, "/Type /Pages") == 0 ? 0 : 1;
  }
  EXPECT_GE(pages, 2);
  EXPECT_LE(pages, 10);
}

}  // namespace
}  // namespace octavo
