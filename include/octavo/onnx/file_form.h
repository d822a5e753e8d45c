/// How a file says what is quantized, node by node, as it stands: for those who ask whether another program
/// takes it. load_onnx() reads what it means.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace octavo {

struct FileNode {
  std::string name;  ///< Its first output's, if it has none itself.
  std::string op;    ///< ONNX's name, in front of it "com.microsoft." and the like.

  /// Of QuantizeLinear and DequantizeLinear: "INT8", the integers' type.
  std::string type = {};
  bool constant = false;     ///< Their operand is a constant: a weight or a bias.
  bool zero_points = false;  ///< One at least is not 0.
  bool per_channel = false;  ///< More than one scale.
  float scale = 0;           ///< The first.
  std::string maker = {};    ///< Of QuantizeLinear: the operator whose result it rounds.
  bool of_integers =
      false;  ///< Reads what QuantizeLinear or such an operator makes, itself not DequantizeLinear.
};

struct FileForm {
  int opset = 0;
  std::vector<FileNode> nodes;  ///< In the file's order, of the graph itself.
};

/// Throws kIo or kBadInput (not ONNX, or cut short).
FileForm read_file_form(const std::filesystem::path& path);

}  // namespace octavo
