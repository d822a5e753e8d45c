#include "octavo/runtime/runtime.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>

#include "octavo/core/error.h"
#include "octavo/core/parallel.h"
#include "octavo/graph/passes.h"
#include "runtime/compiler.h"
#include "runtime/integer_groups.h"
#include "runtime/onednn.h"
#include "runtime/pixel_input.h"

namespace octavo {

struct CompiledModel::Plan {
  Graph graph;                      // Folded; programs for further batch sizes are made from it.
  CompileOptions options;           // What is observed in ids of the folded graph...
  std::vector<ValueId> observe_as;  // ...and of the caller's.
  bool integer = false;
  std::int64_t image_values = 0;  // Of one image.
  std::int64_t classes = 0;
  std::int64_t most_together = 0;  // Images that run together if a batch is cut into pieces; 0: none is.

  // Programs by batch size, made when first asked for. Their addresses stay.
  mutable std::mutex mutex;
  mutable std::map<std::int64_t, std::unique_ptr<const Program>> programs;
  mutable PackedConstants packed;

  const Program& program(std::int64_t batch) const {
    const std::lock_guard lock(mutex);
    auto& slot = programs[batch];
    if (!slot) {
      omp_set_num_threads(options.threads);  // oneDNN tunes its kernels for the threads it sees now.
      slot = std::make_unique<const Program>(compile_program(graph, batch, options, packed));
    }
    return *slot;
  }

  /// Images of the equal pieces in which a batch runs, one after the other.
  std::int64_t piece_of(std::int64_t batch) const {
    if (most_together == 0 || batch <= most_together) return batch;
    for (std::int64_t piece = most_together; 2 * piece > most_together; --piece)
      if (batch % piece == 0) return piece;
    return batch;
  }
};

namespace {

std::size_t constant_bytes(const Program& program) {
  std::size_t bytes = 0;
  for (const auto& step : program.steps) bytes += step->constant_bytes();
  return bytes;
}

/// How many images to run together, where activations of the whole batch would pass through memory from one
/// layer to the next and weights need not; else 0. Fewer would read the weights more often than it pays.
std::int64_t images_together(const Program& program) {
  constexpr std::size_t kCacheBytes = 12 << 20;  // Of the last level, which others use too.
  constexpr std::int64_t kLeast = 16;
  if (program.arena_bytes <= kCacheBytes || constant_bytes(program) > kCacheBytes) return 0;
  const std::size_t per_image = program.arena_bytes / static_cast<std::size_t>(program.batch) + 1;
  return std::max(kLeast, static_cast<std::int64_t>(kCacheBytes / per_image));
}

template <typename Plan>
void expect(const Plan& plan, bool ok, const char* what, std::int64_t wanted, std::int64_t got) {
  if (ok) return;
  throw Error(ErrorCode::kBadInput, plan.graph.name,
              std::string(what) + "; expected " + std::to_string(wanted) + ", got " + std::to_string(got));
}

template <typename Plan>
void check_batch(const Plan& plan, std::int64_t batch) {
  expect(plan, batch >= 1 && batch <= plan.options.max_batch, "batch outside 1 to the compiled maximum",
         plan.options.max_batch, batch);
}

template <typename Plan>
void check_floats(const Plan& plan) {
  if (plan.options.pixels)
    throw Error(ErrorCode::kUsage, plan.graph.name, "was compiled for images, not for normalized floats");
}

}  // namespace

struct CompiledModel::Context::State {
  /// What a program's steps refer to in this arena.
  struct Binding {
    std::vector<std::byte*> buffers;
    std::vector<std::shared_ptr<void>> kept;  // By step.
  };
  Tensor arena;
  std::shared_ptr<void> stream = onednn::make_stream();
  std::map<std::int64_t, Binding> bindings;  // By batch size.

  Binding& binding(const Program& program) {
    if (arena.size_bytes() < program.arena_bytes) {
      // A smaller batch may pick kernels that want more scratch memory.
      bindings.clear();
      arena = Tensor({static_cast<std::int64_t>(program.arena_bytes)}, DType::kUInt8);
    }
    Binding& result = bindings[program.batch];
    if (result.kept.empty()) {
      result.kept.resize(program.steps.size());
      for (const std::size_t offset : program.offsets) result.buffers.push_back(arena.raw() + offset);
    }
    return result;
  }
};

CompiledModel::Context::Context(const CompiledModel& model) : state_(std::make_unique<State>()) {
  const Program& program = model.plan_->program(model.plan_->piece_of(model.max_batch()));
  state_->arena = Tensor({static_cast<std::int64_t>(program.arena_bytes)}, DType::kUInt8);
}
CompiledModel::Context::Context(Context&&) noexcept = default;
CompiledModel::Context& CompiledModel::Context::operator=(Context&&) noexcept = default;
CompiledModel::Context::~Context() = default;

CompiledModel::CompiledModel(const Graph& graph, const CompileOptions& options) {
  validate(graph);
  if (options.max_batch < 1) {
    throw Error(ErrorCode::kUsage, "max_batch",
                "expected at least 1, got " + std::to_string(options.max_batch));
  }
  if (options.threads < 0) {
    throw Error(ErrorCode::kUsage, "threads", "expected at least 0, got " + std::to_string(options.threads));
  }
  auto plan = std::make_unique<Plan>();
  plan->graph = fold_batch_norm(graph);
  plan->options = options;
  plan->options.observe.clear();
  if (options.threads == 0) plan->options.threads = num_threads();
  if (options.pixels) check_pixels(plan->graph, *options.pixels);
  const auto of_one = [&](ValueId id) {
    const Shape& shape = plan->graph.value(id).shape;
    return element_count(Shape(shape.begin() + 1, shape.end()));
  };
  plan->image_values = of_one(plan->graph.input);
  plan->classes = of_one(plan->graph.output);
  for (const ValueId id : options.observe) {
    // Folding renumbers values but keeps the names of those that remain.
    const ValueId folded = plan->graph.find_value(graph.value(id).name);
    if (folded == kNoValue || plan->graph.value(folded).constant) {
      throw Error(ErrorCode::kUsage, graph.name,
                  "value '" + graph.value(id).name + "' cannot be observed; it is a constant or folded away");
    }
    plan->options.observe.push_back(folded);
    plan->observe_as.push_back(id);
  }
  plan->integer = std::ranges::any_of(fuse(plan->graph),
                                      [&](const FusedGroup& g) { return runs_in_integers(plan->graph, g); });
  const int threads_before = num_threads();
  const Program& whole = plan->program(options.max_batch);
  if (plan->integer && options.observe.empty()) {
    plan->most_together = images_together(whole);
    const std::int64_t piece = plan->piece_of(options.max_batch);
    if (piece < options.max_batch) {
      plan->programs.clear();
      plan->packed = {};
      plan->program(piece);
    }
  }
  set_num_threads(threads_before);
  plan_ = std::move(plan);
}

CompiledModel::CompiledModel(CompiledModel&&) noexcept = default;
CompiledModel& CompiledModel::operator=(CompiledModel&&) noexcept = default;
CompiledModel::~CompiledModel() = default;

void CompiledModel::run(Context& context, std::span<const float> input, std::int64_t batch,
                        std::span<float> logits) const {
  check_floats(*plan_);
  execute(context, input.data(), input.size(), batch, logits, nullptr, {});
}

void CompiledModel::run_pixels(Context& context, std::span<const std::uint8_t> images, std::int64_t batch,
                               std::span<float> logits) const {
  if (!plan_->options.pixels)
    throw Error(ErrorCode::kUsage, plan_->graph.name, "was compiled for normalized floats, not for images");
  execute(context, images.data(), images.size(), batch, logits, nullptr, {});
}

void CompiledModel::run_observed(Context& context, std::span<const float> input, std::int64_t batch,
                                 std::span<float> logits, const ValueObserver& observer) const {
  check_floats(*plan_);
  const ValueObserver renamed = [&](ValueId id, std::span<const float> values) {
    const auto index = std::ranges::find(plan_->options.observe, id) - plan_->options.observe.begin();
    observer(plan_->observe_as[static_cast<std::size_t>(index)], values);
  };
  execute(context, input.data(), input.size(), batch, logits, observer ? &renamed : nullptr, {});
}

void CompiledModel::profile(Context& context, std::span<const float> input, std::int64_t batch,
                            std::span<float> logits, std::span<double> seconds) const {
  check_floats(*plan_);
  check_batch(*plan_, batch);
  const std::size_t steps = plan_->program(plan_->piece_of(batch)).steps.size();
  expect(*plan_, seconds.size() == steps, "wrong number of times", static_cast<std::int64_t>(steps),
         static_cast<std::int64_t>(seconds.size()));
  execute(context, input.data(), input.size(), batch, logits, nullptr, seconds);
}

void CompiledModel::execute(Context& context, const void* input, std::size_t input_size, std::int64_t batch,
                            std::span<float> logits, const ValueObserver* observer,
                            std::span<double> seconds) const {
  check_batch(*plan_, batch);
  const std::int64_t inputs = batch * plan_->image_values;
  expect(*plan_, static_cast<std::int64_t>(input_size) == inputs, "wrong number of input values", inputs,
         static_cast<std::int64_t>(input_size));
  expect(*plan_, std::ssize(logits) == batch * classes(), "wrong number of logits", batch * classes(),
         std::ssize(logits));

  const std::int64_t piece = plan_->piece_of(batch);
  const Program& program = plan_->program(piece);
  Context::State& state = *context.state_;
  Context::State::Binding& binding = state.binding(program);
  const int threads_before = num_threads();
  omp_set_num_threads(plan_->options.threads);
  StepArguments arguments{.buffers = binding.buffers,
                          .stream = state.stream.get(),
                          .observer = observer,
                          .threads = plan_->options.threads};
  const std::size_t input_bytes = input_size * (plan_->options.pixels ? 1 : sizeof(float));
  for (std::int64_t first = 0; first < batch; first += piece) {
    // The input buffer is never written.
    auto* const images = static_cast<std::byte*>(const_cast<void*>(input));
    binding.buffers[kInputBuffer] = images + input_bytes / static_cast<std::size_t>(batch) * first;
    binding.buffers[kOutputBuffer] = reinterpret_cast<std::byte*>(logits.data() + first * plan_->classes);
    for (std::size_t i = 0; i < program.steps.size(); ++i) {
      arguments.kept = &binding.kept[i];
      if (seconds.empty()) {
        program.steps[i]->run(arguments);
        continue;
      }
      const auto begin = std::chrono::steady_clock::now();
      program.steps[i]->run(arguments);
      seconds[i] += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    }
  }
  omp_set_num_threads(threads_before);
}

const Shape& CompiledModel::input_shape() const { return plan_->graph.value(plan_->graph.input).shape; }

std::int64_t CompiledModel::classes() const { return plan_->classes; }

std::int64_t CompiledModel::max_batch() const { return plan_->options.max_batch; }
int CompiledModel::threads() const { return plan_->options.threads; }
std::string CompiledModel::precision() const { return plan_->integer ? "int8" : "fp32"; }

std::vector<StepInfo> CompiledModel::steps(std::int64_t batch) const {
  check_batch(*plan_, batch);
  const std::int64_t piece = plan_->piece_of(batch);
  std::vector<StepInfo> infos = plan_->program(piece).infos;
  for (StepInfo& info : infos) {
    info.shape[0] *= batch / piece;
    info.operations *= batch / piece;
  }
  return infos;
}

MemoryUse CompiledModel::memory_use() const {
  MemoryUse use{.weights_bytes = 0,
                .context_bytes = plan_->program(plan_->piece_of(max_batch())).arena_bytes};
  const std::lock_guard lock(plan_->mutex);
  for (const auto& [batch, program] : plan_->programs) use.weights_bytes += constant_bytes(*program);
  return use;
}

std::string onednn_version() { return onednn::version(); }

}  // namespace octavo
