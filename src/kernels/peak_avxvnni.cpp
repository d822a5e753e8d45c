// AVX-VNNI: vpdpbusd on 32 bytes, for CPUs without AVX-512.
#include <immintrin.h>

#include <cstdint>
#include <utility>

#include "peak_impl.h"

namespace octavo::kernels::avxvnni {
namespace {

#include "peak_chains.h"

void dot_products(std::int64_t rounds) {
  const __m256i b = _mm256_set1_epi8(3);
  run_chains<12>(rounds, _mm256_setzero_si256(), _mm256_set1_epi8(5),
                 [&](__m256i sum, __m256i a) { return _mm256_dpbusd_avx_epi32(sum, a, b); });
}

}  // namespace

const PeakLoop kPeakInt8{"vpdpbusd (AVX-VNNI)", 12.0 * 32 * 2, dot_products};

}  // namespace octavo::kernels::avxvnni
