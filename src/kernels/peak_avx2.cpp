// AVX2 and FMA: two multiplications of 32 bytes per cycle at best, so that twelve chains hide their latency.
#include <immintrin.h>

#include <cstdint>
#include <utility>

#include "peak_impl.h"

namespace octavo::kernels::avx2 {
namespace {

#include "peak_chains.h"

void float_fma(std::int64_t rounds) {
  const __m256 b = _mm256_set1_ps(0.5F);
  run_chains<12>(rounds, _mm256_setzero_ps(), _mm256_set1_ps(1.0F),
                 [&](__m256 sum, __m256 a) { return _mm256_fmadd_ps(a, b, sum); });
}

void widened(std::int64_t rounds) {
  const __m256i b = _mm256_set1_epi16(3);
  run_chains<12>(rounds, _mm256_setzero_si256(), _mm256_set1_epi16(5),
                 [&](__m256i sum, __m256i a) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)); });
}

void saturating_pairs(std::int64_t rounds) {
  const __m256i b = _mm256_set1_epi8(3);
  const __m256i ones = _mm256_set1_epi16(1);
  run_chains<10>(rounds, _mm256_setzero_si256(), _mm256_set1_epi8(5), [&](__m256i sum, __m256i a) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
  });
}

}  // namespace

const PeakLoop kPeakFloat{"vfmadd (AVX2)", 12.0 * 8 * 2, float_fma};
const PeakLoop kPeakInt8{"vpmaddwd (AVX2)", 12.0 * 16 * 2, widened};
const PeakLoop kPeakInt8Pairs{"vpmaddubsw, vpmaddwd (AVX2)", 10.0 * 32 * 2, saturating_pairs};

}  // namespace octavo::kernels::avx2
