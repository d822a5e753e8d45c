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

std::string operators_on_integers(const std::string& type, int shift) {
  return "<ir_version: 7, opset_import: [\"\" : 13, \"com.microsoft\" : 1]> g (float[N,2,2,2] x) => "
         "(float[N,2] y) "
         "<float xs = {0.5}, " +
         type + " xz = {" + std::to_string(4 + shift) +
         "}, int8[2,2,1,1] w = {10,-20,30,40}, float[2] ws = {0.01,0.02}, int8[2] wz = {0,0}, "
         "int32[2] b = {100,-50}, float cs = {0.25}, " +
         type + " cz = {" + std::to_string(8 + shift) + "}, float ps = {0.125}, " + type + " pz = {" +
         std::to_string(2 + shift) + "}, float as = {0.5}, " + type + " az = {" + std::to_string(1 + shift) +
         "}, int8[2,2] m = {1,2,3,4}, float[2] ms = {0.1,0.2}, int8[2] mz = {0,0}, float rs = {0.05}, " +
         type + " rz = {" + std::to_string(100 + shift) +
         "}> {"
         "q = QuantizeLinear(x, xs, xz) c = QLinearConv(q, xs, xz, w, ws, wz, cs, cz, b) "
         "t = MaxPool<kernel_shape=[1,1]>(c) "
         "a = com.microsoft.QLinearAdd(t, cs, cz, c, cs, cz, as, az) "
         "p = com.microsoft.QLinearGlobalAveragePool(a, as, az, ps, pz) f = Flatten(p) "
         "r = QLinearMatMul(f, ps, pz, m, ms, mz, rs, rz) y = DequantizeLinear(r, rs, rz)}";
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
