/// The JSON of an infer request: refused, or read with memory in proportion.
#include <string_view>

#include "infer_request.h"
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octavo;
  serve::InferRequest request;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (!fuzz::accepts([&] { request = serve::parse_infer_request(text); })) return 0;
  std::size_t numbers = 0;
  for (const serve::InputTensor& tensor : request.inputs) numbers += tensor.data.size() + tensor.shape.size();
  fuzz::require(numbers <= size, "a number takes a byte at least");
  return 0;
}
