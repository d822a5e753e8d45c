/// A results.json: refused, or written back and read to the same results.
#include <string>

#include "octavo/report/report.h"
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octavo;
  const std::string text(reinterpret_cast<const char*>(data), size);
  Results results;
  if (!fuzz::accepts([&] { results = results_from_json(text, "fuzz.json"); })) return 0;
  // Compared as text, because NaN differs from itself.
  const std::string once = to_json(results);
  std::string twice;
  fuzz::require(fuzz::accepts([&] { twice = to_json(results_from_json(once, "again.json")); }),
                "what is written is read");
  fuzz::require(once == twice, "writing and reading changes nothing");
  return 0;
}
