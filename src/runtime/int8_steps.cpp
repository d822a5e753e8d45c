#include "runtime/int8_steps.h"

#include <cstring>
#include <functional>

namespace octavo {
namespace {

/// A step that is a function: the kernels need no state beyond what the function captured.
class FunctionStep final : public Step {
 public:
  FunctionStep(std::string label, std::function<void(const StepArguments&)> body)
      : Step(std::move(label)), body_(std::move(body)) {}
  void run(const StepArguments& arguments) const override { body_(arguments); }

 private:
  std::function<void(const StepArguments&)> body_;
};

std::unique_ptr<Step> function_step(const std::string& label,
                                    std::function<void(const StepArguments&)> body) {
  return std::make_unique<FunctionStep>(label, std::move(body));
}

std::string with_isa(const std::string& label) { return label + " [int8 " + int8_kernels().isa + "]"; }

/// Elements of one channel of one image.
std::int64_t plane_of(const Shape& shape) {
  std::int64_t plane = 1;
  for (std::size_t i = 2; i < shape.size(); ++i) plane *= shape[i];
  return plane;
}

}  // namespace

std::unique_ptr<Step> make_int8_conv_step(const std::string& label, Int8Conv conv, std::int64_t batch,
                                          BufferId x, BufferId residual, BufferId y) {
  const bool winograd = conv.algorithm == Int8Conv::Algorithm::kWinograd;
  return function_step(with_isa(winograd ? label + " winograd" : label), [conv = std::move(conv), batch, x,
                                                                          residual,
                                                                          y](const StepArguments& a) {
    const std::uint8_t* other = residual >= 0 ? a.buffer<const std::uint8_t>(residual) : nullptr;
    int8_kernels().conv(conv, batch, a.buffer<const std::uint8_t>(x), other, a.buffer<void>(y), a.threads);
  });
}

std::unique_ptr<Step> make_int8_pool_step(const std::string& label, bool average, const Int8Pool& pool,
                                          std::int64_t batch, BufferId x, BufferId y) {
  return function_step(with_isa(label), [average, pool, batch, x, y](const StepArguments& a) {
    const auto kernel = average ? int8_kernels().average_pool : int8_kernels().max_pool;
    kernel(pool, batch, a.buffer<const std::uint8_t>(x), a.buffer<std::uint8_t>(y), a.threads);
  });
}

std::unique_ptr<Step> make_int8_add_step(const std::string& label, const IntegerAdd& add, std::int64_t count,
                                         BufferId a, BufferId b, BufferId y) {
  return function_step(with_isa(label), [add, count, a, b, y](const StepArguments& s) {
    int8_kernels().add(add, count, s.buffer<const std::uint8_t>(a), s.buffer<const std::uint8_t>(b),
                       s.buffer<std::uint8_t>(y), s.threads);
  });
}

std::unique_ptr<Step> make_quantize_step(const std::string& label, const QuantParams& params,
                                         const Shape& shape, BufferId x, BufferId y) {
  return function_step(with_isa(label), [params, shape, x, y](const StepArguments& a) {
    int8_kernels().quantize(params, shape[0], shape[1], plane_of(shape), a.buffer<const float>(x),
                            a.buffer<std::uint8_t>(y), a.threads);
  });
}

std::unique_ptr<Step> make_dequantize_step(const std::string& label, const QuantParams& params,
                                           const Shape& shape, BufferId x, BufferId y) {
  return function_step(with_isa(label), [params, shape, x, y](const StepArguments& a) {
    int8_kernels().dequantize(params, shape[0], shape[1], plane_of(shape), a.buffer<const std::uint8_t>(x),
                              a.buffer<float>(y), a.threads);
  });
}

std::unique_ptr<Step> make_flatten_step(const std::string& label, const Shape& shape, BufferId x,
                                        BufferId y) {
  const std::int64_t plane = plane_of(shape);
  if (plane == 1) return make_copy_step(label, static_cast<std::size_t>(shape[0] * shape[1]), x, y);
  return function_step(label, [shape, plane, x, y](const StepArguments& a) {
    const auto* source = a.buffer<const std::uint8_t>(x);
    auto* target = a.buffer<std::uint8_t>(y);
    for (std::int64_t n = 0; n < shape[0]; ++n) {
      for (std::int64_t c = 0; c < shape[1]; ++c) {
        for (std::int64_t i = 0; i < plane; ++i) *target++ = source[(n * plane + i) * shape[1] + c];
      }
    }
  });
}

std::unique_ptr<Step> make_copy_step(const std::string& label, std::size_t bytes, BufferId x, BufferId y) {
  return function_step(label, [bytes, x, y](const StepArguments& a) {
    std::memcpy(a.buffer<void>(y), a.buffer<const void>(x), bytes);
  });
}

std::unique_ptr<Step> make_observe_step(const std::string& label, ValueId value, std::int64_t count,
                                        BufferId x) {
  return function_step(label, [value, count, x](const StepArguments& a) {
    if (a.observer != nullptr)
      (*a.observer)(value, {a.buffer<const float>(x), static_cast<std::size_t>(count)});
  });
}

}  // namespace octavo
