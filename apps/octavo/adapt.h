/// What settings ask of a quantized model for the CPU that will run it.
#pragma once

#include "workflow.h"

namespace octavo::app {

/// Leaves in float32 what int8 does not make faster here (--latency-guard), then narrows the weights of
/// layers that saturate int16 (--target-isa avx2), each where it is asked for, and says so. The metadata
/// tell. `quantized` comes from PTQ or QAT.
void adapt(const Session& session, const LoadedData& data, Graph& quantized);

}  // namespace octavo::app
