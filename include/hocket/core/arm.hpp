// An arm is one implementation of one operation: what it is called, where it runs, what it accepts, what it promises
// and what it costs. Each kernels/<op>/arms.hpp lists the arms of its room. Tests check every arm against the room's
// reference, bench times every arm, the support table lists every arm. Only tests and bench include arms.hpp.
#pragma once

#include <string_view>

#include <hocket/core/device.hpp>
#include <hocket/core/dtype.hpp>

namespace hocket {

/// What an arm of a differentiable operation is asked for.
enum class pass { forward, backward };

/// `Shape` is the room's own plain struct of sizes, `Call` the room's function type
/// (usually void (*)(const Shape&, inputs..., outputs...)).
template <class Shape, class Call>
struct arm {
  std::string_view name;  ///< unique in the room: "own", "fftw", "eigen"
  backend where;          ///< cpu, cuda
  dtype type;             ///< one row per element type
  bool (*accepts)(const Shape&);
  double (*promise)(const Shape&);  ///< error bound in epsilon(type) x the room's stated magnitude
  double (*flops)(const Shape&);    ///< floating-point operations of the definition, the same for every arm of a room
  double (*bytes)(const Shape&);    ///< bytes that must move: inputs read once, outputs written once
  Call run;
};

}  // namespace hocket
