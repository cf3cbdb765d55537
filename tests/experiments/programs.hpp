// Runs the real experiments as programs, in a folder of their own.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "experiments/program.hpp"

namespace program {

/// Runs `binary` with the arguments in `folder`; nothing is inherited that names other data.
inline result run(const fs::path& folder, const std::string& binary, const std::vector<std::string>& arguments) {
  std::string command = "cd '" + folder.string() + "' && env -u HOCKET_DATA HOCKET_CACHE='" + folder.string() +
                        "/cache' '" + binary + "'";
  for (const std::string& argument : arguments) command += " '" + argument + "'";
  const int status = std::system((command + " >stdout.txt 2>stderr.txt </dev/null").c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), read(folder / "stdout.txt"),
          read(folder / "stderr.txt")};
}

}  // namespace program
