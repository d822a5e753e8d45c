// octavo doctor, as the real program on prepared folders and environments.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "machine.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/data/sources.h"
#include "process.h"

namespace octavo::test {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

/// The program under the shell, with an environment of its own.
class Doctor : public ::testing::Test {
 protected:
  Doctor() {
    fs::create_directories(folder_ / "cache/octavo");
    variables_["XDG_CACHE_HOME"] = (folder_ / "cache").string();
    variables_["OCTAVO_DATA"] = "";
  }

  Finished run(const std::string& arguments = {}) {
    std::string command = "cd " + folder_.path().string() + " && env";
    for (const auto& [name, value] : variables_) command += " " + name + "='" + value + "'";
    const std::string out = (folder_ / "out").string();
    command += " " + program_.string() + " doctor " + arguments + " > " + out + " 2> " + out + ".err";
    const int status = std::system(command.c_str());
    return {WEXITSTATUS(status), file_text(out), file_text(out + ".err")};
  }
  Json answer(int exit_code) {
    const Finished finished = run("--json");
    EXPECT_EQ(finished.exit_code, exit_code) << finished.out << finished.err;
    return Json::parse(finished.out);
  }
  static Json check(const Json& answer, const std::string& name) {
    for (const Json& row : answer["checks"]) {
      if (row["name"] == name) return row;
    }
    return {};
  }

  TemporaryFolder folder_;
  fs::path program_ = OCTAVO_BINARY;
  std::map<std::string, std::string> variables_;
};

TEST_F(Doctor, DescribesTheMachine) {
  const Json found = answer(0);
  EXPECT_EQ(found["schema"], 1);
  EXPECT_FALSE(found["cpu"].get<std::string>().empty());
  EXPECT_GE(found["cores"]["usable"], 1);
  EXPECT_LE(found["cores"]["usable"], found["cores"]["online"]);
  EXPECT_GT(found["memory"]["total_bytes"], found["memory"]["available_bytes"]);
  EXPECT_EQ(check(found, "octavo-train")["state"], "ok");
  EXPECT_EQ(check(found, "temporary files")["state"], "ok");
  EXPECT_EQ(check(found, "current folder")["state"], "ok");
}

TEST_F(Doctor, EmptyCacheHasTheLineThatFillsIt) {
  const Json found = answer(0);
  EXPECT_TRUE(found["cache"]["entries"].empty());
  const Json cifar = check(found, "cifar10");
  EXPECT_EQ(cifar["state"], "missing");
  EXPECT_EQ(cifar["mend"].get<std::string>().find("octavo data --dataset cifar10"), 0U);
  const Finished text = run();
  EXPECT_NE(text.out.find("-> octavo data --dataset cifar10"), std::string::npos) << text.out;
}

TEST_F(Doctor, CacheWithDataIsFoundAndMeasured) {
  std::ofstream(folder_ / "cache/octavo/cifar-10-binary.tar.gz") << "12345";
  const Json found = answer(0);
  EXPECT_EQ(found["cache"]["entries"]["cifar-10-binary.tar.gz"]["bytes"], 5);
  const Json cifar = check(found, "cifar10");
  EXPECT_EQ(cifar["state"], "ok");
  EXPECT_NE(cifar["found"].get<std::string>().find("cache/octavo/cifar-10-binary.tar.gz"), std::string::npos);
  EXPECT_EQ(check(found, "cifar100")["state"], "missing");
}

// Both sets have files of the same names.
TEST_F(Doctor, FashionMnistIsNotTakenForMnist) {
  const auto fashion = locate_dataset("fashion-mnist");
  ASSERT_TRUE(fashion);
  variables_["OCTAVO_DATA"] = fashion->string();
  const Json found = answer(0);
  EXPECT_EQ(check(found, "fashion-mnist")["state"], "ok");
  EXPECT_EQ(check(found, "mnist")["state"], "missing");
}

TEST_F(Doctor, WithoutNodeSaysHowToInstallIt) {
  variables_["PATH"] = "/nowhere";
  const Finished finished = [this] {
    program_ = fs::absolute(OCTAVO_BINARY);
    return run("--json");
  }();
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const Json row = check(Json::parse(finished.out), "ONNX Runtime");
  EXPECT_EQ(row["state"], "missing");
  EXPECT_EQ(row["found"].get<std::string>().find("Node.js is not installed"), 0U);
  EXPECT_EQ(row["mend"], "apt-get install nodejs npm && npm install onnxruntime-node");
}

TEST_F(Doctor, AloneIsBroken) {
  program_ = folder_ / "octavo";
  fs::copy_file(OCTAVO_BINARY, program_);
  const Json row = check(answer(5), "octavo-train");
  EXPECT_EQ(row["state"], "broken");
  EXPECT_NE(row["found"].get<std::string>().find((folder_ / "octavo-train").string()), std::string::npos);
}

TEST_F(Doctor, TrainerThatDoesNotStartIsBroken) {
  program_ = folder_ / "octavo";
  fs::copy_file(OCTAVO_BINARY, program_);
  std::ofstream(folder_ / "octavo-train") << "#!/bin/sh\necho no libtorch.so >&2\nexit 127\n";
  fs::permissions(folder_ / "octavo-train", fs::perms::owner_all);
  const Json row = check(answer(5), "octavo-train");
  EXPECT_EQ(row["state"], "broken");
  EXPECT_NE(row["found"].get<std::string>().find("no libtorch.so"), std::string::npos) << row;
}

TEST_F(Doctor, NoTemporaryFolderIsBroken) {
  variables_["TMPDIR"] = "/nowhere";
  const Json row = check(answer(5), "temporary files");
  EXPECT_EQ(row["state"], "broken");
  EXPECT_NE(row["mend"].get<std::string>().find("TMPDIR"), std::string::npos);
}

/// Files as the kernel shows them, under a folder of the test's.
class QuotaFiles {
 public:
  void write(const std::string& name, const std::string& text) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  app::Quotas read() const { return app::read_quotas(folder_.path()); }
  const fs::path& path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

TEST(Quotas, NarrowestGroupOfVersion2Counts) {
  QuotaFiles files;
  files.write("proc/self/cgroup", "0::/a/b\n");
  files.write("sys/fs/cgroup/a/cpu.max", "150000 100000\n");
  files.write("sys/fs/cgroup/a/memory.max", "max\n");
  files.write("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  files.write("sys/fs/cgroup/a/b/memory.max", "1073741824\n");
  EXPECT_EQ(files.read().cores, 1.5);
  EXPECT_EQ(files.read().memory_bytes, 1073741824U);
}

TEST(Quotas, Version1IsReadAndItsLargestNumberIsNoLimit) {
  QuotaFiles files;
  files.write("proc/self/cgroup", "4:cpu,cpuacct:/c\n2:memory:/c\n");
  files.write("sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "50000\n");
  files.write("sys/fs/cgroup/cpu/c/cpu.cfs_period_us", "100000\n");
  files.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  files.write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  files.write("sys/fs/cgroup/memory/c/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(files.read().cores, 0.5);
  EXPECT_FALSE(files.read().memory_bytes);
}

TEST(Quotas, NothingThereLimitsNothing) {
  QuotaFiles files;
  EXPECT_FALSE(files.read().cores);
  files.write("proc/self/cgroup", "nonsense\n0::\n");
  files.write("sys/fs/cgroup/cpu.max", "many\n");
  EXPECT_FALSE(files.read().cores);
  EXPECT_FALSE(files.read().memory_bytes);
}

TEST(MemoryFacts, AreThoseOfMeminfo) {
  QuotaFiles files;
  files.write("proc/meminfo", "MemTotal:       2048 kB\nMemFree:  1 kB\nMemAvailable:   1024 kB\n");
  EXPECT_EQ(app::read_memory(files.path()).total_bytes, 2048U * 1024);
  EXPECT_EQ(app::read_memory(files.path()).available_bytes, 1024U * 1024);
}

}  // namespace
}  // namespace octavo::test
