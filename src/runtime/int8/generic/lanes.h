// Sixteen float32 at a time, in portable C++; see row_loops.h.
// NOLINTBEGIN(llvm-header-guard) No include guard on purpose.

struct Lanes {
  float lane[kPartialSums];

  template <typename F>
  static Lanes each(const F& f) {
    Lanes result;
    for (std::int64_t j = 0; j < kPartialSums; ++j) result.lane[j] = f(j);
    return result;
  }
  static Lanes all(float x) {
    return each([=](std::int64_t) { return x; });
  }
  static Lanes load(const float* x) {
    return each([=](std::int64_t j) { return x[j]; });
  }
  static Lanes load(const std::uint8_t* x) {
    return each([=](std::int64_t j) { return static_cast<float>(x[j]); });
  }
  void store(float* y) const {
    for (std::int64_t j = 0; j < kPartialSums; ++j) y[j] = lane[j];
  }
  void store(const RowRange& range, std::uint8_t* y) const {
    for (std::int64_t j = 0; j < kPartialSums; ++j)
      y[j] = requantize_line(lane[j], range.lo, range.hi, range.zero_point);
  }

  Lanes operator+(const Lanes& b) const {
    return each([&](std::int64_t j) { return lane[j] + b.lane[j]; });
  }
  Lanes operator-(const Lanes& b) const {
    return each([&](std::int64_t j) { return lane[j] - b.lane[j]; });
  }
  Lanes operator*(const Lanes& b) const {
    return each([&](std::int64_t j) { return lane[j] * b.lane[j]; });
  }
  Lanes operator/(const Lanes& b) const {
    return each([&](std::int64_t j) { return lane[j] / b.lane[j]; });
  }
  /// a * b + c
  static Lanes fused(const Lanes& a, const Lanes& b, const Lanes& c) {
    return each([&](std::int64_t j) { return __builtin_fmaf(a.lane[j], b.lane[j], c.lane[j]); });
  }
  static Lanes larger(const Lanes& a, const Lanes& b) {
    return each([&](std::int64_t j) { return a.lane[j] > b.lane[j] ? a.lane[j] : b.lane[j]; });
  }
  Lanes rounded() const {
    return each([&](std::int64_t j) { return __builtin_rintf(lane[j]); });
  }
  /// 2 to the power of each, whole numbers above -127.
  Lanes power_of_two() const {
    return each([&](std::int64_t j) {
      return __builtin_bit_cast(float, (static_cast<std::int32_t>(lane[j]) + 127) << 23);
    });
  }
};
// NOLINTEND(llvm-header-guard)
