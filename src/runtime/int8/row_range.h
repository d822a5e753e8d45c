// What rows of integers are kept within; see row_loops.h.
// NOLINTBEGIN(llvm-header-guard) No include guard on purpose.

/// The range of a row's integers less their zero point.
struct RowRange {
  explicit RowRange(const IntegerRows& rows)
      : lo(static_cast<float>(rows.y_min - rows.y_zero_point)),
        hi(static_cast<float>(rows.y_max - rows.y_zero_point)),
        zero_point(rows.y_zero_point) {}
  float lo, hi;
  std::int32_t zero_point;
};
// NOLINTEND(llvm-header-guard)
