/// A first byte that says how the rest is given (an archive as it is, a tar file whose checksums are put
/// right, two files in a folder), then that. The layout is CIFAR's with one record a file instead of 10,000,
/// which only its own source file can make.
#include "../src/data/cifar.cpp"

#include <cstdio>

#include "target.h"

namespace {

using namespace octavo;

CifarLayout small(const CifarLayout& official) {
  CifarLayout layout = official;
  layout.files = {official.files.front(), official.files.back()};
  for (CifarFile& file : layout.files) file.records = 1;
  return layout;
}

/// So that a change of a header is not refused for its checksum alone.
std::vector<std::uint8_t> with_right_checksums(std::span<const std::uint8_t> tar) {
  constexpr std::size_t kBlock = 512;
  constexpr std::size_t kSum = 148;
  constexpr std::size_t kSumSize = 8;
  constexpr std::size_t kMagic = 257;
  std::vector<std::uint8_t> bytes(tar.begin(), tar.end());
  for (std::size_t start = 0; start + kBlock <= bytes.size(); start += kBlock) {
    std::uint8_t* header = bytes.data() + start;
    if (std::memcmp(header + kMagic, "ustar", 5) != 0) continue;
    std::fill_n(header + kSum, kSumSize, std::uint8_t{' '});
    unsigned sum = 0;
    for (std::size_t i = 0; i < kBlock; ++i) sum += header[i];
    std::snprintf(reinterpret_cast<char*>(header + kSum), kSumSize, "%06o", sum);
  }
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Pieces pieces(std::span(data, size));
  const std::uint8_t form = pieces.byte();
  const CifarLayout layout = small((form & 1U) != 0 ? cifar100_layout() : cifar10_layout());
  std::filesystem::path path = fuzz::folder().path();
  switch (form / 2 % 3) {
    case 0:
      path = fuzz::put("archive.tar.gz", pieces.rest());
      break;
    case 1:
      path = fuzz::put("archive.tar.gz", with_right_checksums(pieces.rest()));
      break;
    default:
      for (const CifarFile& file : layout.files) fuzz::put(std::string(file.name).c_str(), pieces.piece());
  }
  DatasetPair pair;
  if (!fuzz::accepts([&] { pair = read_cifar(layout, path); })) return 0;
  for (const Dataset* split : {&pair.train, &pair.test}) {
    fuzz::require(split->size() == 1 && split->pixels.size() == kImageBytes, "an accepted split is complete");
    fuzz::require(!split->official, "no input is the official data set");
  }
  return 0;
}
