// Attention for CUDA, forward and backward: f32 in f32 arithmetic, f16 / bf16 on tensor cores with f32 sums. No matrix
// of queries x keys is ever stored.
//
// Ladder
//   1  one block a tile of queries, the running maximum and sum of a row kept while tiles of keys pass (Milakov and
//      Gimelshein 2018; Dao et al., "FlashAttention", 2022, algorithm 1), division once at the end (Dao,
//      "FlashAttention-2", 2023).
//   2  backward as two kernels that each recompute the scores: dq by tile of queries, dk and dv by tile of keys. Seven
//      products instead of five, but every sum has one owner and a fixed order: no atomics on floats, the same bits in
//      every run. Heads of a group, and items that share a prefix, are summed by one block in order.
//   3  tensor cores: a block's own rows live in registers as left operands, scores never leave registers; tiles that
//      cross no mask skip the masks' arithmetic; tiles that no row sees are not loaded.
// On an H100, forward f16, 8 x 16 heads, T 2048, D 64: 88 TFLOP/s, 0.39 of FlashAttention-2; three blocks of four warps
// a multiprocessor, held by registers and by shared memory alike.
//   -  one block for all items of a shared prefix leaves a large card idle when the batch is large: partial sums an
//   item
//      and a second pass are to be weighed on a GPU, as are tile sizes and packed conversions to bf16.
// Heads wider than 128 are refused: sums of a row would no longer fit the registers of its threads.
#pragma once

#include <type_traits>

#include <hocket/kernels/attention/cuda_mma.cuh>
#include <hocket/kernels/attention/cuda_simt.cuh>

// Whether storage T goes to the tensor cores. When compiling for a GPU the generation is known, and the other body is
// dropped; the executor plays both.
#if defined(__CUDACC__)
#define HOCKET_ON_TENSOR_CORES(T) constexpr(cu::has_mma && !std::is_same_v<T, float>)
#else
#define HOCKET_ON_TENSOR_CORES(T) (cu::has_mma && !std::is_same_v<T, float>)
#endif

namespace hocket::kernels::attention::gpu {

/// Runs body(first) for the 64 rows from `first` in steps of `Step`: a block without tensor cores owns fewer at once.
template <unsigned Step, class Body>
HOCKET_DEVICE void in_steps(int first, Body body) {
  for (unsigned done = 0; done < block_rows; done += Step) body(first + static_cast<int>(done));
}

template <unsigned D, bool Drops, class T>
HOCKET_DEVICE void forward(const facts& s, const sources<T>& in, const lines<T>& out, float* lse) {
  const unsigned b = cu::block_z(), h = cu::block_y();
  const int first = static_cast<int>(cu::block_x() * block_rows);
  if HOCKET_ON_TENSOR_CORES (T) {
    if constexpr (!std::is_same_v<T, float>) forward_mma<D, Drops>(s, in, out, lse, b, h, first);
  } else {
    in_steps<simt_tile<D>::rows>(first, [&](int from) { forward_simt<D, Drops>(s, in, out, lse, b, h, from); });
  }
}

template <unsigned D, bool Drops, class T>
HOCKET_DEVICE void dq(const facts& s, const sources<T>& in, const upstream<T>& up, const lines<T>& to) {
  const unsigned b = cu::block_z(), h = cu::block_y();
  const int first = static_cast<int>(cu::block_x() * block_rows);
  if HOCKET_ON_TENSOR_CORES (T) {
    if constexpr (!std::is_same_v<T, float>) dq_mma<D, Drops>(s, in, up, to, b, h, first);
  } else {
    in_steps<simt_tile<D>::back_rows>(first, [&](int from) { dq_simt<D, Drops>(s, in, up, to, b, h, from); });
  }
}

template <unsigned D, bool Drops, class T>
HOCKET_DEVICE void dkv(const facts& s, const sources<T>& in, const upstream<T>& up, const key_gradients<T>& to) {
  const unsigned b = cu::block_z(), kv_head = cu::block_y();
  const key_block mine = key_block_of(s);
  if (mine.items == 0) return;
  if HOCKET_ON_TENSOR_CORES (T) {
    if constexpr (!std::is_same_v<T, float>) dkv_mma<D, Drops>(s, in, up, to, b, kv_head, mine);
  } else {
    in_steps<simt_tile<D>::back_rows>(mine.first, [&](int from) {
      dkv_simt<D, Drops>(s, in, up, to, b, kv_head, key_block{mine.own, from, mine.items});
    });
  }
}

/// delta_i = dout_i . out_i (B, H, queries): the sum that softmax's gradient subtracts. One warp a row.
template <class T>
HOCKET_DEVICE void delta(const facts& s, const lines<const T>& out, const lines<const T>& dout, float* to) {
  const unsigned b = cu::block_z(), h = cu::block_y();
  const item at = item_of(s, b);
  const int i = static_cast<int>(cu::block_x() * (threads / 32) + cu::warp());
  if (!cu::inside(i < at.queries)) return;  // the whole warp leaves
  const T* const x = start_of(out, b, h, s.query_starts) + static_cast<std::size_t>(i) * out.row;
  const T* const y = start_of(dout, b, h, s.query_starts) + static_cast<std::size_t>(i) * dout.row;
  float sum = 0;
  for (unsigned d = cu::lane(); cu::inside(d < s.width); d += 32) sum += to_f32(x[d]) * to_f32(y[d]);
  sum = cu::warp_sum(sum);
  if (cu::lane() == 0) to[fact_at(s, b, h, i)] = sum;
}

}  // namespace hocket::kernels::attention::gpu

// One set of entry points per padded head width and storage type, with dropout and without. Blocks own 64 rows.
#define HOCKET_ATTENTION_KERNELS(d, drop, drops, suffix, T, blocks)                                         \
  /* launch: grid ceil(queries / 64) x heads x batch; block 128; shared 0 */                                \
  HOCKET_KERNEL_BOUNDS(hocket_attention_forward_d##d##drop##_##suffix, 128, blocks)                         \
  (hocket::kernels::attention::gpu::facts s, hocket::kernels::attention::gpu::sources<T> in,                \
   hocket::kernels::attention::gpu::lines<T> out, float* lse) {                                             \
    hocket::kernels::attention::gpu::forward<d, drops, T>(s, in, out, lse);                                 \
  }                                                                                                         \
  /* launch: grid ceil(queries / 64) x heads x batch; block 128; shared 0 */                                \
  HOCKET_KERNEL_BOUNDS(hocket_attention_dq_d##d##drop##_##suffix, 128, blocks)                              \
  (hocket::kernels::attention::gpu::facts s, hocket::kernels::attention::gpu::sources<T> in,                \
   hocket::kernels::attention::gpu::upstream<T> up, hocket::kernels::attention::gpu::lines<T> dq) {         \
    hocket::kernels::attention::gpu::dq<d, drops, T>(s, in, up, dq);                                        \
  }                                                                                                         \
  /* launch: grid (ceil(prefix / 64) + ceil(keys / 64)) x kv_heads x batch; block 128; shared 0 */          \
  HOCKET_KERNEL_BOUNDS(hocket_attention_dkv_d##d##drop##_##suffix, 128, blocks)                             \
  (hocket::kernels::attention::gpu::facts s, hocket::kernels::attention::gpu::sources<T> in,                \
   hocket::kernels::attention::gpu::upstream<T> up, hocket::kernels::attention::gpu::key_gradients<T> to) { \
    hocket::kernels::attention::gpu::dkv<d, drops, T>(s, in, up, to);                                       \
  }
#define HOCKET_ATTENTION_WIDTH(d, suffix, T)         \
  HOCKET_ATTENTION_KERNELS(d, , false, suffix, T, 2) \
  HOCKET_ATTENTION_KERNELS(d, _drop, true, suffix, T, 2)
#define HOCKET_ATTENTION_TYPE(suffix, T)                                                          \
  HOCKET_ATTENTION_WIDTH(32, suffix, T)                                                           \
  HOCKET_ATTENTION_WIDTH(64, suffix, T)                                                           \
  HOCKET_ATTENTION_WIDTH(96, suffix, T)                                                           \
  HOCKET_ATTENTION_WIDTH(128, suffix, T)                                                          \
  /* launch: grid ceil(queries / 4) x heads x batch; block 128; shared 0 */                       \
  HOCKET_KERNEL_BOUNDS(hocket_attention_delta_##suffix, 128, 2)                                   \
  (hocket::kernels::attention::gpu::facts s, hocket::kernels::attention::gpu::lines<const T> out, \
   hocket::kernels::attention::gpu::lines<const T> dout, float* delta) {                          \
    hocket::kernels::attention::gpu::delta(s, out, dout, delta);                                  \
  }
HOCKET_ATTENTION_TYPE(f32, float)
HOCKET_ATTENTION_TYPE(f16, hocket::f16)
HOCKET_ATTENTION_TYPE(bf16, hocket::bf16)
#undef HOCKET_ATTENTION_TYPE
#undef HOCKET_ATTENTION_WIDTH
#undef HOCKET_ATTENTION_KERNELS
#undef HOCKET_ON_TENSOR_CORES
