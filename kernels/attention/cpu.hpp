// Attention on the processor, forward and backward, f32 and f64; own kernels chosen by instruction set at run time.
//
// Ladder (f32, one AVX-512 core of a busy machine, processor time, PyTorch 2.15's scaled_dot_product_attention beside
// it; time of theirs / ours at (8,12,128,32) and (4,12,512,64), forward and forward + backward)
//   1.3, 1.1; 1.4, 1.15  scores transposed, keys down and queries across a register: the softmax of a query runs down
//   its
//                        lane and needs no sum across lanes; keys and values are read where they lie, only queries and
//                        outputs are transposed. Blocks of 128 keys, 64 backward
//   no gain              32 queries a tile instead of 64; blocks of 256 keys
//   up to 1.15x          blocks of 64 keys, 32 backward: scores, queries and sums stay in the first cache together
//   1.2-1.8, 1.2; 1.2-1.5, 1.1-1.2
//                        exponents in base 2 (14 operations a register instead of 20); the first block writes its sums
//                        instead of adding to zeros. The long shape runs at 0.9 of a plain product's speed in the same
//                        minute
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include <hocket/core/config.hpp>
#include <hocket/core/dtype.hpp>
#include <hocket/core/half.hpp>
#include <hocket/core/parallel.hpp>
#include <hocket/core/simd.hpp>
#include <hocket/kernels/attention/amx_backward.hpp>
#include <hocket/kernels/attention/cpu_bodies.hpp>
#include <hocket/kernels/attention/shape.hpp>

namespace hocket::kernels::attention {

namespace detail {

template <class S>
S stored(accumulator<S> x) {
  if constexpr (std::is_same_v<S, accumulator<S>>)
    return x;
  else
    return from_f32<S>(x);
}

/// A window that hides nothing is none.
inline shape without_idle_window(shape s) {
  if (s.window >= s.queries + s.keys) s.window = 0;
  return s;
}

/// Elements, rounded up to whole cache lines, so that threads share none.
template <class T>
std::size_t lines_of(std::size_t elements) {
  constexpr std::size_t line = alignment / sizeof(T);
  return (elements + line - 1) / line * line;
}
/// S is storage, T what sums are kept in; where they differ, rows of keys and values are converted a block at a time.
template <class S>
constexpr std::size_t spare_rows(std::size_t keys) {
  return std::is_same_v<S, accumulator<S>> ? 0 : keys;
}
template <class S>
std::size_t forward_work(const shape& s) {
  using T = accumulator<S>;
  const std::size_t own =
      lines_of<T>((2 * s.width + block_keys + 3) * most_queries<T> + spare_rows<S>(block_keys) * s.width);
#if HOCKET_HAS_AMX
  if constexpr (std::is_same_v<S, bf16>) return std::max(own, amx::forward_floats(s));
#endif
  return own;
}
template <class T>
std::size_t padded_width(const shape& s) {
  return lines_of<T>(s.width);
}

/// How the backward pass cuts the keys of an item, those of the prefix first: a tile is the gradients of one part of
/// one key/value head. One part where there are heads enough to keep several threads at work; else each part's share of
/// dq is kept, and the shares are added in order. Depends on the shape alone.
struct key_parts {
  std::size_t count, keys;  ///< keys of each but the last
};
inline constexpr std::size_t wanted_tiles = 8;
inline key_parts parts_of(const shape& s) {
  const std::size_t keys = s.prefix + s.keys, heads = s.batch * s.kv_heads;
  if (heads == 0 || keys == 0) return {1, keys};
  const std::size_t wanted = (wanted_tiles + heads - 1) / heads, blocks = (keys + back_keys - 1) / back_keys,
                    each = (blocks + wanted - 1) / wanted * back_keys;
  return {(keys + each - 1) / each, each};
}
/// One part's share of dq: every query tile of every head, in whole tiles of the widest registers.
template <class T>
std::size_t dq_share(const shape& s) {
  return s.batch * s.heads * ((s.queries + most_queries<T> - 1) / most_queries<T>)*most_queries<T> * s.width;
}
/// All shares of the shape, and of those with fewer items or keys, which may be cut into more parts.
template <class T>
std::size_t most_dq_shares(shape s) {
  std::size_t most = 0;
  const std::size_t items = s.batch, blocks = (s.prefix + s.keys + back_keys - 1) / back_keys;
  for (s.batch = 1; s.batch <= items && s.batch * s.kv_heads < wanted_tiles; ++s.batch) {
    const std::size_t parts = std::min(blocks, (wanted_tiles - 1) / (s.batch * s.kv_heads) + 1);
    if (parts > 1) most = std::max(most, parts * dq_share<T>(s));
  }
  return most;
}
template <class S>
std::size_t backward_work(const shape& s) {
  using T = accumulator<S>;
  const std::size_t own = lines_of<T>((3 * s.width + 2 * back_keys + 3 + 2 * padded_width<T>(s)) * most_queries<T> +
                                      2 * back_keys * s.width + 2 * (s.prefix + s.keys) * padded_width<T>(s));
#if HOCKET_HAS_AMX
  if constexpr (std::is_same_v<S, bf16>) return std::max(own, amx::backward_floats(s));
#endif
  return own;
}
/// A prefix that all items share: each item's share of its gradients, keys then values.
inline std::size_t prefix_shares(const shape& s) { return s.batch * s.kv_heads * s.prefix * s.width; }

template <class S>
struct functions {
  using T = accumulator<S>;
  void (*forward)(const shape&, const inputs<S>&, const outputs<S>&, std::size_t, std::size_t, std::size_t, std::size_t,
                  T*) noexcept;
  void (*backward)(const shape&, const inputs<S>&, const upstream<S>&, const gradients<S>&, std::size_t, std::size_t,
                   cpu_span, const rows_of<T>&, const rows_of<T>&, T*, T*) noexcept;
  void (*sum_parts)(const shape&, const inputs<S>&, const gradients<S>&, std::size_t, std::size_t, std::size_t,
                    const T*, std::size_t, std::size_t, T*) noexcept;
  std::size_t queries;                 ///< of a tile
  std::size_t tiles_at_once;           ///< of a call of `forward`, at most
  void (*begin)() noexcept = nullptr;  ///< what a thread does before some calls, and after them
  void (*end)() noexcept = nullptr;
};
/// Calls body(unit, worker) for every unit, `run` of them after each other between begin() and end().
template <class S, class Body>
void for_each_unit(const cpu& device, const functions<S>& use, std::size_t units, std::size_t run, const Body& body,
                   bool dynamic) noexcept {
  for_each_tile(
      device, (units + run - 1) / run,
      [&](std::size_t tile, std::size_t worker) {
        if (use.begin) use.begin();
        for (std::size_t unit = tile * run; unit < std::min(units, (tile + 1) * run); ++unit) body(unit, worker);
        if (use.end) use.end();
      },
      dynamic);
}
/// How many units of `tiles` tiles of queries each follow each other: a dozen tiles where there is enough of them.
inline std::size_t run_of(std::size_t units, std::size_t tiles) {
  return std::max<std::size_t>(1,
                               std::min<std::size_t>(12 / std::max<std::size_t>(tiles, 1), units / (4 * wanted_tiles)));
}
/// A unit of the forward pass: several tiles of queries of one head, where there is work for several threads. Depends
/// on the shape alone, and no result depends on it.
inline std::size_t tiles_a_unit(const shape& s, std::size_t tiles, std::size_t most) {
  const std::size_t heads = s.batch * s.heads, units = (wanted_tiles + heads - 1) / std::max<std::size_t>(heads, 1);
  return std::max<std::size_t>(1, std::min(most, tiles / std::max<std::size_t>(units, 1)));
}

template <class S>
functions<S> best_functions() {
#if HOCKET_HAS_AMX
  if constexpr (std::is_same_v<S, bf16>)
    if (best_matrix_unit() == matrix_unit::amx)
      return {&amx::forward_tiles,
              &amx::backward_tiles,
              &avx512::sum_parts<bf16>,
              amx::queries,
              amx::tiles_at_once,
              &amx::begin,
              &amx::end};
#endif
#define HOCKET_FUNCTIONS(set) \
  { &set::forward_tiles<S>, &set::backward_tile<S>, &set::sum_parts<S>, set::block_queries<accumulator<S>>, 1 }
  switch (best_isa()) {
#if defined(__x86_64__)
    case isa::avx512: return HOCKET_FUNCTIONS(avx512);
    case isa::avx2: return HOCKET_FUNCTIONS(avx2);
#endif
    default: return HOCKET_FUNCTIONS(baseline);
  }
#undef HOCKET_FUNCTIONS
}

}  // namespace detail

/// Elements of workspace for a pass on `device`; grows with queries and keys, not with their product. What serves a
/// shape serves every one with fewer items, queries or keys.
template <class S>
std::size_t forward_workspace(const cpu& device, const shape& s) {
  return static_cast<std::size_t>(device.threads) * detail::forward_work<S>(s);
}
template <class S>
std::size_t backward_workspace(const cpu& device, const shape& s) {
  return static_cast<std::size_t>(device.threads) * detail::backward_work<S>(s) + 2 * detail::prefix_shares(s) +
         detail::most_dq_shares<accumulator<S>>(s);
}

/// out and lse of shape.hpp, S float, double or bf16. The caller has checked shape and lengths; workspace:
/// forward_workspace elements. The same bits for any number of threads: a tile is a block of queries of one head.
template <class S>
void forward(const cpu& device, const shape& sizes, const inputs<S>& in, const outputs<S>& to,
             accumulator<S>* workspace) noexcept {
  const shape s = detail::without_idle_window(sizes);
  const auto use = detail::best_functions<S>();
  const std::size_t tiles = (s.queries + use.queries - 1) / use.queries, work = detail::forward_work<S>(s),
                    each = detail::tiles_a_unit(s, tiles, use.tiles_at_once), units = (tiles + each - 1) / each;
  detail::for_each_unit(
      device, use, s.batch * s.heads * units, detail::run_of(s.batch * s.heads * units, each),
      [&](std::size_t unit, std::size_t worker) {
        const std::size_t first = unit % units * each;
        use.forward(s, in, to, unit / (units * s.heads), unit / units % s.heads, first, std::min(each, tiles - first),
                    workspace + worker * work);
      },
      s.causal || in.lengths.key_lengths);
}

/// Gradients from what the forward pass read and wrote; every element of dq, dk, dv and the prefix's gradients is
/// written. A tile is a part of the keys of one key/value head of one item with all queries that use it, so sums need
/// no order beyond a tile's; shares of dq and of a common prefix are added in order afterwards.
template <class S>
void backward(const cpu& device, const shape& sizes, const inputs<S>& in, const upstream<S>& up, const gradients<S>& to,
              accumulator<S>* workspace) noexcept {
  using T = accumulator<S>;
  const shape s = detail::without_idle_window(sizes);
  const auto use = detail::best_functions<S>();
  const std::size_t work = detail::backward_work<S>(s);
  const detail::key_parts parts = detail::parts_of(s);
  const bool shared = s.prefix > 0 && in.prefix_k.batch == 0;
  T* const shares = workspace + static_cast<std::size_t>(device.threads) * work;
  T* const dq_shares = parts.count > 1 ? shares + 2 * detail::prefix_shares(s) : nullptr;
  const std::size_t share = s.kv_heads * s.prefix * s.width, dq_share = detail::dq_share<T>(s);
  const std::size_t dq_item = s.batch ? dq_share / s.batch : 0;
  const rows_of<T> share_k{shared ? shares : nullptr, share, s.prefix * s.width, s.width},
      share_v{shared ? shares + s.batch * share : nullptr, share, s.prefix * s.width, s.width};
  const std::size_t units = s.batch * s.kv_heads * parts.count;
  detail::for_each_unit(
      device, use, units, detail::run_of(units, (s.queries + use.queries - 1) / use.queries),
      [&](std::size_t tile, std::size_t worker) {
        const std::size_t part = tile % parts.count, head = tile / parts.count, b = head / s.kv_heads;
        const std::size_t first = part * parts.keys;
        use.backward(s, in, up, to, b, head % s.kv_heads, {first, std::min(first + parts.keys, s.prefix + s.keys)},
                     share_k, share_v, dq_shares ? dq_shares + part * dq_share + b * dq_item : nullptr,
                     workspace + worker * work);
      },
      s.causal || s.window || in.lengths.key_lengths);
  if (dq_shares) {
    const std::size_t tiles = (s.queries + use.queries - 1) / use.queries;
    for_each_tile(device, s.batch * s.heads * tiles, [&](std::size_t tile, std::size_t worker) {
      const std::size_t b = tile / (tiles * s.heads);
      use.sum_parts(s, in, to, b, tile / tiles % s.heads, tile % tiles, dq_shares + b * dq_item, parts.count, dq_share,
                    workspace + worker * work);
    });
  }
  if (!shared) return;
  for (std::size_t h = 0; h < s.kv_heads; ++h)
    for (std::size_t j = 0; j < s.prefix; ++j)
      for (std::size_t d = 0; d < s.width; ++d) {
        T sum_k = 0, sum_v = 0;
        for (std::size_t b = 0; b < s.batch; ++b) {
          sum_k += share_k.at(b, h, j)[d];
          sum_v += share_v.at(b, h, j)[d];
        }
        to.dprefix_k.at(0, h, j)[d] = detail::stored<S>(sum_k);
        to.dprefix_v.at(0, h, j)[d] = detail::stored<S>(sum_v);
      }
}

}  // namespace hocket::kernels::attention

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in instances.cpp
#define HOCKET_INSTANCE extern template
#include <hocket/kernels/attention/instances.inl>
#undef HOCKET_INSTANCE
#endif
