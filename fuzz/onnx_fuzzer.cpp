/// Any bytes: parse_onnx either throws octavo::Error or gives a valid graph, which then survives a round
/// trip.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "octavo/core/error.h"
#include "octavo/onnx/onnx.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  octavo::Graph graph;
  try {
    graph = octavo::parse_onnx(std::as_bytes(std::span(data, size)), "fuzz.onnx");
  } catch (const octavo::Error& error) {
    if (error.code() != octavo::ErrorCode::kBadInput && error.code() != octavo::ErrorCode::kUnsupported)
      std::abort();
    return 0;
  }
  octavo::validate(graph);
  if (octavo::parse_onnx(octavo::serialize_onnx(graph), "again.onnx") != graph) std::abort();
  return 0;
}
