/// A first byte that says whether the rest is a whole file or, as few changes of a file would get past its
/// checksum, what stands between magic and checksum. The source file is compiled here, without the LibTorch
/// that its module links.
#include "../src/train/checkpoint.cpp"

#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octavo;
  using namespace octavo::train_detail;
  fuzz::Pieces pieces(std::span(data, size));
  const bool whole = pieces.byte() % 2 == 1;
  std::vector<std::uint8_t> file(pieces.rest().begin(), pieces.rest().end());
  if (!whole) {
    const std::uint64_t sum = checksum(std::as_bytes(pieces.rest()));
    file.insert(file.begin(), kMagic.begin(), kMagic.end());
    const auto* first = reinterpret_cast<const std::uint8_t*>(&sum);
    file.insert(file.end(), first, first + sizeof sum);
  }
  std::optional<Checkpoint> checkpoint;
  const std::filesystem::path path = fuzz::put("given", file);
  if (!fuzz::accepts([&] { checkpoint = load_checkpoint(path); })) return 0;
  fuzz::require(checkpoint.has_value(), "a file that is there is loaded");
  // Compared as bytes, because NaN differs from itself.
  const auto once = fuzz::folder() / "once";
  const auto twice = fuzz::folder() / "twice";
  save_checkpoint(once, *checkpoint);
  const std::optional<Checkpoint> again = load_checkpoint(once);
  fuzz::require(again && again->fingerprint == checkpoint->fingerprint, "what is saved loads");
  save_checkpoint(twice, *again);
  fuzz::require(read_file(once) == read_file(twice), "saving and loading changes nothing");
  return 0;
}
