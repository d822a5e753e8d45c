// Files that change while their models serve.
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "data/image_files.h"
#include "octavo/core/file.h"
#include "octavo/core/temporary_folder.h"
#include "serve/model_files.h"
#include "serve/test_server.h"

namespace octavo {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;
using testing::ModelFiles;
using testing::TestServer;

class Reload : public ::testing::Test {
 protected:
  void SetUp() override { put(ModelFiles::get() / "float.onnx"); }

  void put(const std::filesystem::path& model) {
    write_file(file_, std::span<const std::byte>(read_file(model)));
  }

  ServeConfig config() {
    return {.reload = true, .log = [this](const std::string& sentence) {
              const std::lock_guard lock(mutex_);
              log_ += sentence + "\n";
            }};
  }
  std::string log() {
    const std::lock_guard lock(mutex_);
    return log_;
  }
  /// Waits until the log says it.
  bool logged(const std::string& part) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (log().find(part) == std::string::npos) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(5ms);
    }
    return true;
  }
  static std::string precision(const TestServer& server) {
    return Json::parse(server.get("/v2/models")->body)["models"][0]["precision"];
  }

  TemporaryFolder folder_;
  const std::filesystem::path file_ = folder_ / "model.onnx";
  std::mutex mutex_;
  std::string log_;
};

TEST_F(Reload, AChangedFileTakesItsPlaceWithoutALostRequest) {
  const TestServer server({file_}, config());
  std::atomic<bool> done{false};
  std::atomic<int> failed{0};
  std::atomic<int> answered{0};
  const std::string jpeg = testing::jpeg_bytes(JCS_RGB, 20, 20, {200, 30, 90});
  std::vector<std::thread> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back([&] {
      auto client = server.client();
      client.set_keep_alive(true);
      while (!done) {
        const auto answer = client.Post("/classify", jpeg, "image/jpeg");
        ++(answer && answer->status == 200 ? answered : failed);
      }
    });
  }
  put(ModelFiles::get() / "int8.onnx");
  EXPECT_TRUE(logged("model.onnx: changed; the new model serves")) << log();
  EXPECT_EQ(precision(server), "int8");
  const int before = answered;
  while (answered < before + 20) std::this_thread::sleep_for(1ms);
  done = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(failed, 0);
  const std::string metrics = server.get("/metrics")->body;
  EXPECT_NE(metrics.find("octavo_reloads_total{model=\"model\",result=\"swapped\"} 1\n"), std::string::npos);
}

TEST_F(Reload, ABrokenFileKeepsTheOldModelAndSaysSo) {
  const TestServer server({file_}, config());
  write_file(file_, std::string_view("no model"));
  EXPECT_TRUE(logged("(the file changed; the model that served goes on)")) << log();
  EXPECT_NE(log().find("model.onnx: "), std::string::npos) << log();
  EXPECT_EQ(precision(server), "fp32");
  const std::string jpeg = testing::jpeg_bytes(JCS_RGB, 20, 20, {200, 30, 90});
  EXPECT_EQ(server.post("/classify", jpeg)->status, 200);
  EXPECT_NE(server.get("/metrics")->body.find("octavo_reloads_total{model=\"model\",result=\"kept\"} 1\n"),
            std::string::npos);
  // A whole one after it is taken.
  put(ModelFiles::get() / "int8.onnx");
  EXPECT_TRUE(logged("the new model serves")) << log();
}

TEST_F(Reload, AMissingFileIsWaitedFor) {
  const TestServer server({file_}, config());
  std::filesystem::remove(file_);
  std::this_thread::sleep_for(1200ms);
  EXPECT_EQ(log(), "");
  EXPECT_EQ(precision(server), "fp32");
}

TEST_F(Reload, IsOnlyDoneWhereAskedFor) {
  ServeConfig off = config();
  off.reload = false;
  const TestServer server({file_}, off);
  put(ModelFiles::get() / "int8.onnx");
  std::this_thread::sleep_for(1500ms);
  EXPECT_EQ(precision(server), "fp32");
}

}  // namespace
}  // namespace octavo
