// A real server and real HTTP: every path, the answers' bits, batches, pictures, metrics.
#include "octavo/serve/server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "data/image_files.h"
#include "octavo/core/error.h"
#include "octavo/core/file.h"
#include "octavo/core/version.h"
#include "octavo/data/picture.h"
#include "octavo/onnx/onnx.h"
#include "serve/model_files.h"
#include "serve/test_server.h"

namespace octavo {
namespace {

using Json = nlohmann::json;
using testing::error_of;
using testing::kClasses;
using testing::kImageValues;
using testing::ModelFiles;
using testing::TestServer;

const TestServer& shared_server() {
  static const TestServer server({ModelFiles::get() / "float.onnx", ModelFiles::get() / "int8.onnx"});
  return server;
}

Json get_json(const std::string& path) {
  const auto answer = shared_server().get(path);
  EXPECT_TRUE(answer) << path;
  if (!answer) return {};
  EXPECT_EQ(answer->status, 200) << path << ": " << answer->body;
  EXPECT_EQ(answer->get_header_value("Content-Type"), "application/json");
  return Json::parse(answer->body);
}

template <typename T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::vector<float> floats_of(std::string_view bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

/// Posts one binary tensor and reads binary scores.
std::vector<float> infer_binary(httplib::Client& client, const std::string& model, const std::string& shape,
                                const std::string& datatype, const std::string& bytes) {
  const std::string head = testing::infer_head(shape, datatype, bytes.size(), true);
  const auto answer = client.Post("/v2/models/" + model + "/infer",
                                  {{"Inference-Header-Content-Length", std::to_string(head.size())}},
                                  head + bytes, "application/octet-stream");
  EXPECT_TRUE(answer);
  if (!answer) return {};
  EXPECT_EQ(answer->status, 200) << answer->body;
  if (answer->status != 200) return {};
  const auto json_bytes = std::stoul(answer->get_header_value("Inference-Header-Content-Length"));
  const Json json = Json::parse(answer->body.substr(0, json_bytes));
  EXPECT_EQ(json["outputs"][0]["parameters"]["binary_data_size"], answer->body.size() - json_bytes);
  return floats_of(std::string_view(answer->body).substr(json_bytes));
}

TEST(Server, TellsOfItselfAsTheProtocolSays) {
  EXPECT_EQ(get_json("/v2"),
            Json({{"name", "octavo"}, {"version", version()}, {"extensions", {"binary_tensor_data"}}}));
  EXPECT_EQ(get_json("/v2/health/live"), Json({{"live", true}}));
  EXPECT_EQ(get_json("/v2/health/ready"), Json({{"ready", true}}));
  EXPECT_EQ(get_json("/v2/models/int8/ready"), Json({{"ready", true}}));
  EXPECT_EQ(get_json("/v2/models/int8/versions/1/ready"), Json({{"ready", true}}));
  const Json model = get_json("/v2/models/int8");
  EXPECT_EQ(model["name"], "int8");
  EXPECT_EQ(model["inputs"],
            Json::array({{{"name", "input"}, {"datatype", "FP32"}, {"shape", {-1, 3, 16, 16}}}}));
  EXPECT_EQ(model["outputs"], Json::array({{{"name", "logits"}, {"datatype", "FP32"}, {"shape", {-1, 10}}}}));
}

TEST(Server, ListsItsModels) {
  const Json models = get_json("/v2/models")["models"];
  ASSERT_EQ(models.size(), 2U);
  EXPECT_EQ(models[0]["name"], "float");
  EXPECT_EQ(models[0]["precision"], "fp32");
  EXPECT_EQ(models[1]["precision"], "int8");
  EXPECT_EQ(models[1]["weight_bits"], 8);
  EXPECT_EQ(models[1]["bytes"], std::filesystem::file_size(ModelFiles::get() / "int8.onnx"));
  EXPECT_EQ(models[1]["classes"][3], "three");
  EXPECT_EQ(models[0]["group"], models[1]["group"]);
}

TEST(Server, JsonTensorsGiveTheModelsBits) {
  const std::vector<float> images = testing::random_floats(3 * kImageValues, 1);
  for (const char* model : {"float", "int8"}) {
    Json request{
        {"id", "abc"},
        {"inputs", {{{"name", "input"}, {"shape", {3, 3, 16, 16}}, {"datatype", "FP32"}, {"data", images}}}}};
    const auto answer = shared_server().post(std::string("/v2/models/") + model + "/infer", request.dump());
    ASSERT_TRUE(answer);
    ASSERT_EQ(answer->status, 200) << answer->body;
    const Json json = Json::parse(answer->body);
    EXPECT_EQ(json["id"], "abc");
    EXPECT_EQ(json["model_name"], model);
    EXPECT_EQ(json["outputs"][0]["shape"], Json({3, 10}));
    EXPECT_EQ(json["outputs"][0]["data"].get<std::vector<float>>(),
              testing::scores_alone(ModelFiles::get() / (std::string(model) + ".onnx"), images));
  }
}

TEST(Server, BinaryTensorsGiveTheModelsBits) {
  auto client = shared_server().client();
  const std::vector<std::uint8_t> pixels = testing::random_pixels(11 * kImageValues, 1);
  const std::vector<float> images = testing::normalized(pixels);
  for (const std::string model : {"float", "int8"}) {
    const auto expected = testing::scores_alone(ModelFiles::get() / (model + ".onnx"), images);
    EXPECT_EQ(infer_binary(client, model, "[11, 3, 16, 16]", "FP32", bytes_of(images)), expected);
    EXPECT_EQ(infer_binary(client, model, "[11, 3, 16, 16]", "UINT8", bytes_of(pixels)), expected);
  }
}

TEST(Server, ManyClientsAtOnceGetTheBitsOfTheirOwnImages) {
  const TestServer server({ModelFiles::get() / "float.onnx", ModelFiles::get() / "int8.onnx"},
                          {.max_wait_ms = 5});
  std::atomic<int> different{0};
  std::vector<std::thread> clients;
  for (unsigned id = 0; id < 8; ++id) {
    clients.emplace_back([&, id] {
      auto client = server.client();
      client.set_keep_alive(true);
      const std::string model = id % 2 == 0 ? "float" : "int8";
      for (unsigned round = 0; round < 30; ++round) {
        const std::size_t count = 1 + (id + round) % 3;
        const auto images = testing::random_floats(count * kImageValues, 100 * id + round);
        const auto scores = infer_binary(client, model, "[" + std::to_string(count) + ", 3, 16, 16]", "FP32",
                                         bytes_of(images));
        if (scores != testing::scores_alone(ModelFiles::get() / (model + ".onnx"), images)) ++different;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(different, 0);
  const std::string metrics = server.get("/metrics")->body;
  const std::string alone = "octavo_batch_images_bucket{model=\"int8\",le=\"3\"} ";
  const std::string all = "octavo_batch_images_count{model=\"int8\"} ";
  const auto number = [&](const std::string& name) {
    return std::stoi(metrics.substr(metrics.find(name) + name.size()));
  };
  EXPECT_LT(number(alone), number(all)) << "no two requests rode together";
}

TEST(Server, ClassifiesPicturesAsTheModelDoes) {
  const std::vector<std::uint8_t> picture = testing::random_pixels(40 * 30 * 3, 4);
  const std::string png = testing::png_bytes(PNG_FORMAT_RGB, 40, 30, picture);
  const auto planes =
      decode_picture(std::as_bytes(std::span(png)), {.channels = 3, .height = 16, .width = 16}, "picture");
  const auto scores = testing::scores_alone(ModelFiles::get() / "int8.onnx", testing::normalized(planes));
  const auto best = std::ranges::max_element(scores) - scores.begin();
  for (const char* path : {"/v2/models/int8/classify", "/classify?model=int8"}) {
    const auto answer = shared_server().post(path, png);
    ASSERT_TRUE(answer);
    ASSERT_EQ(answer->status, 200) << answer->body;
    const Json json = Json::parse(answer->body);
    EXPECT_EQ(json["model_name"], "int8");
    ASSERT_EQ(json["top"].size(), 5U);
    EXPECT_EQ(json["top"][0]["label"], best);
    double sum = 0;
    for (const float score : scores)
      sum += std::exp(static_cast<double>(score) - scores[static_cast<std::size_t>(best)]);
    EXPECT_DOUBLE_EQ(json["top"][0]["probability"], 1 / sum);
    for (int i = 1; i < 5; ++i) EXPECT_GE(json["top"][i - 1]["probability"], json["top"][i]["probability"]);
    EXPECT_GT(json["compute_ms"], 0);
  }
}

TEST(Server, ClassifiesJpegsByTheFirstModelAndAllClassesWhereAsked) {
  const std::string jpeg = testing::jpeg_bytes(JCS_RGB, 50, 60, {200, 30, 90});
  // What curl --data-binary says of the body by itself.
  const auto answer =
      shared_server().client().Post("/classify?top=100", jpeg, "application/x-www-form-urlencoded");
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->status, 200) << answer->body;
  const Json json = Json::parse(answer->body);
  EXPECT_EQ(json["model_name"], "float");
  ASSERT_EQ(json["top"].size(), 10U);
  double sum = 0;
  for (const Json& one : json["top"]) sum += one["probability"].get<double>();
  EXPECT_NEAR(sum, 1, 1e-12);
}

TEST(Server, CountsWhatItDoes) {
  const TestServer server({ModelFiles::get() / "int8.onnx"});
  const std::string jpeg = testing::jpeg_bytes(JCS_RGB, 20, 20, {200, 30, 90});
  ASSERT_EQ(server.post("/classify", jpeg)->status, 200);
  ASSERT_EQ(server.post("/classify", "no picture")->status, 400);
  ASSERT_EQ(server.get("/v2/models/nobody")->status, 404);
  const auto answer = server.get("/metrics");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->get_header_value("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  for (const char* line :
       {"octavo_requests_total{model=\"int8\",status=\"200\"} 1\n",
        "octavo_requests_total{model=\"int8\",status=\"400\"} 1\n",
        "octavo_requests_total{model=\"\",status=\"404\"} 1\n",
        "octavo_request_seconds_count{model=\"int8\"} 2\n", "octavo_images_total{model=\"int8\"} 1\n",
        "octavo_batch_images_bucket{model=\"int8\",le=\"1\"} 1\n", "octavo_queued_images 0\n",
        "# TYPE octavo_request_seconds histogram\n"}) {
    EXPECT_NE(answer->body.find(line), std::string::npos) << line << "is not in\n" << answer->body;
  }
}

TEST(Server, ServesThePageAndLoadsNothingElse) {
  const auto answer = shared_server().get("/");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->get_header_value("Content-Type"), "text/html; charset=utf-8");
  EXPECT_NE(answer->get_header_value("Content-Security-Policy").find("default-src 'none'"),
            std::string::npos);
  for (const char* foreign : {"http://", "https://", "src=\"/", "@import", "url("})
    EXPECT_EQ(answer->body.find(foreign), std::string::npos) << foreign;
}

TEST(Server, HeadHasTheHeadersOfGet) {
  const auto head = shared_server().client().Head("/v2");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->body, "");
  EXPECT_EQ(head->get_header_value("Content-Length"),
            std::to_string(shared_server().get("/v2")->body.size()));
}

TEST(Server, UnknownPlacesModelsAndMethodsSaySo) {
  const TestServer& server = shared_server();
  EXPECT_EQ(error_of(server.get("/v2/models/ptq"), 404),
            "no model is named 'ptq'; expected one of float, int8");
  EXPECT_EQ(error_of(server.post("/classify?model=x", "a"), 404),
            "no model is named 'x'; expected one of float, int8");
  EXPECT_EQ(error_of(server.get("/v3"), 404),
            "nothing is at /v3; expected /, /classify, /metrics or a path of the Open Inference Protocol "
            "under /v2");
  EXPECT_EQ(error_of(server.get("/classify"), 405), "/classify does not take GET; expected POST");
  EXPECT_EQ(error_of(server.post("/v2", "a"), 405), "/v2 does not take POST; expected GET, HEAD");
  EXPECT_EQ(error_of(server.client().Put("/v2/models/int8/infer", "a", "text/plain"), 405),
            "/v2/models/int8/infer does not take PUT; expected POST");
}

TEST(Server, OneStemServesOnce) {
  const TemporaryFolder folder;
  std::filesystem::copy_file(ModelFiles::get() / "int8.onnx", folder / "float.onnx");
  try {
    const Server server({ModelFiles::get() / "float.onnx", folder / "float.onnx"}, testing::on_any_port());
    FAIL() << "two models have one name";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("would be served as 'float'"), std::string::npos)
        << error.what();
  }
  EXPECT_THROW(Server({}, testing::on_any_port()), Error);
}

TEST(Server, ATakenPortAndAForeignAddressAreErrors) {
  ServeConfig config = testing::on_any_port();
  config.port = shared_server().server.port();
  const auto problem = [&] {
    try {
      const Server server({ModelFiles::get() / "int8.onnx"}, config);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kIo);
      return std::string(error.what());
    }
    return std::string("none");
  };
  EXPECT_NE(problem().find("is in use; expected a free port"), std::string::npos) << problem();
  config.host = "192.0.2.1";
  EXPECT_NE(problem().find("cannot be listened on"), std::string::npos) << problem();
}

TEST(Server, StopsInTheMiddleOfRequestsAfterAnsweringThem) {
  ServeConfig config;
  auto server = std::make_unique<TestServer>(
      std::vector<std::filesystem::path>{ModelFiles::get() / "float.onnx"}, config);
  const auto images = testing::random_floats(2000 * kImageValues, 1);  // Takes a good while.
  std::vector<float> scores;
  std::thread busy([&, client = server->client()]() mutable {
    scores = infer_binary(client, "float", "[2000, 3, 16, 16]", "FP32", bytes_of(images));
  });
  while (server->get("/metrics")->body.find("octavo_images_total{model=\"float\"}") == std::string::npos) {
  }
  const int port = server->server.port();
  server->server.stop();
  busy.join();
  EXPECT_EQ(scores.size(), 2000U * kClasses);
  EXPECT_FALSE(httplib::Client("127.0.0.1", port).Get("/v2"));
}

}  // namespace
}  // namespace octavo
