#include "runtime/int8/steps.h"

#include <cstring>

#include "runtime/program/function_step.h"

namespace octavo {
namespace {

std::string with_isa(const std::string& kernel) {
  return kernel + " [int8 " + isa_name(int8_kernels().isa) + "]";
}

const char* kernel_name(Int8Conv::Algorithm algorithm) {
  switch (algorithm) {
    case Int8Conv::Algorithm::kWinograd2x2:
      return " winograd 2x2";
    case Int8Conv::Algorithm::kWinograd4x4:
      return " winograd 4x4";
    case Int8Conv::Algorithm::kWinogradStride2:
      return " winograd stride 2";
    case Int8Conv::Algorithm::kDepthwise:
      return " depthwise";
    default:
      return "";
  }
}

}  // namespace

std::unique_ptr<Step> make_int8_conv_step(const std::string& kernel, std::shared_ptr<const Int8Conv> conv,
                                          std::int64_t batch, BufferId x, BufferId other, BufferId y) {
  const std::string text = with_isa(kernel + kernel_name(conv->algorithm));
  const std::size_t bytes = conv->weights.size_bytes() + 2 * conv->bias.size() * sizeof(float);
  return function_step(
      text,
      [conv = std::move(conv), batch, x, other, y](const StepArguments& a) {
        const std::uint8_t* added = other >= 0 ? a.buffer<const std::uint8_t>(other) : nullptr;
        int8_kernels().conv(*conv, batch, a.buffer<const std::uint8_t>(x), added, a.buffer<void>(y),
                            a.threads);
      },
      bytes);
}

std::unique_ptr<Step> make_int8_product_step(const std::string& kernel, const Int8Product& product,
                                             std::int64_t matrices, BufferId a, BufferId b, BufferId y) {
  return function_step(with_isa(kernel), [product, matrices, a, b, y](const StepArguments& s) {
    int8_kernels().product(product, matrices, s.buffer<const std::uint8_t>(a),
                           s.buffer<const std::uint8_t>(b), s.buffer<void>(y), s.threads);
  });
}

std::unique_ptr<Step> make_int8_layer_norm_step(const std::string& kernel, IntegerLayerNorm norm,
                                                std::int64_t rows, BufferId x, BufferId y) {
  const std::size_t bytes = 2 * norm.scale.size() * sizeof(float);
  return function_step(
      with_isa(kernel),
      [norm = std::move(norm), rows, x, y](const StepArguments& s) {
        int8_kernels().layer_norm(norm, rows, s.buffer<const void>(x), s.buffer<std::uint8_t>(y), s.threads);
      },
      bytes);
}

std::unique_ptr<Step> make_int8_softmax_step(const std::string& kernel, const IntegerRows& parameters,
                                             std::int64_t rows, BufferId x, BufferId y) {
  return function_step(with_isa(kernel), [parameters, rows, x, y](const StepArguments& s) {
    int8_kernels().softmax(parameters, rows, s.buffer<const void>(x), s.buffer<std::uint8_t>(y), s.threads);
  });
}

std::unique_ptr<Step> make_int8_pool_step(const std::string& kernel, bool average, const Int8Pool& pool,
                                          std::int64_t batch, BufferId x, BufferId y) {
  return function_step(with_isa(kernel), [average, pool, batch, x, y](const StepArguments& a) {
    const auto* source = a.buffer<const std::uint8_t>(x);
    if (average) {
      int8_kernels().average_pool(pool, batch, source, a.buffer<void>(y), a.threads);
    } else {
      int8_kernels().max_pool(pool, batch, source, a.buffer<std::uint8_t>(y), a.threads);
    }
  });
}

std::unique_ptr<Step> make_int8_binary_step(const std::string& kernel, const IntegerBinary& binary,
                                            const Walk& walk, BufferId a, BufferId b, BufferId y) {
  return function_step(with_isa(kernel), [binary, walk = simplified(walk), a, b, y](const StepArguments& s) {
    int8_kernels().binary(binary, walk, s.buffer<const std::uint8_t>(a), s.buffer<const std::uint8_t>(b),
                          s.buffer<std::uint8_t>(y), s.threads);
  });
}

std::unique_ptr<Step> make_int8_affine_step(const std::string& kernel, IntegerAffine affine, const Walk& walk,
                                            BufferId x, BufferId y) {
  return function_step(with_isa(kernel),
                       [affine = std::move(affine), walk = simplified(walk), x, y](const StepArguments& a) {
                         int8_kernels().affine(affine, walk, a.buffer<const std::uint8_t>(x),
                                               a.buffer<std::uint8_t>(y), a.threads);
                       });
}

std::unique_ptr<Step> make_int8_map_step(const std::string& kernel, const Walk& walk,
                                         std::vector<std::uint8_t> tables, BufferId x, BufferId y) {
  const std::size_t bytes = tables.size();
  return function_step(
      with_isa(kernel),
      [walk = simplified(walk), tables = std::move(tables), x, y](const StepArguments& a) {
        int8_kernels().map(walk, tables.empty() ? nullptr : tables.data(), a.buffer<const std::uint8_t>(x),
                           a.buffer<std::uint8_t>(y), a.threads);
      },
      bytes);
}

std::unique_ptr<Step> make_quantize_step(const std::string& kernel, const QuantParams& params,
                                         const Shape& shape, bool transposes, BufferId x, BufferId y) {
  const std::int64_t image = element_count(shape) / shape[0];
  const std::int64_t channels = transposes && shape.size() == 4 ? shape[1] : 1;
  return function_step(with_isa(kernel), [params, shape, channels, image, x, y](const StepArguments& a) {
    int8_kernels().quantize(params, shape[0], channels, image / channels, a.buffer<const float>(x),
                            a.buffer<std::uint8_t>(y), a.threads);
  });
}

std::unique_ptr<Step> make_dequantize_step(const std::string& kernel, const QuantParams& params,
                                           std::int64_t count, BufferId x, BufferId y) {
  return function_step(with_isa(kernel), [params, count, x, y](const StepArguments& a) {
    int8_kernels().dequantize(params, count, a.buffer<const std::uint8_t>(x), a.buffer<float>(y), a.threads);
  });
}

std::unique_ptr<Step> make_copy_step(const std::string& kernel, std::size_t bytes, BufferId x, BufferId y) {
  return function_step(kernel, [bytes, x, y](const StepArguments& a) {
    std::memcpy(a.buffer<void>(y), a.buffer<const void>(x), bytes);
  });
}

std::unique_ptr<Step> make_fill_step(const std::string& kernel, std::uint8_t byte, std::size_t bytes,
                                     BufferId y) {
  return function_step(
      kernel, [byte, bytes, y](const StepArguments& a) { std::memset(a.buffer<void>(y), byte, bytes); });
}

std::unique_ptr<Step> make_observe_step(const std::string& kernel, ValueId value, std::int64_t count,
                                        BufferId x) {
  return function_step(kernel, [value, count, x](const StepArguments& a) {
    if (a.observer != nullptr)
      (*a.observer)(value, {a.buffer<const float>(x), static_cast<std::size_t>(count)});
  });
}

}  // namespace octavo
