/// Writes the seed corpora of the fuzzers anew (ONNX: make_onnx_corpus). Deterministic, but for what
/// libraries put into compressed files.
///   make_corpus FOLDER
#include <cstdio>
#include <filesystem>
#include <vector>

#include "checkpoint.h"
#include "data/cifar_files.h"
#include "data/image_files.h"
#include "octavo/core/file.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/report/report.h"
#include "report/sample_results.h"
#include "settings.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;

std::string word(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

/// As fuzz::Pieces takes it apart.
std::string piece(const std::string& bytes) {
  return std::string{static_cast<char>(bytes.size() & 255U), static_cast<char>(bytes.size() >> 8U)} + bytes;
}

/// What `bytes` are as a .gz file.
std::string gzipped(const std::string& bytes) {
  const TemporaryFolder folder;
  testing::put_gzip(folder / "file", bytes);
  return testing::get(folder / "file");
}

void write_idx(const fs::path& folder) {
  const auto images = [](std::uint32_t count) {
    return word(0x803) + word(count) + word(2) + word(3) + std::string(count * 6, '\x55');
  };
  const auto labels = [](std::uint32_t count) {
    return word(0x801) + word(count) + std::string(count, '\x03');
  };
  write_file(folder / "plain", piece(images(3)) + piece(labels(3)) + piece(images(1)) + piece(labels(1)));
  write_file(folder / "gzip", piece(gzipped(images(3))) + piece(gzipped(labels(3))) + piece(images(2)) +
                                  piece(gzipped(labels(2))));
}

void write_cifar(const fs::path& folder) {
  const auto archive = [](const std::string& name, const std::string& train, const std::string& test,
                          std::size_t size) {
    const TemporaryFolder place;
    testing::put_archive(place / "archive", {{name + "/", "", AE_IFDIR},
                                             {name + "/" + train, std::string(size, '\x02')},
                                             {name + "/" + test, std::string(size, '\x01')},
                                             {name + "/readme.html", "<a/>"}});
    return testing::get(place / "archive");
  };
  const std::string ten = archive("cifar-10-batches-bin", "data_batch_1.bin", "test_batch.bin", 3073);
  const std::string hundred = archive("cifar-100-binary", "train.bin", "test.bin", 3074);
  const auto unpacked = [](const std::string& bytes) {
    const TemporaryFolder place;
    testing::put(place / "archive", bytes);
    std::string tar(1 << 16, '\0');
    gzFile file = gzopen((place / "archive").c_str(), "rb");
    tar.resize(static_cast<std::size_t>(gzread(file, tar.data(), static_cast<unsigned>(tar.size()))));
    gzclose_r(file);
    return tar;
  };
  write_file(folder / "archive-10", '\0' + ten);
  write_file(folder / "archive-100", '\1' + hundred);
  write_file(folder / "tar-10", '\2' + unpacked(ten));
  write_file(folder / "folder-10",
             '\4' + piece(std::string(3073, '\x02')) + piece(std::string(3073, '\x01')));
}

void write_images(const fs::path& folder) {
  using testing::jpeg_bytes;
  using testing::png_bytes;
  const std::vector<std::uint8_t> rgba(4 * 6, 0x80);
  write_file(folder / "rgba.png", png_bytes(PNG_FORMAT_RGBA, 2, 3, rgba));
  write_file(folder / "rgb.png", png_bytes(PNG_FORMAT_RGB, 2, 4, rgba));
  write_file(folder / "grey.png", testing::grey_png(7, 5, 3));
  write_file(folder / "deep.png",
             png_bytes(PNG_FORMAT_LINEAR_Y, 2, 3, std::vector<std::uint16_t>(6, 0x1234)));
  write_file(folder / "palette.png",
             png_bytes(PNG_FORMAT_RGB_COLORMAP, 2, 2, std::vector<std::uint8_t>{0, 1, 1, 0},
                       {255, 0, 0, 0, 0, 255}));
  write_file(folder / "grey.jpg", jpeg_bytes(JCS_GRAYSCALE, 9, 7, {100}));
  write_file(folder / "rgb.jpg", jpeg_bytes(JCS_RGB, 5, 17, {10, 200, 30}));
  write_file(folder / "cmyk.jpg", jpeg_bytes(JCS_CMYK, 8, 8, {10, 200, 30, 40}));
}

void write_checkpoints(const fs::path& folder) {
  const TemporaryFolder place;
  train_detail::Checkpoint checkpoint{.fingerprint = {{"model", "simple-cnn"}, {"lr", "0.1"}},
                                      .epoch = 1,
                                      .step = 2,
                                      .loss_sum = 1.5,
                                      .correct = 3,
                                      .images = 4,
                                      .seconds = 0.25,
                                      .history = {},
                                      .tensors = {{"conv.weight", {1.0F, -2.0F}}, {"empty", {}}}};
  checkpoint.history.emplace_back();
  checkpoint.history.back().phase = "train";
  train_detail::save_checkpoint(place / "checkpoint", checkpoint);
  const std::string file = testing::get(place / "checkpoint");
  const std::size_t magic = file.find('\n') + 1;
  write_file(folder / "whole", '\1' + file);
  write_file(folder / "payload", '\0' + file.substr(magic, file.size() - magic - sizeof(std::uint64_t)));
}

void write_results(const fs::path& folder) {
  const Dataset test = testing::sample_dataset(12, 2);
  Results results = testing::sample_results(test);
  results.history.resize(1);
  for (Variant& variant : results.variants) {
    if (variant.layers.size() > 1) variant.layers.resize(1);
    if (variant.latency.size() > 1) variant.latency.resize(1);
  }
  write_file(folder / "whole.json", to_json(results));
  write_file(folder / "empty.json", to_json(Results{}));
}

/// Calls as c_api_fuzzer reads them: a model, two contexts, questions, runs; then wrong arguments; then a
/// file.
void write_calls(const fs::path& folder) {
  for (const char kind : {'\0', '\1', '\2'}) {
    const std::string model = {'\0', kind, '\1', '\1', '\1', '\3'};
    const std::string calls = {'\1', '\0',   '\1', '\0', '\2', '\0', '\1', '\5', '\0', '\1',
                               '\0', '\x40', '\5', '\0', '\4', '\0', '\3', '\0', '\4', '\0'};
    write_file(folder / ("right-" + std::to_string(kind)), model + calls);
  }
  const std::string floats = {'\0', '\2', '\2', '\1', '\3', '\0', '\1', '\0', '\5', '\0', '\2', '\0', '\x40'};
  write_file(folder / "floats", floats);
  const std::string wrong = {'\1', '\0', '\5', '\0', '\0', '\0', '\x0a', '\0', '\6', '\1', '\0', '\1', '\0'};
  write_file(folder / "wrong", wrong);
  const std::string from_file = {'\0', '\6', '\0', '\0', '\3', '\0', '\4', '\1', '\0', '\2', '\0', '\0'};
  write_file(folder / "from-file", from_file);
}

}  // namespace
}  // namespace octavo

int main(int count, char** words) {
  if (count != 2) {
    std::fputs("usage: make_corpus FOLDER\n", stderr);
    return 2;
  }
  using namespace octavo;
  try {
    const std::filesystem::path folder = words[1];
    for (const char* name : {"idx", "cifar", "image", "checkpoint", "settings", "results", "c_api"})
      make_writable_folder(folder / name);
    write_idx(folder / "idx");
    write_cifar(folder / "cifar");
    write_images(folder / "image");
    write_checkpoints(folder / "checkpoint");
    write_file(folder / "settings" / "defaults.toml", app::to_toml(app::Settings{}));
    write_file(folder / "settings" / "few.toml",
               "[run]\nseed = 7\n[model]\nname = \"simple-cnn\"\n[qat]\nlr = 1e-3\n");
    write_results(folder / "results");
    write_calls(folder / "c_api");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
