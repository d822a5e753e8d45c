// What goes beyond a limit, is broken, or means harm: an answer that says so, and the server goes on.
#include <gtest/gtest.h>
#include <zlib.h>

#include <chrono>
#include <optional>
#include <thread>

#include "data/image_files.h"
#include "serve/model_files.h"
#include "serve/raw_client.h"
#include "serve/test_server.h"

namespace octavo {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;
using testing::error_of;
using testing::kImageValues;
using testing::ModelFiles;
using testing::RawClient;
using testing::TestServer;

/// A server with small limits.
class Limits : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = std::make_unique<TestServer>(
        std::vector<std::filesystem::path>{ModelFiles::get() / "int8.onnx"},
        ServeConfig{.max_body_mb = 0.1, .max_pixels = 1'000'000, .max_connections = 4, .timeout_s = 1});
  }
  static void TearDownTestSuite() { server_.reset(); }
  void TearDown() override {
    const auto alive = server_->get("/v2/health/live");
    ASSERT_TRUE(alive) << "the server did not live through this";
    EXPECT_EQ(alive->status, 200);
  }

  /// All of the server's answer to these bytes.
  static std::string answer_to(const std::string& bytes) {
    RawClient client(server_->server.port());
    client.say(bytes);
    client.end();
    return client.hear();
  }
  static std::string status_of(const std::string& bytes) {
    const std::string answer = answer_to(bytes);
    return answer.starts_with("HTTP/1.1 ") ? answer.substr(9, 3) : "no status in " + answer;
  }

  static std::unique_ptr<TestServer> server_;
};
std::unique_ptr<TestServer> Limits::server_;

const std::string kPost = "POST /classify HTTP/1.1\r\nHost: x\r\n";

TEST_F(Limits, AnAnnouncedBodyThatIsTooLargeIsNotWaitedFor) {
  RawClient client(server_->server.port());
  client.say(kPost + "Content-Length: 1000000000000\r\n\r\n");
  const std::string answer = client.hear();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 413 ")) << answer;
  EXPECT_NE(answer.find("expected at most 100000 bytes, got 1000000000000"), std::string::npos) << answer;
}

TEST_F(Limits, ABodyThatIsTooLargeGets413WhileItIsStillSent) {
  EXPECT_EQ(error_of(server_->post("/classify", std::string(5'000'000, 'x')), 413),
            "the body is too large; expected at most 100000 bytes, got 5000000 (see --max-body)");
}

TEST_F(Limits, ChunksWithoutEndGet413) {
  RawClient client(server_->server.port());
  client.say(kPost + "Transfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "4000\r\n" + std::string(0x4000, 'x') + "\r\n";
  for (int i = 0; i < 100 && client.say(chunk); ++i) {
  }
  EXPECT_TRUE(client.hear().starts_with("HTTP/1.1 413 "));
}

TEST_F(Limits, ChunksAreReadWhereTheyEnd) {
  const std::string answer =
      answer_to(kPost + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n there\r\n0\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
  EXPECT_NE(answer.find("picture: is neither a JPEG nor a PNG file"), std::string::npos) << answer;
  EXPECT_EQ(status_of(kPost + "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n"), "400");
  EXPECT_EQ(status_of(kPost + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nhello\r\n"), "400");
}

TEST_F(Limits, ABodyThatEndsEarlySaysSo) {
  const std::string answer = answer_to(kPost + "Content-Length: 50\r\n\r\nhello");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
  EXPECT_NE(answer.find("the body ends after 5 bytes"), std::string::npos) << answer;
}

TEST_F(Limits, SlowClientsGet408InBoundedTime) {
  const auto begin = std::chrono::steady_clock::now();
  RawClient slow_head(server_->server.port());
  RawClient slow_body(server_->server.port());
  slow_head.say("GET /v2 HTT");
  slow_body.say(kPost + "Content-Length: 50\r\n\r\n");
  // A byte now and then does not buy time.
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(150ms);
    slow_head.say("X");
    slow_body.say("x");
  }
  EXPECT_TRUE(slow_body.hear().starts_with("HTTP/1.1 408 "));
  const std::string head = slow_head.hear();
  EXPECT_TRUE(head.empty() || head.starts_with("HTTP/1.1 408 ")) << head;
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 30s);
}

TEST_F(Limits, AClientThatTakesNoAnswerIsLeft) {
  // Its requests are read until its answers have nowhere to go.
  RawClient deaf(server_->server.port());
  const std::string request = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
  const auto end = std::chrono::steady_clock::now() + 20s;
  bool said = true;
  std::thread talker([&] {
    while (said && std::chrono::steady_clock::now() < end) said = deaf.say(request);
  });
  talker.join();
  EXPECT_FALSE(said) << "the server still listens to a client that never reads";
}

TEST_F(Limits, MoreConnectionsThanAllowedAreTold) {
  std::vector<std::unique_ptr<RawClient>> open;
  for (int i = 0; i < 4; ++i) {
    open.push_back(std::make_unique<RawClient>(server_->server.port()));
    open.back()->say("GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(open.back()->hear(300ms).starts_with("HTTP/1.1 200 "));
  }
  RawClient fifth(server_->server.port());
  const std::string answer = fifth.hear();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503 ")) << answer;
  EXPECT_TRUE(Json::accept(answer.substr(answer.find("\r\n\r\n") + 4))) << answer;
  open.clear();
  const auto end = std::chrono::steady_clock::now() + 10s;
  bool served = false;
  while (!served && std::chrono::steady_clock::now() < end) {
    const auto live = server_->get("/v2/health/live");
    served = live && live->status == 200;
  }
  EXPECT_TRUE(served) << "closed connections still count";
  EXPECT_NE(server_->get("/metrics")->body.find("octavo_refused_connections_total "), std::string::npos);
}

TEST_F(Limits, WhatIsNoHttpGets400) {
  EXPECT_EQ(status_of("\r\n\r\n"), "400");
  EXPECT_EQ(status_of("GET\r\n\r\n"), "400");
  EXPECT_EQ(status_of(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n\n\n", 15)), "400");
  EXPECT_EQ(status_of("GET / HTTP/9.9\r\n\r\n"), "400");
  EXPECT_EQ(status_of("BREW /v2 HTTP/1.1\r\n\r\n"), "400");
  EXPECT_EQ(status_of("GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n\r\n"), "414");
  EXPECT_EQ(status_of("GET /v2 HTTP/1.1\r\nRange: bytes=" + std::string(8000, '1') + "\r\n\r\n"), "416");
  EXPECT_EQ(status_of("GET /v2 HTTP/1.1\r\nX: " + std::string(20000, 'a') + "\r\n\r\n"), "400");
}

TEST_F(Limits, AHeadWithoutEndIsNotKept) {
  RawClient client(server_->server.port());
  client.say("GET /v2 HTTP/1.1\r\n");
  const std::string header = "X-Header: " + std::string(1000, 'a') + "\r\n";
  int sent = 0;
  while (sent < 1000 && client.say(header)) ++sent;
  EXPECT_TRUE(client.hear().starts_with("HTTP/1.1 400 "));
}

TEST_F(Limits, ManyRangesDoNotMultiplyTheAnswer) {
  std::string ranges = "0-";
  while (ranges.size() < 4000) ranges += ",0-";
  const std::string answer =
      answer_to("GET / HTTP/1.1\r\nConnection: close\r\nRange: bytes=" + ranges + "\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer.substr(0, 200);
  EXPECT_LT(answer.size(), 200'000U);
}

TEST_F(Limits, BodiesThatAreDescribedOddlySayWhatIsExpected) {
  EXPECT_EQ(status_of(kPost + "\r\n"), "411");
  EXPECT_EQ(status_of(kPost + "Content-Length: x\r\n\r\n"), "400");
  EXPECT_EQ(status_of(kPost + "Content-Length: -1\r\n\r\n"), "400");
  EXPECT_EQ(status_of(kPost + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), "400");
  EXPECT_EQ(status_of(kPost + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "400");
  EXPECT_EQ(status_of(kPost + "Transfer-Encoding: gzip\r\n\r\n"), "400");
  EXPECT_EQ(status_of(kPost + "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab"), "415");
  EXPECT_EQ(status_of(kPost + "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 2\r\n\r\nab"),
            "415");
}

TEST_F(Limits, AnUnreadBodyIsNotTheNextRequest) {
  const std::string inner = "GET /metrics HTTP/1.1\r\n\r\n";
  const std::string length = "Content-Length: " + std::to_string(inner.size()) + "\r\n\r\n";
  for (const std::string head : {"GET /v2 HTTP/1.1\r\n", "POST /nowhere HTTP/1.1\r\n"}) {
    const std::string answer = answer_to(head + length + inner);
    EXPECT_EQ(answer.find("octavo_requests_total"), std::string::npos) << answer;
    EXPECT_NE(answer.find("Connection: close"), std::string::npos) << answer;
  }
}

TEST_F(Limits, RequestsThatAreSentTogetherAreAllAnswered) {
  const std::string request = "GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string answer = answer_to(request + request + request);
  std::size_t answers = 0;
  for (std::size_t at = 0; (at = answer.find("{\"live\":true}", at)) != std::string::npos; ++at) ++answers;
  EXPECT_EQ(answers, 3U) << answer;
}

// The answer is to the head alone; curl asks so before it sends much.
TEST_F(Limits, ExpectContinueIsAnsweredBeforeTheBody) {
  RawClient good(server_->server.port());
  good.say(kPost + "Expect: 100-continue\r\nConnection: close\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(good.hear(300ms), "HTTP/1.1 100 Continue\r\n\r\n<open>");
  good.say("abc");
  EXPECT_TRUE(good.hear().starts_with("HTTP/1.1 400 "));
  RawClient large(server_->server.port());
  large.say(kPost + "Expect: 100-continue\r\nContent-Length: 300000\r\n\r\n");
  EXPECT_TRUE(large.hear().starts_with("HTTP/1.1 413 "));
}

/// A PNG of so many pixels, all black, written by hand.
std::string black_png(std::uint32_t width, std::uint32_t height) {
  const auto number = [](std::uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
    return bytes;
  };
  const auto chunk = [&](const std::string& type, const std::string& data) {
    const std::string checked = type + data;
    const auto crc =
        crc32(0, reinterpret_cast<const Bytef*>(checked.data()), static_cast<uInt>(checked.size()));
    return number(static_cast<std::uint32_t>(data.size())) + checked +
           number(static_cast<std::uint32_t>(crc));
  };
  const std::string rows((static_cast<std::size_t>(width) + 1) * height, '\0');
  uLongf size = compressBound(rows.size());
  std::string packed(size, '\0');
  compress2(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(rows.data()),
            rows.size(), 9);
  packed.resize(size);
  return "\x89PNG\r\n\x1a\n" +
         chunk("IHDR", number(width) + number(height) + std::string("\x08\0\0\0\0", 5)) +
         chunk("IDAT", packed) + chunk("IEND", "");
}

TEST_F(Limits, ADecompressionBombIsRefused) {
  const std::string bomb = black_png(6000, 6000);
  ASSERT_LT(bomb.size(), 100'000U) << "the body's limit would refuse it";
  EXPECT_EQ(error_of(server_->post("/classify", bomb), 400),
            "picture: declares 6000 x 6000 pixels; expected 1 to 1000000 in all");
  EXPECT_EQ(server_->post("/classify", black_png(900, 900))->status, 200);
  // Small, but not once its shorter side has the model's size.
  EXPECT_EQ(error_of(server_->post("/classify", black_png(1, 90000)), 400),
            "picture: declares 16 x 1440000 pixels; expected 1 to 1000000 in all");
}

TEST_F(Limits, PicturesThatAreNoneSaySo) {
  const auto problem = [](const std::string& body) {
    return error_of(server_->post("/classify", body), 400);
  };
  EXPECT_EQ(problem(""), "picture: is empty; expected a JPEG or PNG image");
  EXPECT_EQ(problem("GIF89a"),
            "picture: is neither a JPEG nor a PNG file by its contents; expected one of them");
  const std::string jpeg = testing::jpeg_bytes(JCS_RGB, 64, 64, {1, 2, 3});
  EXPECT_NE(problem(jpeg.substr(0, jpeg.size() / 2)).find("picture: damaged JPEG"), std::string::npos);
  const std::string png = black_png(64, 64);
  EXPECT_NE(problem(png.substr(0, png.size() / 2)).find("picture: damaged PNG"), std::string::npos);
  EXPECT_EQ(error_of(server_->post("/classify?top=0", jpeg), 400),
            "top: expected a number of at least 1, got '0'");
  EXPECT_EQ(error_of(server_->post("/classify?top=many", jpeg), 400),
            "top: expected a number of at least 1, got 'many'");
}

TEST_F(Limits, BadTensorsSaySo) {
  const auto problem = [](const std::string& body, const httplib::Headers& headers = {}) {
    return error_of(server_->post("/v2/models/int8/infer", body, headers), 400);
  };
  EXPECT_NE(problem("{").find("request: is not JSON"), std::string::npos);
  EXPECT_EQ(problem("{}"), "request: expected one tensor in inputs, got 0");
  EXPECT_EQ(problem("{}", {{"Inference-Header-Content-Length", "x"}}),
            "Inference-Header-Content-Length: expected a number of bytes, got 'x'");
  EXPECT_EQ(problem("{}", {{"Inference-Header-Content-Length", "5"}}),
            "Inference-Header-Content-Length: goes beyond the body; expected at most 2, got 5");
  const std::string bytes(4 * kImageValues, '\xff');  // NaN, all of them.
  const std::string head = testing::infer_head("[1, 3, 16, 16]", "FP32", bytes.size(), false);
  EXPECT_EQ(problem(head + bytes, {{"Inference-Header-Content-Length", std::to_string(head.size())}}),
            "input 'input': holds -nan at index 0; expected finite numbers");
  EXPECT_NE(problem(std::string(90'000, '[')).find("is nested too deeply"), std::string::npos);
  EXPECT_NE(
      problem(R"({"inputs": [{"name": "input", "shape": [1, 3, 16, 16], "datatype": "FP32", "data": []}],
                        "outputs": [{"name": "x"}]})")
          .find("number of values in data"),
      std::string::npos);
}

TEST_F(Limits, AFullQueueGets503) {
  const TestServer server({ModelFiles::get() / "float.onnx"}, {.max_queue = 1, .max_body_mb = 16});
  const std::vector<float> images(1500 * kImageValues);
  const std::string bytes(reinterpret_cast<const char*>(images.data()), images.size() * sizeof(float));
  const std::string head = testing::infer_head("[1500, 3, 16, 16]", "FP32", bytes.size(), true);
  const httplib::Headers headers{{"Inference-Header-Content-Length", std::to_string(head.size())}};
  std::thread large(
      [&] { EXPECT_EQ(server.post("/v2/models/float/infer", head + bytes, headers)->status, 200); });
  while (server.get("/metrics")->body.find("octavo_images_total{model=\"float\"}") == std::string::npos) {
  }
  const auto answer = server.post("/classify", testing::jpeg_bytes(JCS_RGB, 20, 20, {1, 2, 3}));
  EXPECT_EQ(error_of(answer, 503), "too many images wait; expected fewer requests at once (try again soon)");
  EXPECT_EQ(answer->get_header_value("Retry-After"), "1");
  large.join();
}

}  // namespace
}  // namespace octavo
