#include "serve/browser.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <thread>

namespace octavo::testing {
namespace {

constexpr auto kPatience = std::chrono::seconds(30);

std::string from_base64(const std::string& text) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned bits = 0;
  int count = 0;
  for (const char letter : text) {
    const std::size_t value = kLetters.find(letter);
    if (value == std::string_view::npos) break;
    bits = bits << 6U | static_cast<unsigned>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> static_cast<unsigned>(count));
  }
  return bytes;
}

}  // namespace

bool Browser::installed() { return std::system("command -v chromium >/dev/null 2>&1") == 0; }

Browser::Browser(int width, int height) {
  std::array<int, 2> to{};
  std::array<int, 2> from{};
  if (pipe2(to.data(), O_CLOEXEC) != 0 || pipe2(from.data(), O_CLOEXEC) != 0)
    throw std::runtime_error("no pipes");
  process_ = fork();
  if (process_ == 0) {
    // The browser reads descriptor 3 and writes 4; one may be the other's number now.
    const int reads = fcntl(to[0], F_DUPFD, 10);
    const int writes = fcntl(from[1], F_DUPFD, 10);
    dup2(reads, 3);
    dup2(writes, 4);
    const int nothing = open("/dev/null", O_RDWR);
    dup2(nothing, STDOUT_FILENO);
    dup2(nothing, STDERR_FILENO);
    const std::string profile = "--user-data-dir=" + profile_.path().string();
    execlp("chromium", "chromium", "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
           "--disable-quic", "--hide-scrollbars", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync", profile.c_str(), nullptr);
    _exit(127);
  }
  close(to[0]);
  close(from[1]);
  to_ = to[1];
  from_ = from[0];
  const Json page = exchange("Target.createTarget", {{"url", "about:blank"}}, "");
  session_ =
      exchange("Target.attachToTarget", {{"targetId", page["targetId"]}, {"flatten", true}}, "")["sessionId"];
  resize(width, height);
}

Browser::~Browser() {
  close(to_);
  close(from_);
  kill(process_, SIGTERM);
  int status = 0;
  for (int i = 0; i < 500 && waitpid(process_, &status, WNOHANG) == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  kill(process_, SIGKILL);
  waitpid(process_, &status, 0);
}

Browser::Json Browser::hear() {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    if (const std::size_t zero = heard_.find('\0'); zero != std::string::npos) {
      const Json message = Json::parse(heard_.substr(0, zero));
      heard_.erase(0, zero + 1);
      return message;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd event{from_, POLLIN, 0};
    std::array<char, 65536> buffer{};
    if (left.count() <= 0 || poll(&event, 1, static_cast<int>(left.count())) <= 0)
      throw std::runtime_error("the browser does not answer");
    const ssize_t got = read(from_, buffer.data(), buffer.size());
    if (got <= 0) throw std::runtime_error("the browser has ended");
    heard_.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

Browser::Json Browser::exchange(const std::string& method, const Json& parameters,
                                const std::string& session) {
  Json message{{"id", ++calls_}, {"method", method}, {"params", parameters}};
  if (!session.empty()) message["sessionId"] = session;
  const std::string text = message.dump() + '\0';
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t count = write(to_, text.data() + sent, text.size() - sent);
    if (count <= 0) throw std::runtime_error("the browser does not listen");
    sent += static_cast<std::size_t>(count);
  }
  while (true) {
    Json answer = hear();
    if (answer.value("id", 0) != calls_) continue;  // What happens on the page is told too.
    if (answer.contains("error")) throw std::runtime_error(method + ": " + answer["error"].dump());
    return answer["result"];
  }
}

Browser::Json Browser::call(const std::string& method, const Json& parameters) {
  return exchange(method, parameters, session_);
}

void Browser::go_to(const std::string& url) {
  call("Page.navigate", {{"url", url}});
  wait_for("document.readyState === 'complete' && location.href !== 'about:blank'");
}

void Browser::resize(int width, int height, bool dark) {
  call("Emulation.setDeviceMetricsOverride",
       {{"width", width}, {"height", height}, {"deviceScaleFactor", 1}, {"mobile", width < 640}});
  call("Emulation.setEmulatedMedia",
       {{"features", {{{"name", "prefers-color-scheme"}, {"value", dark ? "dark" : "light"}}}}});
}

Browser::Json Browser::value_of(const std::string& expression) {
  const Json answer =
      call("Runtime.evaluate", {{"expression", expression}, {"returnByValue", true}, {"awaitPromise", true}});
  if (answer.contains("exceptionDetails")) throw std::runtime_error(answer["exceptionDetails"].dump());
  return answer["result"].value("value", Json());
}

bool Browser::wait_for(const std::string& expression) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (value_of("Boolean(" + expression + ")") != true) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

void Browser::press(const std::string& key) {
  const int code = key == "Tab" ? 9 : key == "ArrowRight" ? 39 : key == "ArrowLeft" ? 37 : 0;
  for (const char* type : {"rawKeyDown", "keyUp"}) {
    call("Input.dispatchKeyEvent",
         {{"type", type}, {"key", key}, {"code", key}, {"windowsVirtualKeyCode", code}});
  }
}

void Browser::choose_file(const std::string& selector, const std::string& file) {
  const Json root = call("DOM.getDocument")["root"]["nodeId"];
  const Json node = call("DOM.querySelector", {{"nodeId", root}, {"selector", selector}})["nodeId"];
  call("DOM.setFileInputFiles", {{"files", {file}}, {"nodeId", node}});
}

std::string Browser::screenshot() {
  return from_base64(
      call("Page.captureScreenshot", {{"format", "png"}, {"captureBeyondViewport", true}})["data"]);
}

}  // namespace octavo::testing
