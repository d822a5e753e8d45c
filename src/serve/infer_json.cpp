// The JSON of an infer request, read as it comes: a document of all its numbers would take many times its
// size.
#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "infer_request.h"
#include "octavo/core/error.h"

namespace octavo::serve {
namespace {

constexpr std::string_view kWhere = "request";

enum class Field : std::uint8_t {
  kOther,
  kId,
  kInputName,
  kInputShape,
  kInputType,
  kInputData,
  kInputBinarySize,
  kOutputName,
  kOutputBinary,
  kBinaryOutput
};

struct FieldRow {
  std::string_view levels;  ///< What it lies in: o for an object, a for an array.
  std::string_view path;
  Field field;
};
constexpr std::array kFields{FieldRow{"o", "/id", Field::kId},
                             FieldRow{"oao", "/inputs/name", Field::kInputName},
                             FieldRow{"oao", "/inputs/shape", Field::kInputShape},
                             FieldRow{"oao", "/inputs/datatype", Field::kInputType},
                             FieldRow{"oao", "/inputs/data", Field::kInputData},
                             FieldRow{"oaoo", "/inputs/parameters/binary_data_size", Field::kInputBinarySize},
                             FieldRow{"oao", "/outputs/name", Field::kOutputName},
                             FieldRow{"oaoo", "/outputs/parameters/binary_data", Field::kOutputBinary},
                             FieldRow{"oo", "/parameters/binary_data_output", Field::kBinaryOutput}};

class Reader : public nlohmann::json_sax<nlohmann::json> {
 public:
  InferRequest request;

  bool null() override { return other("null"); }
  bool boolean(bool value) override {
    switch (field_) {
      case Field::kOutputBinary:
        request.outputs.back().binary = value;
        return true;
      case Field::kBinaryOutput:
        request.binary_output = value;
        return true;
      default:
        return other("true or false");
    }
  }
  bool number_integer(number_integer_t value) override { return integer(value); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max()))
      return number_float(static_cast<double>(value), {});
    return integer(static_cast<std::int64_t>(value));
  }
  bool number_float(number_float_t value, const string_t&) override {
    if (field_ != Field::kInputData) return other("a number that is no integer");
    request.inputs.back().data.push_back(static_cast<float>(value));
    return true;
  }
  bool string(string_t& value) override {
    switch (field_) {
      case Field::kId:
        request.id = value;
        return true;
      case Field::kInputName:
        request.inputs.back().name = value;
        return true;
      case Field::kInputType:
        request.inputs.back().datatype = value;
        return true;
      case Field::kOutputName:
        request.outputs.back().name = value;
        return true;
      default:
        return other("text");
    }
  }
  bool binary(binary_t&) override { return other("binary data"); }

  bool start_object(std::size_t) override {
    if (levels_ == "oa" && path_ == "/inputs") request.inputs.emplace_back();
    if (levels_ == "oa" && path_ == "/outputs") request.outputs.emplace_back();
    expect_container("an object", false);
    return open('o');
  }
  bool key(string_t& name) override {
    path_.resize(marks_.back());
    path_ += '/';
    path_ += name;
    field_ = Field::kOther;
    for (const FieldRow& row : kFields) {
      if (row.levels == levels_ && row.path == path_) field_ = row.field;
    }
    return true;
  }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override {
    expect_container("an array", field_ == Field::kInputShape || field_ == Field::kInputData);
    return open('a');
  }
  bool end_array() override {
    const bool within = field_ == Field::kInputData && levels_.size() > 4;  // Of nested numbers.
    const Field field = field_;
    close();
    if (within) field_ = field;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& error) override {
    const std::string_view text = error.what();
    const std::size_t end = text.find("] ");  // Of nlohmann's own name for the error.
    throw Error(ErrorCode::kBadInput, kWhere,
                fmt::format("is not JSON; {}", end == std::string_view::npos ? text : text.substr(end + 2)));
  }

 private:
  bool integer(std::int64_t value) {
    switch (field_) {
      case Field::kInputShape:
        request.inputs.back().shape.push_back(value);
        if (request.inputs.back().shape.size() > kMostDimensions) wrong("at most 8 numbers", "more");
        return true;
      case Field::kInputData:
        request.inputs.back().data.push_back(static_cast<float>(value));
        return true;
      case Field::kInputBinarySize:
        if (value < 0) wrong("a number of bytes", std::to_string(value));
        request.inputs.back().binary_size = static_cast<std::uint64_t>(value);
        return true;
      default:
        return other("an integer");
    }
  }
  bool other(std::string_view got) {
    if (field_ != Field::kOther) wrong(expected(), got);
    return true;
  }
  void expect_container(std::string_view got, bool fits) {
    if (field_ != Field::kOther && !fits) wrong(expected(), got);
  }
  std::string_view expected() const {
    switch (field_) {
      case Field::kInputShape:
        return "an array of integers";
      case Field::kInputData:
        return "an array of numbers";
      case Field::kInputBinarySize:
        return "a number of bytes";
      case Field::kOutputBinary:
      case Field::kBinaryOutput:
        return "true or false";
      default:
        return "text";
    }
  }
  [[noreturn]] void wrong(std::string_view expected, std::string_view got) const {
    throw Error(ErrorCode::kBadInput, kWhere,
                fmt::format("{} is not understood; expected {}, got {}", path_.substr(1), expected, got));
  }
  bool open(char level) {
    if (levels_.size() == kMostLevels) {
      throw Error(ErrorCode::kBadInput, kWhere,
                  fmt::format("is nested too deeply; expected at most {} levels", kMostLevels));
    }
    levels_ += level;
    marks_.push_back(path_.size());
    return true;
  }
  bool close() {
    path_.resize(marks_.back());
    marks_.pop_back();
    levels_.pop_back();
    field_ = Field::kOther;
    return true;
  }

  static constexpr std::size_t kMostLevels = 16;
  static constexpr std::size_t kMostDimensions = 8;
  std::string levels_;              // Of objects and arrays around what comes next.
  std::vector<std::size_t> marks_;  // Where the path ended when each began.
  std::string path_;
  Field field_ = Field::kOther;
};

}  // namespace

InferRequest parse_infer_request(std::string_view json) {
  Reader reader;
  nlohmann::json::sax_parse(json.begin(), json.end(), &reader);
  return std::move(reader.request);
}

}  // namespace octavo::serve
