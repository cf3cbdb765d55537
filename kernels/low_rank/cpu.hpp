// The narrow products of a low-rank term (shape.hpp) on the CPU, in f32, f64 and bf16, on the calling thread.
//
// Ladder (a LoRA step of MiniLM, rank 8 on query and value, over one that only passes gradients through; two threads,
// medians of ten models; f32 with dropout and without, bf16 with and without)
//   1  x dropped into scratch, packed products of one register for u and two for dx      1.054, 1.016; 1.116, 1.084
//   2  masks as bits that the loads of x and the sums of dx use: nothing is dropped into memory; u by dot products
//      along the rows, which fill a register at a rank of 8 where columns of u fill half of one; masks of 16 bits an
//      element                                                                          1.034, 1.020; 1.064, 1.072
//   3  dx by blocks of 6 rows and 4 registers, so that a row's masks are one word; sums where a bit is set by one
//      multiply-add                                                                     1.026, 1.021; 1.066, 1.066
// Alone, rank 8, 256 x 384, with masks: u, dA and dx at 0.61, 0.73 and 0.68 of what the multipliers can do; masks take
// as long as two of them, at the pace of their products. Failed: 16 rows of x for all terms before the next 16 (dA),
// +0.5 % with dropout; Philox' keys read from memory, 9 % of the masks for a barrier that the compiler needs.
// In bf16 the matrix unit has them (amx.hpp, with a ladder of its own).
//
// noexcept, no allocation. An element of u or dx has the same bits however rows are cut; a sum over rows runs in order.
#pragma once

#include <cstddef>
#include <span>

#include <hocket/core/amx.hpp>
#include <hocket/kernels/low_rank/amx_back.hpp>
#include <hocket/kernels/low_rank/cpu_bodies.hpp>

namespace hocket::kernels::low_rank {

/// The masks of rows [first_row, first_row + rows) of a matrix with `columns` columns: mask_bytes(columns) a row, rows
/// `apart` bytes from each other.
inline void make_masks(const dropout& drop, std::size_t columns, std::uint64_t first_row, std::size_t rows,
                       std::byte* bits, std::size_t apart) noexcept {
  HOCKET_ON_BEST_ISA(make_masks(drop, columns, first_row, rows, bits, apart))
}

/// u (rows, rank) = keep(x) A': x (rows, in), A (rank, in), rows ldx, lda and ldu apart.
template <Real T>
void project(std::size_t rows, std::size_t in, const T* x, std::size_t ldx, const kept_elements& keep, std::size_t rank,
             const T* a, std::size_t lda, T* u, std::size_t ldu) noexcept {
  HOCKET_ON_BEST_ISA(project<T>(rows, in, x, ldx, keep, rank, a, lda, u, ldu))
}

/// C (m, n) += A' keep(B): A (rows, m), B (rows, n), rows lda, ldb and ldc apart.
template <Real T>
void add_outer(std::size_t rows, std::size_t m, const T* a, std::size_t lda, std::size_t n, const T* b, std::size_t ldb,
               const kept_elements& keep, T* c, std::size_t ldc) noexcept {
  HOCKET_ON_BEST_ISA(add_outer<T>(rows, m, a, lda, n, b, ldb, keep, c, ldc))
}

/// dx (rows, in) += keep(du A): du (rows, rank), A (rank, in), rows lddu, lda and lddx apart.
template <Real T>
void add_back(std::size_t rows, std::size_t rank, const T* du, std::size_t lddu, std::size_t in, const T* a,
              std::size_t lda, const kept_elements& keep, T* dx, std::size_t lddx) noexcept {
  HOCKET_ON_BEST_ISA(add_back<T>(rows, rank, du, lddu, in, a, lda, keep, dx, lddx))
}

// In bf16: operands are rounded to it, sums are f32 -------------------------------------------------------------------

/// Whether the functions below may be called: they are the matrix unit's.
inline bool multiplies_bf16() noexcept { return best_matrix_unit() == matrix_unit::amx; }

/// u (rows, as many as lines) = keep(x) A', with the rows of A as lines. X, here and below: f32 or bf16.
template <class X>
void project_bf16([[maybe_unused]] std::size_t rows, [[maybe_unused]] std::size_t in, [[maybe_unused]] const X* x,
                  [[maybe_unused]] std::size_t ldx, [[maybe_unused]] const kept_elements& keep,
                  [[maybe_unused]] std::span<const float* const> lines, [[maybe_unused]] float* u,
                  [[maybe_unused]] std::size_t ldu) noexcept {
#if HOCKET_HAS_AMX
  amx::project(rows, in, x, ldx, keep, lines, u, ldu);
#endif
}
/// C (m, n) += A' keep(B): A (rows, m); of B columns [first, first + n), its masks those of all columns.
template <class X>
void add_outer_bf16([[maybe_unused]] std::size_t rows, [[maybe_unused]] std::size_t m, [[maybe_unused]] const float* a,
                    [[maybe_unused]] std::size_t lda, [[maybe_unused]] std::size_t first,
                    [[maybe_unused]] std::size_t n, [[maybe_unused]] const tiled_matrix<X>& b,
                    [[maybe_unused]] const kept_elements& keep, [[maybe_unused]] float* c,
                    [[maybe_unused]] std::size_t ldc) noexcept {
#if HOCKET_HAS_AMX
  amx::add_outer(rows, m, a, lda, first, n, b, keep, c, ldc);
#endif
}
/// dx (rows, in) = or, with `add`, += the sum of the terms, rounded once for every four pieces of 32 ranks; rows of
/// every du lie lddu apart.
template <class X>
void add_back_bf16([[maybe_unused]] std::size_t rows, [[maybe_unused]] std::size_t lddu,
                   [[maybe_unused]] std::size_t in, [[maybe_unused]] std::span<const back_term> terms,
                   [[maybe_unused]] bool add, [[maybe_unused]] X* dx, [[maybe_unused]] std::size_t lddx) noexcept {
#if HOCKET_HAS_AMX
  amx::add_back(rows, lddu, in, terms, add, dx, lddx);
#endif
}

}  // namespace hocket::kernels::low_rank

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in instances.cpp
#define HOCKET_INSTANCE extern template
#include <hocket/kernels/low_rank/instances.inl>
#undef HOCKET_INSTANCE
#endif
