/// Where a result was measured: facts about the machine, the libraries and the program.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace octavo::app {

/// Where OCTAVO_ISA asks for an instruction set, oneDNN and LibTorch are told to go no further, unless their
/// own environment variables say where. Before their first use. Throws kUsage as isa_in_use() does.
void keep_libraries_to_isa();

/// cpu, isa (in use), cores, threads, os, compiler, octavo, onednn, libtorch.
std::map<std::string, std::string> environment(int threads);

/// The half of the program that trains: octavo-train, beside this one.
std::filesystem::path training_program();

}  // namespace octavo::app
