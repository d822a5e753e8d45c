#include "octavo/runtime/runtime.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <type_traits>

#include "octavo/core/cpu.h"
#include "octavo/core/error.h"
#include "octavo/core/parallel.h"
#include "octavo/core/thread_team.h"
#include "octavo/graph/passes.h"
#include "runtime/float/onednn.h"
#include "runtime/lowering/integer_groups.h"
#include "runtime/program/compiler.h"
#include "runtime/program/pixel_input.h"
#include "runtime/program/split.h"

namespace octavo {

namespace {

/// The calling thread's number of OpenMP threads, for a scope.
class OpenMpThreads {
 public:
  explicit OpenMpThreads(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  OpenMpThreads(const OpenMpThreads&) = delete;
  OpenMpThreads& operator=(const OpenMpThreads&) = delete;
  ~OpenMpThreads() { omp_set_num_threads(before_); }

 private:
  int before_;
};

}  // namespace

struct CompiledModel::Plan {
  Graph graph;                      // Folded; programs for further batch sizes are made from it.
  CompileOptions options;           // What is observed in ids of the folded graph...
  std::vector<ValueId> observe_as;  // ...and of the caller's.
  bool integer = false;
  std::int64_t image_values = 0;  // Of one image.
  std::int64_t classes = 0;
  Footprint footprint;

  // Programs by batch size and threads, made when first asked for. Their addresses stay.
  mutable std::mutex mutex;
  mutable std::map<std::pair<std::int64_t, int>, std::unique_ptr<const Program>> programs;
  mutable PackedConstants packed;

  Split split(std::int64_t batch) const { return split_batch(footprint, batch, options.threads); }

  /// For a piece of a batch.
  const Program& program(const Split& split) const {
    const int threads = split.apart ? 1 : options.threads;
    const std::lock_guard lock(mutex);
    auto& slot = programs[{split.piece, threads}];
    if (!slot) {
      const OpenMpThreads seen(threads);  // oneDNN tunes its kernels for them.
      CompileOptions own = options;
      own.threads = threads;
      slot = std::make_unique<const Program>(compile_program(graph, split.piece, own, packed));
    }
    return *slot;
  }
};

namespace {

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

namespace {

/// What a program's steps refer to in a lane's arena.
struct Binding {
  std::vector<std::byte*> buffers;
  std::vector<std::shared_ptr<void>> kept;  // By step.
};

/// Memory in which one piece at a time is run.
struct Lane {
  Tensor arena;
  std::shared_ptr<void> stream = onednn::make_stream();
  std::map<const Program*, Binding> bindings;

  Binding& binding(const Program& program) {
    if (arena.size_bytes() < program.arena_bytes) {
      // Batches that are split otherwise may need more at a time.
      arena = Tensor({static_cast<std::int64_t>(program.arena_bytes)}, DType::kUInt8);
      for (auto& [bound, binding] : bindings) bind(*bound, binding);
    }
    Binding& result = bindings[&program];
    if (result.kept.empty()) bind(program, result);
    return result;
  }

 private:
  void bind(const Program& program, Binding& binding) {
    binding.buffers.resize(program.offsets.size());
    for (std::size_t i = 0; i < binding.buffers.size(); ++i)
      binding.buffers[i] = arena.raw() + program.offsets[i];
    binding.kept.assign(program.steps.size(), nullptr);
  }
};

}  // namespace

struct CompiledModel::Context::State {
  static_assert(
      std::is_nothrow_move_constructible_v<Lane>);  // Bindings point into an arena that must not be copied.
  std::vector<Lane> lanes;
  std::optional<ThreadTeam> team;  // Made for the first program that runs on our own kernels alone.

  /// The team to run the program on; null: OpenMP's.
  ThreadTeam* prepare(const Split& split, int threads, const Program& program) {
    const std::size_t count = split.apart ? static_cast<std::size_t>(threads) : 1;
    if (lanes.size() < count) lanes.resize(count);
    for (std::size_t i = 0; i < count; ++i) lanes[i].binding(program);
    if (threads == 1 || program.uses_openmp()) return nullptr;
    if (!team) team.emplace(threads);
    return &*team;
  }
};

CompiledModel::Context::Context(const CompiledModel& model) try : state_(std::make_unique<State>()) {
  const Split split = model.plan_->split(model.max_batch());
  state_->prepare(split, model.threads(), model.plan_->program(split));
} catch (...) {
  onednn::rethrow();
}
CompiledModel::Context::Context(Context&&) noexcept = default;
CompiledModel::Context& CompiledModel::Context::operator=(Context&&) noexcept = default;
CompiledModel::Context::~Context() = default;

CompiledModel::CompiledModel(const Graph& graph, const CompileOptions& options) try {
  isa_in_use();  // Throws where OCTAVO_ISA asks for what there is not; some graphs would never ask.
  validate(graph);
  // Sizes are multiplied by it.
  constexpr std::int64_t kLargestBatch = 1 << 24;
  if (options.max_batch < 1 || options.max_batch > kLargestBatch) {
    throw Error(ErrorCode::kUsage, "max_batch",
                "out of range; expected 1 to " + std::to_string(kLargestBatch) + ", got " +
                    std::to_string(options.max_batch));
  }
  // oneDNN plans memory for each of them: too many are refused before that.
  constexpr int kMostThreads = 4096;
  if (options.threads < 0 || options.threads > kMostThreads) {
    throw Error(ErrorCode::kUsage, "threads",
                "out of range; expected 0 to " + std::to_string(kMostThreads) + ", got " +
                    std::to_string(options.threads));
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
  // What a program needs decides how batches are split, and is known when it has been made: guess first.
  const bool splits = plan->integer && options.observe.empty();
  if (splits) {
    plan->footprint = {
        .image_products = mac_count(plan->graph),
        .constant_bytes = sizeof(float) * static_cast<std::size_t>(parameter_count(plan->graph))};
  }
  const Split guess = plan->split(options.max_batch);
  const Program& program = plan->program(guess);
  if (splits) plan->footprint = footprint_of(program);
  if (const Split split = plan->split(options.max_batch); split != guess) {
    plan->programs.clear();
    plan->packed = {};
    plan->program(split);
  }
  plan_ = std::move(plan);
} catch (...) {
  onednn::rethrow();
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
  const std::size_t steps = plan_->program(plan_->split(batch)).steps.size();
  expect(*plan_, seconds.size() == steps, "wrong number of times", static_cast<std::int64_t>(steps),
         static_cast<std::int64_t>(seconds.size()));
  execute(context, input.data(), input.size(), batch, logits, nullptr, seconds);
}

void CompiledModel::execute(Context& context, const void* input, std::size_t input_size, std::int64_t batch,
                            std::span<float> logits, const ValueObserver* observer,
                            std::span<double> seconds) const try {
  check_batch(*plan_, batch);
  const std::int64_t inputs = batch * plan_->image_values;
  expect(*plan_, static_cast<std::int64_t>(input_size) == inputs, "wrong number of input values", inputs,
         static_cast<std::int64_t>(input_size));
  expect(*plan_, std::ssize(logits) == batch * classes(), "wrong number of logits", batch * classes(),
         std::ssize(logits));

  const Split split = plan_->split(batch);
  const Program& program = plan_->program(split);
  const int threads = plan_->options.threads;
  const OpenMpThreads openmp(threads);
  std::vector<Lane>& lanes = context.state_->lanes;
  const ThreadTeam::Scope scope(context.state_->prepare(split, threads, program));

  const std::int64_t pieces = batch / split.piece;
  const std::size_t piece_bytes = input_size / static_cast<std::size_t>(pieces) *
                                  (plan_->options.pixels ? sizeof(std::uint8_t) : sizeof(float));
  std::mutex times;
  const auto run_piece = [&](Lane& lane, std::int64_t index) {
    Binding& binding = lane.binding(program);
    // The input buffer is never written.
    auto* const images = static_cast<std::byte*>(const_cast<void*>(input));
    binding.buffers[kInputBuffer] = images + piece_bytes * static_cast<std::size_t>(index);
    binding.buffers[kOutputBuffer] =
        reinterpret_cast<std::byte*>(logits.data() + index * split.piece * plan_->classes);
    StepArguments arguments{.buffers = binding.buffers,
                            .stream = lane.stream.get(),
                            .observer = observer,
                            .threads = split.apart ? 1 : threads};
    for (std::size_t i = 0; i < program.steps.size(); ++i) {
      arguments.kept = &binding.kept[i];
      if (seconds.empty()) {
        program.steps[i]->run(arguments);
        continue;
      }
      const auto begin = std::chrono::steady_clock::now();
      program.steps[i]->run(arguments);
      const double taken = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      const std::lock_guard lock(times);
      seconds[i] += split.apart ? taken / threads : taken;
    }
  };
  if (split.apart) {
    std::atomic<std::int64_t> next{threads};  // A piece for each thread, the rest for who comes first.
    const auto run_lanes = [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t lane = begin; lane < end; ++lane) {
        for (std::int64_t i = lane; i < pieces; i = next++)
          run_piece(lanes[static_cast<std::size_t>(lane)], i);
      }
    };
    parallel_for(threads, 1, run_lanes, threads);
  } else {
    for (std::int64_t i = 0; i < pieces; ++i) run_piece(lanes[0], i);
  }
} catch (...) {
  onednn::rethrow();
}

const Shape& CompiledModel::input_shape() const { return plan_->graph.value(plan_->graph.input).shape; }

std::int64_t CompiledModel::classes() const { return plan_->classes; }

std::int64_t CompiledModel::max_batch() const { return plan_->options.max_batch; }
int CompiledModel::threads() const { return plan_->options.threads; }
std::string CompiledModel::precision() const { return plan_->integer ? "int8" : "fp32"; }

std::vector<StepInfo> CompiledModel::steps(std::int64_t batch) const try {
  check_batch(*plan_, batch);
  const Split split = plan_->split(batch);
  std::vector<StepInfo> infos = plan_->program(split).infos;
  for (StepInfo& info : infos) {
    info.shape[0] *= batch / split.piece;
    info.operations *= batch / split.piece;
  }
  return infos;
} catch (...) {
  onednn::rethrow();
}

MemoryUse CompiledModel::memory_use() const {
  const Split split = plan_->split(max_batch());
  const auto lanes = static_cast<std::size_t>(split.apart ? threads() : 1);
  MemoryUse use{.weights_bytes = 0, .context_bytes = lanes * plan_->program(split).arena_bytes};
  const std::lock_guard lock(plan_->mutex);
  for (const auto& [batch, program] : plan_->programs) use.weights_bytes += program->constant_bytes();
  return use;
}

std::string onednn_version() { return onednn::version(); }
std::string onednn_isa_limit() { return onednn::isa_limit(); }

}  // namespace octavo
