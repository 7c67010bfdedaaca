#include "runtime/runtime_directory.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "runtime/testing/run.h"

namespace llmd {
namespace {

namespace fs = std::filesystem;

/// A runtime folder of the test's own.
class RuntimeDirectoryTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/llmd-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    root_ = name;
    ::setenv("XDG_RUNTIME_DIR", name, 1);
  }
  void TearDown() override {
    ::unsetenv("XDG_RUNTIME_DIR");
    fs::remove_all(root_);
  }
  std::string root_;
};

TEST_F(RuntimeDirectoryTest, IsPrivateAndGoneAfterwards) {
  {
    const auto directory = RuntimeDirectory::create("up");
    ASSERT_TRUE(directory) << directory.error().to_string();
    struct stat info{};
    ASSERT_EQ(::stat((*directory)->path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0700U);
    std::ofstream{(*directory)->file("a.sock")} << "x";
    EXPECT_EQ(find_runtime_files("a.sock").size(), 1U);
  }
  EXPECT_TRUE(fs::is_empty(root_)) << "the base goes with the last folder";
}

TEST_F(RuntimeDirectoryTest, IsGoneWithinASecondAfterTheProcessWasKilled) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto directory = RuntimeDirectory::create("up");
    if (!directory) ::_exit(1);
    std::ofstream{(*directory)->file("a.sock")} << "x";
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  Loop loop{"test"};
  testkit::run_until(loop, [&] { return fs::is_empty(root_); }, seconds{1});
}

TEST_F(RuntimeDirectoryTest, RefusesABaseThatOthersCanEnter) {
  fs::create_directory(runtime_base_path());
  ::chmod(runtime_base_path().c_str(), 0755);
  const auto directory = RuntimeDirectory::create("up");
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().code, ErrorCode::kIo);
  EXPECT_FALSE(directory.error().hint.empty());
}

TEST_F(RuntimeDirectoryTest, RemovesFoldersOfProcessesThatAreGone) {
  fs::create_directories(runtime_base_path() + "/up-999999999");
  fs::permissions(runtime_base_path(), fs::perms::owner_all);
  const auto directory = RuntimeDirectory::create("up");
  ASSERT_TRUE(directory) << directory.error().to_string();
  EXPECT_FALSE(fs::exists(runtime_base_path() + "/up-999999999"));
}

}  // namespace
}  // namespace llmd
