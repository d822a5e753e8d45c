// Says what is on pictures of the model's size: classify MODEL.onnx PICTURE.ppm...
#include <octavo/core/error.h>
#include <octavo/embed/classifier.h>
#include <fstream>
#include <iostream>

/// The pixels of a binary PPM (P6), [height, width, 3].
std::vector<std::uint8_t> read_ppm(const char* path, const octavo::Classifier& model) {
  std::ifstream file(path, std::ios::binary);
  std::string kind;
  std::int64_t width = 0, height = 0, brightest = 0;
  file >> kind >> width >> height >> brightest;
  file.get();
  std::vector<char> pixels(model.height() * model.width() * 3);
  const bool fits = kind == "P6" && brightest == 255 && width == model.width() && height == model.height();
  if (!fits || !file.read(pixels.data(), pixels.size()))
    throw octavo::Error(octavo::ErrorCode::kBadInput, path, "not a binary PPM of the model's size");
  return {pixels.begin(), pixels.end()};
}

int main(int argc, char** argv) try {
  if (argc < 3) throw octavo::Error(octavo::ErrorCode::kUsage, "usage: classify MODEL.onnx PICTURE.ppm...");
  const octavo::Classifier model(argv[1]);
  for (int i = 2; i < argc; ++i) {
    const octavo::Prediction best = model.classify(read_ppm(argv[i], model)).at(0);
    const auto& names = model.class_names();
    std::cout << argv[i] << ": "
              << (names.empty() ? "class " + std::to_string(best.label) : names.at(best.label)) << " ("
              << 100 * best.probability << " %)\n";
  }
} catch (const octavo::Error& error) {
  std::cerr << error.what() << '\n';
  return error.exit_code();
}
