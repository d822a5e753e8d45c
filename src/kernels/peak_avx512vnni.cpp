// AVX-512 VNNI.
#include <immintrin.h>

#include <cstdint>
#include <utility>

#include "peak_impl.h"

namespace octavo::kernels::avx512vnni {
namespace {

#include "peak_chains.h"

void dot_products(std::int64_t rounds) {
  const __m512i b = _mm512_set1_epi8(3);
  run_chains<16>(rounds, _mm512_setzero_si512(), _mm512_set1_epi8(5),
                 [&](__m512i sum, __m512i a) { return _mm512_dpbusd_epi32(sum, a, b); });
}

}  // namespace

const PeakLoop kPeakInt8{"vpdpbusd (AVX-512 VNNI)", 16.0 * 64 * 2, dot_products};

}  // namespace octavo::kernels::avx512vnni
