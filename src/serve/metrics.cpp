#include "metrics.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace octavo::serve {
namespace {

/// A label's value as the format writes it.
std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\n') {
      result += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') result += '\\';
    result += c;
  }
  return result;
}

std::string header(const std::string& name, const std::string& type, const std::string& help) {
  return fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
}

/// Memory that the process has in RAM.
std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

const Histogram::Bounds kSecondBounds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                      0.025,  0.05,    0.1,    0.25,  0.5,    1};
const Histogram::Bounds kBatchBounds{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256};

void Histogram::add(double value) {
  ++counts_[static_cast<std::size_t>(std::ranges::lower_bound(*bounds_, value) - bounds_->begin())];
  sum_ += value;
}

std::string Histogram::lines(const std::string& name, const std::string& labels) const {
  std::string text;
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    below += counts_[i];
    const std::string bound = i < bounds_->size() ? fmt::format("{}", (*bounds_)[i]) : "+Inf";
    text += fmt::format("{}_bucket{{{},le=\"{}\"}} {}\n", name, labels, bound, below);
  }
  return text + fmt::format("{0}_sum{{{1}}} {2}\n{0}_count{{{1}}} {3}\n", name, labels, sum_, below);
}

void Metrics::request(const std::string& model, int status, double seconds) {
  const std::lock_guard lock(mutex_);
  OfModel& of = models_[model];
  ++of.requests[status];
  of.request_seconds.add(seconds);
}

void Metrics::batch(const std::string& model, std::int64_t images, double seconds) {
  const std::lock_guard lock(mutex_);
  OfModel& of = models_[model];
  of.batch_images.add(static_cast<double>(images));
  of.images += static_cast<std::uint64_t>(images);
  of.compute_seconds += seconds;
}

void Metrics::queued_images(std::int64_t images) {
  const std::lock_guard lock(mutex_);
  queued_images_ = images;
}

void Metrics::connections(int open) {
  const std::lock_guard lock(mutex_);
  connections_ = open;
}

void Metrics::refused_connection() {
  const std::lock_guard lock(mutex_);
  ++refused_;
}

void Metrics::reload(const std::string& model, bool succeeded) {
  const std::lock_guard lock(mutex_);
  OfModel& of = models_[model];
  ++(succeeded ? of.reloads : of.failed_reloads);
}

std::string Metrics::text() const {
  const std::lock_guard lock(mutex_);
  std::string requests = header("octavo_requests_total", "counter", "Requests answered, by HTTP status.");
  std::string seconds =
      header("octavo_request_seconds", "histogram", "From the request's head to its answer, seconds.");
  std::string batches = header("octavo_batch_images", "histogram", "Images in each run of a model.");
  std::string images = header("octavo_images_total", "counter", "Images that a model has run on.");
  std::string compute =
      header("octavo_compute_seconds_total", "counter", "Time in which a model ran, seconds.");
  std::string reloads =
      header("octavo_reloads_total", "counter", "Changed model files, by what came of them.");
  for (const auto& [name, of] : models_) {
    const std::string label = fmt::format("model=\"{}\"", escaped(name));
    for (const auto& [status, count] : of.requests)
      requests += fmt::format("octavo_requests_total{{{},status=\"{}\"}} {}\n", label, status, count);
    seconds += of.request_seconds.lines("octavo_request_seconds", label);
    if (name.empty()) continue;
    batches += of.batch_images.lines("octavo_batch_images", label);
    images += fmt::format("octavo_images_total{{{}}} {}\n", label, of.images);
    compute += fmt::format("octavo_compute_seconds_total{{{}}} {}\n", label, of.compute_seconds);
    reloads += fmt::format("octavo_reloads_total{{{},result=\"swapped\"}} {}\n", label, of.reloads);
    reloads += fmt::format("octavo_reloads_total{{{},result=\"kept\"}} {}\n", label, of.failed_reloads);
  }
  return requests + seconds + batches + images + compute + reloads +
         header("octavo_queued_images", "gauge", "Images that wait for a model.") +
         fmt::format("octavo_queued_images {}\n", queued_images_) +
         header("octavo_connections", "gauge", "Connections that are open.") +
         fmt::format("octavo_connections {}\n", connections_) +
         header("octavo_refused_connections_total", "counter", "Connections beyond the limit.") +
         fmt::format("octavo_refused_connections_total {}\n", refused_) +
         header("process_resident_memory_bytes", "gauge", "Memory in RAM, bytes.") +
         fmt::format("process_resident_memory_bytes {}\n", resident_bytes());
}

}  // namespace octavo::serve
