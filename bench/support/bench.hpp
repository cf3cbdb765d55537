// Glue between the arms of kernels/ and Google Benchmark: a subject is prepared and checked once, and timed only if its
// result was right. bench/<op>.cpp adds subjects; bench/support/main.cpp runs them and writes records.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>

namespace hocket::bench {

/// What can be timed: `run` computes what `check` has judged.
struct ready {
  comparison check;
  std::function<void()> run;
  /// For a GPU: runs once and gives the seconds between two events around it, the second-level cache flushed before.
  std::function<double()> timed_run{};
};

/// One arm at one size.
struct subject {
  std::string op;     ///< "fft"
  std::string shape;  ///< "real_forward/n=512/batch=32"
  std::string arm;    ///< "own"
  std::string dtype;  ///< "f32"
  double flops = 0;   ///< of one run, as the arm declares them
  double bytes = 0;   ///< that one run must move, as the arm declares them
  double work = 1;    ///< units of work in one run
  std::string work_unit;
  std::function<ready()> prepare;
  std::string backend = "cpu";
  std::string not_run{};            ///< why it cannot be run here: "no_device: ..."; prepare is then not called
  std::string kernel{};             ///< the CUDA entry point
  std::string size_of_arguments{};  ///< of that entry point: "rows=8192 columns=768"
};

/// All subjects of this program.
std::vector<subject>& subjects();

/// What fills subjects(), one function for each bench/<op>.cpp.
std::vector<void (*)()>& operations();

/// For a file's namespace-scope constant: main calls `add` once.
inline bool register_operation(void (*add)()) {
  operations().push_back(add);
  return true;
}

/// `size` standard normal values, the same in every program.
template <class T>
std::vector<T> normal_values(std::size_t size, std::uint64_t seed) {
  const philox random(seed);
  std::vector<T> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<T>(random.normal_at(i));
  return values;
}

}  // namespace hocket::bench
