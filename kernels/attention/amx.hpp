// Attention of bf16 on AMX, here forward, back in amx_backward.hpp: the order of cpu_body.inl (scores transposed,
// queries across a register), with products on the matrix unit. A unit of work packs keys and values once for several
// tiles of 64 queries. Scores, sums, log-sum-exp and gradients until they are stored are f32; what enters a product as
// a weight or a slope is rounded to bf16.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <hocket/kernels/attention/amx_tiles.hpp>

#if HOCKET_HAS_AMX

namespace hocket::kernels::attention::amx {

inline constexpr std::size_t queries = 64;        ///< of a tile of queries
inline constexpr std::size_t registers = 4;       ///< of 16 queries
inline constexpr std::size_t keys_forward = 128;  ///< keys of a block
inline constexpr std::size_t tiles_at_once = 8;   ///< tiles of queries that share packed keys, at most
static_assert(queries == avx512::block_queries<float>);

constexpr std::size_t padded(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

/// Hands memory out in whole cache lines from the first one on; counts it where there is none.
class carver {
 public:
  explicit carver(float* from = nullptr) : from_(from) {
    if (from)
      used_ =
          padded(reinterpret_cast<std::uintptr_t>(from), row_bytes) / 4 - reinterpret_cast<std::uintptr_t>(from) / 4;
  }
  float* floats(std::size_t count) {
    float* const here = from_ ? from_ + used_ : nullptr;
    used_ += padded(count, 16);
    return here;
  }
  /// `count` tiles of AMX.
  std::byte* tiles(std::size_t count) { return reinterpret_cast<std::byte*>(floats(count * tile_bytes / 4)); }
  /// Floats that are needed, wherever they begin.
  std::size_t needed() const { return used_ + row_bytes / 4; }

 private:
  float* from_;
  std::size_t used_ = 0;
};

/// Sizes in tiles of the width of a head, as a depth and as rows or columns.
struct width_tiles {
  explicit width_tiles(const shape& s)
      : depth(tiles_of(s.width, tile_depth)), across(tiles_of(s.width, tile_rows)), columns(across * tile_rows) {}
  std::size_t depth, across, columns;
};

struct forward_tile_memory {
  forward_tile_memory() = default;
  forward_tile_memory(carver& c, const width_tiles& w)
      : q(c.tiles(w.depth * registers)),
        mixed(c.floats(w.columns * queries)),
        peak(c.floats(queries)),
        sum(c.floats(queries)) {}
  std::byte* q;               ///< right operand (width, queries)
  float *mixed, *peak, *sum;  ///< (width, queries), (queries), (queries)
};
struct forward_memory {
  forward_memory(carver& c, const width_tiles& w)
      : k(c.tiles(keys_forward / tile_rows * w.depth)),
        v(c.tiles(w.across * (keys_forward / tile_depth))),
        weights(c.tiles(keys_forward / tile_depth * registers)),
        scores(c.floats(keys_forward * queries)),
        shrink(c.floats(queries)) {}
  std::byte *k, *v, *weights;  ///< left (keys, width), left (width, keys), right (keys, queries)
  float *scores, *shrink;      ///< (keys, queries), (queries)
};
inline std::size_t forward_floats(const shape& s) {
  carver c;
  const width_tiles w(s);
  forward_memory(c, w);
  for (std::size_t t = 0; t < tiles_at_once; ++t) forward_tile_memory(c, w);
  return c.needed();
}

HOCKET_AMX_BEGIN

/// Which probabilities stay: bit l of bits[j][w] for key j of a block and query 16 w + l.
struct kept_bits {
  std::uint16_t of[keys_forward][registers];
};
inline void make_bits(const shape& s, std::size_t b, std::size_t h, std::size_t i0, std::size_t count, bool own,
                      std::size_t j0, std::size_t keys, kept_bits& bits) noexcept {
  const auto groups = static_cast<std::uint32_t>(dropout_groups(s));
  const __m512i limit = _mm512_set1_epi32(static_cast<int>(s.drop.threshold << 16));
  for (std::size_t w = 0; 16 * w < count; ++w) {
    const std::uint64_t row = dropout_row(s, b, h, i0 + 16 * w) + (own ? prefix_groups(s) : 0);
    for (std::size_t group = j0 / dropout_group; group * dropout_group < j0 + keys; ++group) {
      avx512::philox_words words[4];
      avx512::philox_lanes(s.drop.seed, s.drop.stream, row + group, groups, words);
      for (std::size_t e = 0; e < dropout_group; ++e) {
        const std::size_t key = group * dropout_group + e;
        if (key < j0 || key >= j0 + keys) continue;
        const auto half = words[e / 2] << (e % 2 ? 0 : 16);  // the low one first
        bits.of[key - j0][w] = _mm512_cmpge_epu32_mask(reinterpret_cast<__m512i>(half), limit);
      }
    }
  }
}
HOCKET_ALWAYS_INLINE lanes_f32 kept(std::uint16_t bits, lanes_f32 x) {
  return reinterpret_cast<lanes_f32>(_mm512_maskz_mov_ps(bits, reinterpret_cast<__m512>(x)));
}

/// What scores are multiplied by on their way into base 2. A bias, or a scale that would turn maxima around, is dealt
/// with before: `finish_scores` multiplies by the scale.
struct score_scale {
  score_scale(const shape& s, const inputs<bf16>& in)
      : early(in.bias.data || !(s.scale > 0)),
        factor(static_cast<float>(early ? 1 : s.scale) * avx512::log2_e<float>),
        scale(static_cast<float>(s.scale)) {}
  bool early;
  float factor, scale;
};
inline void finish_scores(const shape& s, const inputs<bf16>& in, const cpu_item& at, const score_scale& scale,
                          std::size_t b, std::size_t h, std::size_t i0, std::size_t count, bool own, std::size_t j0,
                          std::size_t keys, float* scores) noexcept {
  if (scale.early)
    for (std::size_t i = 0; i < keys * queries; i += 16)
      avx512::store(scores + i, avx512::load(scores + i) * scale.scale);
  if (own) avx512::mask<bf16, float>(s, in, at, b, h, i0, count, j0, keys, scores);
}

/// avx512::soften of sixteen queries whose weights go, rounded and dropped, into a column of a right operand (keys,
/// queries), zeros past the keys; what was mixed before is to be shrunk by what is returned. `w`: which sixteen.
template <bool Drops>
lanes_f32 soften(std::size_t keys, std::size_t w, float factor, const float* scores, const kept_bits& bits,
                 float* all_peaks, float* sum, std::byte* weights) noexcept {
  constexpr float hidden = -std::numeric_limits<float>::infinity();
  const float* const column = scores + 16 * w;
  lanes_f32 best[4];
  for (auto& x : best) x = lanes_f32{} + hidden;
  std::size_t j = 0;
  for (; j + 4 <= keys; j += 4)
    for (std::size_t e = 0; e < 4; ++e) {
      const lanes_f32 x = avx512::load(column + (j + e) * queries);
      best[e] = best[e] < x ? x : best[e];
    }
  for (; j < keys; ++j) {
    const lanes_f32 x = avx512::load(column + j * queries);
    best[0] = best[0] < x ? x : best[0];
  }
  for (std::size_t e = 1; e < 4; ++e) best[0] = best[0] < best[e] ? best[e] : best[0];
  float* const peak = all_peaks + 16 * w;
  const lanes_f32 before = avx512::load(peak), here = best[0] * factor, now = before < here ? here : before;
  avx512::store(peak, now);
  const lanes_f32 anchor = now == hidden ? lanes_f32{} : now;  // a query that has seen nothing: weights 0, not NaN
  const lanes_f32 less = avx512::power_of_two<float>(before - anchor);
  lanes_f32 total[2] = {};
  std::byte* to = weights + w * tile_bytes;
  const auto next = [&to](std::size_t key) {  // rows of a tile, then the tile of the next 32 keys
    to += key % tile_depth == tile_depth - 2 ? (registers - 1) * tile_bytes + row_bytes : row_bytes;
  };
  for (j = 0; j + 2 <= keys; next(j), j += 2) {
    lanes_f32 one = avx512::power_of_two<float>(avx512::load(column + j * queries) * factor - anchor),
              two = avx512::power_of_two<float>(avx512::load(column + (j + 1) * queries) * factor - anchor);
    total[0] += one;
    total[1] += two;
    if constexpr (Drops) {
      one = kept(bits.of[j][w], one);
      two = kept(bits.of[j + 1][w], two);
    }
    _mm512_store_si512(to, interleaved(one, two));
  }
  for (; j < padded(keys, tile_depth); next(j), j += 2) {
    lanes_f32 one{};
    if (j < keys) {
      one = avx512::power_of_two<float>(avx512::load(column + j * queries) * factor - anchor);
      total[0] += one;
      if constexpr (Drops) one = kept(bits.of[j][w], one);
    }
    _mm512_store_si512(to, interleaved(one, lanes_f32{}));
  }
  avx512::store(sum + 16 * w, avx512::load(sum + 16 * w) * less + (total[0] + total[1]));
  return less;
}

/// Sixteen columns of mixed (rows, queries) times a factor a query, unless all are 1.
HOCKET_ALWAYS_INLINE void shrink_column(lanes_f32 by, std::size_t rows, float* mixed) {
  if (_mm512_cmp_ps_mask(reinterpret_cast<__m512>(by), _mm512_set1_ps(1), _CMP_NEQ_UQ) == 0) return;
  for (std::size_t d = 0; d < rows; ++d) avx512::store(mixed + d * queries, avx512::load(mixed + d * queries) * by);
}

/// Sixteen queries of a block: from scores to weights, sums and what is mixed.
inline void mix_column(const shape& s, std::size_t keys, std::size_t w, float factor, const kept_bits& bits, bool fresh,
                       const forward_tile_memory& tile, const forward_memory& shared,
                       const width_tiles& width) noexcept {
  const lanes_f32 less = s.drop.none()
                             ? soften<false>(keys, w, factor, shared.scores, bits, tile.peak, tile.sum, shared.weights)
                             : soften<true>(keys, w, factor, shared.scores, bits, tile.peak, tile.sum, shared.weights);
  const std::size_t depth = tiles_of(keys, tile_depth);
  const operand values = dense(shared.v, depth), weights = column_of(dense(shared.weights, registers), w);
  float* const mixed = tile.mixed + 16 * w;
  if (fresh) {
    product<false>(width.across, 1, depth, values, weights, mixed, queries);
  } else {
    shrink_column(less, s.width, mixed);
    product<true>(width.across, 1, depth, values, weights, mixed, queries);
  }
}

/// out and lse of the queries of up to tiles_at_once tiles from `first_tile` on of head h of item b. The tiles of AMX
/// are configured.
inline void forward_tiles(const shape& s, const inputs<bf16>& in, const outputs<bf16>& to, std::size_t b, std::size_t h,
                          std::size_t first_tile, std::size_t tiles, float* work) noexcept {
  const width_tiles width(s);
  carver memory(work);
  const forward_memory shared(memory, width);
  const cpu_item at = item_of(s, in.lengths, b);
  const score_scale scale(s, in);
  const std::size_t kv_head = h / (s.heads / s.kv_heads);
  const std::uint32_t *const query_starts = in.lengths.query_starts, *const key_starts = in.lengths.key_starts;

  struct tile_state {
    std::size_t i0, count;
    cpu_span seen;  ///< own keys
    bool fresh;
    forward_tile_memory memory;
  };
  std::array<tile_state, tiles_at_once> state;
  cpu_span all{s.keys, 0};
  std::size_t live = 0;
  for (std::size_t t = first_tile; t < first_tile + tiles; ++t) {
    const std::size_t i0 = t * queries, exist = std::min(queries, s.queries - i0),
                      count = i0 < at.queries ? std::min(queries, at.queries - i0) : 0;
    bf16* const out = to.out.at(b, h, i0, query_starts);
    for (std::size_t i = count; i < exist; ++i) {
      to.lse[(b * s.heads + h) * s.queries + i0 + i] = -std::numeric_limits<float>::infinity();
      if (!query_starts) std::fill_n(out + i * to.out.row, s.width, bf16{});
    }
    if (count == 0) continue;
    const forward_tile_memory m(memory, width);
    const cpu_span seen = keys_seen(s, at, i0, count);
    state[live++] = {i0, count, seen, true, m};
    if (seen.first < seen.last) all = {std::min(all.first, seen.first), std::max(all.last, seen.last)};
    pack_right_turned(in.q.at(b, h, i0, query_starts), in.q.row, count, s.width, m.q);
    std::fill_n(m.peak, queries, -std::numeric_limits<float>::infinity());
    std::fill_n(m.sum, queries, 0.0F);
  }

  // Blocks begin at multiples of their size, so that a tile's sums do not depend on the tiles beside it.
  const auto pass = [&](bool own, const bf16* k, std::size_t k_row, const bf16* v, std::size_t v_row, cpu_span keys_of,
                        std::size_t exist) {
    for (std::size_t j0 = keys_of.first / keys_forward * keys_forward; j0 < keys_of.last; j0 += keys_forward) {
      const std::size_t keys = std::min(keys_forward, exist - j0);
      pack_left(k + j0 * k_row, k_row, keys, s.width, shared.k);
      pack_left_turned(v + j0 * v_row, v_row, keys, s.width, shared.v);
      for (std::size_t t = 0; t < live; ++t) {
        tile_state& tile = state[t];
        if (own && (tile.seen.last <= j0 || tile.seen.first >= j0 + keys)) continue;
        // Sixteen queries from scores to what they mix, so that all of it stays in the first cache; a block with masks
        // has its scores finished together.
        const std::size_t across = tiles_of(tile.count, tile_rows), down = tiles_of(keys, tile_rows);
        const operand left = dense(shared.k, width.depth), right = dense(tile.memory.q, across);
        const bool together = scale.early || (own && !all_seen(s, at, tile.i0, tile.count, j0, keys));
        if (together) {
          product<false>(down, across, width.depth, left, right, shared.scores, queries);
          finish_scores(s, in, at, scale, b, h, tile.i0, tile.count, own, j0, keys, shared.scores);
        }
        kept_bits bits;
        if (!s.drop.none()) make_bits(s, b, h, tile.i0, tile.count, own, j0, keys, bits);
        for (std::size_t w = 0; w < across; ++w) {
          if (!together)
            product<false>(down, 1, width.depth, left, column_of(right, w), shared.scores + 16 * w, queries);
          mix_column(s, keys, w, scale.factor, bits, tile.fresh, tile.memory, shared, width);
        }
        tile.fresh = false;
      }
    }
  };
  if (live && s.prefix)
    pass(false, in.prefix_k.at(b, kv_head, 0), in.prefix_k.row, in.prefix_v.at(b, kv_head, 0), in.prefix_v.row,
         {0, s.prefix}, s.prefix);
  if (all.first < all.last)
    pass(true, in.k.at(b, kv_head, 0, key_starts), in.k.row, in.v.at(b, kv_head, 0, key_starts), in.v.row, all,
         at.keys);

  for (std::size_t t = 0; t < live; ++t) {
    const tile_state& tile = state[t];
    const forward_tile_memory& m = tile.memory;
    if (tile.fresh) std::fill_n(m.mixed, s.width * queries, 0.0F);
    avx512::log_sum_exp(m.peak, m.sum, tile.count, to.lse + (b * s.heads + h) * s.queries + tile.i0);
    for (std::size_t w = 0; w < tile.count; w += 16) {
      const lanes_f32 total = avx512::load(m.sum + w);
      avx512::store(shared.shrink + w, total > 0.0F ? static_cast<float>(s.drop.scale) / total : total);
    }
    put_turned(m.mixed, queries, tile.count, s.width, shared.shrink, to.out.at(b, h, tile.i0, query_starts),
               to.out.row);
  }
}

/// What a thread does before and after a run of forward_tiles and backward_tiles: shaping the tiles costs as much as an
/// eighth of a head of 64 tokens.
inline void begin() noexcept { amx_tiles::configure(); }
inline void end() noexcept { amx_tiles::release(); }

HOCKET_AMX_END

}  // namespace hocket::kernels::attention::amx

#endif
