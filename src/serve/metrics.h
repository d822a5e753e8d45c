/// What the server counts, as Prometheus reads it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace octavo::serve {

/// A histogram with fixed bounds; the last bucket has none.
class Histogram {
 public:
  static constexpr std::size_t kBuckets = 14;
  using Bounds = std::array<double, kBuckets - 1>;

  explicit Histogram(const Bounds& bounds) : bounds_(&bounds) {}
  void add(double value);
  /// Lines NAME_bucket, NAME_sum and NAME_count; `labels` as in model="x".
  std::string lines(const std::string& name, const std::string& labels) const;

 private:
  const Bounds* bounds_;
  std::array<std::uint64_t, kBuckets> counts_{};
  double sum_ = 0;
};

/// Seconds, from a tenth of a millisecond to a second.
extern const Histogram::Bounds kSecondBounds;
/// Images in a batch.
extern const Histogram::Bounds kBatchBounds;

/// Thread-safe. Names of models are those that are served; "" where a request named none of them.
class Metrics {
 public:
  void request(const std::string& model, int status, double seconds);
  void batch(const std::string& model, std::int64_t images, double seconds);
  void queued_images(std::int64_t images);
  void connections(int open);
  void refused_connection();
  void reload(const std::string& model, bool succeeded);

  /// The text format, version 0.0.4.
  std::string text() const;

 private:
  struct OfModel {
    std::map<int, std::uint64_t> requests;  ///< By status.
    Histogram request_seconds{kSecondBounds};
    Histogram batch_images{kBatchBounds};
    std::uint64_t images = 0;
    double compute_seconds = 0;
    std::uint64_t reloads = 0;
    std::uint64_t failed_reloads = 0;
  };

  mutable std::mutex mutex_;
  std::map<std::string, OfModel> models_;
  std::int64_t queued_images_ = 0;
  int connections_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace octavo::serve
