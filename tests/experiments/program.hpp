// Runs the toy experiment as a program, with its own environment, and collects what it says.
#pragma once

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hocket/core/error.hpp>

#include "catch.hpp"

namespace program {

namespace fs = std::filesystem;
using environment = std::map<std::string, std::string>;

/// A folder of its own for each test, removed at the end.
struct scratch {
  fs::path path;
  scratch() {
    std::string name = (fs::temp_directory_path() / "hocket-driver-XXXXXX").string();
    if (!mkdtemp(name.data())) hocket::fail(hocket::errc::bad_file, name);
    path = name;
  }
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  ~scratch() { fs::remove_all(path); }
};

inline std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream all;
  all << in.rdbuf();
  return all.str();
}

inline std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

struct result {
  int code = -1;    ///< exit code; -signal when killed
  std::string out;  ///< stdout
  std::string err;  ///< stderr
  bool says(const std::string& part) const { return (out + err).find(part) != std::string::npos; }
};

/// A running toy experiment. The variable STDOUT_TO, if there is one, says where its standard output goes.
class running {
 public:
  running(const fs::path& folder, const std::vector<std::string>& arguments, const environment& variables)
      : out_(folder / ("out." + std::to_string(counter()))), err_(out_.string() + ".err") {
    std::vector<std::string> all = {TOY_EXPERIMENT};
    all.insert(all.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (auto& a : all) argv.push_back(a.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      for (const char* name : {"TOY_MODE", "TOY_VICTIM", "TOY_SLEEP_MS", "TOY_LOG", "HOCKET_DATA"}) unsetenv(name);
      for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
      const auto to = variables.find("STDOUT_TO");
      const int out =
          open(to == variables.end() ? out_.c_str() : to->second.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
      const int err = open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
      dup2(out, STDOUT_FILENO);
      dup2(err, STDERR_FILENO);
      if (chdir(folder.c_str()) != 0) _exit(126);
      execv(TOY_EXPERIMENT, argv.data());
      _exit(127);
    }
  }
  void signal(int number) const { kill(pid_, number); }
  bool finished() {
    if (!done_ && waitpid(pid_, &status_, WNOHANG) == pid_) done_ = true;
    return done_;
  }
  result wait() {
    if (!done_) waitpid(pid_, &status_, 0);
    done_ = true;
    return {WIFEXITED(status_) ? WEXITSTATUS(status_) : -WTERMSIG(status_), read(out_), read(err_)};
  }

 private:
  static int counter() {
    static int next = 0;
    return ++next;
  }
  fs::path out_, err_;
  pid_t pid_ = -1;
  int status_ = 0;
  bool done_ = false;
};

inline result toy(const scratch& folder, const std::vector<std::string>& arguments, const environment& variables = {}) {
  return running(folder.path, arguments, variables).wait();
}

}  // namespace program
