// Steps around the integer kernels.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/int8/kernels.h"
#include "runtime/program/step.h"

namespace octavo {

std::unique_ptr<Step> make_int8_conv_step(const std::string& kernel, std::shared_ptr<const Int8Conv> conv,
                                          std::int64_t batch, BufferId x, BufferId other, BufferId y);
std::unique_ptr<Step> make_int8_pool_step(const std::string& kernel, bool average, const Int8Pool& pool,
                                          std::int64_t batch, BufferId x, BufferId y);
/// Operands of the walk: y, a, b.
std::unique_ptr<Step> make_int8_binary_step(const std::string& kernel, const IntegerBinary& binary,
                                            const Walk& walk, BufferId a, BufferId b, BufferId y);
/// Operands of the walk: y, x, index along the axis.
std::unique_ptr<Step> make_int8_affine_step(const std::string& kernel, IntegerAffine affine, const Walk& walk,
                                            BufferId x, BufferId y);
/// Copies, through tables unless they are empty. Operands of the walk: y, x[, table].
std::unique_ptr<Step> make_int8_map_step(const std::string& kernel, const Walk& walk,
                                         std::vector<std::uint8_t> tables, BufferId x, BufferId y);
std::unique_ptr<Step> make_int8_product_step(const std::string& kernel, const Int8Product& product,
                                             std::int64_t matrices, BufferId a, BufferId b, BufferId y);
/// x: rows of uint8, or of float where the parameters say so.
std::unique_ptr<Step> make_int8_layer_norm_step(const std::string& kernel, IntegerLayerNorm norm,
                                                std::int64_t rows, BufferId x, BufferId y);
std::unique_ptr<Step> make_int8_softmax_step(const std::string& kernel, const IntegerRows& parameters,
                                             std::int64_t rows, BufferId x, BufferId y);
/// float to uint8, [N, C, H, W] to NHWC where it `transposes`, in the same order otherwise.
std::unique_ptr<Step> make_quantize_step(const std::string& kernel, const QuantParams& params,
                                         const Shape& shape, bool transposes, BufferId x, BufferId y);
/// uint8 to float in the same order.
std::unique_ptr<Step> make_dequantize_step(const std::string& kernel, const QuantParams& params,
                                           std::int64_t count, BufferId x, BufferId y);
std::unique_ptr<Step> make_copy_step(const std::string& kernel, std::size_t bytes, BufferId x, BufferId y);
/// Every byte of y.
std::unique_ptr<Step> make_fill_step(const std::string& kernel, std::uint8_t byte, std::size_t bytes,
                                     BufferId y);
/// Hands a plain float value to the run's observer.
std::unique_ptr<Step> make_observe_step(const std::string& kernel, ValueId value, std::int64_t count,
                                        BufferId x);

}  // namespace octavo
