/// A TOML file of settings: refused, or written back and read to the same settings.
#include "octavo/core/file.h"
#include "settings.h"
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octavo;
  using namespace octavo::app;
  Settings settings;
  const std::filesystem::path given = fuzz::put("given.toml", std::span(data, size));
  if (!fuzz::accepts([&] { load_config(settings, given); })) return 0;
  const std::string text = to_toml(settings);
  const std::filesystem::path written =
      fuzz::put("written.toml", std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
  Settings again;
  fuzz::require(fuzz::accepts([&] { load_config(again, written); }), "config.toml is read back");
  fuzz::require(flat_settings(again) == flat_settings(settings), "config.toml holds the same settings");
  return 0;
}
