// A compiled model in its steady state asks for no memory. A program of its own: it replaces malloc.
#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "octavo/graph/zoo.h"
#include "octavo/quantize/ptq.h"
#include "octavo/runtime/runtime.h"
#include "quantize/random_images.h"

namespace {
std::atomic<std::int64_t> allocations = 0;
/// Of aligned memory for numbers, as tensors and oneDNN ask for it; the request that brings
/// `left_before_failure` to 0 fails. (oneDNN's small objects are beyond us: it does not look at what malloc
/// returned for them.)
constexpr std::size_t kForNumbers = std::size_t{1} << 14;
std::atomic<std::int64_t> aligned_allocations = 0;
std::atomic<std::int64_t> left_before_failure = 0;
}  // namespace

// glibc's own, under the names by which a program that replaces malloc reaches them. operator new, and the
// libraries that are loaded, call what is defined here.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* old, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) {
  ++allocations;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  ++allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) {
  ++allocations;
  return __libc_realloc(old, size);
}
void* memalign(std::size_t alignment, std::size_t size) {
  ++allocations;
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  ++allocations;
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** result, std::size_t alignment, std::size_t size) {
  ++allocations;
  if (size >= kForNumbers) {
    ++aligned_allocations;
    if (left_before_failure > 0 && --left_before_failure == 0) return ENOMEM;
  }
  *result = __libc_memalign(alignment, size);
  return *result == nullptr ? ENOMEM : 0;
}
}

namespace octavo {
namespace {

constexpr ZooInput kCifar{.channels = 3, .height = 32, .width = 32};

Graph quantized(const std::string& name) {
  return quantize_ptq(make_model(name, kCifar, 1), testing::random_images(8, 32),
                      testing::kNoiseNormalization, {.calibration_samples = 8, .batch_size = 8})
      .graph;
}

std::vector<float> noise(std::int64_t batch) {
  std::vector<float> input(static_cast<std::size_t>(batch * 3 * 32 * 32));
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (float& x : input) x = normal(random);
  return input;
}

/// Of each of `runs` runs after the first of each batch size: the largest, one image, and one image less than
/// the largest, which is not cut into equal pieces and needs more memory.
std::int64_t allocations_after_the_first_run(const CompiledModel& model, int runs) {
  CompiledModel::Context context(model);
  const std::vector<float> input = noise(model.max_batch());
  std::vector<float> logits(static_cast<std::size_t>(model.max_batch() * model.classes()));
  const auto run = [&](std::int64_t batch) {
    const std::span<const float> images(input.data(), static_cast<std::size_t>(batch * 3 * 32 * 32));
    model.run(context, images, batch,
              std::span(logits).first(static_cast<std::size_t>(batch * model.classes())));
  };
  const std::int64_t batches[] = {model.max_batch(), 1, model.max_batch() - 1};
  for (const std::int64_t batch : batches) run(batch);
  const std::int64_t before = allocations;
  for (int i = 0; i < runs; ++i) run(batches[i % 3]);
  return allocations - before;
}

TEST(Allocations, FailedOnesAreBadAlloc) {
  const Graph graph = make_model("resnet20", kCifar, 1);
  const std::vector<float> input = noise(2);
  std::vector<float> logits(20);
  const auto compile_and_run = [&] {
    const CompiledModel model(graph, {.max_batch = 2, .threads = 1});
    CompiledModel::Context context(model);
    model.run(context, input, 2, logits);
  };
  compile_and_run();  // What is made once for the process is there.
  const std::int64_t before = aligned_allocations;
  compile_and_run();
  const std::int64_t count = aligned_allocations - before;
  ASSERT_GT(count, 20);
  for (std::int64_t k = 1; k <= count; ++k) {
    left_before_failure = k;
    EXPECT_THROW(compile_and_run(), std::bad_alloc) << "request " << k << " of " << count;
    EXPECT_EQ(left_before_failure, 0);
  }
  compile_and_run();
}

TEST(Allocations, AreCounted) {
  const std::int64_t before = allocations;
  std::vector<std::string> made(3, std::string(100, 'x'));
  EXPECT_GE(allocations - before, 4);
  std::free(std::malloc(7));
  EXPECT_GE(allocations - before, 5);
}

class AllocationsOf : public ::testing::TestWithParam<const char*> {};

TEST_P(AllocationsOf, Int8RunsAreNone) {
  const Graph graph = quantized(GetParam());
  for (const int threads : {1, 2}) {
    for (const std::int64_t batch : {4, 32}) {  // The larger one in pieces, on two threads at a time.
      const CompiledModel model(graph, {.max_batch = batch, .threads = threads, .observe = {}});
      ASSERT_EQ(model.precision(), "int8");
      EXPECT_EQ(allocations_after_the_first_run(model, 4), 0) << batch << " on " << threads << " threads";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Zoo, AllocationsOf, ::testing::Values("simple-cnn", "resnet20", "mobilenet-v2"));

// oneDNN makes a table of its arguments inside each primitive it runs: the nodes of a hash map and the like.
TEST(Allocations, Float32RunsAreOneDnnsAlone) {
  const CompiledModel model(make_model("resnet20", kCifar, 1), {.max_batch = 4, .threads = 1, .observe = {}});
  constexpr int kRuns = 4;
  const auto steps = static_cast<std::int64_t>(model.steps(4).size());
  constexpr std::int64_t kOfOnePrimitive = 16;
  EXPECT_LE(allocations_after_the_first_run(model, kRuns), kRuns * steps * kOfOnePrimitive);
}

}  // namespace
}  // namespace octavo
