/// The CPU: which instruction sets it has, and which of them Octavo uses. Nobody else asks the processor.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace octavo {

/// Instruction sets that matter here, the narrowest first. Each contains those before it, but for kAvxVnni,
/// which CPUs with AVX-512 VNNI may lack.
enum class Isa {
  kGeneric,     ///< "generic": what every CPU has that the compiler was told of.
  kAvx2,        ///< "avx2": AVX2 and FMA.
  kAvxVnni,     ///< "avx-vnni": products of bytes added up in int32, 32 bytes at a time.
  kAvx512Vnni,  ///< "avx512-vnni": the same on 64 bytes; AVX-512 F, BW, DQ, VL and VNNI.
  kAmx,         ///< "amx": products of tiles of bytes.
};

/// "avx2"
const char* isa_name(Isa isa);

/// Whether the processor has it and the system keeps its registers.
bool cpu_has(Isa isa);

/// All instruction sets that this CPU has, the narrowest first; kGeneric is always there.
std::vector<Isa> cpu_isas();

/// The instruction set that kernels are chosen for: the widest that this CPU has, or the one that the
/// environment variable OCTAVO_ISA names, which is read once. Throws kUsage where that is no name of a set or
/// not one of this CPU's.
Isa isa_in_use();

/// The choice behind isa_in_use(): of `has`, the one called `asked`, or the last where nothing is asked for.
Isa choose_isa(std::string_view asked, const std::vector<Isa>& has);

/// True if OCTAVO_ISA asks for an instruction set, so that other libraries should keep to it too.
bool isa_is_limited();

/// Whether kernels for `isa` may run: the CPU has it, and isa_in_use() is no narrower.
bool uses(Isa isa);

/// Whether float32 may run on AVX-512 F, which some CPUs without VNNI have.
bool uses_avx512();

/// Whether bfloat16 may be multiplied (AVX-512 BF16).
bool uses_bfloat16();

/// Model name of the processor, as the operating system gives it.
std::string cpu_name();

}  // namespace octavo
