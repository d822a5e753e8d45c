// Sixteen float32 at a time, in two registers; see row_loops.h.
// NOLINTBEGIN(llvm-header-guard) No include guard on purpose.

struct Lanes {
  __m256 low, high;

  static Lanes all(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static Lanes load(const float* x) { return {_mm256_loadu_ps(x), _mm256_loadu_ps(x + 8)}; }
  static Lanes load(const std::uint8_t* x) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
    return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)),
            _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)))};
  }
  void store(float* y) const {
    _mm256_storeu_ps(y, low);
    _mm256_storeu_ps(y + 8, high);
  }
  void store(const RowRange& range, std::uint8_t* y) const {
    const auto integers = [&](__m256 v) {
      v = _mm256_min_ps(_mm256_max_ps(v, _mm256_set1_ps(range.lo)), _mm256_set1_ps(range.hi));
      return _mm256_add_epi32(_mm256_cvtps_epi32(v), _mm256_set1_epi32(range.zero_point));
    };
    const __m256i words = _mm256_packus_epi32(integers(low), integers(high));
    const __m256i bytes = _mm256_packus_epi16(words, words);  // 0 to 3 and 8 to 11, then the others.
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 0, 0, 0, 0);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y),
                     _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(bytes, order)));
  }

  Lanes operator+(const Lanes& b) const { return {_mm256_add_ps(low, b.low), _mm256_add_ps(high, b.high)}; }
  Lanes operator-(const Lanes& b) const { return {_mm256_sub_ps(low, b.low), _mm256_sub_ps(high, b.high)}; }
  Lanes operator*(const Lanes& b) const { return {_mm256_mul_ps(low, b.low), _mm256_mul_ps(high, b.high)}; }
  Lanes operator/(const Lanes& b) const { return {_mm256_div_ps(low, b.low), _mm256_div_ps(high, b.high)}; }
  /// a * b + c
  static Lanes fused(const Lanes& a, const Lanes& b, const Lanes& c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
  }
  static Lanes larger(const Lanes& a, const Lanes& b) {
    return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
  }
  Lanes rounded() const {
    constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    return {_mm256_round_ps(low, kNearest), _mm256_round_ps(high, kNearest)};
  }
  /// 2 to the power of each, whole numbers above -127.
  Lanes power_of_two() const {
    const auto power = [](__m256 n) {
      return _mm256_castsi256_ps(
          _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
    };
    return {power(low), power(high)};
  }
};
// NOLINTEND(llvm-header-guard)
