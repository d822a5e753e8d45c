// The commands that train, in the program that does not load LibTorch (which takes most of a second): they
// are those of octavo-train, which lies beside it and takes this process's place.
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "environment.h"
#include "octavo/core/error.h"
#include "session.h"

namespace octavo::app {
namespace {

void hand_over(const Session& session) {
  const std::filesystem::path program = training_program();
  execv(program.c_str(), session.arguments);
  throw Error(
      ErrorCode::kIo, program.string(),
      std::string("cannot be started; expected octavo's other half beside it, got ") + std::strerror(errno));
}

}  // namespace

void cmd_run(Session& session) { hand_over(session); }
void cmd_train(Session& session) { hand_over(session); }
void cmd_qat(Session& session) { hand_over(session); }
void cmd_verify(Session& session) { hand_over(session); }

}  // namespace octavo::app
