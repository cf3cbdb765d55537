// The bodies of attention for every instruction set (cpu_body.inl), and what they share: which keys a tile of queries
// sees. cpu.hpp chooses among them; the matrix unit's bodies (amx.hpp) build on those for AVX-512.
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
#include <hocket/core/simd.hpp>
#include <hocket/kernels/attention/shape.hpp>

namespace hocket::kernels::attention {

inline constexpr std::size_t block_keys = 64;     ///< keys whose scores wait in cache for their values
inline constexpr std::size_t back_keys = 32;      ///< the same backward, where there are two such blocks
inline constexpr std::size_t tile_registers = 4;  ///< registers of queries a tile
template <class T>
inline constexpr std::size_t most_queries = tile_registers * 64 / sizeof(T);  ///< queries of a tile, at most

/// What the backward pass reads beside the inputs; lse as outputs has it.
template <class S>
struct upstream {
  rows_of<const S> out, dout;
  const accumulator<S>* lse = nullptr;
};

/// One item: how many queries and keys it has, and where its diagonal lies.
struct cpu_item {
  std::size_t queries, keys;
  std::ptrdiff_t offset;
};
struct cpu_span {
  std::size_t first, last;  ///< [first, last), empty when equal
};
struct cpu_range {
  std::ptrdiff_t first, last;
};

inline cpu_item item_of(const shape& s, const ragged& r, std::size_t b) {
  const std::size_t queries = r.query_lengths ? r.query_lengths[b] : s.queries;
  const std::size_t keys = r.key_lengths ? r.key_lengths[b] : s.keys;
  return {queries, keys,
          r.query_lengths ? static_cast<std::ptrdiff_t>(keys) - static_cast<std::ptrdiff_t>(queries)
                          : static_cast<std::ptrdiff_t>(s.keys) - static_cast<std::ptrdiff_t>(s.queries)};
}

/// Own keys that one of `queries` queries from i0 on sees.
inline cpu_span keys_seen(const shape& s, const cpu_item& at, std::size_t i0, std::size_t queries) {
  const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(i0) + at.offset,
                       last = first + static_cast<std::ptrdiff_t>(queries) - 1,
                       window = static_cast<std::ptrdiff_t>(s.window), keys = static_cast<std::ptrdiff_t>(at.keys);
  std::ptrdiff_t from = 0, to = keys;
  if (s.causal && last + 1 < to) to = last + 1;
  if (s.window && first - window + 1 > from) from = first - window + 1;
  if (s.window && last + window < to) to = last + window;
  if (to <= from) return {0, 0};
  return {static_cast<std::size_t>(from), static_cast<std::size_t>(to)};
}

/// Which of `queries` queries from i0 on, counted from i0, see own key j.
inline cpu_range queries_seeing(const shape& s, const cpu_item& at, std::size_t i0, std::size_t queries,
                                std::size_t j) {
  const std::ptrdiff_t diagonal = static_cast<std::ptrdiff_t>(j) - at.offset - static_cast<std::ptrdiff_t>(i0),
                       window = static_cast<std::ptrdiff_t>(s.window);
  cpu_range seeing{0, static_cast<std::ptrdiff_t>(queries)};
  if (s.causal && diagonal > seeing.first) seeing.first = diagonal;
  if (s.window && diagonal - window + 1 > seeing.first) seeing.first = diagonal - window + 1;
  if (s.window && diagonal + window < seeing.last) seeing.last = diagonal + window;
  return seeing;
}

/// Whether all of the queries see all of the own keys [j0, j0 + keys).
inline bool all_seen(const shape& s, const cpu_item& at, std::size_t i0, std::size_t queries, std::size_t j0,
                     std::size_t keys) {
  for (const std::size_t j : {j0, j0 + keys - 1}) {
    const cpu_range seeing = queries_seeing(s, at, i0, queries, j);
    if (seeing.first > 0 || seeing.last < static_cast<std::ptrdiff_t>(queries)) return false;
  }
  return true;
}

}  // namespace hocket::kernels::attention

#define HOCKET_SIMD_BODY <hocket/kernels/attention/cpu_body.inl>
#include <hocket/core/simd_each.hpp>
