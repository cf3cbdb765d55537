// Glue between the arms of kernels/ and Google Benchmark: a subject is prepared and checked once, and timed only if its
// result was right. bench/<op>.cpp adds subjects; bench/support/main.cpp runs them and writes records.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/core/dtype.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>

namespace hocket::bench {

/// What can be timed: `run` computes what `check` has judged.
struct ready {
  comparison check;
  std::function<void()> run;
  /// For a GPU: runs once and gives the seconds between two events around it, the second-level cache flushed before.
  std::function<double()> timed_run{};
  /// For a kernel: the bytes that the last run wrote, which must not depend on the order of its threads.
  std::function<std::vector<unsigned char>()> written{};
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

/// One subject for each of `arms` that takes the problem. `prepare(arm)` makes it ready.
template <class Arms, class Problem, class Prepare>
void add_arms(std::string_view op, const std::string& shape, const Arms& arms, const Problem& p, double work,
              std::string_view work_unit, const Prepare& prepare) {
  for (const auto& arm : arms)
    if (arm.accepts(p))
      subjects().push_back({std::string(op), shape, std::string(arm.name), std::string(name_of(arm.type)), arm.flops(p),
                            arm.bytes(p), work, std::string(work_unit), [arm, prepare] { return prepare(arm); }});
}

/// `size` standard normal values, the same in every program.
template <class T>
std::vector<T> normal_values(std::size_t size, std::uint64_t seed) {
  const philox random(seed);
  std::vector<T> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<T>(random.normal_at(i));
  return values;
}

/// The same, aligned for SIMD.
template <class T>
buffer<T> aligned_normals(std::size_t size, std::uint64_t seed) {
  const std::vector<T> values = normal_values<T>(size, seed);
  buffer<T> out(size);
  std::copy(values.begin(), values.end(), out.begin());
  return out;
}

}  // namespace hocket::bench
