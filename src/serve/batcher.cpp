#include "batcher.h"

#include <algorithm>
#include <utility>

#include "octavo/core/error.h"

namespace octavo::serve {
namespace {

double ms_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

}  // namespace

Batcher::Batcher(const BatcherConfig& config, Metrics& metrics) : config_(config), metrics_(metrics) {
  thread_ = std::jthread([this] { work(); });
}

Batcher::~Batcher() { stop(); }

void Batcher::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

Batcher::Arrival::Arrival(Batcher& batcher, const ServedModel& model) : batcher_(batcher), model_(&model) {
  const std::lock_guard lock(batcher.mutex_);
  ++batcher.arriving_[model_];
}

Batcher::Arrival::~Arrival() {
  const std::lock_guard lock(batcher_.mutex_);
  end();
}

void Batcher::Arrival::end() {
  if (model_ == nullptr) return;
  const auto found = batcher_.arriving_.find(model_);
  if (--found->second == 0) batcher_.arriving_.erase(found);
  model_ = nullptr;
  batcher_.changed_.notify_all();
}

Answer Batcher::run(Arrival& arrival, std::shared_ptr<const ServedModel> model, std::vector<float> images,
                    Clock::time_point deadline) {
  const auto job = std::make_shared<Job>();
  job->count = std::ssize(images) / model->image_values();
  check_internal(job->count >= 1 && job->count * model->image_values() == std::ssize(images),
                 "Batcher::run: whole images");
  job->images = std::move(images);
  job->answer.scores.resize(static_cast<std::size_t>(job->count * model->model.classes()));
  job->model = std::move(model);

  std::unique_lock lock(mutex_);
  arrival.end();
  const auto refused = [](Outcome outcome) {
    Answer answer;
    answer.outcome = outcome;
    return answer;
  };
  if (stopped_) return refused(Outcome::kStopped);
  // One that is larger than the queue may wait in it alone.
  if (queued_images_ > 0 && queued_images_ + job->count > config_.max_queue) return refused(Outcome::kFull);
  job->came = Clock::now();
  queue_.push_back(job);
  queued_images_ += job->count;
  metrics_.queued_images(queued_images_);
  changed_.notify_all();
  const auto ended = [&] { return job->finished == job->count || job->failure; };
  if (!job->done.wait_until(lock, deadline, ended)) {
    job->abandoned = true;
    return refused(Outcome::kLate);
  }
  if (job->failure) std::rethrow_exception(job->failure);
  return std::move(job->answer);
}

std::int64_t Batcher::waiting_for(const ServedModel& model) const {
  std::int64_t images = 0;
  for (const auto& job : queue_) {
    if (job->model.get() == &model) images += job->count - job->taken;
  }
  return images;
}

bool Batcher::ready(std::int64_t waiting, Clock::time_point& until) const {
  const Job& oldest = *queue_.front();
  if (stopped_ || waiting >= oldest.model->batches.back() || !arriving_.contains(oldest.model.get()))
    return true;
  until = oldest.came + std::chrono::duration_cast<Clock::duration>(config_.max_wait);
  return Clock::now() >= until;
}

std::vector<Batcher::Part> Batcher::take(std::int64_t images) {
  std::vector<Part> parts;
  const std::shared_ptr<const ServedModel> model = queue_.front()->model;
  std::deque<std::shared_ptr<Job>> unfinished;
  for (auto at = queue_.begin(); at != queue_.end() && images > 0;) {
    const std::shared_ptr<Job> job = *at;
    if (job->model != model) {
      ++at;
      continue;
    }
    const std::int64_t count = std::min(images, job->count - job->taken);
    if (job->taken == 0) job->answer.queue_ms = ms_between(job->came, Clock::now());
    parts.push_back({job, job->taken, count});
    job->taken += count;
    images -= count;
    queued_images_ -= count;
    at = queue_.erase(at);
    if (job->taken < job->count) unfinished.push_back(job);
  }
  queue_.insert(queue_.end(), unfinished.begin(), unfinished.end());
  metrics_.queued_images(queued_images_);
  return parts;
}

void Batcher::compute(const ServedModel& model, const std::vector<Part>& parts, std::int64_t images) {
  const auto image = static_cast<std::size_t>(model.image_values());
  const auto row = static_cast<std::size_t>(model.model.classes());
  const auto of_job = [](auto& values, const Part& part, std::size_t each) {
    return std::span(values).subspan(static_cast<std::size_t>(part.first) * each,
                                     static_cast<std::size_t>(part.count) * each);
  };
  if (parts.size() == 1) {
    Job& job = *parts.front().job;
    model.model.run(model.context, of_job(std::as_const(job.images), parts.front(), image), images,
                    of_job(job.answer.scores, parts.front(), row));
    return;
  }
  inputs_.resize(static_cast<std::size_t>(images) * image);
  scores_.resize(static_cast<std::size_t>(images) * row);
  auto* input = inputs_.data();
  for (const Part& part : parts) input = std::ranges::copy(of_job(part.job->images, part, image), input).out;
  model.model.run(model.context, inputs_, images, scores_);
  const float* score = scores_.data();
  for (const Part& part : parts) {
    for (float& value : of_job(part.job->answer.scores, part, row)) value = *score++;
  }
}

void Batcher::finish(const std::vector<Part>& parts, std::int64_t images, double compute_ms,
                     const std::exception_ptr& failure) {
  for (const Part& part : parts) {
    Job& job = *part.job;
    job.finished += part.count;
    job.answer.compute_ms += compute_ms;
    job.answer.batch = std::max(job.answer.batch, images);
    if (failure) job.failure = failure;
    job.done.notify_all();
  }
}

void Batcher::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopped_ || !queue_.empty(); });
    const auto gone = std::erase_if(queue_, [this](const auto& job) {
      const bool drop = job->abandoned || job->failure;
      if (drop) queued_images_ -= job->count - job->taken;
      return drop;
    });
    if (gone > 0) metrics_.queued_images(queued_images_);
    if (queue_.empty()) {
      if (stopped_) return;
      continue;
    }
    const std::shared_ptr<const ServedModel> model = queue_.front()->model;
    const std::int64_t waiting = waiting_for(*model);
    Clock::time_point until;
    if (!ready(waiting, until)) {
      changed_.wait_until(lock, until);
      continue;
    }
    const std::int64_t images = *(std::ranges::upper_bound(model->batches, waiting) - 1);
    const std::vector<Part> parts = take(images);
    lock.unlock();
    const Clock::time_point begin = Clock::now();
    std::exception_ptr failure;
    try {
      compute(*model, parts, images);
    } catch (...) {
      failure = std::current_exception();
    }
    const double ms = ms_between(begin, Clock::now());
    metrics_.batch(model->name, images, ms / 1000);
    lock.lock();
    finish(parts, images, ms, failure);
  }
}

}  // namespace octavo::serve
