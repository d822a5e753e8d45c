// Sixteen float32 at a time, in one register; see row_loops.h.
// NOLINTBEGIN(llvm-header-guard) No include guard on purpose.

struct Lanes {
  __m512 lane;

  static Lanes all(float x) { return {_mm512_set1_ps(x)}; }
  static Lanes load(const float* x) { return {_mm512_loadu_ps(x)}; }
  static Lanes load(const std::uint8_t* x) {
    return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x))))};
  }
  void store(float* y) const { _mm512_storeu_ps(y, lane); }
  void store(const RowRange& range, std::uint8_t* y) const {
    const __m512 bounded =
        _mm512_min_ps(_mm512_max_ps(lane, _mm512_set1_ps(range.lo)), _mm512_set1_ps(range.hi));
    const __m512i integers =
        _mm512_add_epi32(_mm512_cvtps_epi32(bounded), _mm512_set1_epi32(range.zero_point));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y), _mm512_cvtepi32_epi8(integers));
  }

  Lanes operator+(const Lanes& b) const { return {_mm512_add_ps(lane, b.lane)}; }
  Lanes operator-(const Lanes& b) const { return {_mm512_sub_ps(lane, b.lane)}; }
  Lanes operator*(const Lanes& b) const { return {_mm512_mul_ps(lane, b.lane)}; }
  Lanes operator/(const Lanes& b) const { return {_mm512_div_ps(lane, b.lane)}; }
  /// a * b + c
  static Lanes fused(const Lanes& a, const Lanes& b, const Lanes& c) {
    return {_mm512_fmadd_ps(a.lane, b.lane, c.lane)};
  }
  static Lanes larger(const Lanes& a, const Lanes& b) { return {_mm512_max_ps(a.lane, b.lane)}; }
  Lanes rounded() const {
    return {_mm512_roundscale_ps(lane, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  /// 2 to the power of each, whole numbers above -127.
  Lanes power_of_two() const {
    const __m512i exponents = _mm512_add_epi32(_mm512_cvtps_epi32(lane), _mm512_set1_epi32(127));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(exponents, 23))};
  }
};
// NOLINTEND(llvm-header-guard)
