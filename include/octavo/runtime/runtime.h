/// Compiles a graph once and runs it many times: float32, or int8 where the graph is quantized.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "octavo/core/tensor.h"
#include "octavo/graph/graph.h"
#include "octavo/graph/preprocessing.h"

namespace octavo {

/// uint8 images as a model's input: normalized (and quantized) while they are read.
struct PixelInput {
  Normalization normalization;
  bool channels_last = false;  ///< [N, H, W, C], as image decoders give them; else [N, C, H, W].
};

struct CompileOptions {
  std::int64_t max_batch = 128;  ///< Largest batch run() accepts, at most 2^24; memory is laid out for it.
  int threads = 0;               ///< Threads a run uses, at most 4096; 0: num_threads() when compiled.
  /// Set: the model is run with run_pixels(), on uint8 images; else with run(), on normalized floats.
  std::optional<PixelInput> pixels = {};
  /// Values whose contents run_observed() hands out: of a quantized value, its integers dequantized.
  std::vector<ValueId> observe = {};
};

/// Called with a value's elements in [N, C, H, W] or [N, K] order (the first `batch` rows) right after it was
/// made.
using ValueObserver = std::function<void(ValueId, std::span<const float>)>;

/// What a step does to how a value is stored.
enum class Conversion { kNone, kQuantize, kDequantize };

/// One kernel of a compiled model.
struct StepInfo {
  std::string kernel;           ///< "conv winograd [int8 avx2]", "reorder"
  std::string value;            ///< Name of the value that it makes, or moves to where a kernel wants it.
  Shape shape;                  ///< Of that value, with the batch.
  std::int64_t operations = 0;  ///< Of a convolution or matrix product: two per multiply-accumulate of the
                                ///< direct algorithm, whichever the kernel uses. Else 0.
  Conversion conversion = Conversion::kNone;  ///< Of `value`, between float32 and int8.
  bool integer = false;                       ///< Its group runs in int8; false outside of groups.
  int group = -1;  ///< Index into placements() of the folded graph; -1: before or after them all.
};

/// Memory that a compiled model takes, and what each of its contexts takes besides.
struct MemoryUse {
  std::size_t weights_bytes = 0;  ///< Constants as the kernels want them, for every batch size seen so far.
  std::size_t context_bytes = 0;  ///< Of a context for the largest batch.
};

/// An immutable program with prepacked weights. Many threads may run one model, each with a Context of its
/// own.
class CompiledModel {
 public:
  /// Folds batch norms and fuses. A group whose input, weights and output all carry quantization parameters
  /// runs in integers, bit for bit like the reference interpreter. Throws kUnsupported, naming the node, for
  /// what it cannot run.
  explicit CompiledModel(const Graph& graph, const CompileOptions& options = {});
  CompiledModel(CompiledModel&&) noexcept;
  CompiledModel& operator=(CompiledModel&&) noexcept;
  ~CompiledModel();

  /// Scratch memory of one caller. Not thread-safe; cheap to keep, allocate once.
  class Context {
   public:
    explicit Context(const CompiledModel& model);
    Context(Context&&) noexcept;
    Context& operator=(Context&&) noexcept;
    ~Context();

   private:
    friend class CompiledModel;
    struct State;
    std::unique_ptr<State> state_;
  };

  /// input: [batch, C, H, W] normalized floats; logits: [batch, classes]. 1 <= batch <= max_batch.
  /// Throws kBadInput on sizes that do not fit.
  void run(Context& context, std::span<const float> input, std::int64_t batch, std::span<float> logits) const;

  /// As run(), of uint8 images [batch, C, H, W] or [batch, H, W, C] as CompileOptions::pixels says. The
  /// logits are those of run() on the images normalized by normalize(), bit for bit.
  void run_pixels(Context& context, std::span<const std::uint8_t> images, std::int64_t batch,
                  std::span<float> logits) const;

  /// As run(), calling `observer` for each observed value, the input included if asked for.
  void run_observed(Context& context, std::span<const float> input, std::int64_t batch,
                    std::span<float> logits, const ValueObserver& observer) const;

  const Shape& input_shape() const;  ///< [N, C, H, W]
  std::int64_t classes() const;
  std::int64_t max_batch() const;
  int threads() const;
  /// "int8" if any group runs in integers, else "fp32".
  std::string precision() const;
  /// What a run of `batch` images does, in order. (A large int8 batch runs in equal pieces, one after the
  /// other or each on a thread of its own; a step then stands for that of all pieces.)
  std::vector<StepInfo> steps(std::int64_t batch) const;
  /// As run(), adding to `seconds` what each of steps(batch) took, of threads that run pieces at the same
  /// time their mean. Throws kBadInput unless there are as many.
  void profile(Context& context, std::span<const float> input, std::int64_t batch, std::span<float> logits,
               std::span<double> seconds) const;
  MemoryUse memory_use() const;

 private:
  struct Plan;
  void execute(Context& context, const void* input, std::size_t input_size, std::int64_t batch,
               std::span<float> logits, const ValueObserver* observer, std::span<double> seconds) const;

  std::unique_ptr<const Plan> plan_;
};

/// Version of oneDNN, "2.6.3".
std::string onednn_version();

/// Where OCTAVO_ISA asks for an instruction set, what ONEDNN_MAX_CPU_ISA has to say for other users of oneDNN
/// in the process to keep to it; else empty. The runtime keeps to it by itself, unless that variable is set.
/// Throws kUsage as isa_in_use() does.
std::string onednn_isa_limit();

}  // namespace octavo
