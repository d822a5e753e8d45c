// OCTAVO_ISA: what it may ask for, and that every instruction set of this CPU gives the same integers.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>

#include "octavo/core/cpu.h"
#include "octavo/core/file.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/graph/preprocessing.h"
#include "octavo/graph/zoo.h"
#include "octavo/onnx/onnx.h"
#include "octavo/runtime/runtime.h"
#include "process.h"

namespace octavo::test {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

Finished octavo_on(const std::string& isa, const std::vector<std::string>& arguments) {
  RunOptions options;
  options.environment = {{"OCTAVO_ISA", isa}};
  return octavo(arguments, options);
}

/// A network with random weights, quantized by the program.
std::string quantized(const TemporaryFolder& folder, const std::string& model) {
  Graph graph = make_model(model, {.channels = 1, .height = 28, .width = 28, .classes = 10}, 1);
  set_normalization(graph, {.mean = {0.286F}, .std = {0.353F}});
  graph.metadata["octavo.dataset"] = "fashion-mnist";
  const std::string real = (folder / (model + ".onnx")).string();
  save_onnx(graph, real);
  const std::string file = (folder / (model + "-int8.onnx")).string();
  const Finished ptq = octavo({"ptq", real, "--calibration-samples", "64", "--out", file});
  EXPECT_EQ(ptq.exit_code, 0) << ptq.err;
  return file;
}

/// The logits of `file` for a few images of noise, byte for byte, and behind them the names of its kernels.
/// In a process of its own, since the variable is read once.
std::string logits_on(const std::string& isa, const std::string& file, const fs::path& answer) {
  const pid_t child = fork();
  if (child == 0) {
    setenv("OCTAVO_ISA", isa.c_str(), 1);
    constexpr std::int64_t kImages = 9;
    const CompiledModel model(load_onnx(file), {.max_batch = kImages, .threads = 1});
    CompiledModel::Context context(model);
    std::mt19937 noise(5);
    std::vector<float> images(kImages * 28 * 28);
    for (float& x : images) x = static_cast<float>(noise() % 1024) / 256 - 1;
    std::vector<float> logits(static_cast<std::size_t>(kImages * model.classes()));
    model.run(context, images, kImages, logits);
    std::ofstream out(answer, std::ios::binary);
    out.write(reinterpret_cast<const char*>(logits.data()),
              static_cast<std::streamsize>(logits.size() * sizeof(float)));
    for (const StepInfo& step : model.steps(kImages)) out << step.kernel << '\n';
    out.close();
    _exit(out ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << isa;
  return file_text(answer);
}

class OnEveryIsa : public ::testing::TestWithParam<const char*> {};

TEST_P(OnEveryIsa, AnswersHaveTheSameBits) {
  const TemporaryFolder folder;
  const std::string file = quantized(folder, GetParam());
  constexpr std::size_t kBytes = 9 * 10 * sizeof(float);
  std::string expected;
  Json accuracy;
  for (const Isa isa : cpu_isas()) {
    const std::string name = isa_name(isa);
    SCOPED_TRACE(name);
    const std::string answer = logits_on(name, file, folder / name);
    ASSERT_GT(answer.size(), kBytes);
    const std::string kernels = answer.substr(kBytes);
    if (isa == Isa::kGeneric) {
      EXPECT_EQ(kernels.find("avx"), std::string::npos) << kernels;
      EXPECT_NE(kernels.find("[int8 generic]"), std::string::npos) << kernels;
      expected = answer.substr(0, kBytes);
    } else {
      EXPECT_EQ(kernels.find("[int8 generic]"), std::string::npos) << kernels;
    }
    EXPECT_TRUE(answer.substr(0, kBytes) == expected);

    const Finished eval = octavo_on(name, {"eval", file, "--test-limit", "60", "--json"});
    ASSERT_EQ(eval.exit_code, 0) << eval.err;
    const Json models = Json::parse(eval.out)["models"];
    if (accuracy.is_null()) accuracy = models;
    EXPECT_EQ(models, accuracy);
  }
}

TEST(OctavoIsa, HoldsForFloatModelsAndOneDnnToo) {
  const TemporaryFolder folder;
  quantized(folder, "simple-cnn");
  const std::string real = (folder / "simple-cnn.onnx").string();
  const std::string generic = logits_on("generic", real, folder / "generic");
  EXPECT_NE(generic.find("conv"), std::string::npos);
  EXPECT_EQ(generic.find("avx"), std::string::npos) << generic;
  if (!cpu_has(Isa::kAvx2)) return;
  const std::string avx2 = logits_on("avx2", real, folder / "avx2");
  EXPECT_NE(avx2.find("avx2"), std::string::npos) << avx2;
  EXPECT_EQ(avx2.find("avx512"), std::string::npos) << avx2;
  // What oneDNN is told by its own variable stands.
  setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
  const std::string apart = logits_on("generic", real, folder / "apart");
  unsetenv("ONEDNN_MAX_CPU_ISA");
  EXPECT_NE(apart.find("avx2"), std::string::npos) << apart;
}

INSTANTIATE_TEST_SUITE_P(Models, OnEveryIsa, ::testing::Values("resnet20", "mobilenet-v2"),
                         [](const auto& model) {
                           std::string name = model.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST(OctavoIsa, IsWhatTheProgramSaysItUses) {
  const std::vector<Isa> isas = cpu_isas();
  for (const Isa isa : isas) {
    const Finished doctor = octavo_on(isa_name(isa), {"doctor", "--json"});
    const Json answer = Json::parse(doctor.out);
    EXPECT_EQ(answer["isa"], isa_name(isa));
    EXPECT_EQ(answer["isa_limited"], true);
    EXPECT_EQ(answer["isas"].size(), isas.size());
  }
  for (const Finished& doctor : {octavo({"doctor", "--json"}), octavo_on("", {"doctor", "--json"})}) {
    const Json answer = Json::parse(doctor.out);
    EXPECT_EQ(answer["isa"], isa_name(isas.back()));
    EXPECT_EQ(answer["isa_limited"], false);
  }
}

TEST(OctavoIsa, UnknownOrMissingSetsExitWith2AndSayWhatThereIs) {
  std::vector<std::string> refused{"avx9", "AVX2", "generic "};
  for (const Isa isa : {Isa::kAvx2, Isa::kAvxVnni, Isa::kAvx512Vnni, Isa::kAmx}) {
    if (!cpu_has(isa)) refused.emplace_back(isa_name(isa));
  }
  for (const std::string& name : refused) {
    for (const char* command : {"--version", "doctor"}) {
      const Finished finished = octavo_on(name, {command});
      EXPECT_EQ(finished.exit_code, 2) << name;
      EXPECT_NE(finished.err.find("OCTAVO_ISA"), std::string::npos) << finished.err;
      EXPECT_NE(finished.err.find("(generic"), std::string::npos) << finished.err;
      EXPECT_NE(finished.err.find("got " + name), std::string::npos) << finished.err;
    }
  }
}

}  // namespace
}  // namespace octavo::test
