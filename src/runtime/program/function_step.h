// A step that is a function.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "runtime/program/step.h"

namespace octavo {

/// The kernels need no state beyond what the function captured.
class FunctionStep final : public Step {
 public:
  FunctionStep(std::string kernel, std::function<void(const StepArguments&)> body, std::size_t constant_bytes)
      : Step(std::move(kernel), constant_bytes), body_(std::move(body)) {}
  void run(const StepArguments& arguments) const override { body_(arguments); }

 private:
  std::function<void(const StepArguments&)> body_;
};

inline std::unique_ptr<Step> function_step(const std::string& kernel,
                                           std::function<void(const StepArguments&)> body,
                                           std::size_t constant_bytes = 0) {
  return std::make_unique<FunctionStep>(kernel, std::move(body), constant_bytes);
}

}  // namespace octavo
