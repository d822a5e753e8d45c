#include "octavo/data/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <numeric>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

#include "augment.h"
#include "octavo/core/error.h"

namespace octavo {
namespace {

/// Position that no image has: the stream that shuffles an epoch.
constexpr std::uint64_t kShufflePosition = ~std::uint64_t{0};

void require(bool condition, const char* what, std::int64_t got) {
  if (!condition) throw Error(ErrorCode::kUsage, "loader", fmt::format("{}, got {}", what, got));
}

}  // namespace

struct TrainLoader::Impl {
  const Dataset& dataset;
  const LoaderConfig config;
  const NormalizationTable table;
  std::int64_t batches = 0;

  // Fixed while an epoch runs.
  std::uint64_t epoch = 0;
  std::vector<std::int64_t> order;
  bool started = false;

  /// A batch waits in ready[index % prefetch] from the time a worker has made it until next() takes it.
  struct Slot {
    Batch batch;
    bool ready = false;
    std::exception_ptr failure;
  };
  std::mutex mutex;
  std::condition_variable_any changed;
  std::vector<Slot> slots;
  std::int64_t next_claimed = 0;
  std::int64_t next_delivered = 0;
  std::exception_ptr failure;
  std::vector<std::jthread> threads;  // Last: they use everything above.

  Impl(const Dataset& data, const Normalization& normalization, const LoaderConfig& settings)
      : dataset(data), config(settings), table(normalization_table(normalization)) {
    const std::int64_t count = dataset.size();
    batches =
        config.drop_last ? count / config.batch_size : (count + config.batch_size - 1) / config.batch_size;
    require(batches > 0, "drop_last leaves no batch; expected at least batch_size images", count);
    slots.resize(static_cast<std::size_t>(config.workers > 0 ? config.prefetch : 0));
  }

  ~Impl() { stop(); }

  void stop() {
    for (std::jthread& thread : threads) thread.request_stop();
    threads.clear();
  }

  void start(std::uint64_t new_epoch, std::int64_t first_batch) {
    stop();
    epoch = new_epoch;
    order.resize(static_cast<std::size_t>(dataset.size()));
    std::iota(order.begin(), order.end(), 0);
    if (config.shuffle) {
      RandomStream random(config.seed, epoch, kShufflePosition);
      for (std::size_t i = order.size(); i > 1; --i) {
        std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
      }
    }
    for (Slot& slot : slots) {
      slot.ready = false;
      slot.failure = nullptr;
    }
    next_claimed = first_batch;
    next_delivered = first_batch;
    failure = nullptr;
    started = true;
    for (int i = 0; i < config.workers; ++i) {
      threads.emplace_back([this](const std::stop_token& token) { work(token); });
    }
  }

  Slot& slot_of(std::int64_t index) { return slots[static_cast<std::size_t>(index) % slots.size()]; }

  void work(const std::stop_token& token) {
    std::unique_lock lock(mutex);
    while (true) {
      const auto may_claim = [this] {
        return next_claimed < next_delivered + static_cast<std::int64_t>(slots.size()) ||
               next_claimed >= batches;
      };
      if (!changed.wait(lock, token, may_claim) || next_claimed >= batches) return;
      const std::int64_t index = next_claimed++;
      Slot& slot = slot_of(index);
      lock.unlock();
      try {
        prepare(index, slot.batch);
      } catch (...) {
        slot.failure = std::current_exception();
      }
      lock.lock();
      slot.ready = true;
      changed.notify_all();
    }
  }

  bool next(Batch& batch) {
    if (!started)
      throw Error(ErrorCode::kUsage, "loader", "no epoch is running; expected a call of start_epoch");
    if (failure) std::rethrow_exception(failure);
    if (next_delivered >= batches) return false;
    if (config.workers == 0) {
      prepare(next_delivered, batch);
      ++next_delivered;
      return true;
    }
    {
      std::unique_lock lock(mutex);
      Slot& slot = slot_of(next_delivered);
      changed.wait(lock, [&slot] { return slot.ready; });
      if (slot.failure) {
        failure = slot.failure;
      } else {
        std::swap(batch, slot.batch);
        slot.ready = false;
        ++next_delivered;
      }
    }
    if (failure) {
      stop();
      std::rethrow_exception(failure);
    }
    changed.notify_all();
    return true;
  }

  /// Makes batch `index`. Touches nothing but `batch`, so any thread may do it at any time.
  void prepare(std::int64_t index, Batch& batch) const {
    const std::int64_t begin = index * config.batch_size;
    const std::int64_t count = std::min(config.batch_size, dataset.size() - begin);
    const auto image_size = static_cast<std::size_t>(dataset.image_size());
    if (dataset.labels.size() != order.size() || dataset.pixels.size() != order.size() * image_size) {
      throw Error(ErrorCode::kInternal, "loader", "the data set changed while an epoch was running");
    }
    batch.count = count;
    batch.images.resize(static_cast<std::size_t>(count) * image_size);
    batch.labels.resize(static_cast<std::size_t>(count));
    batch.indices.resize(static_cast<std::size_t>(count));
    const ImageShape shape{.channels = dataset.channels, .height = dataset.height, .width = dataset.width};
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      const std::size_t position = static_cast<std::size_t>(begin) + i;
      const std::int64_t image = order[position];
      RandomStream random(config.seed, epoch, position);
      augment_image(dataset.image(image), shape, table,
                    draw_augmentation(config.augment, shape.height, shape.width, random),
                    config.channels_last, std::span(batch.images).subspan(i * image_size, image_size));
      batch.indices[i] = image;
      batch.labels[i] = dataset.labels[static_cast<std::size_t>(image)];
    }
  }
};

TrainLoader::TrainLoader(const Dataset& dataset, const Normalization& normalization,
                         const LoaderConfig& config) {
  require(config.batch_size > 0, "batch size must be positive; expected 1 or more", config.batch_size);
  require(config.workers >= 0, "negative number of workers; expected 0 or more", config.workers);
  require(config.workers == 0 || config.prefetch > 0, "no room for a batch; expected a prefetch of 1 or more",
          config.prefetch);
  constexpr int kLargest = 1 << 14;
  require(config.augment.crop_padding >= 0 && config.augment.crop_padding <= kLargest,
          "crop padding out of range; expected 0 to 16384", config.augment.crop_padding);
  require(config.augment.cutout >= 0 && config.augment.cutout <= kLargest,
          "cutout out of range; expected 0 to 16384", config.augment.cutout);
  require(dataset.size() > 0, "empty data set; expected at least one image", dataset.size());
  require(static_cast<std::int64_t>(dataset.pixels.size()) == dataset.size() * dataset.image_size(),
          "pixels do not fit the labels; expected labels * channels * height * width of them",
          static_cast<std::int64_t>(dataset.pixels.size()));
  require(static_cast<std::int64_t>(normalization.mean.size()) == dataset.channels &&
              normalization.std.size() == normalization.mean.size(),
          "normalization does not fit; expected one mean and one deviation a channel",
          static_cast<std::int64_t>(normalization.mean.size()));
  impl_ = std::make_unique<Impl>(dataset, normalization, config);
}

TrainLoader::~TrainLoader() = default;

std::int64_t TrainLoader::batches_per_epoch() const { return impl_->batches; }

void TrainLoader::start_epoch(std::int64_t epoch, std::int64_t first_batch) {
  require(epoch >= 0, "negative epoch; expected 0 or more", epoch);
  require(first_batch >= 0 && first_batch <= impl_->batches,
          "no such batch to start at; expected one of the epoch", first_batch);
  impl_->start(static_cast<std::uint64_t>(epoch), first_batch);
}

bool TrainLoader::next(Batch& batch) { return impl_->next(batch); }

}  // namespace octavo
