#include "model.h"

namespace octavo::train_detail {

bool is_parameter(Op op, std::size_t input) {
  const bool has_parameters = op == Op::kConv || op == Op::kGemm || op == Op::kBatchNormalization;
  return has_parameters && (input == 1 || input == 2);
}

bool is_statistic(Op op, std::size_t input) {
  return op == Op::kBatchNormalization && (input == 3 || input == 4);
}

}  // namespace octavo::train_detail
