// 3x3 convolutions in float32 on our own Winograd kernel, where it is faster than oneDNN's.
#pragma once

#include "runtime/program/builder.h"

namespace octavo {

/// Emits the group's convolution and what is fused into it. False, and nothing emitted, where the kernel does
/// not apply or would be slower.
bool compile_float_conv3x3(ProgramBuilder& program, const FusedGroup& group, const ClipAttributes& bounds);

}  // namespace octavo
