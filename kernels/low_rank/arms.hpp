// The arms of this room. Only tests and bench include it. Magnitude of the promises: the sum of what an element's sum
// adds, each without its sign.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include <hocket/core/arm.hpp>
#include <hocket/core/half.hpp>
#include <hocket/core/options.hpp>
#include <hocket/kernels/low_rank/cpu.hpp>
#include <hocket/kernels/low_rank/reference.hpp>

namespace hocket::kernels::low_rank {

enum class product { project, outer, back };

/// What an arm is asked to do: x (rows, in), A (rank, in).
struct problem {
  std::size_t rows = 0, in = 0, rank = 0;
  product which = product::project;
  double dropout = 0;
};

template <Real T>
struct products {
  void (*project)(std::size_t rows, std::size_t in, const T* x, std::size_t ldx, const kept_elements&, std::size_t rank,
                  const T* a, std::size_t lda, T* u, std::size_t ldu) noexcept;
  void (*add_outer)(std::size_t rows, std::size_t m, const T* a, std::size_t lda, std::size_t n, const T* b,
                    std::size_t ldb, const kept_elements&, T* c, std::size_t ldc) noexcept;
  void (*add_back)(std::size_t rows, std::size_t rank, const T* du, std::size_t lddu, std::size_t in, const T* a,
                   std::size_t lda, const kept_elements&, T* dx, std::size_t lddx) noexcept;
};
template <Real T>
struct low_rank_arm : arm<problem, products<T>> {
  bool rounds;  ///< operands to bf16: the promise is about the products of those
};

/// Makes of operands what the arm multiplies.
template <Real T>
void round_operands(const low_rank_arm<T>& arm, std::span<T> values) {
  if constexpr (std::is_same_v<T, float>)
    if (arm.rounds)
      for (T& each : values) each = to_f32(to_bf16(each));
}

inline bool any_problem(const problem&) { return true; }
inline bool where_bf16_multiplies(const problem&) { return multiplies_bf16(); }
/// Half a rounding a term, of which few are lost that way; the scale, what was there before, and a product's own.
inline double promise_of(const problem& p) {
  const std::size_t terms = p.which == product::project ? p.in : p.which == product::outer ? p.rows : p.rank;
  return 3 + static_cast<double>(terms) / 2;
}
inline double flops_of(const problem& p) { return 2 * static_cast<double>(p.rows * p.in * p.rank); }
/// x once, or dx twice; the narrow matrices and the masks.
template <Real T>
double dense_bytes(const problem& p) {
  const std::size_t wide = p.rows * p.in * (p.which == product::back ? 2 : 1),
                    narrow = p.rank * (p.rows + p.in * (p.which == product::outer ? 2 : 1));
  return static_cast<double>((wide + narrow) * sizeof(T)) +
         (p.dropout > 0 ? static_cast<double>(p.rows * mask_bytes(p.in)) : 0.0);
}

/// The products in bf16 of matrices in rows of f32.
namespace in_bf16 {

/// body(number of ranks before, lines) for the rows of A, 64 at a time.
template <class Body>
void each_lines(std::size_t rank, const float* a, std::size_t lda, Body&& body) {
  std::array<const float*, 64> lines;
  for (std::size_t j = 0; j < rank; j += lines.size()) {
    const std::size_t here = std::min(lines.size(), rank - j);
    for (std::size_t i = 0; i < here; ++i) lines[i] = a + (j + i) * lda;
    body(j, std::span<const float* const>(lines.data(), here));
  }
}
inline void project(std::size_t rows, std::size_t in, const float* x, std::size_t ldx, const kept_elements& keep,
                    std::size_t rank, const float* a, std::size_t lda, float* u, std::size_t ldu) noexcept {
  each_lines(rank, a, lda, [&](std::size_t before, std::span<const float* const> lines) {
    project_bf16(rows, in, x, ldx, keep, lines, u + before, ldu);
  });
}
inline void add_outer(std::size_t rows, std::size_t m, const float* a, std::size_t lda, std::size_t n, const float* b,
                      std::size_t ldb, const kept_elements& keep, float* c, std::size_t ldc) noexcept {
  add_outer_bf16(rows, m, a, lda, 0, n, in_rows(b, ldb), keep, c, ldc);
}
inline void add_back(std::size_t rows, std::size_t rank, const float* du, std::size_t lddu, std::size_t in,
                     const float* a, std::size_t lda, const kept_elements& keep, float* dx, std::size_t lddx) noexcept {
  each_lines(rank, a, lda, [&](std::size_t before, std::span<const float* const> lines) {
    const back_term term{du + before, lines, keep};
    add_back_bf16(rows, lddu, in, {&term, 1}, true, dx, lddx);
  });
}

}  // namespace in_bf16

/// Every arm for T.
template <Real T>
std::vector<low_rank_arm<T>> arms() {
  std::vector<low_rank_arm<T>> list{{{"own",
                                      backend::cpu,
                                      dtype_of<T>,
                                      &any_problem,
                                      &promise_of,
                                      &flops_of,
                                      &dense_bytes<T>,
                                      {&project<T>, &add_outer<T>, &add_back<T>}},
                                     false}};
  if constexpr (std::is_same_v<T, float>)
    list.push_back({{"own-bf16",
                     backend::cpu,
                     dtype_of<float>,
                     &where_bf16_multiplies,
                     &promise_of,
                     &flops_of,
                     &dense_bytes<float>,
                     {&in_bf16::project, &in_bf16::add_outer, &in_bf16::add_back}},
                    true});
  return list;
}

}  // namespace hocket::kernels::low_rank

template <>
struct hocket::enum_names<hocket::kernels::low_rank::product> {
  using enum hocket::kernels::low_rank::product;
  static constexpr std::array values = {std::pair{project, std::string_view{"project"}},
                                        std::pair{outer, std::string_view{"outer"}},
                                        std::pair{back, std::string_view{"back"}}};
};
