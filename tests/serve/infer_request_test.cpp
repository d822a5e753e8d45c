// The JSON and the bytes of an infer request, without a server.
#include "infer_request.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <limits>
#include <random>

#include "octavo/core/error.h"
#include "octavo/onnx/onnx.h"
#include "serve/model_files.h"

namespace octavo::serve {
namespace {

using octavo::testing::kImageValues;
using octavo::testing::ModelFiles;

std::string problem_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    return error.what();
  }
  return "no error";
}

TEST(InferJson, ReadsEveryFieldAndPassesOverOthers) {
  const InferRequest request = parse_infer_request(R"({
    "id": "7", "later": {"id": 3, "inputs": [{"name": 1}]},
    "parameters": {"binary_data_output": true, "priority": [1, {"a": null}]},
    "inputs": [{"name": "x", "shape": [1, 2, 2], "datatype": "FP32", "data": [[1, 2.5], [-3, 1e2]]},
               {"name": "y", "shape": [8], "datatype": "UINT8", "parameters": {"binary_data_size": 8}}],
    "outputs": [{"name": "logits", "parameters": {"binary_data": false}}, {"name": "other"}]})");
  EXPECT_EQ(request.id, "7");
  EXPECT_TRUE(request.binary_output);
  ASSERT_EQ(request.inputs.size(), 2U);
  EXPECT_EQ(request.inputs[0].name, "x");
  EXPECT_EQ(request.inputs[0].shape, (std::vector<std::int64_t>{1, 2, 2}));
  EXPECT_EQ(request.inputs[0].data, (std::vector<float>{1, 2.5F, -3, 100}));
  EXPECT_FALSE(request.inputs[0].binary_size);
  EXPECT_EQ(request.inputs[1].datatype, "UINT8");
  EXPECT_EQ(request.inputs[1].binary_size, 8U);
  ASSERT_EQ(request.outputs.size(), 2U);
  EXPECT_EQ(request.outputs[0].binary, false);
  EXPECT_FALSE(request.outputs[1].binary);
}

TEST(InferJson, NamesTheFieldOfTheWrongType) {
  const auto problem = [](const std::string& json) { return problem_of([&] { parse_infer_request(json); }); };
  EXPECT_EQ(problem(R"({"id": 7})"), "request: id is not understood; expected text, got an integer");
  EXPECT_EQ(problem(R"({"inputs": [{"shape": ["1"]}]})"),
            "request: inputs/shape is not understood; expected an array of integers, got text");
  EXPECT_EQ(problem(R"({"inputs": [{"shape": [1.5]}]})"),
            "request: inputs/shape is not understood; expected an array of integers, got a number that is no "
            "integer");
  EXPECT_EQ(problem(R"({"inputs": [{"data": [true]}]})"),
            "request: inputs/data is not understood; expected an array of numbers, got true or false");
  EXPECT_EQ(problem(R"({"inputs": [{"data": {}}]})"),
            "request: inputs/data is not understood; expected an array of numbers, got an object");
  EXPECT_EQ(problem(R"({"inputs": [{"name": ["x"]}]})"),
            "request: inputs/name is not understood; expected text, got an array");
  EXPECT_EQ(
      problem(R"({"inputs": [{"parameters": {"binary_data_size": -1}}]})"),
      "request: inputs/parameters/binary_data_size is not understood; expected a number of bytes, got -1");
  EXPECT_EQ(
      problem(R"({"parameters": {"binary_data_output": 1}})"),
      "request: parameters/binary_data_output is not understood; expected true or false, got an integer");
}

TEST(InferJson, RefusesWhatIsNoJson) {
  for (const char* text : {"", "{", "{\"inputs\": [{\"data\": [NaN]}]}", "{} {}", "\xff",
                           "{\"id\": \"\xff\"}", "{\"inputs\": [{\"data\": [1e999]}]}"}) {
    const std::string problem = problem_of([&] { parse_infer_request(text); });
    EXPECT_TRUE(problem.starts_with("request: is not JSON; ")) << text << ": " << problem;
    EXPECT_EQ(problem.find("json.exception"), std::string::npos) << problem;
  }
}

TEST(InferJson, RefusesDepthBeforeItTakesMemory) {
  EXPECT_EQ(problem_of([] { parse_infer_request(std::string(1'000'000, '[')); }),
            "request: is nested too deeply; expected at most 16 levels");
}

// Whatever a body holds, it is read or refused with an Error.
TEST(InferJson, MangledTextIsReadOrRefused) {
  const std::string whole =
      R"({"id": "7", "inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [[1, 2.5e1], [-3]],)"
      R"( "parameters": {"binary_data_size": 8}}], "outputs": [{"name": "y", "parameters": {"binary_data": true}}]})";
  constexpr std::string_view kPieces = "{}[]\",:0123456789.eE+-truefalsn \\";
  std::mt19937 random(1);
  int read = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text = whole;
    for (unsigned change = 0; change <= random() % 3; ++change) {
      const std::size_t at = random() % text.size();
      const char piece = kPieces[random() % kPieces.size()];
      switch (random() % 3) {
        case 0:
          text[at] = piece;
          break;
        case 1:
          text.insert(at, 1, piece);
          break;
        default:
          text.erase(at, 1 + random() % 5);
      }
    }
    try {
      parse_infer_request(text);
      ++read;
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::kBadInput) << text;
    }
  }
  EXPECT_GT(read, 1000);
}

TEST(InferJson, TensorsInOddPlacesAreNone) {
  for (const char* text : {"[]", "3", R"({"inputs": {"name": "x"}})", R"({"inputs": [[{"name": "x"}]]})",
                           R"([{"inputs": [{"name": "x"}]}])", R"({"inputs": [1, "x", null]})"}) {
    EXPECT_TRUE(parse_infer_request(text).inputs.empty()) << text;
  }
}

class InferBody : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    model_ = load_served_model(
        ModelFiles::get() / "int8.onnx",
        {.max_batch = 1, .threads = 1, .read = [](const auto& file) { return load_onnx(file); }});
  }
  static void TearDownTestSuite() { model_.reset(); }

  /// JSON of one input, with its shape and more fields as given, and what follows it.
  static InferInput read(const std::string& shape, const std::string& datatype, const std::string& more,
                         const std::string& binary = {}) {
    const std::string json = R"({"inputs": [{"name": "input", "shape": )" + shape + R"(, "datatype": ")" +
                             datatype + R"(", )" + more + "}]}";
    return read_infer_body(*model_, json + binary, json.size());
  }
  static std::string problem(const std::string& shape, const std::string& datatype, const std::string& more,
                             const std::string& binary = {}) {
    return problem_of([&] { read(shape, datatype, more, binary); });
  }
  static std::string size(std::size_t bytes) {
    return R"("parameters": {"binary_data_size": )" + std::to_string(bytes) + "}";
  }
  template <typename T>
  static std::string bytes_of(const std::vector<T>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
  }

  static std::shared_ptr<const ServedModel> model_;
};
std::shared_ptr<const ServedModel> InferBody::model_;

TEST_F(InferBody, FloatsComeAsTheyAre) {
  const std::vector<float> images = octavo::testing::random_floats(2 * kImageValues, 1);
  const InferInput input = read("[2, 3, 16, 16]", "FP32", size(images.size() * 4), bytes_of(images));
  EXPECT_EQ(input.count, 2);
  EXPECT_EQ(input.images, images);
}

TEST_F(InferBody, PixelsAreNormalizedInEitherOrder) {
  const std::vector<std::uint8_t> planes = octavo::testing::random_pixels(2 * kImageValues, 1);
  std::vector<std::uint8_t> interleaved;
  constexpr std::size_t kPlane = 16 * 16;
  for (std::size_t n = 0; n < 2; ++n) {
    for (std::size_t i = 0; i < kPlane; ++i) {
      for (std::size_t c = 0; c < 3; ++c) interleaved.push_back(planes[(n * 3 + c) * kPlane + i]);
    }
  }
  const std::vector<float> expected = octavo::testing::normalized(planes);
  EXPECT_EQ(read("[2, 3, 16, 16]", "UINT8", size(planes.size()), bytes_of(planes)).images, expected);
  EXPECT_EQ(read("[2, 16, 16, 3]", "UINT8", size(planes.size()), bytes_of(interleaved)).images, expected);
}

TEST_F(InferBody, WrongTensorsSayWhatWasExpected) {
  EXPECT_EQ(problem("[1, 16, 16, 3]", "FP32", "\"data\": []"),
            "input 'input': shape does not fit; expected [N, 3, 16, 16], got [1, 16, 16, 3]");
  EXPECT_EQ(
      problem("[1, 16, 16, 1]", "UINT8", "\"data\": []"),
      "input 'input': shape does not fit; expected [N, 3, 16, 16] or [N, 16, 16, 3], got [1, 16, 16, 1]");
  for (const char* shape : {"[]", "[0, 3, 16, 16]", "[-1, 3, 16, 16]", "[9223372036854775807, 3, 16, 16]"})
    EXPECT_NE(problem(shape, "FP32", "\"data\": []").find("shape does not fit"), std::string::npos) << shape;
  EXPECT_EQ(problem("[1, 3, 16, 16]", "FP32", "\"data\": [1, 2]"),
            "input 'input': number of values in data does not fit its shape; expected 768, got 2");
  EXPECT_EQ(problem("[1, 3, 16, 16]", "FP32", size(8), "12345678"),
            "input 'input': binary_data_size does not fit its shape; expected 3072, got 8");
  EXPECT_EQ(problem("[1, 3, 16, 16]", "FP32", size(3072), "1234"),
            "request: what follows the JSON, in bytes, does not fit its shape; expected 3072, got 4");
  EXPECT_EQ(
      problem("[1, 3, 16, 16]", "FP64", "\"data\": []"),
      "input 'input': datatype is not understood; expected FP32 (normalized numbers) or UINT8 (pixels), "
      "got 'FP64'");
  EXPECT_EQ(problem("[1, 3, 16, 16]", "FP32", "\"data\": [1], " + size(4), "1234"),
            "input 'input': has data and binary_data_size; expected one of them");
}

TEST_F(InferBody, NumbersThatAreNoneSayWhere) {
  std::vector<float> images(kImageValues);
  images[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(problem("[1, 3, 16, 16]", "FP32", size(3072), bytes_of(images)),
            "input 'input': holds nan at index 5; expected finite numbers");
  images[5] = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(problem("[1, 3, 16, 16]", "FP32", size(3072), bytes_of(images)),
            "input 'input': holds -inf at index 5; expected finite numbers");
  std::string data = "\"data\": [256";
  for (int i = 1; i < 768; ++i) data += ", 1";
  EXPECT_EQ(problem("[1, 3, 16, 16]", "UINT8", data + "]"),
            "input 'input': holds 256; expected integers from 0 to 255");
}

TEST_F(InferBody, OtherNamesAndCountsAreRefused) {
  const auto whole = [](const std::string& json) {
    return problem_of([&] { read_infer_body(*model_, json, std::nullopt); });
  };
  EXPECT_EQ(whole("{}"), "request: expected one tensor in inputs, got 0");
  EXPECT_EQ(whole(R"({"inputs": [{"name": "x"}]})"), "input 'x': is unknown; expected 'input'");
  EXPECT_EQ(problem_of([] { read_infer_body(*model_, "{}", 3); }),
            "Inference-Header-Content-Length: goes beyond the body; expected at most 2, got 3");
}

}  // namespace
}  // namespace octavo::serve
