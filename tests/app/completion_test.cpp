// Completions in real shells, and manual pages through the real formatter.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>

#include "octavo/core/temporary_folder.h"
#include "process.h"

namespace octavo::test {
namespace {

constexpr const char* kCommands[] = {"run",    "train", "ptq",  "qat",    "eval",       "bench", "inspect",
                                     "verify", "serve", "data", "doctor", "completion", "man"};

bool installed(const std::string& program) {
  return std::system(("command -v " + program + " > /dev/null").c_str()) == 0;
}

class Completion : public ::testing::Test {
 protected:
  /// A file with what `octavo completion SHELL` prints.
  std::string script(const std::string& shell) {
    const Finished finished = octavo({"completion", shell});
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    const auto path = folder_ / ("octavo." + shell);
    std::ofstream(path) << finished.out;
    return path.string();
  }

  /// Output of a shell command line, which must succeed without a word on standard error.
  std::string shell(const std::string& command) {
    const std::string out = (folder_ / "out").string();
    std::ofstream(folder_ / "commands") << command;
    const std::string line =
        shell_ + " " + (folder_ / "commands").string() + " > " + out + " 2> " + out + ".err";
    EXPECT_EQ(WEXITSTATUS(std::system(line.c_str())), 0) << command;
    EXPECT_EQ(file_text(out + ".err"), "") << command;
    return file_text(out);
  }

  /// What bash offers behind these words.
  std::string bash(const std::string& words) {
    shell_ = "bash";
    return shell("source " + script("bash") + "\ncd " + folder_.path().string() + "\nCOMP_WORDS=(" + words +
                 ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_octavo\nprintf '%s ' \"${COMPREPLY[@]}\"\n");
  }

  TemporaryFolder folder_;
  std::string shell_ = "bash";
};

TEST_F(Completion, BashKnowsCommandsFlagsChoicesAndFiles) {
  std::ofstream(folder_ / "model.onnx");
  std::ofstream(folder_ / "notes.txt");
  EXPECT_EQ(bash("octavo ins"), "inspect ");
  EXPECT_EQ(bash("octavo run --mode"), "--model ");
  EXPECT_EQ(bash("octavo run --schedule c"), "constant cosine ");
  EXPECT_EQ(bash("octavo eval m"), "model.onnx ");
  EXPECT_EQ(bash("octavo eval n"), " ");  // printf of nothing
  EXPECT_EQ(bash("octavo completion f"), "fish ");
  EXPECT_EQ(bash("octavo man ver"), "verify ");
  const std::string all = bash("octavo ''");
  for (const std::string command : kCommands)
    EXPECT_NE((" " + all).find(" " + command + " "), std::string::npos);
}

TEST_F(Completion, ZshReadsIt) {
  if (!installed("zsh")) GTEST_SKIP() << "zsh is not installed";
  shell_ = "zsh -n";
  shell(file_text(script("zsh")));
  shell_ = "zsh -f";
  shell("autoload -U compinit\ncompinit -D\nsource " + script("zsh") +
        "\n[ \"$_comps[octavo]\" = _octavo ]\n");
}

TEST_F(Completion, FishCompletes) {
  if (!installed("fish")) GTEST_SKIP() << "fish is not installed";
  shell_ = "fish";
  const std::string source = "source " + script("fish") + "\n";
  EXPECT_EQ(shell(source + "complete -C 'octavo ins'\n").substr(0, 8), "inspect\t");
  // Each with the flag's help behind it.
  EXPECT_EQ(shell(source + "complete -C 'octavo run --schedule co' | cut -f 1\n"), "constant\ncosine\n");
}

TEST_F(Completion, UnknownShellIsRefused) {
  const Finished finished = octavo({"completion", "tcsh"});
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_NE(finished.err.find("expected one of bash zsh fish, got 'tcsh'"), std::string::npos)
      << finished.err;
}

TEST_F(Completion, ManPagesHaveAllFlagsAndNoWarnings) {
  if (!installed("groff")) GTEST_SKIP() << "groff is not installed";
  std::vector<std::vector<std::string>> pages{{"man"}};
  for (const std::string command : kCommands) pages.push_back({"man", command});
  for (const auto& arguments : pages) {
    const Finished page = octavo(arguments);
    ASSERT_EQ(page.exit_code, 0) << page.err;
    const auto path = folder_ / "page.1";
    std::ofstream(path) << page.out;
    shell_ = "bash";
    const std::string text = shell("groff -man -ww -Tascii -P-c -P-b -P-u " + path.string() + "\n");
    EXPECT_NE(text.find("NAME"), std::string::npos);
    if (arguments.size() < 2) continue;
    const std::string help = octavo({arguments[1], "--help"}).out;
    for (std::size_t at = help.find("\n  --"); at != std::string::npos; at = help.find("\n  --", at + 1)) {
      const std::string flag = help.substr(at + 3, help.find_first_of(" ,", at + 3) - at - 3);
      EXPECT_NE(text.find(flag), std::string::npos) << arguments[1] << " " << flag;
    }
  }
  EXPECT_EQ(octavo({"man", "rum"}).exit_code, 2);
}

}  // namespace
}  // namespace octavo::test
