#include "onnx/protos.h"

#include <onnx/checker.h>
#include <onnx/defs/parser.h>
#include <onnx/shape_inference/implementation.h>

#include <cstring>
#include <stdexcept>

#include "octavo/onnx/onnx.h"

namespace octavo::test {

onnx::ModelProto model_from_text(const std::string& text) {
  onnx::ModelProto model;
  const auto status = onnx::OnnxParser::Parse(model, text.c_str());
  if (!status.IsOK()) throw std::runtime_error(status.ErrorMessage());
  return model;
}

std::vector<std::byte> to_bytes(const onnx::ModelProto& model) {
  const std::string text = model.SerializeAsString();
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

onnx::ModelProto from_bytes(const std::vector<std::byte>& bytes) {
  onnx::ModelProto model;
  if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    throw std::runtime_error("not protobuf");
  return model;
}

Graph import_model(const onnx::ModelProto& model) { return parse_onnx(to_bytes(model), "test.onnx"); }
Graph import_text(const std::string& text) { return import_model(model_from_text(text)); }

std::string import_error(const std::vector<std::byte>& bytes) {
  try {
    parse_onnx(bytes, "test.onnx");
  } catch (const Error& error) {
    return std::to_string(error.exit_code()) + ": " + error.what();
  }
  return "";
}
std::string import_error(const onnx::ModelProto& model) { return import_error(to_bytes(model)); }
std::string import_error(const std::string& text) { return import_error(model_from_text(text)); }

void check_with_onnx(const onnx::ModelProto& model) {
  onnx::checker::check_model(model);
  onnx::ModelProto inferred = model;
  const onnx::ShapeInferenceOptions strict(/*check_type=*/true, /*strict_mode=*/1, /*data_propagation=*/true);
  onnx::shape_inference::InferShapes(inferred, onnx::OpSchemaRegistry::Instance(), strict);
}

void add_initializer(onnx::ModelProto& model, const std::string& name, const Tensor& tensor) {
  onnx::TensorProto& proto = *model.mutable_graph()->add_initializer();
  proto.set_name(name);
  const auto type = [&] {
    switch (tensor.dtype()) {
      case DType::kInt8:
        return onnx::TensorProto::INT8;
      case DType::kUInt8:
        return onnx::TensorProto::UINT8;
      case DType::kInt32:
        return onnx::TensorProto::INT32;
      case DType::kInt64:
        return onnx::TensorProto::INT64;
      default:
        return onnx::TensorProto::FLOAT;
    }
  };
  proto.set_data_type(type());
  for (const std::int64_t dim : tensor.shape()) proto.add_dims(dim);
  proto.set_raw_data(tensor.raw(), tensor.size_bytes());
}

}  // namespace octavo::test
