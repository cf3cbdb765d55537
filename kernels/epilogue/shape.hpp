// What follows a product: bias, activation, dropout, residual, in one pass over its output.
//   u = x + bias;  y = residual + keep(activation(u))
// keep() sets an element to 0 with probability p and scales the others by 1 / (1 - p): Srivastava et al., "Dropout",
// 2014. GELU is x Phi(x) with the exact normal distribution: Hendrycks, Gimpel, "Gaussian error linear units", 2016.
// gelu_tanh is their approximation x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, transformers' gelu_new.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include <hocket/core/error.hpp>
#include <hocket/core/options.hpp>
#include <hocket/core/rng.hpp>

namespace hocket::kernels::epilogue {

enum class activation { none, relu, gelu, tanh, gelu_tanh };
/// Whether the slope takes more values than 0 and 1.
constexpr bool curved(activation a) { return a != activation::none && a != activation::relu; }

/// Which elements are dropped: a pure function of (seed, stream, row, column), on every device and in every order.
/// Columns come in groups of 64; group g = row ceil(columns / 64) + column / 64 takes Philox blocks 16 g ... 16 g + 15,
/// and its element j takes word j / 16 of block 16 g + j % 16 (so that registers of any width read words in order).
struct dropout {
  std::uint64_t seed = 0, stream = 0;
  std::uint32_t threshold = 0;  ///< an element whose 32 bits are below is dropped; 0: none is
  double scale = 1;             ///< of the elements that stay

  bool none() const { return threshold == 0; }
};
inline constexpr std::size_t dropout_group = 64;
/// Groups of a row.
constexpr std::size_t groups_of(std::size_t columns) { return (columns + dropout_group - 1) / dropout_group; }

/// p in [0, 1), rounded to a multiple of 2^-32; the scale is exact for the rounded one.
inline dropout make_dropout(double p, std::uint64_t seed, std::uint64_t stream) {
  expects(p >= 0 && p < 1, errc::bad_option, "dropout of ", p, "; it must be at least 0 and below 1");
  const double words = std::round(p * 0x1p32);
  const auto threshold = static_cast<std::uint32_t>(words < 0xffffffffp0 ? words : 0xffffffffp0);
  return {seed, stream, threshold, 1 / (1 - static_cast<double>(threshold) * 0x1p-32)};
}

/// Whether element (row, column) of a matrix with `columns` columns stays.
inline bool stays(const dropout& d, std::size_t columns, std::size_t row, std::size_t column) {
  const std::size_t groups = groups_of(columns), j = column % dropout_group;
  const std::uint64_t block = (std::uint64_t{row} * groups + column / dropout_group) * 16 + j % 16;
  const auto words = philox4x32({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                                 static_cast<std::uint32_t>(d.stream), static_cast<std::uint32_t>(d.stream >> 32)},
                                {static_cast<std::uint32_t>(d.seed), static_cast<std::uint32_t>(d.seed >> 32)});
  return words[j / 16] >= d.threshold;
}

/// The sizes of one pass, and what it does.
struct shape {
  std::size_t rows = 0, columns = 0;
  activation act = activation::none;
  dropout drop = {};
};

/// Promised error of y, for |u| up to `most`, in epsilon x (|x| + |bias| + |residual| + 1): two sums, the product with
/// the scale, and for GELU Phi: its argument's square carries u^2 / 2 roundings (of Phi <= exp(-u^2/2) / 2, so that the
/// weight u^2 exp(-u^2 / 2) stays below 0.74), exponential 2, polynomial and quotient 6; times u. For gelu_tanh the
/// argument s of the exponential carries 3 s roundings (|u| s exp(-s) stays below 0.35).
inline double promise_forward(const shape& s) {
  return (s.act == activation::gelu || s.act == activation::gelu_tanh ? 10.0 : 4.0) * s.drop.scale;
}
/// du, in epsilon x max |dy|; derivatives are at most 1.13. A bias gradient sums `rows` of them.
inline double promise_backward(const shape& s) { return (s.act == activation::none ? 2.0 : 16.0) * s.drop.scale; }

/// Where the result is kept in bf16, GELU is made to this share of |x Phi(x)|, and where u was kept in it the slope to
/// this share of |dy|: a sixteenth of bf16's epsilon. An output's rounding to bf16 alone is half an epsilon.
inline constexpr double epsilon_bf16 = 0x1p-7, rough_share = epsilon_bf16 / 16;

inline double flops_forward(const shape& s) { return 4.0 * static_cast<double>(s.rows * s.columns); }
inline double flops_backward(const shape& s) { return 6.0 * static_cast<double>(s.rows * s.columns); }

}  // namespace hocket::kernels::epilogue

template <>
struct hocket::enum_names<hocket::kernels::epilogue::activation> {
  using enum hocket::kernels::epilogue::activation;
  static constexpr std::array values = {
      std::pair{none, std::string_view{"none"}}, std::pair{relu, std::string_view{"relu"}},
      std::pair{gelu, std::string_view{"gelu"}}, std::pair{tanh, std::string_view{"tanh"}},
      std::pair{gelu_tanh, std::string_view{"gelu_tanh"}}};
};
