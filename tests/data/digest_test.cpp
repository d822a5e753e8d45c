#include "digest.h"

#include <sys/wait.h>

#include <cstdlib>

#include "data/support.h"
#include "octavo/core/temporary_folder.h"

namespace octavo {
namespace {

using testing::put;

TEST(Digest, EqualsThePublishedExamples) {
  const std::string text = "abc";
  const auto bytes = std::as_bytes(std::span(text));
  // RFC 1321, A.5; FIPS 180-2, B.1.
  Digest md5(DigestKind::kMd5);
  md5.update(bytes);
  EXPECT_EQ(md5.hex(), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(sha256(bytes), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/// The test above in a process whose OpenSSL is configured to let approved algorithms alone pass.
TEST(Digest, IsThereInFipsMode) {
  const TemporaryFolder folder;
  put(folder / "openssl.cnf",
      "openssl_conf = settings\n[settings]\nalg_section = algorithms\n"
      "[algorithms]\ndefault_properties = fips=yes\n");
  const testing::ScopedVariable configuration("OPENSSL_CONF", (folder / "openssl.cnf").string());
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::string command =
      "'" + self + "' --gtest_filter=Digest.EqualsThePublishedExamples > /dev/null 2>&1";
  EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 0);
}

}  // namespace
}  // namespace octavo
