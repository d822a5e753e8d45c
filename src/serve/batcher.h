/// Puts images of requests that wait at the same time into one run of their model.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "metrics.h"
#include "served_model.h"

namespace octavo::serve {

using Clock = std::chrono::steady_clock;

struct BatcherConfig {
  std::chrono::duration<double, std::milli> max_wait{2};  ///< For others to join a batch.
  std::int64_t max_queue = 1024;                          ///< Images that wait, of all models.
};

enum class Outcome : std::uint8_t {
  kDone,
  kFull,     ///< Too many images wait already.
  kLate,     ///< The deadline passed.
  kStopped,  ///< The batcher takes no more.
};

struct Answer {
  Outcome outcome = Outcome::kDone;
  std::vector<float> scores;  ///< [images, classes]; empty unless done.
  double queue_ms = 0;        ///< Until its first run began.
  double compute_ms = 0;      ///< Of the runs that it rode in.
  std::int64_t batch = 0;     ///< Images of the largest of them.
};

/// One thread runs all models, so that their threads never compete: a run uses as many threads as the model
/// was compiled for. Each image gets the bits that it gets alone (see ServedModel::batches). Models take
/// turns, and so do the parts of a request with more images than fit one run.
class Batcher {
 public:
  Batcher(const BatcherConfig& config, Metrics& metrics);
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;
  /// Finishes what waits.
  ~Batcher();

  /// A request for a model that is on its way: while there is one, a batch with room waits for it, at most
  /// max_wait. Without any there is nobody to wait for.
  class Arrival {
   public:
    Arrival(Batcher& batcher, const ServedModel& model);
    Arrival(const Arrival&) = delete;
    Arrival& operator=(const Arrival&) = delete;
    ~Arrival();

   private:
    friend class Batcher;
    /// With the batcher's mutex held. Once is enough.
    void end();
    Batcher& batcher_;
    const ServedModel* model_;
  };

  /// Waits for the scores of `images` [N, C, H, W], N >= 1. Ends `arrival`. Any thread. Throws what the run
  /// throws.
  Answer run(Arrival& arrival, std::shared_ptr<const ServedModel> model, std::vector<float> images,
             Clock::time_point deadline);

  /// From now on run() answers kStopped; what waits is finished.
  void stop();

 private:
  struct Job {
    std::shared_ptr<const ServedModel> model;
    std::vector<float> images;
    std::int64_t count = 0;
    std::int64_t taken = 0;     ///< Images that were put into a run.
    std::int64_t finished = 0;  ///< Images whose run has ended.
    Clock::time_point came;
    Answer answer;
    std::exception_ptr failure;
    bool abandoned = false;  ///< Nobody waits for it any more.
    std::condition_variable done;
  };
  /// Images of a job in a batch.
  struct Part {
    std::shared_ptr<Job> job;
    std::int64_t first = 0;
    std::int64_t count = 0;
  };

  void work();
  /// Whether the batch that the oldest job begins should run now, and if not, until when to wait.
  bool ready(std::int64_t waiting, Clock::time_point& until) const;
  std::int64_t waiting_for(const ServedModel& model) const;
  std::vector<Part> take(std::int64_t images);
  void compute(const ServedModel& model, const std::vector<Part>& parts, std::int64_t images);
  void finish(const std::vector<Part>& parts, std::int64_t images, double compute_ms,
              const std::exception_ptr& failure);

  const BatcherConfig config_;
  Metrics& metrics_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Job>> queue_;  // Jobs with images that no run has taken.
  std::int64_t queued_images_ = 0;
  std::map<const ServedModel*, int> arriving_;
  bool stopped_ = false;
  // The computing thread's own.
  std::vector<float> inputs_;
  std::vector<float> scores_;
  std::jthread thread_;
};

}  // namespace octavo::serve
