/// Four pieces: the files of an MNIST folder. Each may be gzip-compressed.
#include "octavo/data/sources.h"
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octavo;
  fuzz::Pieces pieces(std::span(data, size));
  for (const char* name : {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                           "t10k-labels-idx1-ubyte"}) {
    fuzz::put(name, pieces.piece());
  }
  DatasetPair pair;
  if (!fuzz::accepts([&] { pair = read_idx(fuzz::folder().path(), "mnist"); })) return 0;
  for (const Dataset* split : {&pair.train, &pair.test}) {
    fuzz::require(split->size() > 0, "an accepted split has images");
    fuzz::require(static_cast<std::int64_t>(split->pixels.size()) == split->size() * split->image_size(),
                  "an accepted split has all pixels of its images");
    fuzz::require(!split->official, "no input is the official data set");
  }
  return 0;
}
