// Attention without tensor cores: f32, and the twin of the 16-bit kernels for cards before sm_80. Storage of any type,
// f32 arithmetic. A block of 128 threads is 16 row groups x 8 columns: thread t owns rows R (t / 8) ... + R - 1 of the
// block's tile and columns t % 8 + 8 c of the tile it meets, so the 8 threads of a row lie in one warp.
#pragma once

#include <hocket/kernels/attention/cuda_dropout.cuh>

namespace hocket::kernels::attention::gpu {

/// Rows that a block owns at once and rows that it meets, for heads of padded width D: what fits 48 KiB of shared
/// memory.
template <unsigned D>
struct simt_tile {
  static constexpr unsigned rows = D <= 64 ? 64 : 32, keys = D <= 96 ? 32 : 16;
  static constexpr unsigned back_rows = D <= 32 ? 64 : 32, back_keys = D <= 64 ? 32 : D <= 96 ? 16 : 8;
};

/// Rows first ... of x as f32, zeros past `end` and past `width`.
template <unsigned Rows, unsigned D, class T, class Tile>
HOCKET_DEVICE void bring_f32(Tile& tile, const T* x, std::size_t row, int first, int end, unsigned width) {
  for (unsigned i = cu::thread_x(); i < Rows * D; i += threads) {
    const unsigned r = i / D, d = i % D;
    const int from = first + static_cast<int>(r);
    tile(r, d) =
        cu::inside(from < end) && cu::inside(d < width) ? to_f32(x[static_cast<std::size_t>(from) * row + d]) : 0.0f;
  }
}

/// The same of queries: rows first ... of head h of item b.
template <unsigned Rows, unsigned D, class T, class Tile>
HOCKET_DEVICE void bring_queries(Tile& tile, const facts& s, const lines<const T>& x, const item& at, unsigned b,
                                 unsigned h, int first) {
  bring_f32<Rows, D>(tile, start_of(x, b, h, s.query_starts), x.row, first, at.queries, s.width);
}

/// Rows of keys and of their values.
template <unsigned Rows, unsigned D, class T, class Tile>
HOCKET_DEVICE void bring_pair(Tile& k, Tile& v, const key_tile<T>& from, unsigned width) {
  bring_f32<Rows, D>(k, from.k, from.k_row, from.first, from.end, width);
  bring_f32<Rows, D>(v, from.v, from.v_row, from.first, from.end, width);
}

/// Writes columns t % 8 + 8 w of one row of x.
template <unsigned W, class T>
HOCKET_DEVICE void put_row(T* x, std::size_t row, int i, int end, unsigned width, const float (&values)[W], float by) {
  HOCKET_UNROLL
  for (unsigned w = 0; w < W; ++w) {
    const unsigned d = cu::thread_x() % 8 + 8 * w;
    if (cu::inside(i < end) && cu::inside(d < width))
      x[static_cast<std::size_t>(i) * row + d] = from_f32<T>(values[w] * by);
  }
}

/// a(line + r, :) . b(column + 8 c, :) for the thread's rows and columns.
template <unsigned D, unsigned R, unsigned C, class TileA, class TileB>
HOCKET_DEVICE void products(float (&sums)[R][C], TileA& a, TileB& b, unsigned line, unsigned column) {
  for (unsigned d = 0; d < D; ++d) {
    float left[R], right[C];
    HOCKET_UNROLL
    for (unsigned r = 0; r < R; ++r) left[r] = a(line + r, d);
    HOCKET_UNROLL
    for (unsigned c = 0; c < C; ++c) right[c] = b(column + 8 * c, d);
    HOCKET_UNROLL
    for (unsigned r = 0; r < R; ++r) HOCKET_UNROLL
    for (unsigned c = 0; c < C; ++c) sums[r][c] += left[r] * right[c];
  }
}

/// sums(r, w) += weights(line + r, :) . b(:, column + 8 w).
template <unsigned Size, unsigned R, unsigned W, class Weights, class TileB>
HOCKET_DEVICE void mix(float (&sums)[R][W], Weights& weights, TileB& b, unsigned line, unsigned column) {
  for (unsigned j = 0; j < Size; ++j) {
    float left[R];
    HOCKET_UNROLL
    for (unsigned r = 0; r < R; ++r) left[r] = weights(line + r, j);
    HOCKET_UNROLL
    for (unsigned w = 0; w < W; ++w) {
      const float right = b(j, column + 8 * w);
      HOCKET_UNROLL
      for (unsigned r = 0; r < R; ++r) sums[r][w] += left[r] * right;
    }
  }
}

/// Dropout's bytes for a warp whose `Lines` lines are queries: block (line, c) has index line + Lines c.
template <unsigned Lines, unsigned C>
HOCKET_DEVICE unsigned keep_of_queries(const facts& s, unsigned b, unsigned h, bool own, int first_query,
                                       int first_key) {
  return keep_bytes<Lines * C>(s, [&](unsigned index) {
    return keep_block(s, b, h, first_query + static_cast<int>(Lines * cu::warp() + index % Lines), own,
                      first_key + 8 * static_cast<int>(index / Lines));
  });
}
/// Whether the probability of the query of `line` and the thread's c-th key stays; the whole warp asks.
template <unsigned Lines>
HOCKET_DEVICE bool stays_of_query(unsigned keep, unsigned line, unsigned c) {
  return keep_of(keep, line % Lines + Lines * c) >> cu::thread_x() % 8 & 1u;
}

/// Over the 8 threads of a row, in a fixed tree.
HOCKET_DEVICE float row_sum(float x) {
  HOCKET_UNROLL
  for (unsigned step = 4; step > 0; step /= 2) x += cu::shfl_xor(x, step);
  return x;
}

/// out and lse for the queries first ... of head h of item b.
template <unsigned D, bool Drops, class T>
HOCKET_DEVICE void forward_simt(const facts& s, const sources<T>& in, const lines<T>& out, float* lse, unsigned b,
                                unsigned h, int first) {
  constexpr unsigned rows = simt_tile<D>::rows, keys = simt_tile<D>::keys;
  constexpr unsigned R = rows / 16, C = keys / 8, W = D / 8;
  HOCKET_SHARED(sq, cu::array<float, rows, D + 1>);
  HOCKET_SHARED(sk, cu::array<float, keys, D + 1>);
  HOCKET_SHARED(sv, cu::array<float, keys, D + 1>);
  HOCKET_SHARED(weights, cu::array<float, rows, keys + 1>);
  const unsigned line = cu::thread_x() / 8 * R, column = cu::thread_x() % 8;
  const item at = item_of(s, b);
  bring_queries<rows, D>(sq, s, in.q, at, b, h, first);
  float peak[R], sum[R], mixed[R][W] = {};
  HOCKET_UNROLL
  for (unsigned r = 0; r < R; ++r) {
    peak[r] = -INFINITY;
    sum[r] = 0;
  }
  for (key_walk<keys> walk(s, at, first, first + static_cast<int>(rows)); !walk.done(); walk.advance(s)) {
    const auto tile = keys_at(s, in, at, b, h / (s.heads / s.kv_heads), walk.own(), walk.first());
    bring_pair<keys, D>(sk, sv, tile, s.width);
    cu::sync();
    float score[R][C] = {};
    products<D>(score, sq, sk, line, column);
    HOCKET_UNROLL
    for (unsigned r = 0; r < R; ++r) {
      const int i = first + static_cast<int>(line + r);
      float best = peak[r];
      HOCKET_UNROLL
      for (unsigned c = 0; c < C; ++c) {
        const int j = tile.first + static_cast<int>(column + 8 * c);
        score[r][c] =
            sees(s, at, tile.own, tile.end, i, j) ? score_of(s, score[r][c], b, h, tile.own, i, j) : -INFINITY;
        best = cu::larger(best, score[r][c]);
      }
      HOCKET_UNROLL
      for (unsigned step = 4; step > 0; step /= 2) best = fmaxf(best, cu::shfl_xor(best, step));
      const float shrink = best == -INFINITY ? 1.0f : cu::exp_of(peak[r] - best);
      peak[r] = best;
      sum[r] *= shrink;
      HOCKET_UNROLL
      for (unsigned c = 0; c < C; ++c) {
        const float weight = best == -INFINITY ? 0.0f : cu::exp_of(score[r][c] - best);
        sum[r] += weight;
        weights(line + r, column + 8 * c) = weight;
      }
      HOCKET_UNROLL
      for (unsigned w = 0; w < W; ++w) mixed[r][w] *= shrink;
    }
    if constexpr (Drops) {
      const unsigned keep = keep_of_queries<4 * R, C>(s, b, h, tile.own, first, tile.first);
      HOCKET_UNROLL
      for (unsigned r = 0; r < R; ++r) HOCKET_UNROLL
      for (unsigned c = 0; c < C; ++c)
        if (!stays_of_query<4 * R>(keep, line + r, c)) weights(line + r, column + 8 * c) = 0.0f;
    }
    cu::sync_warp();
    mix<keys>(mixed, weights, sv, line, column);
    cu::sync();
  }
  const int end = writable(s.query_starts, at.queries, s.queries);
  HOCKET_UNROLL
  for (unsigned r = 0; r < R; ++r) {
    const int i = first + static_cast<int>(line + r);
    const float total = row_sum(sum[r]);
    put_row(start_of(out, b, h, s.query_starts), out.row, i, end, s.width, mixed[r],
            total > 0 ? kept_scale<Drops>(s) / total : 0.0f);
    if (column == 0 && cu::inside(i < static_cast<int>(s.queries)))
      lse[fact_at(s, b, h, i)] = total > 0 ? peak[r] + logf(total) : -INFINITY;
  }
}

/// dq for the queries first ... of head h of item b.
template <unsigned D, bool Drops, class T>
HOCKET_DEVICE void dq_simt(const facts& s, const sources<T>& in, const upstream<T>& up, const lines<T>& dq, unsigned b,
                           unsigned h, int first) {
  constexpr unsigned rows = simt_tile<D>::back_rows, keys = simt_tile<D>::back_keys;
  constexpr unsigned R = rows / 16, C = keys / 8, W = D / 8;
  HOCKET_SHARED(sq, cu::array<float, rows, D + 1>);
  HOCKET_SHARED(sdout, cu::array<float, rows, D + 1>);
  HOCKET_SHARED(sk, cu::array<float, keys, D + 1>);
  HOCKET_SHARED(sv, cu::array<float, keys, D + 1>);
  HOCKET_SHARED(slopes, cu::array<float, rows, keys + 1>);
  const unsigned line = cu::thread_x() / 8 * R, column = cu::thread_x() % 8;
  const item at = item_of(s, b);
  bring_queries<rows, D>(sq, s, in.q, at, b, h, first);
  bring_queries<rows, D>(sdout, s, up.dout, at, b, h, first);
  row_facts known[R];
  float mixed[R][W] = {};
  HOCKET_UNROLL
  for (unsigned r = 0; r < R; ++r) known[r] = row_facts_of(s, up, at, b, h, first + static_cast<int>(line + r));
  for (key_walk<keys> walk(s, at, first, first + static_cast<int>(rows)); !walk.done(); walk.advance(s)) {
    const auto tile = keys_at(s, in, at, b, h / (s.heads / s.kv_heads), walk.own(), walk.first());
    bring_pair<keys, D>(sk, sv, tile, s.width);
    cu::sync();
    float score[R][C] = {}, dp[R][C] = {};
    products<D>(score, sq, sk, line, column);
    products<D>(dp, sdout, sv, line, column);
    if constexpr (Drops) {
      const unsigned keep = keep_of_queries<4 * R, C>(s, b, h, tile.own, first, tile.first);
      HOCKET_UNROLL
      for (unsigned r = 0; r < R; ++r) HOCKET_UNROLL
      for (unsigned c = 0; c < C; ++c)
        dp[r][c] = stays_of_query<4 * R>(keep, line + r, c) ? s.drop.scale * dp[r][c] : 0.0f;
    }
    HOCKET_UNROLL
    for (unsigned r = 0; r < R; ++r) HOCKET_UNROLL
    for (unsigned c = 0; c < C; ++c) {
      const int i = first + static_cast<int>(line + r), j = tile.first + static_cast<int>(column + 8 * c);
      const float p = sees(s, at, tile.own, tile.end, i, j)
                          ? cu::exp_of(score_of(s, score[r][c], b, h, tile.own, i, j) - known[r].lse)
                          : 0.0f;
      slopes(line + r, column + 8 * c) = p * (dp[r][c] - known[r].delta);
    }
    cu::sync_warp();
    mix<keys>(mixed, slopes, sk, line, column);
    cu::sync();
  }
  const int end = writable(s.query_starts, at.queries, s.queries);
  HOCKET_UNROLL
  for (unsigned r = 0; r < R; ++r)
    put_row(start_of(dq, b, h, s.query_starts), dq.row, first + static_cast<int>(line + r), end, s.width, mixed[r],
            s.scale);
}

/// dk and dv for the keys first ... of a key/value head: of item b, or of a prefix that `items` items from b on share.
template <unsigned D, bool Drops, class T>
HOCKET_DEVICE void dkv_simt(const facts& s, const sources<T>& in, const upstream<T>& up, const key_gradients<T>& to,
                            unsigned b, unsigned kv_head, const key_block& mine) {
  constexpr unsigned rows = simt_tile<D>::back_rows, queries = simt_tile<D>::back_keys;
  constexpr unsigned R = rows / 16, C = queries / 8, W = D / 8;
  HOCKET_SHARED(sk, cu::array<float, rows, D + 1>);
  HOCKET_SHARED(sv, cu::array<float, rows, D + 1>);
  HOCKET_SHARED(sq, cu::array<float, queries, D + 1>);
  HOCKET_SHARED(sdout, cu::array<float, queries, D + 1>);
  HOCKET_SHARED(weights, cu::array<float, rows, queries + 1>);
  HOCKET_SHARED(slopes, cu::array<float, rows, queries + 1>);
  HOCKET_SHARED(slse, cu::array<float, queries>);
  HOCKET_SHARED(sdelta, cu::array<float, queries>);
  const unsigned t = cu::thread_x(), line = t / 8 * R, column = t % 8;
  const auto tile = keys_at(s, in, item_of(s, b), b, kv_head, mine.own, mine.first);
  bring_pair<rows, D>(sk, sv, tile, s.width);
  float dk[R][W] = {}, dv[R][W] = {};
  for (query_walk<queries> walk(s, mine.own, mine.first, mine.first + static_cast<int>(rows), b, mine.items, kv_head);
       !walk.done(); walk.advance(s)) {
    const item& at = walk.at;
    bring_queries<queries, D>(sq, s, in.q, at, walk.b, walk.head, walk.first());
    bring_queries<queries, D>(sdout, s, up.dout, at, walk.b, walk.head, walk.first());
    if (t < queries) {
      const auto known = row_facts_of(s, up, at, walk.b, walk.head, walk.first() + static_cast<int>(t));
      slse(t) = known.lse;
      sdelta(t) = known.delta;
    }
    cu::sync();
    float score[R][C] = {}, dp[R][C] = {};
    products<D>(score, sk, sq, line, column);
    products<D>(dp, sv, sdout, line, column);
    unsigned stays = 0;  // bit C r + c: of score[r][c]
    if constexpr (Drops) {
      // the warp's 4 R keys are one or two groups; block (query, group): query + queries x group
      const unsigned keep = keep_bytes<queries * R / 2>(s, [&](unsigned index) {
        return keep_block(s, walk.b, walk.head, walk.first() + static_cast<int>(index % queries), mine.own,
                          mine.first + static_cast<int>(4 * R * cu::warp() + 8 * (index / queries)));
      });
      HOCKET_UNROLL
      for (unsigned r = 0; r < R; ++r) HOCKET_UNROLL
      for (unsigned c = 0; c < C; ++c) {
        const unsigned key = line % (4 * R) + r;
        stays |= (keep_of(keep, column + 8 * c + queries * (key / 8)) >> key % 8 & 1u) << (C * r + c);
      }
    }
    HOCKET_UNROLL
    for (unsigned r = 0; r < R; ++r) HOCKET_UNROLL
    for (unsigned c = 0; c < C; ++c) {
      const unsigned at_query = column + 8 * c;
      const int i = walk.first() + static_cast<int>(at_query), j = tile.first + static_cast<int>(line + r);
      const float p = sees(s, at, tile.own, tile.end, i, j)
                          ? cu::exp_of(score_of(s, score[r][c], walk.b, walk.head, tile.own, i, j) - slse(at_query))
                          : 0.0f;
      const auto kept = [&](float x) { return !Drops || stays >> (C * r + c) & 1u ? x : 0.0f; };
      weights(line + r, at_query) = kept(p);
      slopes(line + r, at_query) = p * (kept(kept_scale<Drops>(s) * dp[r][c]) - sdelta(at_query));
    }
    cu::sync_warp();
    mix<queries>(dv, weights, sdout, line, column);
    mix<queries>(dk, slopes, sq, line, column);
    cu::sync();
  }
  const std::uint32_t* const starts = mine.own ? s.key_starts : nullptr;
  const int end = writable(starts, tile.end, mine.own ? s.keys : s.prefix);
  const lines<T>&to_k = mine.own ? to.dk : to.dprefix_k, &to_v = mine.own ? to.dv : to.dprefix_v;
  HOCKET_UNROLL
  for (unsigned r = 0; r < R; ++r) {
    const int j = tile.first + static_cast<int>(line + r);
    put_row(start_of(to_k, b, kv_head, starts), to_k.row, j, end, s.width, dk[r], s.scale);
    put_row(start_of(to_v, b, kv_head, starts), to_v.row, j, end, s.width, dv[r], kept_scale<Drops>(s));
  }
}

}  // namespace hocket::kernels::attention::gpu
