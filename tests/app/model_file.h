/// A model file for tests of commands that take one.
#pragma once

#include <filesystem>

#include "octavo/core/temporary_folder.h"
#include "octavo/graph/preprocessing.h"
#include "octavo/graph/zoo.h"
#include "octavo/onnx/onnx.h"

namespace octavo::test {

/// A fresh float model for Fashion-MNIST on disk.
inline std::filesystem::path write_model(const TemporaryFolder& folder) {
  Graph graph = make_model("simple-cnn", {.channels = 1, .height = 28, .width = 28, .classes = 10}, 1);
  set_normalization(graph, {.mean = {0.286F}, .std = {0.353F}});
  graph.metadata["octavo.dataset"] = "fashion-mnist";
  const auto path = folder / "model.onnx";
  save_onnx(graph, path);
  return path;
}

}  // namespace octavo::test
