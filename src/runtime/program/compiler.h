// From a graph to a program for one batch size.
#pragma once

#include <cstdint>
#include "octavo/graph/graph.h"
#include "octavo/runtime/runtime.h"
#include "runtime/program/packed_constants.h"
#include "runtime/program/step.h"

namespace octavo {

/// `graph` has its batch norms folded; `options.observe` is in its ids. The program refers to nothing in it,
/// and shares packed weights through `packed`. Throws kUnsupported, naming the node.
Program compile_program(const Graph& graph, std::int64_t batch, const CompileOptions& options,
                        PackedConstants& packed);

}  // namespace octavo
