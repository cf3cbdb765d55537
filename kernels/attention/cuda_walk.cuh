// What the attention kernels share: their arguments, the masks, and the order in which a block walks over tiles.
#pragma once

#include <cmath>

#include <hocket/core/cuda/seam.cuh>

namespace hocket::kernels::attention::gpu {

inline constexpr unsigned threads = 128;
inline constexpr unsigned block_rows = 64;  ///< rows of out, dq or dk and dv that a block owns

/// A tensor of shape.hpp's rows_of. `vectors`: every row starts on 16 bytes and holds a multiple of 16 bytes.
template <class T>
struct lines {
  T* data;
  std::size_t batch, head, row;
  bool vectors;
};

/// Dropout: shape.hpp's, in words. threshold 0: none, and the scale is 1.
struct dropping {
  unsigned seed_low, seed_high, stream_low, stream_high, threshold;
  float scale;
};

/// Sizes and masks; shape.hpp says what they mean. bias may be null.
struct facts {
  unsigned heads, kv_heads, queries, keys, width, prefix, window, batch;
  bool causal, shared_prefix;
  float scale;
  const std::uint32_t *query_lengths, *key_lengths, *query_starts, *key_starts;
  const float* bias;
  std::size_t bias_batch, bias_head, bias_row;
  dropping drop;
};

template <class T>
struct sources {
  lines<const T> q, k, v, prefix_k, prefix_v;
};

/// What the backward kernels read beside the sources; lse and delta (B, H, queries).
template <class T>
struct upstream {
  lines<const T> dout;
  const float *lse, *delta;
};

/// Gradients of keys and values.
template <class T>
struct key_gradients {
  lines<T> dk, dv, dprefix_k, dprefix_v;
};

template <class T>
HOCKET_DEVICE T* start_of(const lines<T>& x, unsigned b, unsigned h, const std::uint32_t* starts) {
  return x.data + (starts ? starts[b] * x.row : b * x.batch) + h * x.head;
}

HOCKET_DEVICE int smaller_of(int a, int b) { return a < b ? a : b; }
HOCKET_DEVICE int larger_of(int a, int b) { return a < b ? b : a; }

/// One item of the batch: how many queries and keys it has, and where its diagonal lies.
struct item {
  int queries, keys, offset;
};

HOCKET_DEVICE item item_of(const facts& s, unsigned b) {
  item at;
  at.queries = static_cast<int>(s.queries);
  at.keys = static_cast<int>(s.keys);
  // The launcher cannot see lengths that lie on the device: a length past the end is cut there.
  if (s.query_lengths) at.queries = smaller_of(at.queries, static_cast<int>(s.query_lengths[b]));
  if (s.key_lengths) at.keys = smaller_of(at.keys, static_cast<int>(s.key_lengths[b]));
  at.offset = s.query_lengths ? at.keys - at.queries : static_cast<int>(s.keys) - static_cast<int>(s.queries);
  return at;
}

/// Rows [first, last); empty when last <= first.
struct span {
  int first, last;
};

/// Own keys that at least one of the queries [i0, i1) sees.
HOCKET_DEVICE span keys_seen(const facts& s, const item& at, int i0, int i1) {
  i1 = smaller_of(i1, at.queries);
  if (i0 >= i1) return {0, 0};
  span seen{0, at.keys};
  if (s.causal) seen.last = smaller_of(seen.last, i1 + at.offset);
  if (s.window) {
    seen.first = larger_of(0, i0 + at.offset - static_cast<int>(s.window) + 1);
    seen.last = smaller_of(seen.last, i1 - 1 + at.offset + static_cast<int>(s.window));
  }
  return seen;
}

/// Queries that see at least one of the own keys [j0, j1).
HOCKET_DEVICE span queries_seeing(const facts& s, const item& at, int j0, int j1) {
  j1 = smaller_of(j1, at.keys);
  if (j0 >= j1) return {0, 0};
  span seen{0, at.queries};
  if (s.causal) seen.first = larger_of(0, j0 - at.offset);
  if (s.window) {
    seen.first = larger_of(seen.first, j0 - at.offset - static_cast<int>(s.window) + 1);
    seen.last = smaller_of(seen.last, j1 - 1 - at.offset + static_cast<int>(s.window));
  }
  return seen;
}

/// Whether query i sees key j; `keys` is the number of keys of the stretch that j lies in.
HOCKET_DEVICE bool sees(const facts& s, const item& at, bool own, int keys, int i, int j) {
  if (!cu::inside(i < at.queries)) return false;
  if (!cu::inside(j < keys)) return false;
  if (!own) return true;
  const int ahead = i + at.offset - j;
  if (s.causal && !cu::inside(ahead >= 0)) return false;
  return s.window == 0 || cu::inside(ahead < static_cast<int>(s.window) && -ahead < static_cast<int>(s.window));
}

/// scale q k + bias.
HOCKET_DEVICE float score_of(const facts& s, float dot, unsigned b, unsigned h, bool own, int i, int j) {
  const float score = dot * s.scale;
  if (!own || !s.bias) return score;
  return score + s.bias[b * s.bias_batch + h * s.bias_head + static_cast<std::size_t>(i) * s.bias_row +
                        static_cast<std::size_t>(j)];
}

/// A tile of keys: rows `first` ... of a stretch of `end` rows, the prefix or the item's own.
template <class T>
struct key_tile {
  const T *k, *v;
  std::size_t k_row, v_row;
  int first, end;
  bool own, k_vectors, v_vectors;
};

/// Rows from `first` of the prefix, or of the item's own keys.
template <class T>
HOCKET_DEVICE key_tile<T> keys_at(const facts& s, const sources<T>& in, const item& at, unsigned b, unsigned kv_head,
                                  bool own, int first) {
  const lines<const T>&k = own ? in.k : in.prefix_k, &v = own ? in.v : in.prefix_v;
  const std::uint32_t* const starts = own ? s.key_starts : nullptr;
  return {start_of(k, b, kv_head, starts),
          start_of(v, b, kv_head, starts),
          k.row,
          v.row,
          first,
          own ? at.keys : static_cast<int>(s.prefix),
          own,
          k.vectors,
          v.vectors};
}

/// The tiles of `Size` keys that a block of queries meets: those of the prefix, then own ones that a query may see.
template <unsigned Size>
struct key_walk {
  int tile, prefix_tiles, first_own, tiles;

  HOCKET_DEVICE key_walk(const facts& s, const item& at, int i0, int i1) {
    const span seen = keys_seen(s, at, i0, i1);
    const int size = static_cast<int>(Size);
    tile = 0;
    prefix_tiles = i0 < at.queries ? (static_cast<int>(s.prefix) + size - 1) / size : 0;
    first_own = seen.first / size;
    tiles = prefix_tiles + (seen.last > seen.first ? (seen.last + size - 1) / size - first_own : 0);
  }
  HOCKET_DEVICE bool done() const { return tile >= tiles; }
  HOCKET_DEVICE void advance(const facts&) { ++tile; }
  HOCKET_DEVICE bool own() const { return tile >= prefix_tiles; }
  HOCKET_DEVICE int first() const { return (own() ? first_own + tile - prefix_tiles : tile) * static_cast<int>(Size); }
};

/// The tiles of `Size` queries that a block of keys [j0, j1) meets: item by item where items share a prefix, then head
/// by head of the group, then along the item. Gradients are summed in this order, whatever runs first.
template <unsigned Size>
struct query_walk {
  bool own;
  int j0, j1;
  unsigned b, end_b, head, first_head, end_head;
  int tile, first_tile, end_tile;
  item at;

  HOCKET_DEVICE query_walk(const facts& s, bool own_keys, int from, int to, unsigned item_b, unsigned items,
                           unsigned kv_head)
      : own(own_keys), j0(from), j1(to), b(item_b), end_b(item_b + items) {
    const unsigned group = s.heads / s.kv_heads;
    first_head = kv_head * group;
    end_head = first_head + group;
    enter(s);
  }
  /// Goes to the first tile of item b, or of the next one that has any.
  HOCKET_DEVICE void enter(const facts& s) {
    for (head = first_head; b < end_b; ++b) {
      at = item_of(s, b);
      const span seeing = own ? queries_seeing(s, at, j0, j1) : span{0, at.queries};
      tile = first_tile = seeing.first / static_cast<int>(Size);
      end_tile = (seeing.last + static_cast<int>(Size) - 1) / static_cast<int>(Size);
      if (seeing.first < seeing.last) return;
    }
  }
  HOCKET_DEVICE bool done() const { return b >= end_b; }
  HOCKET_DEVICE void advance(const facts& s) {
    if (++tile < end_tile) return;
    tile = first_tile;
    if (++head < end_head) return;
    ++b;
    enter(s);
  }
  HOCKET_DEVICE int first() const { return tile * static_cast<int>(Size); }
};

/// The keys that a block of the key-gradient kernels owns. Blocks x count tiles of 64 rows, those of the prefix first;
/// the blocks of item 0 own a shared prefix, for all items.
struct key_block {
  bool own;
  int first;
  unsigned items;  ///< to sum over, from block z on; 0: nothing to do
};

HOCKET_DEVICE key_block key_block_of(const facts& s) {
  const unsigned prefix_tiles = (s.prefix + block_rows - 1) / block_rows, x = cu::block_x();
  if (x >= prefix_tiles) return {true, static_cast<int>((x - prefix_tiles) * block_rows), 1};
  return {false, static_cast<int>(x * block_rows), s.shared_prefix ? (cu::block_z() == 0 ? s.batch : 0) : 1};
}

/// Rows of a gradient or an output that exist: all of a padded batch (rows past the length get zeros), those of the
/// item in a packed one.
HOCKET_DEVICE int writable(const std::uint32_t* starts, int length, unsigned rows) {
  return starts ? length : static_cast<int>(rows);
}

/// The log-sum-exp that makes exp(score - lse) the probability: +infinity for a row that saw nothing.
HOCKET_DEVICE float usable(float lse) { return lse == -INFINITY ? INFINITY : lse; }

/// Index of row i in lse and delta.
HOCKET_DEVICE std::size_t fact_at(const facts& s, unsigned b, unsigned h, int i) {
  return (static_cast<std::size_t>(b) * s.heads + h) * s.queries + static_cast<std::size_t>(i);
}

/// What the backward pass knows of a row: its log-sum-exp as `usable` gives it, and the sum of dout out.
struct row_facts {
  float lse, delta;
};

/// Of row i of head h; a row past the item's queries has no probabilities.
template <class T>
HOCKET_DEVICE row_facts row_facts_of(const facts& s, const upstream<T>& up, const item& at, unsigned b, unsigned h,
                                     int i) {
  if (!cu::inside(i < at.queries)) return {INFINITY, 0.0f};
  const std::size_t row = fact_at(s, b, h, i);
  return {usable(up.lse[row]), up.delta[row]};
}

}  // namespace hocket::kernels::attention::gpu
