/// A real Chromium without a window, driven by its DevTools protocol through two pipes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "octavo/core/temporary_folder.h"

namespace octavo::testing {

class Browser {
 public:
  using Json = nlohmann::json;

  static bool installed();

  /// Opens an empty page of this size, pixels.
  Browser(int width, int height);
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;
  ~Browser();

  /// A call of the protocol on the page, "Page.navigate", and its result. Throws std::runtime_error with the
  /// browser's own words if it fails or takes more than half a minute.
  Json call(const std::string& method, const Json& parameters = Json::object());
  void go_to(const std::string& url);
  void resize(int width, int height, bool dark = false);
  /// The value of a JavaScript expression; promises are waited for.
  Json value_of(const std::string& expression);
  /// Until the expression is true; false after half a minute.
  bool wait_for(const std::string& expression);
  /// A key pressed and released where the focus is: "Tab", "ArrowRight".
  void press(const std::string& key);
  /// Chooses a file in the input that the CSS selector names.
  void choose_file(const std::string& selector, const std::string& file);
  /// The page's picture as a PNG file's bytes.
  std::string screenshot();

 private:
  Json exchange(const std::string& method, const Json& parameters, const std::string& session);
  Json hear();

  TemporaryFolder profile_;
  int process_ = -1;
  int to_ = -1;
  int from_ = -1;
  int calls_ = 0;
  std::string heard_;
  std::string session_;
};

}  // namespace octavo::testing
