// Batches: the same bits whatever rides along, bounds on waiting and on the queue.
#include "batcher.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "octavo/onnx/onnx.h"
#include "serve/model_files.h"

namespace octavo::serve {
namespace {

using namespace std::chrono_literals;
using octavo::testing::kClasses;
using octavo::testing::kImageValues;
using octavo::testing::ModelFiles;

std::shared_ptr<const ServedModel> load(const std::string& name, std::int64_t max_batch = 8) {
  return load_served_model(
      ModelFiles::get() / name,
      {.max_batch = max_batch, .threads = 2, .read = [](const auto& file) { return load_onnx(file); }});
}

Answer ask(Batcher& batcher, const std::shared_ptr<const ServedModel>& model, std::vector<float> images,
           Clock::duration patience = 30s) {
  Batcher::Arrival arrival(batcher, *model);
  return batcher.run(arrival, model, std::move(images), Clock::now() + patience);
}

TEST(BatchSizes, AreAllSmallOnesThenQuarterSteps) {
  EXPECT_EQ(batch_sizes(1), (std::vector<std::int64_t>{1}));
  EXPECT_EQ(batch_sizes(5), (std::vector<std::int64_t>{1, 2, 3, 4, 5}));
  EXPECT_EQ(batch_sizes(18), (std::vector<std::int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18}));
}

TEST(ServedModel, SaysWhatItIs) {
  const auto int4 = load("int4.onnx");
  EXPECT_EQ(int4->name, "int4");
  EXPECT_EQ(int4->weight_bits, 4);
  EXPECT_EQ(int4->scores, Scores::kLogits);
  EXPECT_EQ(int4->batches.front(), 1);
  EXPECT_EQ(int4->batches.back(), 8) << "integers are exact in every batch";
  EXPECT_EQ(load("float.onnx")->weight_bits, 32);
  EXPECT_EQ(load("float.onnx")->group, int4->group);
}

TEST(Probabilities, AreThoseOfTheKindOfScores) {
  const std::vector<float> two{0, 1000};
  EXPECT_EQ(probabilities(Scores::kLogits, two), (std::vector<double>{0, 1}));
  const std::vector<float> quarter{0.25F};
  EXPECT_EQ(probabilities(Scores::kProbability, quarter), (std::vector<double>{0.75, 0.25}));
  const std::vector<float> nothing{0};
  EXPECT_EQ(probabilities(Scores::kLogit, nothing), (std::vector<double>{0.5, 0.5}));
  const std::vector<float> given{0.25F, 0.75F};
  EXPECT_EQ(probabilities(Scores::kProbabilities, given), (std::vector<double>{0.25, 0.75}));
}

class EveryModel : public ::testing::TestWithParam<const char*> {};

TEST_P(EveryModel, GivesTheBitsThatItGivesAloneWhateverRidesAlong) {
  Metrics metrics;
  Batcher batcher({.max_wait = 5ms}, metrics);
  const auto model = load(GetParam());
  constexpr int kClients = 6;
  constexpr int kRounds = 40;
  std::vector<std::thread> clients;
  std::atomic<int> different{0};
  std::atomic<std::int64_t> largest{0};
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&, client] {
      for (int round = 0; round < kRounds; ++round) {
        const auto count = static_cast<std::size_t>(1 + (client * 7 + round * 3) % 11);
        const auto images = octavo::testing::random_floats(count * kImageValues,
                                                           static_cast<unsigned>(client * kRounds + round));
        const Answer answer = ask(batcher, model, images);
        if (answer.outcome != Outcome::kDone ||
            answer.scores != octavo::testing::scores_alone(model->file, images))
          ++different;
        std::int64_t seen = largest;
        while (answer.batch > seen && !largest.compare_exchange_weak(seen, answer.batch)) {
        }
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(different, 0);
  EXPECT_EQ(largest, model->batches.back()) << "requests never rode together, so nothing was tested";
}

INSTANTIATE_TEST_SUITE_P(Files, EveryModel, ::testing::Values("float.onnx", "int8.onnx"),
                         [](const auto& file) { return std::string(file.param).substr(0, 4); });

TEST(Batcher, LeavesOutSizesThatChangeBits) {
  auto loaded = load("int8.onnx");
  const_cast<ServedModel&>(*loaded).batches = {1, 4};
  Metrics metrics;
  Batcher batcher({}, metrics);
  const auto images = octavo::testing::random_floats(7 * kImageValues, 1);
  const Answer answer = ask(batcher, loaded, images);
  EXPECT_EQ(answer.batch, 4);
  EXPECT_EQ(answer.scores, octavo::testing::scores_alone(loaded->file, images));
  EXPECT_NE(metrics.text().find("octavo_batch_images_count{model=\"int8\"} 4\n"), std::string::npos)
      << "7 = 4 + 1 + 1 + 1\n"
      << metrics.text();
}

TEST(Batcher, DoesNotWaitWhereNobodyIsOnTheWay) {
  Metrics metrics;
  Batcher batcher({.max_wait = 10s}, metrics);
  const auto model = load("int8.onnx");
  const auto begin = Clock::now();
  EXPECT_EQ(ask(batcher, model, std::vector<float>(kImageValues)).outcome, Outcome::kDone);
  EXPECT_LT(Clock::now() - begin, 5s);
}

TEST(Batcher, WaitsForWhoIsOnTheWayButNotLongerThanItsBound) {
  Metrics metrics;
  Batcher batcher({.max_wait = 200ms}, metrics);
  const auto model = load("int8.onnx");
  const Batcher::Arrival never_comes(batcher, *model);
  const Answer answer = ask(batcher, model, std::vector<float>(kImageValues));
  EXPECT_EQ(answer.outcome, Outcome::kDone);
  EXPECT_GE(answer.queue_ms, 199);
  EXPECT_LT(answer.queue_ms, 5000);
}

TEST(Batcher, AFullBatchDoesNotWait) {
  Metrics metrics;
  Batcher batcher({.max_wait = 10s}, metrics);
  const auto model = load("int8.onnx");
  const Batcher::Arrival never_comes(batcher, *model);
  const Answer answer = ask(batcher, model, std::vector<float>(8 * kImageValues), 5s);
  EXPECT_EQ(answer.outcome, Outcome::kDone);
  EXPECT_EQ(answer.batch, 8);
}

TEST(Batcher, RefusesWhatDoesNotFitTheQueueAndGivesUpAtTheDeadline) {
  Metrics metrics;
  Batcher batcher({.max_wait = 2s, .max_queue = 4}, metrics);
  const auto model = load("int8.onnx");
  const Batcher::Arrival never_comes(batcher, *model);  // Keeps the queue waiting.
  auto first = std::async(std::launch::async, [&] {
    return ask(batcher, model, std::vector<float>(3 * kImageValues), 300ms).outcome;
  });
  while (metrics.text().find("octavo_queued_images 3\n") == std::string::npos)
    std::this_thread::sleep_for(1ms);
  EXPECT_EQ(ask(batcher, model, std::vector<float>(2 * kImageValues)).outcome, Outcome::kFull);
  EXPECT_EQ(first.get(), Outcome::kLate);
}

TEST(Batcher, AnAbandonedRequestMakesRoomAgain) {
  Metrics metrics;
  Batcher batcher({.max_wait = 500ms, .max_queue = 1}, metrics);
  const auto model = load("int8.onnx");
  {
    const Batcher::Arrival never_comes(batcher, *model);
    EXPECT_EQ(ask(batcher, model, std::vector<float>(kImageValues), 1ms).outcome, Outcome::kLate);
  }
  const auto end = Clock::now() + 10s;
  Outcome outcome = Outcome::kFull;
  while (outcome == Outcome::kFull && Clock::now() < end)
    outcome = ask(batcher, model, std::vector<float>(kImageValues)).outcome;
  EXPECT_EQ(outcome, Outcome::kDone);
}

TEST(Batcher, FinishesWhatWaitsWhenItStops) {
  Metrics metrics;
  Batcher batcher({.max_wait = 10s}, metrics);
  const auto model = load("int8.onnx");
  const Batcher::Arrival never_comes(batcher, *model);
  auto first = std::async(std::launch::async,
                          [&] { return ask(batcher, model, std::vector<float>(kImageValues)).outcome; });
  while (metrics.text().find("octavo_queued_images 1\n") == std::string::npos)
    std::this_thread::sleep_for(1ms);
  batcher.stop();
  EXPECT_EQ(first.get(), Outcome::kDone);
  EXPECT_EQ(ask(batcher, model, std::vector<float>(kImageValues)).outcome, Outcome::kStopped);
}

}  // namespace
}  // namespace octavo::serve
