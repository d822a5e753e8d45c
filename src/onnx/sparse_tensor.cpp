/// Tensors of which a file has only the elements that are not 0.
#include <fmt/format.h>

#include <cstring>

#include "importer.h"
#include "octavo/core/error.h"
#include "tensor_proto.h"

namespace octavo::onnx_format {

Tensor Importer::read_sparse(const onnx::SparseTensorProto& proto, const std::string& what) {
  const auto fail = [&](const std::string& problem) { throw Error(ErrorCode::kBadInput, what, problem); };
  onnx::TensorProto full;
  full.set_data_type(proto.values().data_type());
  *full.mutable_dims() = proto.dims();
  const StoredType type = read_type(full, what);
  const Tensor values = read(proto.values(), what);
  const Tensor indices = read(proto.indices(), what);
  const auto rank = static_cast<std::int64_t>(type.shape.size());
  if (indices.dtype() != DType::kInt64)
    fail("its indices are " + to_string(indices.dtype()) + "; expected int64");
  const bool rows = indices.rank() == 2;
  if (values.rank() != 1 || indices.rank() < 1 || indices.rank() > 2 || indices.dim(0) != values.size() ||
      (rows && indices.dim(1) != rank)) {
    fail(fmt::format("values of shape {} at indices of shape {}; expected [n] at [n] or [n, {}]",
                     to_string(values.shape()), to_string(indices.shape()), rank));
  }
  const std::size_t unit = size_of(type.dtype);
  budget_.charge(static_cast<std::uint64_t>(element_count(type.shape)) * unit);
  Tensor result(type.shape, type.dtype);
  if (result.size() > 0) std::memset(result.raw(), 0, result.size_bytes());
  const auto places = indices.data<std::int64_t>();
  std::int64_t last = -1;
  for (std::int64_t i = 0; i < values.size(); ++i) {
    std::int64_t place = 0;
    for (std::int64_t d = 0; d < (rows ? rank : 1); ++d) {
      const std::int64_t index = places[static_cast<std::size_t>(rows ? i * rank + d : i)];
      const std::int64_t size = rows ? type.shape[static_cast<std::size_t>(d)] : result.size();
      if (index < 0 || index >= size) fail(fmt::format("index {}; expected 0 to {}", index, size - 1));
      place = rows ? place * size + index : index;
    }
    if (place <= last) fail("its indices are not in order, or one is there twice");
    last = place;
    std::memcpy(result.raw() + static_cast<std::size_t>(place) * unit,
                values.raw() + static_cast<std::size_t>(i) * unit, unit);
  }
  return result;
}

}  // namespace octavo::onnx_format
