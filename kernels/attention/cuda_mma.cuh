// Attention on tensor cores (sm_80 on): f16 / bf16 storage, m16n8k16 products with f32 sums. A block of four warps owns
// 64 rows, 16 a warp; the tiles that it meets stream through shared memory by cp.async, one being fetched while the
// other is multiplied. Scores stay in registers: an accumulator's layout becomes the left operand of the next product
// by packing pairs (fragment maps: PTX manual, "Matrix fragments for mma.m16n8k16").
#pragma once

#include <hocket/kernels/attention/cuda_dropout.cuh>

namespace hocket::kernels::attention::gpu {

/// Streamed rows a tile for heads of padded width D. Static shared memory is 48 KiB at most: the forward and dq kernels
/// hold their own 64 rows in registers and use the whole for two stages; so do the key gradients up to D = 96. For
/// D = 128 their sums alone take 128 registers, so k and v stay in shared memory and one stage is left.
template <unsigned D>
struct mma_tile {
  static constexpr unsigned keys = D <= 64 ? 64 : 32, back_keys = D <= 32 ? 64 : 32;
  static constexpr bool held = D <= 96;
  static constexpr unsigned queries = D <= 96 ? 32 : 16;
  static constexpr unsigned stages = held ? 2 : 1;
};

using half_bits = std::uint16_t;

/// Rows first ... of x into rows `to` ... of the tile, zeros past `end` and past `width`; 16 bytes at once where rows
/// are aligned for it.
template <unsigned Rows, unsigned D, class T, class Tile>
HOCKET_DEVICE void bring_half(Tile& tile, unsigned to, const T* x, std::size_t row, bool vectors, int first, int end,
                              unsigned width) {
  for (unsigned i = cu::thread_x(); i < Rows * D / 8; i += threads) {
    const unsigned r = i / (D / 8), d = i % (D / 8) * 8;
    const int line = first + static_cast<int>(r);
    const T* const from = x + static_cast<std::size_t>(line) * row + d;
    if (vectors && cu::inside(line < end) && cu::inside(d < width)) {
      cu::copy_async16(tile.at(to + r, d), from);
    } else {
      for (unsigned e = 0; e < 8; ++e)
        tile(to + r, d + e) = cu::inside(line < end) && cu::inside(d + e < width) ? from[e].bits : half_bits{0};
    }
  }
}

/// `Rows` keys into rows `to` ... of the tile, their values behind them.
template <unsigned Rows, unsigned D, class T, class Tile>
HOCKET_DEVICE void bring_pair(Tile& tile, unsigned to, const key_tile<T>& from, unsigned width) {
  bring_half<Rows, D>(tile, to, from.k, from.k_row, from.k_vectors, from.first, from.end, width);
  bring_half<Rows, D>(tile, to + Rows, from.v, from.v_row, from.v_vectors, from.first, from.end, width);
}

/// The same of queries: rows first ... of head h of item b.
template <unsigned Rows, unsigned D, class T, class Tile>
HOCKET_DEVICE void bring_queries(Tile& tile, unsigned to, const facts& s, const lines<const T>& x, const item& at,
                                 unsigned b, unsigned h, int first) {
  bring_half<Rows, D>(tile, to, start_of(x, b, h, s.query_starts), x.row, x.vectors, first, at.queries, s.width);
}

template <class T>
HOCKET_DEVICE void multiply(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1);
template <>
HOCKET_DEVICE void multiply<f16>(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  const unsigned b[2] = {b0, b1};
  cu::mma_f16(d, a, b);
}
template <>
HOCKET_DEVICE void multiply<bf16>(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  const unsigned b[2] = {b0, b1};
  cu::mma_bf16(d, a, b);
}

/// The left operand (16, 16) at row `row`, column 16 k of a tile.
template <class Tile>
HOCKET_DEVICE void load_left(unsigned (&a)[4], Tile& tile, unsigned row, unsigned k) {
  cu::load_matrix_x4(a, tile.at(row + cu::lane() % 16, 16 * k + cu::lane() / 16 * 8));
}

/// sums (16, 8 N) += left (16, D) rows (8 N, D)^T; `left(k, a)` gives the k-th (16, 16) operand.
template <unsigned D, class T, unsigned N, class Left, class Tile>
HOCKET_DEVICE void times_rows(float (&sums)[N][4], Left left, Tile& tile, unsigned row) {
  HOCKET_UNROLL
  for (unsigned k = 0; k < D / 16; k += 2) {
    unsigned a[2][4];
    left(k, a[0]);
    left(k + 1, a[1]);
    HOCKET_UNROLL
    for (unsigned n = 0; n < N; ++n) {
      unsigned b[4];
      cu::load_matrix_x4(b, tile.at(row + 8 * n + cu::lane() % 8, 16 * k + cu::lane() / 8 * 8));
      multiply<T>(sums[n], a[0], b[0], b[1]);
      multiply<T>(sums[n], a[1], b[2], b[3]);
    }
  }
}

/// sums (16, D) += weights (16, 16 K) rows (16 K, D).
template <unsigned D, class T, unsigned K, class Tile>
HOCKET_DEVICE void mix_rows(float (&sums)[D / 8][4], const unsigned (&weights)[K][4], Tile& tile, unsigned row) {
  HOCKET_UNROLL
  for (unsigned k = 0; k < K; ++k) HOCKET_UNROLL
  for (unsigned n = 0; n < D / 8; n += 2) {
    unsigned b[4];
    cu::load_matrix_x4_trans(b, tile.at(row + 16 * k + cu::lane() % 16, 8 * n + cu::lane() / 16 * 8));
    multiply<T>(sums[n], weights[k], b[0], b[1]);
    multiply<T>(sums[n + 1], weights[k], b[2], b[3]);
  }
}

/// Accumulators (16, 16 K) rounded to T, as left operands.
template <class T, unsigned K>
HOCKET_DEVICE void pack(unsigned (&a)[K][4], const float (&sums)[2 * K][4]) {
  HOCKET_UNROLL
  for (unsigned k = 0; k < K; ++k) HOCKET_UNROLL
  for (unsigned q = 0; q < 4; ++q) {
    const float(&from)[4] = sums[2 * k + q / 2];
    const unsigned low = from_f32<T>(from[q % 2 * 2]).bits, high = from_f32<T>(from[q % 2 * 2 + 1]).bits;
    a[k][cu::fragment(q)] = low | high << 16;
  }
}

/// Row and column of register q of the n-th accumulator, in the warp's 16 rows and the tile's columns.
HOCKET_DEVICE int row_of_sum(unsigned q) { return static_cast<int>(cu::lane() / 4 + 8 * (q / 2)); }
HOCKET_DEVICE int column_of_sum(unsigned n, unsigned q) {
  return static_cast<int>(8 * n + 2 * (cu::lane() % 4) + q % 2);
}

/// Writes the warp's 16 rows of x from row `first` on, row r of them times by[r / 8].
template <unsigned N, class T>
HOCKET_DEVICE void put_sums(T* x, std::size_t row, int first, int end, unsigned width, const float (&sums)[N][4],
                            const float (&by)[2]) {
  HOCKET_UNROLL
  for (unsigned n = 0; n < N; ++n) HOCKET_UNROLL
  for (unsigned q = 0; q < 4; ++q) {
    const int i = first + row_of_sum(q), d = column_of_sum(n, q);
    if (cu::inside(i < end) && cu::inside(d < static_cast<int>(width)))
      x[static_cast<std::size_t>(i) * row + static_cast<std::size_t>(d)] =
          from_f32<T>(sums[n][cu::fragment(q)] * by[q / 2]);
  }
}

/// Whether all of the queries [i0, i0 + rows) see all of the tile's keys [j0, j0 + keys): no mask to apply.
HOCKET_DEVICE bool open(const facts& s, const item& at, bool own, int end, int i0, int rows, int j0, int keys) {
  if (i0 + rows > at.queries || j0 + keys > end) return false;
  if (!own) return true;
  const int nearest = i0 + at.offset - (j0 + keys - 1), furthest = i0 + rows - 1 + at.offset - j0;
  const int window = static_cast<int>(s.window);
  return (!s.causal || nearest >= 0) && (s.window == 0 || (-nearest < window && furthest < window));
}

/// Dropout's bytes for a warp of 16 queries and 8 N keys: block (query, n) has index query + 16 n.
template <unsigned N>
HOCKET_DEVICE unsigned keep_of_queries(const facts& s, unsigned b, unsigned h, bool own, int first_query,
                                       int first_key) {
  return keep_bytes<16 * N>(s, [&](unsigned index) {
    return keep_block(s, b, h, first_query + static_cast<int>(index % 16), own,
                      first_key + 8 * static_cast<int>(index / 16));
  });
}

/// Whether the probability in register e of the n-th accumulator stays; the whole warp asks.
HOCKET_DEVICE bool stays_of_query(unsigned keep, unsigned n, unsigned e) {
  return keep_of(keep, static_cast<unsigned>(row_of_sum(e)) + 16 * n) >> (2 * (cu::lane() % 4) + e % 2) & 1u;
}

/// Walks over tiles: `fetch(walk, stage)` starts the copies of one, `use(walk, stage)` computes with it.
template <unsigned Stages, class Walk, class Fetch, class Use>
HOCKET_DEVICE void stream(const facts& s, Walk now, Fetch fetch, Use use) {
  if constexpr (Stages == 2) {
    if (!now.done()) fetch(now, 0u);
    cu::copy_commit();
    for (unsigned stage = 0; !now.done(); stage ^= 1u) {
      Walk next = now;
      next.advance(s);
      if (!next.done()) fetch(next, stage ^ 1u);
      cu::copy_commit();  // of an empty group at the end, so that "all but one" always means this tile's
      cu::copy_wait<1>();
      cu::sync();
      use(now, stage);
      cu::sync();
      now = next;
    }
  } else {
    for (; !now.done(); now.advance(s)) {
      fetch(now, 0u);
      cu::copy_commit();
      cu::copy_wait<0>();
      cu::sync();
      use(now, 0u);
      cu::sync();
    }
  }
}

/// out and lse for the 64 queries first ... of head h of item b.
template <unsigned D, bool Drops, class T>
HOCKET_DEVICE void forward_mma(const facts& s, const sources<T>& in, const lines<T>& out, float* lse, unsigned b,
                               unsigned h, int first) {
  constexpr unsigned keys = mma_tile<D>::keys, N = keys / 8;
  HOCKET_SHARED(tile, cu::array<half_bits, 4 * keys, D + 8>);  // two stages of (k, v); q passes through the second
  const item at = item_of(s, b);
  const unsigned kv_head = h / (s.heads / s.kv_heads);
  const int mine = first + static_cast<int>(16 * cu::warp());
  bring_queries<block_rows, D>(tile, 2 * keys, s, in.q, at, b, h, first);
  cu::copy_commit();
  cu::copy_wait<0>();
  cu::sync();
  unsigned q[D / 16][4];
  HOCKET_UNROLL
  for (unsigned k = 0; k < D / 16; ++k) load_left(q[k], tile, 2 * keys + 16 * cu::warp(), k);
  cu::sync();
  const auto queries = [&](unsigned k, unsigned(&a)[4]) {
    HOCKET_UNROLL
    for (unsigned e = 0; e < 4; ++e) a[e] = q[k][e];
  };

  float peak[2] = {-INFINITY, -INFINITY}, sum[2] = {}, mixed[D / 8][4] = {};
  const auto fetch = [&](const key_walk<keys>& walk, unsigned stage) {
    bring_pair<keys, D>(tile, 2 * keys * stage, keys_at(s, in, at, b, kv_head, walk.own(), walk.first()), s.width);
  };
  const auto use = [&](const key_walk<keys>& walk, unsigned stage) {
    const bool own = walk.own();
    const int j0 = walk.first(), end = own ? at.keys : static_cast<int>(s.prefix);
    float score[N][4] = {};
    times_rows<D, T>(score, queries, tile, 2 * keys * stage);
    const bool masked = !open(s, at, own, end, mine, 16, j0, static_cast<int>(keys));
    float best[2] = {peak[0], peak[1]};
    HOCKET_UNROLL
    for (unsigned n = 0; n < N; ++n) HOCKET_UNROLL
    for (unsigned e = 0; e < 4; ++e) {
      const int i = mine + row_of_sum(e), j = j0 + column_of_sum(n, e);
      score[n][e] = !masked || sees(s, at, own, end, i, j) ? score_of(s, score[n][e], b, h, own, i, j) : -INFINITY;
      best[e / 2] = cu::larger(best[e / 2], score[n][e]);
    }
    float shrink[2];
    HOCKET_UNROLL
    for (unsigned r = 0; r < 2; ++r) {
      HOCKET_UNROLL
      for (unsigned step = 2; step > 0; step /= 2) best[r] = fmaxf(best[r], cu::shfl_xor(best[r], step));
      shrink[r] = best[r] == -INFINITY ? 1.0f : cu::exp_of(peak[r] - best[r]);
      peak[r] = best[r];
      sum[r] *= shrink[r];
    }
    HOCKET_UNROLL
    for (unsigned n = 0; n < N; ++n) HOCKET_UNROLL
    for (unsigned e = 0; e < 4; ++e) {
      score[n][e] = best[e / 2] == -INFINITY ? 0.0f : cu::exp_of(score[n][e] - best[e / 2]);
      sum[e / 2] += score[n][e];
    }
    if constexpr (Drops) {
      const unsigned keep = keep_of_queries<N>(s, b, h, own, mine, j0);
      HOCKET_UNROLL
      for (unsigned n = 0; n < N; ++n) HOCKET_UNROLL
      for (unsigned e = 0; e < 4; ++e) score[n][e] = stays_of_query(keep, n, e) ? score[n][e] : 0.0f;
    }
    HOCKET_UNROLL
    for (unsigned n = 0; n < D / 8; ++n) HOCKET_UNROLL
    for (unsigned e = 0; e < 4; ++e) mixed[n][e] *= shrink[e / 2];
    unsigned weights[N / 2][4];
    pack<T>(weights, score);
    mix_rows<D, T>(mixed, weights, tile, 2 * keys * stage + keys);
  };
  stream<2>(s, key_walk<keys>(s, at, first, first + static_cast<int>(block_rows)), fetch, use);

  float scale[2];
  HOCKET_UNROLL
  for (unsigned r = 0; r < 2; ++r) {
    HOCKET_UNROLL
    for (unsigned step = 2; step > 0; step /= 2) sum[r] += cu::shfl_xor(sum[r], step);
    scale[r] = sum[r] > 0 ? kept_scale<Drops>(s) / sum[r] : 0.0f;
    const int i = mine + row_of_sum(2 * r);
    if (cu::lane() % 4 == 0 && cu::inside(i < static_cast<int>(s.queries)))
      lse[fact_at(s, b, h, i)] = sum[r] > 0 ? peak[r] + logf(sum[r]) : -INFINITY;
  }
  put_sums(start_of(out, b, h, s.query_starts), out.row, mine, writable(s.query_starts, at.queries, s.queries), s.width,
           mixed, scale);
}

/// dq for the 64 queries first ... of head h of item b.
template <unsigned D, bool Drops, class T>
HOCKET_DEVICE void dq_mma(const facts& s, const sources<T>& in, const upstream<T>& up, const lines<T>& dq, unsigned b,
                          unsigned h, int first) {
  constexpr unsigned keys = mma_tile<D>::back_keys, N = keys / 8;
  HOCKET_SHARED(tile, cu::array<half_bits, 4 * keys, D + 8>);  // two stages of (k, v); q and dout pass through first
  const item at = item_of(s, b);
  const unsigned kv_head = h / (s.heads / s.kv_heads);
  const int mine = first + static_cast<int>(16 * cu::warp());
  bring_queries<block_rows, D>(tile, 0, s, in.q, at, b, h, first);
  bring_queries<block_rows, D>(tile, block_rows, s, up.dout, at, b, h, first);
  cu::copy_commit();
  cu::copy_wait<0>();
  cu::sync();
  unsigned q[D / 16][4], dout[D / 16][4];
  HOCKET_UNROLL
  for (unsigned k = 0; k < D / 16; ++k) {
    load_left(q[k], tile, 16 * cu::warp(), k);
    load_left(dout[k], tile, block_rows + 16 * cu::warp(), k);
  }
  cu::sync();
  row_facts known[2];
  float mixed[D / 8][4] = {};
  HOCKET_UNROLL
  for (unsigned r = 0; r < 2; ++r) known[r] = row_facts_of(s, up, at, b, h, mine + row_of_sum(2 * r));
  const auto fetch = [&](const key_walk<keys>& walk, unsigned stage) {
    bring_pair<keys, D>(tile, 2 * keys * stage, keys_at(s, in, at, b, kv_head, walk.own(), walk.first()), s.width);
  };
  const auto use = [&](const key_walk<keys>& walk, unsigned stage) {
    const bool own = walk.own();
    const int j0 = walk.first(), end = own ? at.keys : static_cast<int>(s.prefix);
    const auto left = [](const unsigned(&held)[D / 16][4]) {
      return [&held](unsigned k, unsigned(&a)[4]) {
        HOCKET_UNROLL
        for (unsigned e = 0; e < 4; ++e) a[e] = held[k][e];
      };
    };
    float score[N][4] = {}, dp[N][4] = {};
    times_rows<D, T>(score, left(q), tile, 2 * keys * stage);
    times_rows<D, T>(dp, left(dout), tile, 2 * keys * stage + keys);
    if constexpr (Drops) {
      const unsigned keep = keep_of_queries<N>(s, b, h, own, mine, j0);
      HOCKET_UNROLL
      for (unsigned n = 0; n < N; ++n) HOCKET_UNROLL
      for (unsigned e = 0; e < 4; ++e) dp[n][e] = stays_of_query(keep, n, e) ? s.drop.scale * dp[n][e] : 0.0f;
    }
    const bool masked = !open(s, at, own, end, mine, 16, j0, static_cast<int>(keys));
    HOCKET_UNROLL
    for (unsigned n = 0; n < N; ++n) HOCKET_UNROLL
    for (unsigned e = 0; e < 4; ++e) {
      const int i = mine + row_of_sum(e), j = j0 + column_of_sum(n, e);
      const float p = !masked || sees(s, at, own, end, i, j)
                          ? cu::exp_of(score_of(s, score[n][e], b, h, own, i, j) - known[e / 2].lse)
                          : 0.0f;
      score[n][e] = p * (dp[n][e] - known[e / 2].delta);
    }
    unsigned slopes[N / 2][4];
    pack<T>(slopes, score);
    mix_rows<D, T>(mixed, slopes, tile, 2 * keys * stage);
  };
  stream<2>(s, key_walk<keys>(s, at, first, first + static_cast<int>(block_rows)), fetch, use);
  const float scale[2] = {s.scale, s.scale};
  put_sums(start_of(dq, b, h, s.query_starts), dq.row, mine, writable(s.query_starts, at.queries, s.queries), s.width,
           mixed, scale);
}

/// dk and dv for the 64 keys of a block: of item b, or of a prefix that `mine.items` items from b on share. Scores are
/// computed transposed, (keys, queries), so that their rows are the rows of the sums.
template <unsigned D, bool Drops, class T>
HOCKET_DEVICE void dkv_mma(const facts& s, const sources<T>& in, const upstream<T>& up, const key_gradients<T>& to,
                           unsigned b, unsigned kv_head, const key_block& mine) {
  using sizes = mma_tile<D>;
  constexpr unsigned queries = sizes::queries, N = queries / 8, stream_from = sizes::held ? 0 : 2 * block_rows;
  HOCKET_SHARED(tile, cu::array<half_bits, stream_from + 2 * queries * sizes::stages, D + 8>);
  HOCKET_SHARED(slse, cu::array<float, 2 * queries>);
  HOCKET_SHARED(sdelta, cu::array<float, 2 * queries>);
  const unsigned t = cu::thread_x(), line = 16 * cu::warp();
  const auto keys = keys_at(s, in, item_of(s, b), b, kv_head, mine.own, mine.first);
  const int j0 = mine.first + static_cast<int>(line);
  bring_pair<block_rows, D>(tile, 0, keys, s.width);
  cu::copy_commit();
  cu::copy_wait<0>();
  cu::sync();
  unsigned held[2][sizes::held ? D / 16 : 1][4];
  if constexpr (sizes::held) {
    HOCKET_UNROLL
    for (unsigned k = 0; k < D / 16; ++k) {
      load_left(held[0][k], tile, line, k);
      load_left(held[1][k], tile, block_rows + line, k);
    }
    cu::sync();
  }
  float dk[D / 8][4] = {}, dv[D / 8][4] = {};
  using walk_type = query_walk<queries>;
  const auto fetch = [&](const walk_type& walk, unsigned stage) {
    const unsigned row = stream_from + 2 * queries * stage;
    bring_queries<queries, D>(tile, row, s, in.q, walk.at, walk.b, walk.head, walk.first());
    bring_queries<queries, D>(tile, row + queries, s, up.dout, walk.at, walk.b, walk.head, walk.first());
    if (t < queries) {
      const auto known = row_facts_of(s, up, walk.at, walk.b, walk.head, walk.first() + static_cast<int>(t));
      slse(queries * stage + t) = known.lse;
      sdelta(queries * stage + t) = known.delta;
    }
  };
  const auto use = [&](const walk_type& walk, unsigned stage) {
    const unsigned row = stream_from + 2 * queries * stage;
    const int i0 = walk.first();
    const auto left = [&](unsigned which) {
      return [&, which](unsigned k, unsigned(&a)[4]) {
        if constexpr (sizes::held) {
          HOCKET_UNROLL
          for (unsigned e = 0; e < 4; ++e) a[e] = held[which][k][e];
        } else {
          load_left(a, tile, block_rows * which + line, k);
        }
      };
    };
    float score[N][4] = {}, dp[N][4] = {};
    times_rows<D, T>(score, left(0), tile, row);
    const bool masked = !open(s, walk.at, mine.own, keys.end, i0, static_cast<int>(queries), j0, 16);
    HOCKET_UNROLL
    for (unsigned n = 0; n < N; ++n) HOCKET_UNROLL
    for (unsigned e = 0; e < 4; ++e) {
      const int i = i0 + column_of_sum(n, e), j = j0 + row_of_sum(e);
      const float lse = slse(queries * stage + static_cast<unsigned>(column_of_sum(n, e)));
      score[n][e] = !masked || sees(s, walk.at, mine.own, keys.end, i, j)
                        ? cu::exp_of(score_of(s, score[n][e], walk.b, walk.head, mine.own, i, j) - lse)
                        : 0.0f;
    }
    unsigned stays = 0;  // bit 4 n + e: of score[n][e]
    if constexpr (Drops) {
      // block (query, group) of the warp's 16 keys has index query + queries x group
      const unsigned keep = keep_bytes<2 * queries>(s, [&](unsigned index) {
        return keep_block(s, walk.b, walk.head, i0 + static_cast<int>(index % queries), mine.own,
                          j0 + 8 * static_cast<int>(index / queries));
      });
      HOCKET_UNROLL
      for (unsigned n = 0; n < N; ++n) HOCKET_UNROLL
      for (unsigned e = 0; e < 4; ++e) {
        const unsigned index = static_cast<unsigned>(column_of_sum(n, e)) + queries * (e / 2);
        stays |= (keep_of(keep, index) >> cu::lane() / 4 & 1u) << (4 * n + e);
      }
    }
    const auto kept = [&](unsigned n, unsigned e, float x) { return !Drops || stays >> (4 * n + e) & 1u ? x : 0.0f; };
    unsigned packed[N / 2][4];
    float weights[N][4];
    HOCKET_UNROLL
    for (unsigned n = 0; n < N; ++n) HOCKET_UNROLL
    for (unsigned e = 0; e < 4; ++e) weights[n][e] = kept(n, e, score[n][e]);
    pack<T>(packed, weights);
    mix_rows<D, T>(dv, packed, tile, row + queries);
    times_rows<D, T>(dp, left(1), tile, row + queries);
    HOCKET_UNROLL
    for (unsigned n = 0; n < N; ++n) HOCKET_UNROLL
    for (unsigned e = 0; e < 4; ++e)
      score[n][e] *= kept(n, e, kept_scale<Drops>(s) * dp[n][e]) -
                     sdelta(queries * stage + static_cast<unsigned>(column_of_sum(n, e)));
    pack<T>(packed, score);
    mix_rows<D, T>(dk, packed, tile, row);
  };
  stream<sizes::stages>(
      s, walk_type(s, mine.own, mine.first, mine.first + static_cast<int>(block_rows), b, mine.items, kv_head), fetch,
      use);
  const std::uint32_t* const starts = mine.own ? s.key_starts : nullptr;
  const int end = writable(starts, keys.end, mine.own ? s.keys : s.prefix);
  const lines<T>&to_k = mine.own ? to.dk : to.dprefix_k, &to_v = mine.own ? to.dv : to.dprefix_v;
  const float by_k[2] = {s.scale, s.scale}, by_v[2] = {kept_scale<Drops>(s), kept_scale<Drops>(s)};
  put_sums(start_of(to_k, b, kv_head, starts), to_k.row, j0, end, s.width, dk, by_k);
  put_sums(start_of(to_v, b, kv_head, starts), to_v.row, j0, end, s.width, dv, by_v);
}

}  // namespace hocket::kernels::attention::gpu
