// Attention of bf16 on AMX, forward and backward: the order of cpu_body.inl (scores transposed, queries across a
// register), with products on the matrix unit. A unit of work packs keys and values once for several tiles of 64
// queries. Scores, sums, log-sum-exp and gradients until they are stored are f32; what enters a product as a weight or
// a slope is rounded to bf16.
//
// Ladder, backward pass at 64 tokens
//   1  of a short item the next head's rows are asked for while slopes are made: a head has a line a row, which no
//      machine sees coming     -17 %
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
inline constexpr std::size_t keys_backward = 64;  ///< the same going back
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

struct backward_memory {
  backward_memory(carver& c, const width_tiles& w, std::size_t blocks)
      : q(c.tiles(w.depth * registers)),
        dout(c.tiles(w.depth * registers)),
        q_rows(c.tiles(queries / tile_depth * w.across)),
        dout_rows(c.tiles(queries / tile_depth * w.across)),
        weights(c.tiles(keys_backward / tile_rows * (queries / tile_depth))),
        slopes(c.tiles(keys_backward / tile_rows * (queries / tile_depth))),
        slopes_down(c.tiles(keys_backward / tile_depth * registers)),
        k(c.tiles(blocks * k_tiles(w))),
        v(c.tiles(blocks * k_tiles(w))),
        k_turned(c.tiles(blocks * turned_tiles(w))),
        scores(c.floats(keys_backward * queries)),
        dp(c.floats(keys_backward * queries)),
        dq(c.floats(w.columns * queries)),
        lse(c.floats(queries)),
        delta(c.floats(queries)),
        factor(c.floats(queries)),
        dk(c.floats(blocks * keys_backward * w.columns)),
        dv(c.floats(blocks * keys_backward * w.columns)) {}
  static std::size_t k_tiles(const width_tiles& w) { return keys_backward / tile_rows * w.depth; }
  static std::size_t turned_tiles(const width_tiles& w) { return w.across * (keys_backward / tile_depth); }
  std::byte *q, *dout;            ///< right (width, queries)
  std::byte *q_rows, *dout_rows;  ///< right (queries, width)
  std::byte *weights, *slopes;    ///< left (keys, queries)
  std::byte* slopes_down;         ///< right (keys, queries)
  std::byte *k, *v, *k_turned;    ///< of all blocks: left (keys, width) twice, left (width, keys)
  float *scores, *dp, *dq;        ///< (keys, queries) twice, (width, queries)
  float *lse, *delta, *factor;    ///< (queries)
  float *dk, *dv;                 ///< of all blocks: (keys, width)
};
/// Blocks of the keys of a part: those of the prefix and of own keys begin anew.
constexpr std::size_t most_blocks(std::size_t keys) { return tiles_of(keys, keys_backward) + 1; }
inline std::size_t backward_floats(const shape& s) {
  carver c;
  backward_memory(c, width_tiles(s), most_blocks(s.prefix + s.keys));
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

/// Scores and dP = dout . v (keys, queries) become the weights Z P of dV, whose factor of what stays comes at the end,
/// and the slopes P (Z dP - delta) of dQ and dK: left operands (keys, queries), and the slopes as a right one too.
/// Zeros past keys and queries. ahead(j): asks for memory, a little at every pair of keys.
template <class Ahead>
void make_slopes(std::size_t keys, std::size_t count, float factor, float kept_scale, const kept_bits* bits,
                 const backward_memory& m, const Ahead& ahead) noexcept {
  const std::size_t across = tiles_of(count, tile_depth);
  for (std::size_t j = 0; j < padded(keys, tile_depth); j += 2) {
    ahead(j);
    for (std::size_t v = 0; v < across; ++v) {
      lanes_f32 weight[2][2] = {}, slope[2][2] = {};
      for (std::size_t e = 0; e < 2; ++e)
        for (std::size_t u = 0; u < 2; ++u) {
          const std::size_t w = 2 * v + u, place = (j + e) * queries + 16 * w;
          if (j + e >= keys || 16 * w >= count) continue;
          const lanes_f32 p =
              avx512::power_of_two<float>(avx512::load(m.scores + place) * factor - avx512::load(m.lse + 16 * w));
          lanes_f32 d = avx512::load(m.dp + place);
          if (bits) d = kept(bits->of[j + e][w], d * kept_scale);
          slope[e][u] = p * (d - avx512::load(m.delta + 16 * w));
          weight[e][u] = bits ? kept(bits->of[j + e][w], p) : p;
        }
      for (std::size_t e = 0; e < 2; ++e) {
        const std::size_t at =
            ((j + e) / tile_rows * (queries / tile_depth) + v) * tile_bytes + (j + e) % tile_rows * row_bytes;
        _mm512_store_si512(m.weights + at, joined(weight[e][0], weight[e][1]));
        _mm512_store_si512(m.slopes + at, joined(slope[e][0], slope[e][1]));
      }
      for (std::size_t u = 0; u < 2; ++u)
        _mm512_store_si512(
            m.slopes_down + (j / tile_depth * registers + 2 * v + u) * tile_bytes + j % tile_depth / 2 * row_bytes,
            interleaved(slope[0][u], slope[1][u]));
    }
  }
}

/// Keys of the prefix or of an item's own that a part holds, and where their blocks lie among the part's.
struct block_stretch {
  const bf16 *k = nullptr, *v = nullptr;
  std::size_t k_row = 0, v_row = 0, first = 0, last = 0, first_block = 0;
  bool own = false;
};

/// cpu_body.inl's backward_tile. The tiles of AMX are configured.
inline void backward_tiles(const shape& s, const inputs<bf16>& in, const upstream<bf16>& up, const gradients<bf16>& to,
                           std::size_t b, std::size_t kv_head, cpu_span part, const rows_of<float>& share_k,
                           const rows_of<float>& share_v, float* partial, float* work) noexcept {
  const width_tiles width(s);
  const cpu_item at = item_of(s, in.lengths, b);
  const score_scale scale(s, in);
  const std::size_t group = s.heads / s.kv_heads, query_tiles = tiles_of(s.queries, queries);
  const std::uint32_t *const query_starts = in.lengths.query_starts, *const key_starts = in.lengths.key_starts;
  const std::size_t prefix_last = std::min(part.last, s.prefix),
                    own_first = part.first > s.prefix ? part.first - s.prefix : 0,
                    own_end = part.last > s.prefix ? part.last - s.prefix : 0, own_last = std::min(own_end, at.keys);
  block_stretch stretches[2];
  std::size_t blocks = 0;
  if (part.first < prefix_last) {
    stretches[0] = {in.prefix_k.at(b, kv_head, 0),
                    in.prefix_v.at(b, kv_head, 0),
                    in.prefix_k.row,
                    in.prefix_v.row,
                    part.first,
                    prefix_last,
                    0,
                    false};
    blocks = tiles_of(prefix_last - part.first, keys_backward);
  }
  if (own_first < own_last) {
    stretches[1] = {in.k.at(b, kv_head, 0, key_starts),
                    in.v.at(b, kv_head, 0, key_starts),
                    in.k.row,
                    in.v.row,
                    own_first,
                    own_last,
                    blocks,
                    true};
    blocks += tiles_of(own_last - own_first, keys_backward);
  }
  carver memory(work);
  const backward_memory m(memory, width, blocks);
  const std::size_t block_floats = keys_backward * width.columns;
  std::fill_n(m.dk, blocks * block_floats, 0.0F);
  std::fill_n(m.dv, blocks * block_floats, 0.0F);
  std::fill_n(m.factor, queries, scale.scale);
  for (const block_stretch& each : stretches)
    for (std::size_t j0 = each.first, n = each.first_block; j0 < each.last; j0 += keys_backward, ++n) {
      const std::size_t keys = std::min(keys_backward, each.last - j0);
      pack_left(each.k + j0 * each.k_row, each.k_row, keys, s.width, m.k + n * m.k_tiles(width) * tile_bytes);
      pack_left(each.v + j0 * each.v_row, each.v_row, keys, s.width, m.v + n * m.k_tiles(width) * tile_bytes);
      pack_left_turned(each.k + j0 * each.k_row, each.k_row, keys, s.width,
                       m.k_turned + n * m.turned_tiles(width) * tile_bytes);
    }

  for (std::size_t h = kv_head * group; h < (kv_head + 1) * group; ++h) {
    // Rows of a head are a line or two, far apart from each other: of a short item the next head's are asked for.
    const bool short_items = s.queries <= queries && h + 1 < s.heads;
    struct rows_ahead {
      const bf16* first;
      std::size_t row;
      void ask(std::size_t j, std::size_t width_of_head) const {
        for (std::size_t d = 0; d < width_of_head; d += row_bytes / sizeof(bf16)) {
          __builtin_prefetch(first + j * row + d);
          __builtin_prefetch(first + (j + 1) * row + d);
        }
      }
    };
    std::array<rows_ahead, 5> next_head{};
    if (short_items)
      next_head = {rows_ahead{in.q.at(b, h + 1, 0, query_starts), in.q.row},
                   {in.k.at(b, (h + 1) / group, 0, key_starts), in.k.row},
                   {in.v.at(b, (h + 1) / group, 0, key_starts), in.v.row},
                   {up.dout.at(b, h + 1, 0, query_starts), up.dout.row},
                   {up.out.at(b, h + 1, 0, query_starts), up.out.row}};
    for (std::size_t i0 = 0; i0 < s.queries; i0 += queries) {
      bf16* const dq_out = to.dq.at(b, h, i0, query_starts);
      const std::size_t count = i0 < at.queries ? std::min(queries, at.queries - i0) : 0;
      if (!query_starts && part.first == 0)
        for (std::size_t i = count; i < std::min(queries, s.queries - i0); ++i)
          std::fill_n(dq_out + i * to.dq.row, s.width, bf16{});
      if (count == 0) continue;
      const bf16 *const q = in.q.at(b, h, i0, query_starts), *const dout = up.dout.at(b, h, i0, query_starts),
                        *const out = up.out.at(b, h, i0, query_starts);
      const std::size_t across = tiles_of(count, tile_rows), depth = tiles_of(count, tile_depth);
      pack_right_turned(q, in.q.row, count, s.width, m.q);
      pack_right_turned(dout, up.dout.row, count, s.width, m.dout);
      pack_right(q, in.q.row, count, s.width, m.q_rows);
      pack_right(dout, up.dout.row, count, s.width, m.dout_rows);
      for (std::size_t i = 0; i < queries; ++i) {
        const float lse =
            i < count ? up.lse[(b * s.heads + h) * s.queries + i0 + i] : -std::numeric_limits<float>::infinity();
        // A query that saw nothing: exp(score - infinity) = 0.
        m.lse[i] = lse == -std::numeric_limits<float>::infinity() ? std::numeric_limits<float>::infinity()
                                                                  : lse * avx512::log2_e<float>;
        m.delta[i] = 0;
      }
      avx512::dots(out, up.out.row, dout, up.dout.row, count, s.width, m.delta);
      std::fill_n(m.dq, width.columns * queries, 0.0F);
      const cpu_span seen = keys_seen(s, at, i0, count);
      for (const block_stretch& each : stretches)
        for (std::size_t j0 = each.first, n = each.first_block; j0 < each.last; j0 += keys_backward, ++n) {
          const std::size_t keys = std::min(keys_backward, each.last - j0), down = tiles_of(keys, tile_rows);
          if (each.own && (seen.last <= j0 || seen.first >= j0 + keys)) continue;
          product<false>(down, across, width.depth, dense(m.k + n * m.k_tiles(width) * tile_bytes, width.depth),
                         dense(m.q, across), m.scores, queries);
          finish_scores(s, in, at, scale, b, h, i0, count, each.own, j0, keys, m.scores);
          product<false>(down, across, width.depth, dense(m.v + n * m.k_tiles(width) * tile_bytes, width.depth),
                         dense(m.dout, across), m.dp, queries);
          kept_bits bits;
          if (!s.drop.none()) make_bits(s, b, h, i0, count, each.own, j0, keys, bits);
          make_slopes(keys, count, scale.factor, static_cast<float>(s.drop.scale), s.drop.none() ? nullptr : &bits, m,
                      [&](std::size_t j) {
                        if (!short_items || j >= count) return;
                        for (const auto& each : next_head) each.ask(j, s.width);
                      });
          product<true>(down, width.across, depth, dense(m.weights, queries / tile_depth),
                        dense(m.dout_rows, width.across), m.dv + n * block_floats, width.columns);
          product<true>(down, width.across, depth, dense(m.slopes, queries / tile_depth), dense(m.q_rows, width.across),
                        m.dk + n * block_floats, width.columns);
          product<true>(width.across, across, tiles_of(keys, tile_depth),
                        dense(m.k_turned + n * m.turned_tiles(width) * tile_bytes, tiles_of(keys, tile_depth)),
                        dense(m.slopes_down, registers), m.dq, queries);
        }
      if (partial)
        std::copy_n(m.dq, s.width * queries, partial + (h * query_tiles + i0 / queries) * s.width * queries);
      else
        put_turned(m.dq, queries, count, s.width, m.factor, dq_out, to.dq.row);
    }
  }

  const auto kept_scale = static_cast<float>(s.drop.scale);
  if (const block_stretch& of = stretches[0]; of.first < of.last) {
    const std::size_t count = of.last - of.first;
    if (share_k.data) {
      avx512::put_keys(m.dk, width.columns, s.width, scale.scale, share_k, nullptr, b, kv_head, of.first, of.last);
      avx512::put_keys(m.dv, width.columns, s.width, kept_scale, share_v, nullptr, b, kv_head, of.first, of.last);
    } else {
      put_rows(m.dk, width.columns, count, s.width, scale.scale, to.dprefix_k.at(b, kv_head, of.first),
               to.dprefix_k.row);
      put_rows(m.dv, width.columns, count, s.width, kept_scale, to.dprefix_v.at(b, kv_head, of.first),
               to.dprefix_v.row);
    }
  }
  const block_stretch& of = stretches[1];
  const std::size_t written = of.first < of.last ? of.last - of.first : 0;
  if (written) {
    put_rows(m.dk + of.first_block * block_floats, width.columns, written, s.width, scale.scale,
             to.dk.at(b, kv_head, own_first, key_starts), to.dk.row);
    put_rows(m.dv + of.first_block * block_floats, width.columns, written, s.width, kept_scale,
             to.dv.at(b, kv_head, own_first, key_starts), to.dv.row);
  }
  if (!key_starts)
    for (std::size_t j = own_first + written; j < std::min(own_end, s.keys); ++j) {
      std::fill_n(to.dk.at(b, kv_head, j), s.width, bf16{});
      std::fill_n(to.dv.at(b, kv_head, j), s.width, bf16{});
    }
}

/// What a thread does before and after a run of forward_tiles and backward_tiles: shaping the tiles costs as much as an
/// eighth of a head of 64 tokens.
inline void begin() noexcept { amx_tiles::configure(); }
inline void end() noexcept { amx_tiles::release(); }

HOCKET_AMX_END

}  // namespace hocket::kernels::attention::amx

#endif
