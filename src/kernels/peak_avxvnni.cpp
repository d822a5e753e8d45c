// AVX-VNNI: vpdpbusd on 32 bytes, for CPUs without AVX-512.
#include <cpuid.h>
#include <immintrin.h>

#include <cstdint>
#include <utility>

#include "peak_impl.h"

namespace octavo::kernels {
namespace {

#include "peak_chains.h"

/// CPUID leaf 7, sub-leaf 1, EAX bit 4; AVX2 says that the system keeps the registers.
bool available() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 &&
         (a >> 4U & 1U) != 0;
}

void dot_products(std::int64_t rounds) {
  const __m256i b = _mm256_set1_epi8(3);
  run_chains<12>(rounds, _mm256_setzero_si256(), _mm256_set1_epi8(5),
                 [&](__m256i sum, __m256i a) { return _mm256_dpbusd_avx_epi32(sum, a, b); });
}

}  // namespace

const PeakLoop kPeakInt8AvxVnni{"vpdpbusd (AVX-VNNI)", available, 12.0 * 32 * 2, dot_products};

}  // namespace octavo::kernels
