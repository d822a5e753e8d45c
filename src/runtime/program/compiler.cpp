#include "runtime/program/compiler.h"

#include "runtime/lowering/integer_groups.h"
#include "runtime/program/builder.h"
#include "runtime/program/pixel_input.h"

namespace octavo {

Program compile_program(const Graph& graph, std::int64_t batch, const CompileOptions& options,
                        PackedConstants& packed) {
  ProgramBuilder program(graph, batch, options.observe, packed);
  const std::vector<FusedGroup>& groups = program.groups();
  for (const FusedGroup& group : groups) program.expect_reads(group);
  if (options.pixels) {
    read_pixels(program, *options.pixels);
  } else {
    program.set_real(graph.input, {kInputBuffer, onednn::Layout::plain(program.shape_of(graph.input))});
  }
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const FusedGroup& group = groups[i];
    const bool integer = runs_in_integers(graph, group);
    program.begin_group(static_cast<int>(i), integer);
    if (program.made_early.contains(group.output)) {
      // A convolution before it has done this already.
    } else if (integer) {
      compile_integer_group(program, group);
    } else {
      compile_float_group(program, group);
    }
    program.finish_reads(group);
  }
  program.end_groups();
  return program.finish();
}

}  // namespace octavo
