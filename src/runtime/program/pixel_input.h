// The first step of a program that reads uint8 images.
#pragma once

#include "octavo/runtime/runtime.h"
#include "runtime/program/builder.h"

namespace octavo {

/// Throws kBadInput, naming the graph, unless the normalization has one finite mean and positive std a
/// channel of the graph's input.
void check_pixels(const Graph& graph, const PixelInput& pixels);

/// Makes the graph's input of the uint8 images in kInputBuffer: normalized and, where the input is quantized,
/// quantized, both by one table a channel. The tables hold what normalize() and quantize() say, so the result
/// is theirs bit for bit.
void read_pixels(ProgramBuilder& program, const PixelInput& pixels);

}  // namespace octavo
