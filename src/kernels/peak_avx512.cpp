// AVX-512.
#include <immintrin.h>

#include <cstdint>
#include <utility>

#include "peak_impl.h"

namespace octavo::kernels::avx512 {
namespace {

#include "peak_chains.h"

void float_fma(std::int64_t rounds) {
  const __m512 b = _mm512_set1_ps(0.5F);
  run_chains<16>(rounds, _mm512_setzero_ps(), _mm512_set1_ps(1.0F),
                 [&](__m512 sum, __m512 a) { return _mm512_fmadd_ps(a, b, sum); });
}

}  // namespace

const PeakLoop kPeakFloat{"vfmadd (AVX-512)", 16.0 * 16 * 2, float_fma};

}  // namespace octavo::kernels::avx512
