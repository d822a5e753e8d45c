// A step that is a function.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "runtime/step.h"

namespace octavo {

/// The kernels need no state beyond what the function captured.
class FunctionStep final : public Step {
 public:
  FunctionStep(std::string label, std::function<void(const StepArguments&)> body)
      : Step(std::move(label)), body_(std::move(body)) {}
  void run(const StepArguments& arguments) const override { body_(arguments); }

 private:
  std::function<void(const StepArguments&)> body_;
};

inline std::unique_ptr<Step> function_step(const std::string& label,
                                           std::function<void(const StepArguments&)> body) {
  return std::make_unique<FunctionStep>(label, std::move(body));
}

}  // namespace octavo
