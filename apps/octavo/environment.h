/// Where a result was measured: facts about the machine and the libraries.
#pragma once

#include <map>
#include <string>

namespace octavo::app {

/// cpu, isa, cores, threads, os, compiler, octavo, onednn, libtorch.
std::map<std::string, std::string> environment(int threads);

}  // namespace octavo::app
