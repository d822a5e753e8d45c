#include "moments.h"

#include <algorithm>

#include "octavo/core/error.h"
#include "octavo/core/parallel.h"

namespace octavo {
namespace {

// A tile of sums stays in registers while a chunk of pairs goes by.
constexpr std::int64_t kRows = 4;
constexpr std::int64_t kColumns = 8;
constexpr std::int64_t kChunk = 256;

/// sums[i, j] += a[., i] * b[., j] over `count` pairs, for a tile of i and j.
void add_tile(const float* a, const float* b, std::int64_t count, std::int64_t size, double* sums) {
  float tile[kRows][kColumns] = {};
  for (std::int64_t r = 0; r < count; ++r) {
    for (std::int64_t i = 0; i < kRows; ++i) {
      for (std::int64_t j = 0; j < kColumns; ++j) tile[i][j] += a[r * size + i] * b[r * size + j];
    }
  }
  for (std::int64_t i = 0; i < kRows; ++i) {
    for (std::int64_t j = 0; j < kColumns; ++j) sums[i * size + j] += static_cast<double>(tile[i][j]);
  }
}

void add_rest(const float* a, const float* b, std::int64_t count, std::int64_t size, std::int64_t rows,
              std::int64_t columns, double* sums) {
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) {
      float sum = 0;
      for (std::int64_t r = 0; r < count; ++r) sum += a[r * size + i] * b[r * size + j];
      sums[i * size + j] += static_cast<double>(sum);
    }
  }
}

void add_products(std::span<const float> a, std::span<const float> b, std::int64_t count, std::int64_t size,
                  std::vector<double>& sums) {
  const std::int64_t bands = (size + kRows - 1) / kRows;
  parallel_for(bands, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t first = 0; first < count; first += kChunk) {
      const std::int64_t pairs = std::min(kChunk, count - first);
      const float* from_a = a.data() + first * size;
      const float* from_b = b.data() + first * size;
      for (std::int64_t i = begin * kRows; i < std::min(end * kRows, size); i += kRows) {
        const std::int64_t rows = std::min(kRows, size - i);
        for (std::int64_t j = 0; j < size; j += kColumns) {
          const std::int64_t columns = std::min(kColumns, size - j);
          double* to = sums.data() + i * size + j;
          if (rows == kRows && columns == kColumns) {
            add_tile(from_a + i, from_b + j, pairs, size, to);
          } else {
            add_rest(from_a + i, from_b + j, pairs, size, rows, columns, to);
          }
        }
      }
    }
  });
}

std::vector<double> mean(const std::vector<double>& sums, std::int64_t count) {
  std::vector<double> result(sums);
  for (double& value : result) value /= static_cast<double>(std::max<std::int64_t>(count, 1));
  return result;
}

std::vector<float> mean_of_products(const std::vector<double>& sums, std::int64_t count,
                                    const std::vector<double>& mean_a, const std::vector<double>& mean_b,
                                    bool centred) {
  const std::size_t size = mean_a.size();
  std::vector<double> means = mean(sums, count);
  for (std::size_t i = 0; centred && i < size; ++i) {
    for (std::size_t j = 0; j < size; ++j) means[i * size + j] -= mean_a[i] * mean_b[j];
  }
  return {means.begin(), means.end()};
}

}  // namespace

Moments::Moments(std::int64_t size)
    : size_(size),
      sum_x_(static_cast<std::size_t>(size)),
      sum_q_(static_cast<std::size_t>(size)),
      qq_(static_cast<std::size_t>(size * size)),
      xq_(static_cast<std::size_t>(size * size)) {}

void Moments::add(std::span<const float> x, std::span<const float> q, std::int64_t count) {
  check_internal(std::ssize(x) == count * size_ && std::ssize(q) == count * size_, "moments: sizes differ");
  for (std::size_t i = 0; i < x.size(); ++i) {
    sum_x_[i % sum_x_.size()] += static_cast<double>(x[i]);
    sum_q_[i % sum_q_.size()] += static_cast<double>(q[i]);
  }
  add_products(q, q, count, size_, qq_);
  add_products(x, q, count, size_, xq_);
  count_ += count;
}

std::vector<double> Moments::mean_x() const { return mean(sum_x_, count_); }
std::vector<double> Moments::mean_q() const { return mean(sum_q_, count_); }
std::vector<float> Moments::qq(bool centred) const {
  return mean_of_products(qq_, count_, mean_q(), mean_q(), centred);
}
std::vector<float> Moments::xq(bool centred) const {
  return mean_of_products(xq_, count_, mean_x(), mean_q(), centred);
}

}  // namespace octavo
