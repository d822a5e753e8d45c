#include "fast_ops.h"

#include <torch/csrc/autograd/custom_function.h>

#include "octavo/kernels/conv3x3.h"
#include "octavo/kernels/norm.h"

namespace octavo::train_detail {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor channels_last(const at::Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast); }

at::Tensor new_channels_last(at::IntArrayRef sizes, const at::Tensor& like) {
  return at::empty(sizes, like.options().requires_grad(false), at::MemoryFormat::ChannelsLast);
}

/// Stands for an absent tensor where autograd wants one.
at::Tensor none() { return at::empty({0}); }

float* data_or_null(const at::Tensor& tensor) {
  return tensor.numel() > 0 ? tensor.data_ptr<float>() : nullptr;
}

Conv3x3Shape conv_shape(const at::Tensor& x, const at::Tensor& weight) {
  return {.n = x.size(0), .h = x.size(2), .w = x.size(3), .c_in = x.size(1), .c_out = weight.size(0)};
}

struct Convolve3x3 : torch::autograd::Function<Convolve3x3> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& kernel,
                            const at::Tensor& bias) {
    const at::Tensor x = channels_last(input);
    const at::Tensor weight = channels_last(kernel);
    const Conv3x3Shape shape = conv_shape(x, weight);
    at::Tensor y = new_channels_last({shape.n, shape.c_out, shape.h, shape.w}, x);
    conv3x3_forward(shape, x.data_ptr<float>(), weight.data_ptr<float>(), data_or_null(bias),
                    y.data_ptr<float>(), WeightLayout::kOhwi);
    context->save_for_backward({x, weight});
    context->saved_data["needs_dx"] = input.requires_grad();
    context->saved_data["has_bias"] = bias.numel() > 0;
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor& weight = saved[1];
    const Conv3x3Shape shape = conv_shape(x, weight);
    const at::Tensor dy = channels_last(gradients[0]);
    at::Tensor dx, dbias;
    at::Tensor dweight = new_channels_last(weight.sizes(), weight);
    if (context->saved_data["has_bias"].toBool()) dbias = at::empty({shape.c_out}, dy.options());
    conv3x3_backward_weights(shape, x.data_ptr<float>(), dy.data_ptr<float>(), dweight.data_ptr<float>(),
                             dbias.defined() ? dbias.data_ptr<float>() : nullptr, WeightLayout::kOhwi);
    if (context->saved_data["needs_dx"].toBool()) {
      dx = new_channels_last(x.sizes(), x);
      conv3x3_backward_data(shape, dy.data_ptr<float>(), weight.data_ptr<float>(), dx.data_ptr<float>(),
                            WeightLayout::kOhwi);
    }
    return {dx, dweight, dbias};
  }
};

BatchNormShape norm_shape(const at::Tensor& x, double epsilon, bool relu, bool pool) {
  return {.n = x.size(0),
          .h = x.size(2),
          .w = x.size(3),
          .c = x.size(1),
          .relu = relu,
          .pool = pool,
          .epsilon = static_cast<float>(epsilon)};
}

BatchNormSaved saved_pointers(const at::Tensor& mean, const at::Tensor& variance, const at::Tensor& x_max,
                              const at::Tensor& argmax) {
  BatchNormSaved saved{.mean = mean.data_ptr<float>(), .variance = variance.data_ptr<float>()};
  if (x_max.numel() > 0) {
    saved.x_max = x_max.data_ptr<float>();
    saved.argmax = argmax.data_ptr<std::uint8_t>();
  }
  return saved;
}

struct FastBatchNorm : torch::autograd::Function<FastBatchNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& scale,
                            const at::Tensor& bias, const at::Tensor& mean, const at::Tensor& variance,
                            double epsilon, bool relu, bool pool) {
    const at::Tensor x = channels_last(input);
    const BatchNormShape shape = norm_shape(x, epsilon, relu, pool);
    const std::int64_t side = pool ? 2 : 1;
    at::Tensor y = new_channels_last({shape.n, shape.c, shape.h / side, shape.w / side}, x);
    at::Tensor x_max = none();
    at::Tensor argmax = none();
    if (pool) {
      x_max = at::empty_like(y);
      argmax = at::empty(y.sizes(), at::kByte, at::MemoryFormat::ChannelsLast);
    }
    batch_norm_forward(shape, x.data_ptr<float>(), scale.data_ptr<float>(), bias.data_ptr<float>(),
                       y.data_ptr<float>(), saved_pointers(mean, variance, x_max, argmax));
    context->save_for_backward({x, scale, bias, mean, variance, x_max, argmax});
    context->saved_data["epsilon"] = epsilon;
    context->saved_data["relu"] = relu;
    context->saved_data["pool"] = pool;
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &scale = saved[1], &bias = saved[2];
    const BatchNormShape shape =
        norm_shape(x, context->saved_data["epsilon"].toDouble(), context->saved_data["relu"].toBool(),
                   context->saved_data["pool"].toBool());
    const at::Tensor dy = channels_last(gradients[0]);
    at::Tensor dx = new_channels_last(x.sizes(), x);
    at::Tensor dscale = at::empty({shape.c}, dy.options());
    at::Tensor dbias = at::empty({shape.c}, dy.options());
    batch_norm_backward(shape, x.data_ptr<float>(), scale.data_ptr<float>(), bias.data_ptr<float>(),
                        saved_pointers(saved[3], saved[4], saved[5], saved[6]), dy.data_ptr<float>(),
                        dx.data_ptr<float>(), dscale.data_ptr<float>(), dbias.data_ptr<float>());
    return {dx, dscale, dbias, {}, {}, {}, {}, {}};
  }
};

struct ReluPool : torch::autograd::Function<ReluPool> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input) {
    const at::Tensor x = channels_last(input);
    const PoolShape shape{.n = x.size(0), .h = x.size(2), .w = x.size(3), .c = x.size(1)};
    at::Tensor y = new_channels_last({shape.n, shape.c, shape.h / 2, shape.w / 2}, x);
    const at::Tensor argmax = at::empty(y.sizes(), at::kByte, at::MemoryFormat::ChannelsLast);
    relu_pool_forward(shape, x.data_ptr<float>(), y.data_ptr<float>(), argmax.data_ptr<std::uint8_t>());
    context->save_for_backward({argmax});
    context->saved_data["height"] = shape.h;
    context->saved_data["width"] = shape.w;
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor argmax = context->get_saved_variables()[0];
    const at::Tensor dy = channels_last(gradients[0]);
    const PoolShape shape{.n = dy.size(0),
                          .h = context->saved_data["height"].toInt(),
                          .w = context->saved_data["width"].toInt(),
                          .c = dy.size(1)};
    at::Tensor dx = new_channels_last({shape.n, shape.c, shape.h, shape.w}, dy);
    relu_pool_backward(shape, argmax.data_ptr<std::uint8_t>(), dy.data_ptr<float>(), dx.data_ptr<float>());
    return {dx};
  }
};

}  // namespace

bool fast_convolution_applies(const ConvAttributes& a) {
  return fast_training_kernels_available() && a == ConvAttributes{.kernel = {3, 3}, .pads = {1, 1, 1, 1}};
}

at::Tensor convolve_3x3(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return Convolve3x3::apply(x, weight, bias.defined() ? bias : none());
}

at::Tensor fast_batch_norm(const at::Tensor& x, const NormTensors& norm, const at::Tensor& shift,
                           const BatchNormAttributes& attributes, bool relu, bool pool) {
  const at::Tensor mean = at::empty_like(norm.running_mean);
  const at::Tensor variance = at::empty_like(norm.running_variance);
  at::Tensor y = FastBatchNorm::apply(x, norm.scale, norm.bias, mean, variance,
                                      static_cast<double>(attributes.epsilon), relu, pool);
  const at::NoGradGuard no_gradients;
  const double rate = 1.0 - static_cast<double>(attributes.momentum);
  const auto count = static_cast<double>(x.numel() / x.size(1));
  norm.running_mean.lerp_(shift.defined() ? mean + shift : mean, rate);
  // Running variances are unbiased, as in PyTorch.
  norm.running_variance.lerp_(variance * (count / std::max(count - 1, 1.0)), rate);
  return y;
}

at::Tensor relu_pool(const at::Tensor& x) { return ReluPool::apply(x); }

}  // namespace octavo::train_detail
