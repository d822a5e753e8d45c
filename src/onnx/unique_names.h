/// Names that nothing else in a graph has.
#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>

namespace octavo::onnx_format {

/// Hands out each name once: "x", then "x_1", "x_2".
class UniqueNames {
 public:
  std::string take(const std::string& wanted);

 private:
  std::unordered_set<std::string> taken_;
  std::unordered_map<std::string, int>
      last_;  ///< Suffix tried last, so that many equal names cost no more than few.
};

}  // namespace octavo::onnx_format
