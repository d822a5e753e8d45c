// Plain loops for CPUs without AVX2: a channel at a time, sums in double.
#include <algorithm>
#include <cmath>

#include "norm_impl.h"
#include "octavo/core/parallel.h"

namespace octavo::kernels::plain {
namespace {

/// The formula of norm.h for one value.
float normalized(float x, float mean, float inverse_std, float gamma, float beta) {
  return (x - mean) * (gamma * inverse_std) + beta;
}

/// body(index of the pooled pixel, index of the window's first pixel) for every window.
template <typename Body>
void for_each_window(const BatchNormShape& s, const Body& body) {
  std::int64_t pooled = 0;
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t y = 0; y + 1 < s.h; y += 2)
      for (std::int64_t x = 0; x + 1 < s.w; x += 2) body(pooled++, (n * s.h + y) * s.w + x);
}

}  // namespace

void batch_norm_forward(const BatchNormShape& s, const float* x, const float* gamma, const float* beta,
                        float* y, const BatchNormSaved& saved) {
  const std::int64_t count = s.n * s.h * s.w;
  parallel_for(s.c, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) {
      double sum = 0;
      for (std::int64_t i = 0; i < count; ++i) sum += x[i * s.c + c];
      const double mean = sum / static_cast<double>(count);
      double squares = 0;
      for (std::int64_t i = 0; i < count; ++i) squares += (x[i * s.c + c] - mean) * (x[i * s.c + c] - mean);
      saved.mean[c] = static_cast<float>(mean);
      saved.variance[c] = static_cast<float>(squares / static_cast<double>(count));
      const float inverse_std = 1.0F / std::sqrt(saved.variance[c] + s.epsilon);
      const auto value = [&](std::int64_t i) {
        return normalized(x[i * s.c + c], saved.mean[c], inverse_std, gamma[c], beta[c]);
      };
      if (!s.pool) {
        for (std::int64_t i = 0; i < count; ++i) y[i * s.c + c] = s.relu && value(i) < 0.0F ? 0.0F : value(i);
        continue;
      }
      for_each_window(s, [&](std::int64_t pooled, std::int64_t first) {
        const std::int64_t pixels[4] = {first, first + 1, first + s.w, first + s.w + 1};
        int best = 0;
        for (int k = 1; k < 4; ++k)
          if (value(pixels[k]) > value(pixels[best])) best = k;
        const float most = value(pixels[best]);
        const bool blocked = s.relu && !(most > 0.0F);
        y[pooled * s.c + c] = s.relu && most < 0.0F ? 0.0F : most;
        saved.x_max[pooled * s.c + c] = x[pixels[best] * s.c + c];
        saved.argmax[pooled * s.c + c] = static_cast<std::uint8_t>(blocked ? 4 : best);
      });
    }
  });
}

void batch_norm_backward(const BatchNormShape& s, const float* x, const float* gamma, const float* beta,
                         const BatchNormSaved& saved, const float* dy, float* dx, float* dgamma,
                         float* dbeta) {
  const std::int64_t count = s.n * s.h * s.w;
  const std::int64_t pooled_count = s.n * (s.h / 2) * (s.w / 2);
  parallel_for(s.c, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) {
      const float mean = saved.mean[c];
      const float inverse_std = 1.0F / std::sqrt(saved.variance[c] + s.epsilon);
      const auto passes = [&](std::int64_t i) {
        return !s.relu || normalized(x[i * s.c + c], mean, inverse_std, gamma[c], beta[c]) > 0.0F;
      };
      double sum = 0;
      double product = 0;
      for (std::int64_t i = 0; i < (s.pool ? pooled_count : count); ++i) {
        const bool open = s.pool ? saved.argmax[i * s.c + c] < 4 : passes(i);
        const float value = s.pool ? saved.x_max[i * s.c + c] : x[i * s.c + c];
        if (!open) continue;
        sum += dy[i * s.c + c];
        product += static_cast<double>(dy[i * s.c + c]) * (value - mean) * inverse_std;
      }
      dbeta[c] = static_cast<float>(sum);
      dgamma[c] = static_cast<float>(product);
      const double mean_sum = sum / static_cast<double>(count);
      const double mean_product = product / static_cast<double>(count);
      const auto store = [&](std::int64_t i, float gradient) {
        const double x_hat = static_cast<double>(x[i * s.c + c] - mean) * inverse_std;
        dx[i * s.c + c] =
            static_cast<float>(gamma[c] * inverse_std * (gradient - mean_sum - x_hat * mean_product));
      };
      if (!s.pool) {
        for (std::int64_t i = 0; i < count; ++i) store(i, passes(i) ? dy[i * s.c + c] : 0.0F);
        continue;
      }
      for (std::int64_t i = 0; i < count; ++i) store(i, 0.0F);
      for_each_window(s, [&](std::int64_t pooled, std::int64_t first) {
        const std::int64_t pixels[4] = {first, first + 1, first + s.w, first + s.w + 1};
        const int best = saved.argmax[pooled * s.c + c];
        if (best < 4) store(pixels[best], dy[pooled * s.c + c]);
      });
    }
  });
}

void relu_pool_forward(const BatchNormShape& s, const float* x, float* y, std::uint8_t* argmax) {
  for_each_window(s, [&](std::int64_t pooled, std::int64_t first) {
    const std::int64_t pixels[4] = {first, first + 1, first + s.w, first + s.w + 1};
    for (std::int64_t c = 0; c < s.c; ++c) {
      int best = 0;
      for (int k = 1; k < 4; ++k)
        if (x[pixels[k] * s.c + c] > x[pixels[best] * s.c + c]) best = k;
      const float most = x[pixels[best] * s.c + c];
      y[pooled * s.c + c] = most < 0.0F ? 0.0F : most;
      argmax[pooled * s.c + c] = static_cast<std::uint8_t>(most > 0.0F ? best : 4);
    }
  });
}

void relu_pool_backward(const BatchNormShape& s, const std::uint8_t* argmax, const float* dy, float* dx) {
  std::fill_n(dx, s.n * s.h * s.w * s.c, 0.0F);
  for_each_window(s, [&](std::int64_t pooled, std::int64_t first) {
    const std::int64_t pixels[4] = {first, first + 1, first + s.w, first + s.w + 1};
    for (std::int64_t c = 0; c < s.c; ++c) {
      const int best = argmax[pooled * s.c + c];
      if (best < 4) dx[pixels[best] * s.c + c] = dy[pooled * s.c + c];
    }
  });
}

}  // namespace octavo::kernels::plain
