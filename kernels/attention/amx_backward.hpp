// Attention's backward pass of bf16 on AMX, beside the forward pass of amx.hpp.
//
// Ladder, at 64 tokens
//   1  of a short item the next head's rows are asked for while slopes are made: a head has a line a row, which no
//      machine sees coming     -17 %
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <hocket/kernels/attention/amx.hpp>

#if HOCKET_HAS_AMX

namespace hocket::kernels::attention::amx {

inline constexpr std::size_t keys_backward = 64;  ///< keys of a block

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

/// Rows of one head, to be asked for two at a time.
struct rows_ahead {
  const bf16* first = nullptr;
  std::size_t row = 0;
  void ask(std::size_t j, std::size_t width) const {
    for (std::size_t d = 0; d < width; d += row_bytes / sizeof(bf16)) {
      __builtin_prefetch(first + j * row + d);
      __builtin_prefetch(first + (j + 1) * row + d);
    }
  }
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
    const bool asks = s.queries <= queries && h + 1 < s.heads;
    std::array<rows_ahead, 5> next_head{};
    if (asks)
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
                        if (!asks || j >= count) return;
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

HOCKET_AMX_END

}  // namespace hocket::kernels::attention::amx

#endif
