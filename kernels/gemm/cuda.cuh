// C = alpha op(A) op(B) + beta C for CUDA: tiled f32, and tensor-core f16 / bf16 / tf32 with f32 sums.
//
// Ladder
//   1  tiled: 64 x 64 of C a block, 16 of k a step, 4 x 4 a thread: each shared value is used four times.
//   2  mma: 64 x 64 a block of four warps, 32 x 32 a warp by m16n8k16; tiles arrive by cp.async in two buffers while
//   the
//      other is multiplied; rows padded by 16 bytes so that the eight rows of an ldmatrix fall into different banks.
//   3  a batch at once: small results over many rows (covariances) fill a card that one product would leave idle.
// On an H100, 4096^3: mma 150 TFLOP/s in f16, 0.23 of cuBLAS; tiled 12 TFLOP/s, 0.24. mma issues in 64 % of the
// cycles: 32 x 32 a warp loads a fragment for every two products. Next: 128 x 128 a block, 64 x 64 a warp, three
// buffers; wgmma. tiled waits for shared memory in 46 % of its warp cycles: 8 x 8 a thread.
// sm_75 has no m16n8k16 and no cp.async: there the mma entry points run the tiled body on the same arguments.
#pragma once

#include <type_traits>

#include <hocket/core/cuda/seam.cuh>

namespace hocket::kernels::gemm::gpu {

/// Sizes as the kernels take them; op(A) is (m,k), op(B) is (k,n), C is (m,n), rows ld apart. `vector_a`, `vector_b`:
/// the matrix starts on 16 bytes and so does every row, so that 16-byte copies are allowed. `count` such products lie
/// strides (elements) apart; block z makes number z.
struct product {
  unsigned m, n, k, lda, ldb, ldc;
  float alpha, beta;
  bool vector_a, vector_b;
  unsigned count;
  std::size_t stride_a, stride_b, stride_c;
};

inline constexpr unsigned tile_m = 64, tile_n = 64;
inline constexpr unsigned tiled_k = 16, tiled_threads = 256;
inline constexpr unsigned mma_k = 32, mma_threads = 128, tf32_k = 16;

HOCKET_DEVICE void store(float* c, const product& p, unsigned row, unsigned column, float sum) {
  if (!cu::inside(row < p.m && column < p.n)) return;
  float& out = c[static_cast<std::size_t>(row) * p.ldc + column];
  out = p.beta == 0.0f ? p.alpha * sum : p.alpha * sum + p.beta * out;
}

/// Element (row, column) of op(A) or op(B), 0 outside.
template <bool Transposed, class T>
HOCKET_DEVICE float element(const T* x, unsigned ld, unsigned row, unsigned column, unsigned rows, unsigned columns) {
  if (!cu::inside(row < rows && column < columns)) return 0.0f;
  return to_f32(
      x[Transposed ? static_cast<std::size_t>(column) * ld + row : static_cast<std::size_t>(row) * ld + column]);
}

/// Any storage type, f32 arithmetic. Block of 256 threads, thread t owns rows 4 (t / 16) and columns 4 (t % 16).
template <bool TransposeA, bool TransposeB, class T>
HOCKET_DEVICE void tiled(const T* a, const T* b, float* c, const product& p) {
  HOCKET_SHARED(sa, cu::array<float, tiled_k, tile_m + 4>);  // (k, m)
  HOCKET_SHARED(sb, cu::array<float, tiled_k, tile_n + 4>);  // (k, n)
  const unsigned t = cu::thread_x(), threads = cu::block_dim_x();
  const unsigned first_row = cu::block_y() * tile_m, first_column = cu::block_x() * tile_n;
  // With fewer threads than 256 (the tensor-core launch on sm_75) each owns several 4 x 4 squares.
  constexpr unsigned squares = tile_m * tile_n / 16, most = squares / mma_threads;
  float sums[most][4][4] = {};
  for (unsigned k0 = 0; k0 < p.k; k0 += tiled_k) {
    for (unsigned i = t; i < tile_m * tiled_k; i += threads) {
      // Neighbouring threads read neighbouring elements of memory, whichever way the matrix lies.
      const unsigned row = TransposeA ? i % tile_m : i / tiled_k, at = TransposeA ? i / tile_m : i % tiled_k;
      sa(at, row) = element<TransposeA>(a, p.lda, first_row + row, k0 + at, p.m, p.k);
    }
    for (unsigned i = t; i < tile_n * tiled_k; i += threads) {
      const unsigned column = TransposeB ? i / tiled_k : i % tile_n, at = TransposeB ? i % tiled_k : i / tile_n;
      sb(at, column) = element<TransposeB>(b, p.ldb, k0 + at, first_column + column, p.k, p.n);
    }
    cu::sync();
    HOCKET_UNROLL
    for (unsigned s = 0; s < most; ++s) {
      const unsigned square = t + s * threads;
      if (square >= squares) break;
      HOCKET_UNROLL
      for (unsigned at = 0; at < tiled_k; ++at) {
        float left[4], right[4];
        HOCKET_UNROLL
        for (unsigned i = 0; i < 4; ++i) left[i] = sa(at, square / 16 * 4 + i);
        HOCKET_UNROLL
        for (unsigned j = 0; j < 4; ++j) right[j] = sb(at, square % 16 * 4 + j);
        HOCKET_UNROLL
        for (unsigned i = 0; i < 4; ++i) HOCKET_UNROLL
        for (unsigned j = 0; j < 4; ++j) sums[s][i][j] += left[i] * right[j];
      }
    }
    cu::sync();
  }
  HOCKET_UNROLL
  for (unsigned s = 0; s < most; ++s) {
    const unsigned square = t + s * threads;
    if (square >= squares) break;
    HOCKET_UNROLL
    for (unsigned i = 0; i < 4; ++i) HOCKET_UNROLL
    for (unsigned j = 0; j < 4; ++j)
      store(c, p, first_row + square / 16 * 4 + i, first_column + square % 16 * 4 + j, sums[s][i][j]);
  }
}

/// Brings a (Rows, Columns) tile of 16-bit elements of x (rows, columns) from (row0, column0) into rows `buffer` ... of
/// `tile`, zeros outside. 16 bytes at once where that is allowed.
template <unsigned Rows, unsigned Columns, class T, class Tile>
HOCKET_DEVICE void bring(Tile& tile, unsigned buffer, const T* x, unsigned ld, unsigned row0, unsigned column0,
                         unsigned rows, unsigned columns, bool vectors) {
  for (unsigned i = cu::thread_x(); i < Rows * Columns / 8; i += mma_threads) {
    const unsigned r = i / (Columns / 8), c = i % (Columns / 8) * 8;
    const T* const from = x + static_cast<std::size_t>(row0 + r) * ld + column0 + c;
    if (vectors && cu::inside(row0 + r < rows && column0 + c + 8 <= columns)) {
      cu::copy_async16(tile.at(buffer + r, c), from);
    } else {
      for (unsigned e = 0; e < 8; ++e)
        tile(buffer + r, c + e) =
            cu::inside(row0 + r < rows && column0 + c + e < columns) ? from[e].bits : std::uint16_t{0};
    }
  }
}

template <class T>
HOCKET_DEVICE void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]);
template <>
HOCKET_DEVICE void multiply<f16>(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  cu::mma_f16(d, a, b);
}
template <>
HOCKET_DEVICE void multiply<bf16>(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  cu::mma_bf16(d, a, b);
}

/// f16 or bf16 on tensor cores. Four warps, two by two; warp w owns rows 32 (w / 2) and columns 32 (w % 2) of the tile.
template <bool TransposeA, bool TransposeB, class T>
HOCKET_DEVICE void mma(const T* a, const T* b, float* c, const product& p) {
  constexpr unsigned rows_a = TransposeA ? mma_k : tile_m, columns_a = TransposeA ? tile_m : mma_k;
  constexpr unsigned rows_b = TransposeB ? tile_n : mma_k, columns_b = TransposeB ? mma_k : tile_n;
  HOCKET_SHARED(sa, cu::array<std::uint16_t, 2 * rows_a, columns_a + 8>);
  HOCKET_SHARED(sb, cu::array<std::uint16_t, 2 * rows_b, columns_b + 8>);
  const unsigned first_row = cu::block_y() * tile_m, first_column = cu::block_x() * tile_n;
  const unsigned warp_row = cu::warp() / 2 * 32, warp_column = cu::warp() % 2 * 32, lane = cu::lane();
  const auto fetch = [&](unsigned step) {
    const unsigned k0 = step * mma_k, buffer = step % 2;
    if (TransposeA)
      bring<rows_a, columns_a>(sa, buffer * rows_a, a, p.lda, k0, first_row, p.k, p.m, p.vector_a);
    else
      bring<rows_a, columns_a>(sa, buffer * rows_a, a, p.lda, first_row, k0, p.m, p.k, p.vector_a);
    if (TransposeB)
      bring<rows_b, columns_b>(sb, buffer * rows_b, b, p.ldb, first_column, k0, p.n, p.k, p.vector_b);
    else
      bring<rows_b, columns_b>(sb, buffer * rows_b, b, p.ldb, k0, first_column, p.k, p.n, p.vector_b);
    cu::copy_commit();
  };
  float sums[2][4][4] = {};  // (16-row, 8-column) fragments
  const unsigned steps = (p.k + mma_k - 1) / mma_k;
  if (steps > 0) fetch(0);
  for (unsigned step = 0; step < steps; ++step) {
    if (step + 1 < steps)
      fetch(step + 1);
    else
      cu::copy_commit();  // an empty group, so that "all but one" always means this step's
    cu::copy_wait<1>();
    cu::sync();
    const unsigned base_a = step % 2 * rows_a, base_b = step % 2 * rows_b;
    HOCKET_UNROLL
    for (unsigned k = 0; k < mma_k; k += 16) {
      unsigned left[2][4], right[4][2];
      HOCKET_UNROLL
      for (unsigned i = 0; i < 2; ++i) {
        const unsigned row = warp_row + 16 * i;
        if (TransposeA)
          cu::load_matrix_x4_trans(left[i], sa.at(base_a + k + lane % 8 + lane / 16 * 8, row + lane / 8 % 2 * 8));
        else
          cu::load_matrix_x4(left[i], sa.at(base_a + row + lane % 16, k + lane / 16 * 8));
      }
      HOCKET_UNROLL
      for (unsigned j = 0; j < 4; ++j) {
        const unsigned column = warp_column + 8 * j;
        if (TransposeB)
          cu::load_matrix_x2(right[j], sb.at(base_b + column + lane % 8, k + lane / 8 % 2 * 8));
        else
          cu::load_matrix_x2_trans(right[j], sb.at(base_b + k + lane % 16, column));
      }
      HOCKET_UNROLL
      for (unsigned i = 0; i < 2; ++i) HOCKET_UNROLL
      for (unsigned j = 0; j < 4; ++j) multiply<T>(sums[i][j], left[i], right[j]);
    }
    cu::sync();
  }
  HOCKET_UNROLL
  for (unsigned i = 0; i < 2; ++i) HOCKET_UNROLL
  for (unsigned j = 0; j < 4; ++j) HOCKET_UNROLL
  for (unsigned q = 0; q < 4; ++q)
    store(c, p, first_row + warp_row + 16 * i + lane / 4 + 8 * (q / 2),
          first_column + warp_column + 8 * j + 2 * (lane % 4) + q % 2, sums[i][j][cu::fragment(q)]);
}

/// f32 storage, inputs rounded to tf32 on the way into the tensor cores.
template <bool TransposeA, bool TransposeB>
HOCKET_DEVICE void mma_tf32(const float* a, const float* b, float* c, const product& p) {
  HOCKET_SHARED(sa, cu::array<float, tile_m, tf32_k + 4>);  // (m, k)
  HOCKET_SHARED(sb, cu::array<float, tile_n, tf32_k + 4>);  // (n, k)
  const unsigned first_row = cu::block_y() * tile_m, first_column = cu::block_x() * tile_n;
  const unsigned warp_row = cu::warp() / 2 * 32, warp_column = cu::warp() % 2 * 32, lane = cu::lane();
  float sums[2][4][4] = {};
  for (unsigned k0 = 0; k0 < p.k; k0 += tf32_k) {
    for (unsigned i = cu::thread_x(); i < tile_m * tf32_k; i += mma_threads) {
      const unsigned row = TransposeA ? i % tile_m : i / tf32_k, at = TransposeA ? i / tile_m : i % tf32_k;
      sa(row, at) = element<TransposeA>(a, p.lda, first_row + row, k0 + at, p.m, p.k);
    }
    for (unsigned i = cu::thread_x(); i < tile_n * tf32_k; i += mma_threads) {
      const unsigned column = TransposeB ? i / tf32_k : i % tile_n, at = TransposeB ? i % tf32_k : i / tile_n;
      sb(column, at) = element<TransposeB>(b, p.ldb, k0 + at, first_column + column, p.k, p.n);
    }
    cu::sync();
    HOCKET_UNROLL
    for (unsigned k = 0; k < tf32_k; k += 8) {
      float left[2][4], right[4][2];
      HOCKET_UNROLL
      for (unsigned i = 0; i < 2; ++i) HOCKET_UNROLL
      for (unsigned q = 0; q < 4; ++q)
        left[i][q] = sa(warp_row + 16 * i + lane / 4 + 8 * (q % 2), k + lane % 4 + 4 * (q / 2));
      HOCKET_UNROLL
      for (unsigned j = 0; j < 4; ++j) HOCKET_UNROLL
      for (unsigned q = 0; q < 2; ++q)
        right[j][cu::fragment(q)] = sb(warp_column + 8 * j + lane / 4, k + lane % 4 + 4 * q);
      HOCKET_UNROLL
      for (unsigned i = 0; i < 2; ++i) HOCKET_UNROLL
      for (unsigned j = 0; j < 4; ++j) cu::mma_tf32(sums[i][j], left[i], right[j]);
    }
    cu::sync();
  }
  HOCKET_UNROLL
  for (unsigned i = 0; i < 2; ++i) HOCKET_UNROLL
  for (unsigned j = 0; j < 4; ++j) HOCKET_UNROLL
  for (unsigned q = 0; q < 4; ++q)
    store(c, p, first_row + warp_row + 16 * i + lane / 4 + 8 * (q / 2),
          first_column + warp_column + 8 * j + 2 * (lane % 4) + q % 2, sums[i][j][cu::fragment(q)]);
}

/// The tensor-core body where there are tensor cores, else its tiled twin.
template <bool TransposeA, bool TransposeB, class T>
HOCKET_DEVICE void mma_or_twin(const T* a, const T* b, float* c, const product& p) {
#if defined(__CUDACC__)
  if constexpr (!cu::has_mma) {
    tiled<TransposeA, TransposeB>(a, b, c, p);
    return;
  } else
#else
  if (!cu::has_mma) return tiled<TransposeA, TransposeB>(a, b, c, p);
#endif
      if constexpr (std::is_same_v<T, float>)
    mma_tf32<TransposeA, TransposeB>(a, b, c, p);
  else
    mma<TransposeA, TransposeB>(a, b, c, p);
}

}  // namespace hocket::kernels::gemm::gpu

// nn, nt, tn, tt: which of A and B is stored transposed.
#define HOCKET_GEMM_KERNELS(layout, ta, tb)                                                         \
  /* launch: grid ceil(n / 64) x ceil(m / 64) x count; block 256; shared 0 */                       \
  HOCKET_KERNEL_BOUNDS(hocket_gemm_tiled_##layout##_f32, 256, 2)                                    \
  (const float* a, const float* b, float* c, hocket::kernels::gemm::gpu::product p) {               \
    hocket::kernels::gemm::gpu::tiled<ta, tb>(a + hocket::cu::block_z() * p.stride_a,               \
                                              b + hocket::cu::block_z() * p.stride_b,               \
                                              c + hocket::cu::block_z() * p.stride_c, p);           \
  }                                                                                                 \
  /* launch: grid ceil(n / 64) x ceil(m / 64) x count; block 128; shared 0 */                       \
  HOCKET_KERNEL_BOUNDS(hocket_gemm_mma_##layout##_f16, 128, 2)                                      \
  (const hocket::f16* a, const hocket::f16* b, float* c, hocket::kernels::gemm::gpu::product p) {   \
    hocket::kernels::gemm::gpu::mma_or_twin<ta, tb>(a + hocket::cu::block_z() * p.stride_a,         \
                                                    b + hocket::cu::block_z() * p.stride_b,         \
                                                    c + hocket::cu::block_z() * p.stride_c, p);     \
  }                                                                                                 \
  HOCKET_KERNEL_BOUNDS(hocket_gemm_mma_##layout##_bf16, 128, 2)                                     \
  (const hocket::bf16* a, const hocket::bf16* b, float* c, hocket::kernels::gemm::gpu::product p) { \
    hocket::kernels::gemm::gpu::mma_or_twin<ta, tb>(a + hocket::cu::block_z() * p.stride_a,         \
                                                    b + hocket::cu::block_z() * p.stride_b,         \
                                                    c + hocket::cu::block_z() * p.stride_c, p);     \
  }                                                                                                 \
  HOCKET_KERNEL_BOUNDS(hocket_gemm_mma_##layout##_tf32, 128, 2)                                     \
  (const float* a, const float* b, float* c, hocket::kernels::gemm::gpu::product p) {               \
    hocket::kernels::gemm::gpu::mma_or_twin<ta, tb>(a + hocket::cu::block_z() * p.stride_a,         \
                                                    b + hocket::cu::block_z() * p.stride_b,         \
                                                    c + hocket::cu::block_z() * p.stride_c, p);     \
  }
HOCKET_GEMM_KERNELS(nn, false, false)
HOCKET_GEMM_KERNELS(nt, false, true)
HOCKET_GEMM_KERNELS(tn, true, false)
HOCKET_GEMM_KERNELS(tt, true, true)
#undef HOCKET_GEMM_KERNELS
