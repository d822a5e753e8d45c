// Steps around the integer kernels.
#pragma once

#include <memory>
#include <string>

#include "runtime/int8_kernels.h"
#include "runtime/step.h"

namespace octavo {

std::unique_ptr<Step> make_int8_conv_step(const std::string& label, Int8Conv conv, std::int64_t batch,
                                          BufferId x, BufferId residual, BufferId y);
std::unique_ptr<Step> make_int8_pool_step(const std::string& label, bool average, const Int8Pool& pool,
                                          std::int64_t batch, BufferId x, BufferId y);
std::unique_ptr<Step> make_int8_add_step(const std::string& label, const IntegerAdd& add, std::int64_t count,
                                         BufferId a, BufferId b, BufferId y);
/// float NCHW to uint8 NHWC, and back.
std::unique_ptr<Step> make_quantize_step(const std::string& label, const QuantParams& params,
                                         const Shape& shape, BufferId x, BufferId y);
std::unique_ptr<Step> make_dequantize_step(const std::string& label, const QuantParams& params,
                                           const Shape& shape, BufferId x, BufferId y);
/// Bytes as they are, uint8 NHWC to uint8 NCHW order: Flatten of a map larger than 1x1.
std::unique_ptr<Step> make_flatten_step(const std::string& label, const Shape& shape, BufferId x, BufferId y);
std::unique_ptr<Step> make_copy_step(const std::string& label, std::size_t bytes, BufferId x, BufferId y);
/// Hands a plain float value to the run's observer.
std::unique_ptr<Step> make_observe_step(const std::string& label, ValueId value, std::int64_t count,
                                        BufferId x);

}  // namespace octavo
