// Attention in registers; compiled once per instruction set (core/simd_each.hpp). Scores lie transposed: a register
// holds one key's scores with neighbouring queries, so that the softmax of a query runs down a column and needs no sum
// across lanes, keys and values are read where they lie, and only queries, outputs and their gradients are transposed.

namespace hocket::kernels::attention::HOCKET_SIMD_NS {

#include <hocket/core/philox_lanes.inl>
#include <hocket/kernels/attention/cpu_simd.inl>

inline constexpr std::size_t tile_rows = HOCKET_SIMD_BYTES == 64 ? 8 : 4;  ///< x 2 registers: 16 of 32, or 8 of 16
template <class T>
inline constexpr std::size_t block_queries = tile_registers* lanes<T>;

/// acc(tile_rows, Wide registers) = sum over p of A(i, p) B(p, :). A(i, p) lies at a[p step + i] with `Columns`, else
/// at a[i step + p]; rows past the `rows` that exist repeat the last one.
template <class T, bool Columns, std::size_t Wide>
HOCKET_ALWAYS_INLINE void multiply(std::size_t rows, std::size_t k, const T* a, std::size_t step, const T* b,
                                   std::size_t b_row, vec<T> (&acc)[tile_rows][Wide]) {
  const T* row[tile_rows];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < tile_rows; ++i) row[i] = a + (i < rows ? i : rows - 1) * (Columns ? 1 : step);
#pragma GCC unroll 8
  for (std::size_t i = 0; i < tile_rows; ++i)
    for (std::size_t w = 0; w < Wide; ++w) acc[i][w] = vec<T>{};
  for (std::size_t p = 0; p < k; ++p) {
    vec<T> right[Wide];
#pragma GCC unroll 2
    for (std::size_t w = 0; w < Wide; ++w) right[w] = load(b + w * lanes<T>);
#pragma GCC unroll 8
    for (std::size_t i = 0; i < tile_rows; ++i) {
      const T value = row[i][Columns ? p * step : p];
#pragma GCC unroll 2
      for (std::size_t w = 0; w < Wide; ++w) acc[i][w] += value * right[w];
    }
    b += b_row;
  }
}

/// C tile = or += acc, its first `rows` rows.
template <class T, bool Add, std::size_t Wide>
HOCKET_ALWAYS_INLINE void put(const vec<T> (&acc)[tile_rows][Wide], std::size_t rows, T* c, std::size_t c_row) {
  if (rows == tile_rows) {
#pragma GCC unroll 8
    for (std::size_t i = 0; i < tile_rows; ++i)
      for (std::size_t w = 0; w < Wide; ++w) {
        T* const out = c + i * c_row + w * lanes<T>;
        store(out, Add ? load(out) + acc[i][w] : acc[i][w]);
      }
    return;
  }
  alignas(alignment) T tile[tile_rows][Wide * lanes<T>];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < tile_rows; ++i)
    for (std::size_t w = 0; w < Wide; ++w) store(tile[i] + w * lanes<T>, acc[i][w]);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t w = 0; w < Wide; ++w) {
      T* const out = c + i * c_row + w * lanes<T>;
      const vec<T> value = load(tile[i] + w * lanes<T>);
      store(out, Add ? load(out) + value : value);
    }
}

/// C (rows, registers) = or += A (rows, k) B (k, registers).
template <class T, bool Columns, bool Add>
void product(std::size_t rows, std::size_t registers, std::size_t k, const T* a, std::size_t step, const T* b,
             std::size_t b_row, T* c, std::size_t c_row) noexcept {
  for (std::size_t i = 0; i < rows; i += tile_rows) {
    const std::size_t here = rows - i < tile_rows ? rows - i : tile_rows;
    const T* const left = a + i * (Columns ? 1 : step);
    std::size_t w = 0;
    for (; w + 2 <= registers; w += 2) {
      vec<T> acc[tile_rows][2];
      multiply<T, Columns, 2>(here, k, left, step, b + w * lanes<T>, b_row, acc);
      put<T, Add, 2>(acc, here, c + i * c_row + w * lanes<T>, c_row);
    }
    if (w < registers) {
      vec<T> acc[tile_rows][1];
      multiply<T, Columns, 1>(here, k, left, step, b + w * lanes<T>, b_row, acc);
      put<T, Add, 1>(acc, here, c + i * c_row + w * lanes<T>, c_row);
    }
  }
}

/// A block of keys that a block of queries meets: a stretch of the prefix or of an item's own keys.
template <class T>
struct key_stretch {
  const T *k, *v;
  std::size_t k_row, v_row;
  std::size_t first, last;  ///< keys [first, last) are met
  bool own;
};

template <class T>
key_stretch<T> prefix_of(const shape& s, const inputs<T>& in, std::size_t b, std::size_t kv_head) {
  if (s.prefix == 0) return {};
  return {in.prefix_k.at(b, kv_head, 0),
          in.prefix_v.at(b, kv_head, 0),
          in.prefix_k.row,
          in.prefix_v.row,
          0,
          s.prefix,
          false};
}
template <class T>
key_stretch<T> own_of(const shape& s, const inputs<T>& in, const cpu_item& at, std::size_t b, std::size_t kv_head,
                      std::size_t first_query, std::size_t queries) {
  const cpu_span seen = keys_seen(s, at, first_query, queries);
  const std::uint32_t* const starts = in.lengths.key_starts;
  return {
      in.k.at(b, kv_head, 0, starts), in.v.at(b, kv_head, 0, starts), in.k.row, in.v.row, seen.first, seen.last, true};
}

/// Adds the bias to transposed scores (keys, block) and hides what the masks hide, for keys j0 ... of the item's own.
template <class T>
void mask(const shape& s, const inputs<T>& in, const cpu_item& at, std::size_t b, std::size_t h, std::size_t i0,
          std::size_t queries, std::size_t j0, std::size_t keys, T* scores) noexcept {
  constexpr std::size_t block = block_queries<T>;
  if (in.bias.data)
    for (std::size_t i = 0; i < queries; ++i) {
      const T* const bias = in.bias.at(b, h, i0 + i) + j0;
      for (std::size_t j = 0; j < keys; ++j) scores[j * block + i] += bias[j];
    }
  if (all_seen(s, at, i0, queries, j0, keys)) return;
  const auto index = ramp<T>();
  using integer = typename exponent<T>::integer;
  for (std::size_t j = 0; j < keys; ++j) {
    const cpu_range seeing = queries_seeing(s, at, i0, queries, j0 + j);
    for (std::size_t w = 0; w < queries; w += lanes<T>) {
      T* const here = scores + j * block + w;
      const auto first = static_cast<integer>(seeing.first) - static_cast<integer>(w),
                 last = static_cast<integer>(seeing.last) - static_cast<integer>(w);
      const vec<T> value = load(here);
      store(here, ((index >= first) & (index < last)) ? value : vec<T>{} - std::numeric_limits<T>::infinity());
    }
  }
}

/// The masks of one group of dropout_group keys and a block of queries.
template <class T>
struct group_masks {
  using integer = typename exponent<T>::integer;
  alignas(alignment) integer stays[dropout_group][block_queries<T>];  ///< -1 where the probability stays, else 0
};

/// For queries i0 ... and keys dropout_group x group ... of an item's own or of the prefix.
template <class T>
void make_masks(const shape& s, std::size_t b, std::size_t h, std::size_t i0, std::size_t queries, bool own,
                std::size_t group, group_masks<T>& masks) noexcept {
  using facts = exponent<T>;
  constexpr std::size_t wide = lanes<std::uint32_t>;
  const auto groups = static_cast<std::uint32_t>(dropout_groups(s));
  const auto threshold = typename facts::whole{} + static_cast<typename facts::integer>(s.drop.threshold);
  for (std::size_t i = 0; i < queries; i += wide) {
    philox_words words[4];
    philox_lanes(s.drop.seed, s.drop.stream, dropout_row(s, b, h, i0 + i) + (own ? prefix_groups(s) : 0) + group,
                 groups, words);
#pragma GCC unroll 4
    for (std::size_t w = 0; w < 4; ++w) {
      alignas(alignment) std::int32_t word[wide];
      store(word, reinterpret_cast<typename register_of<std::int32_t>::full>(words[w]));
      for (std::size_t l = 0; l < wide && i + l < queries; l += lanes<T>) {
        typename facts::whole bits;
#pragma GCC unroll 16
        for (std::size_t e = 0; e < lanes<T>; ++e) bits[e] = word[l + e];
        store(masks.stays[2 * w] + i + l, (bits & 0xffff) >= threshold);
        store(masks.stays[2 * w + 1] + i + l, (bits >> 16 & 0xffff) >= threshold);
      }
    }
  }
}

/// Zeros for the weights (keys, block) of keys j0 ... that dropout drops.
template <class T>
void drop(const shape& s, std::size_t b, std::size_t h, std::size_t i0, std::size_t queries, bool own, std::size_t j0,
          std::size_t keys, T* weights) noexcept {
  group_masks<T> masks;
  for (std::size_t j = 0; j < keys; ++j) {
    if (j == 0 || (j0 + j) % dropout_group == 0) make_masks(s, b, h, i0, queries, own, (j0 + j) / dropout_group, masks);
    for (std::size_t w = 0; w < queries; w += lanes<T>) {
      T* const here = weights + j * block_queries<T> + w;
      store(here, load(masks.stays[(j0 + j) % dropout_group] + w) ? load(here) : vec<T>{});
    }
  }
}

/// Takes a block of scores (keys, block) into the running maximum and sum of each query and makes weights of them; what
/// was mixed before (width, block; nothing when this block is the first) shrinks to the new maximum.
template <class T>
void soften(bool first, std::size_t keys, std::size_t queries, std::size_t width, T* scores, T* peak, T* sum,
            T* mixed) noexcept {
  constexpr std::size_t block = block_queries<T>;
  constexpr T hidden = -std::numeric_limits<T>::infinity();
  for (std::size_t w = 0; w < queries; w += lanes<T>) {
    vec<T> best[4];
    best[0] = load(peak + w);
    for (std::size_t e = 1; e < 4; ++e) best[e] = best[0];
    const auto take = [&](std::size_t j, std::size_t e) {
      const vec<T> x = load(scores + j * block + w);
      best[e] = best[e] < x ? x : best[e];
    };
    std::size_t j = 0;
    for (; j + 4 <= keys; j += 4) {
#pragma GCC unroll 4
      for (std::size_t e = 0; e < 4; ++e) take(j + e, e);
    }
    for (; j < keys; ++j) take(j, 0);
    for (std::size_t e = 1; e < 4; ++e) best[0] = best[0] < best[e] ? best[e] : best[0];
    const vec<T> before = load(peak + w);
    store(peak + w, best[0]);
    const vec<T> anchor = best[0] == hidden ? vec<T>{} : best[0];  // a query that has seen nothing: weights 0, not NaN
    const vec<T> scaled = anchor * log2_e<T>;
    const vec<T> shrink = power_of_two<T>(before * log2_e<T> - scaled);
    vec<T> total = load(sum + w) * shrink;
    for (j = 0; j < keys; ++j) {
      T* const here = scores + j * block + w;
      const vec<T> weight = power_of_two<T>(load(here) * log2_e<T> - scaled);
      store(here, weight);
      total += weight;
    }
    store(sum + w, total);
    if (first) continue;
    for (std::size_t d = 0; d < width; ++d) store(mixed + d * block + w, load(mixed + d * block + w) * shrink);
  }
}

/// ln of the sum of exp(score), where `sum` is that of 2^(score c - peak c), c = log2 e and peak c rounded to T. One
/// rounding, and the same c, because the backward pass makes a relative error of the row's probabilities of what is
/// lost.
template <class T>
T log_sum_exp(T peak, T sum) noexcept {
  using wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;
  if (!(sum > 0)) return sum == 0 ? -std::numeric_limits<T>::infinity() : sum;
  const T anchor = peak * log2_e<T>;
  return static_cast<T>((static_cast<wide>(anchor) + std::log2(static_cast<wide>(sum))) / static_cast<wide>(log2_e<T>));
}

/// out and lse of up to block_queries queries from i0 on of head h of item b. `work`: forward_work.
template <class T>
void forward_tile(const shape& s, const inputs<T>& in, const outputs<T>& to, std::size_t b, std::size_t h,
                  std::size_t tile, T* work) noexcept {
  constexpr std::size_t block = block_queries<T>;
  const std::size_t i0 = tile * block, kv_head = h / (s.heads / s.kv_heads);
  const cpu_item at = item_of(s, in.lengths, b);
  const std::size_t queries = i0 < at.queries ? (at.queries - i0 < block ? at.queries - i0 : block) : 0;
  const std::size_t exist = s.queries - i0 < block ? s.queries - i0 : block;
  T* const lse = to.lse + (b * s.heads + h) * s.queries + i0;
  T* const out = to.out.at(b, h, i0, in.lengths.query_starts);
  for (std::size_t i = queries; i < exist; ++i) {
    lse[i] = -std::numeric_limits<T>::infinity();
    if (!in.lengths.query_starts)
      for (std::size_t d = 0; d < s.width; ++d) out[i * to.out.row + d] = 0;
  }
  if (queries == 0) return;
  const std::size_t registers = (queries + lanes<T> - 1) / lanes<T>;
  T* const q = work;                            // (width, block)
  T* const mixed = q + s.width * block;         // (width, block)
  T* const scores = mixed + s.width * block;    // (block_keys, block)
  T* const peak = scores + block_keys * block;  // (block)
  T* const sum = peak + block;                  // (block)
  pack_transposed(in.q.at(b, h, i0, in.lengths.query_starts), in.q.row, queries, s.width, static_cast<T>(s.scale), q,
                  block);
  bool first = true;
  for (std::size_t i = 0; i < block; ++i) {
    peak[i] = -std::numeric_limits<T>::infinity();
    sum[i] = 0;
  }
  for (const auto& part : {prefix_of(s, in, b, kv_head), own_of(s, in, at, b, kv_head, i0, queries)})
    for (std::size_t j0 = part.first; j0 < part.last; j0 += block_keys) {
      const std::size_t keys = part.last - j0 < block_keys ? part.last - j0 : block_keys;
      product<T, false, false>(keys, registers, s.width, part.k + j0 * part.k_row, part.k_row, q, block, scores, block);
      if (part.own) mask(s, in, at, b, h, i0, queries, j0, keys, scores);
      soften(first, keys, queries, s.width, scores, peak, sum, mixed);
      if (!s.drop.none()) drop(s, b, h, i0, queries, part.own, j0, keys, scores);
      const T* const v = part.v + j0 * part.v_row;
      if (first)
        product<T, true, false>(s.width, registers, keys, v, part.v_row, scores, block, mixed, block);
      else
        product<T, true, true>(s.width, registers, keys, v, part.v_row, scores, block, mixed, block);
      first = false;
    }
  if (first)
    for (std::size_t i = 0; i < s.width * block; ++i) mixed[i] = 0;
  for (std::size_t i = 0; i < queries; ++i) lse[i] = log_sum_exp(peak[i], sum[i]);
  for (std::size_t w = 0; w < queries; w += lanes<T>) {
    const vec<T> total = load(sum + w);
    const vec<T> by = total > T(0) ? static_cast<T>(s.drop.scale) / total : total;  // a NaN stays one
    for (std::size_t d = 0; d < s.width; ++d) store(mixed + d * block + w, load(mixed + d * block + w) * by);
  }
  put_transposed(mixed, block, queries, s.width, T(1), out, to.out.row);
}

/// a . b of `width` elements, lanes side by side, then in order.
template <class T>
T dot(const T* a, const T* b, std::size_t width) noexcept {
  vec<T> sums{};
  std::size_t d = 0;
  for (; d + lanes<T> <= width; d += lanes<T>) sums += load(a + d) * load(b + d);
  T sum = 0;
  for (std::size_t i = 0; i < lanes<T>; ++i) sum += sums[i];
  for (; d < width; ++d) sum += a[d] * b[d];
  return sum;
}

/// Scores and dP = dout . v of keys j0 ... become the weights Z P of dV, whose factor of what stays comes at the end,
/// and the slopes P (Z dP - delta) of dQ and dK.
template <class T>
void make_slopes(const shape& s, std::size_t b, std::size_t h, std::size_t i0, std::size_t queries, bool own,
                 std::size_t j0, std::size_t keys, const T* lse, const T* delta, T* weights, T* slopes) noexcept {
  constexpr std::size_t block = block_queries<T>;
  group_masks<T> masks;
  const bool drops = !s.drop.none();
  const T kept = static_cast<T>(s.drop.scale);
  for (std::size_t j = 0; j < keys; ++j) {
    if (drops && (j == 0 || (j0 + j) % dropout_group == 0))
      make_masks(s, b, h, i0, queries, own, (j0 + j) / dropout_group, masks);
    for (std::size_t w = 0; w < queries; w += lanes<T>) {
      T *const weight = weights + j * block + w, *const slope = slopes + j * block + w;
      const vec<T> p = power_of_two<T>((load(weight) - load(lse + w)) * log2_e<T>);
      vec<T> d = load(slope);
      if (drops) {
        const auto stays = load(masks.stays[(j0 + j) % dropout_group] + w);
        d = stays ? d * kept : vec<T>{};
        store(slope, p * (d - load(delta + w)));
        store(weight, stays ? p : vec<T>{});
      } else {
        store(slope, p * (d - load(delta + w)));
        store(weight, p);
      }
    }
  }
}

/// All gradients of the heads that share key/value head `kv_head` of item b. dprefix: where this item's share goes.
/// `work`: backward_work.
template <class T>
void backward_tile(const shape& s, const inputs<T>& in, const upstream<T>& up, const gradients<T>& to, std::size_t b,
                   std::size_t kv_head, rows_of<T> dprefix_k, rows_of<T> dprefix_v, T* work) noexcept {
  constexpr std::size_t block = block_queries<T>;
  const std::size_t wide = (s.width + lanes<T> - 1) / lanes<T>, padded = wide * lanes<T>, group = s.heads / s.kv_heads;
  const cpu_item at = item_of(s, in.lengths, b);
  const std::uint32_t *const query_starts = in.lengths.query_starts, *const key_starts = in.lengths.key_starts;
  T* const q = work;                                // (width, block), scaled
  T* const dout = q + s.width * block;              // (width, block)
  T* const dq = dout + s.width * block;             // (width, block)
  T* const weights = dq + s.width * block;          // (back_keys, block)
  T* const slopes = weights + back_keys * block;    // (back_keys, block)
  T* const q_rows = slopes + back_keys * block;     // (block, padded), scaled
  T* const dout_rows = q_rows + block * padded;     // (block, padded)
  T* const lse = dout_rows + block * padded;        // (block)
  T* const delta = lse + block;                     // (block)
  T* const dk = delta + block;                      // (prefix + keys, padded)
  T* const dv = dk + (s.prefix + s.keys) * padded;  // (prefix + keys, padded)
  const T scale_kept = static_cast<T>(s.drop.scale);
  for (std::size_t i = 0; i < 2 * (s.prefix + s.keys) * padded; ++i) dk[i] = 0;

  for (std::size_t h = kv_head * group; h < (kv_head + 1) * group; ++h)
    for (std::size_t i0 = 0; i0 < s.queries; i0 += block) {
      T* const dq_out = to.dq.at(b, h, i0, query_starts);
      const std::size_t queries = i0 < at.queries ? (at.queries - i0 < block ? at.queries - i0 : block) : 0;
      if (!query_starts)
        for (std::size_t i = queries; i < block && i0 + i < s.queries; ++i)
          for (std::size_t d = 0; d < s.width; ++d) dq_out[i * to.dq.row + d] = 0;
      if (queries == 0) continue;
      const std::size_t registers = (queries + lanes<T> - 1) / lanes<T>, rows = registers * lanes<T>;
      const T* const q_in = in.q.at(b, h, i0, query_starts);
      const T* const dout_in = up.dout.at(b, h, i0, query_starts);
      const T* const out_in = up.out.at(b, h, i0, query_starts);
      pack_transposed(q_in, in.q.row, queries, s.width, static_cast<T>(s.scale), q, block);
      pack_transposed(dout_in, up.dout.row, queries, s.width, T(1), dout, block);
      pack_rows(q_in, in.q.row, queries, rows, s.width, padded, static_cast<T>(s.scale), q_rows);
      pack_rows(dout_in, up.dout.row, queries, rows, s.width, padded, T(1), dout_rows);
      for (std::size_t i = 0; i < rows; ++i) {
        const T kept =
            i < queries ? up.lse[(b * s.heads + h) * s.queries + i0 + i] : -std::numeric_limits<T>::infinity();
        // A query that saw nothing: exp(score - infinity) = 0.
        lse[i] = kept == -std::numeric_limits<T>::infinity() ? std::numeric_limits<T>::infinity() : kept;
        delta[i] = i < queries ? dot(out_in + i * up.out.row, dout_in + i * up.dout.row, s.width) : T(0);
      }
      for (std::size_t i = 0; i < s.width * block; ++i) dq[i] = 0;
      for (const auto& part : {prefix_of(s, in, b, kv_head), own_of(s, in, at, b, kv_head, i0, queries)})
        for (std::size_t j0 = part.first; j0 < part.last; j0 += back_keys) {
          const std::size_t keys = part.last - j0 < back_keys ? part.last - j0 : back_keys;
          const std::size_t row = (part.own ? s.prefix : 0) + j0;
          product<T, false, false>(keys, registers, s.width, part.k + j0 * part.k_row, part.k_row, q, block, weights,
                                   block);
          if (part.own) mask(s, in, at, b, h, i0, queries, j0, keys, weights);
          product<T, false, false>(keys, registers, s.width, part.v + j0 * part.v_row, part.v_row, dout, block, slopes,
                                   block);
          make_slopes(s, b, h, i0, rows, part.own, j0, keys, lse, delta, weights, slopes);
          product<T, false, true>(keys, wide, rows, weights, block, dout_rows, padded, dv + row * padded, padded);
          product<T, false, true>(keys, wide, rows, slopes, block, q_rows, padded, dk + row * padded, padded);
          product<T, true, true>(s.width, registers, keys, part.k + j0 * part.k_row, part.k_row, slopes, block, dq,
                                 block);
        }
      put_transposed(dq, block, queries, s.width, static_cast<T>(s.scale), dq_out, to.dq.row);
    }

  const auto put_keys = [&](const T* from, T by, const rows_of<T>& out, const std::uint32_t* starts, std::size_t rows) {
    for (std::size_t j = 0; j < rows; ++j)
      for (std::size_t d = 0; d < s.width; ++d) out.at(b, kv_head, j, starts)[d] = by * from[j * padded + d];
  };
  const std::size_t keys = key_starts ? at.keys : s.keys;
  put_keys(dk, T(1), dprefix_k, nullptr, s.prefix);
  put_keys(dv, scale_kept, dprefix_v, nullptr, s.prefix);
  put_keys(dk + s.prefix * padded, T(1), to.dk, key_starts, keys);
  put_keys(dv + s.prefix * padded, scale_kept, to.dv, key_starts, keys);
}

}  // namespace hocket::kernels::attention::HOCKET_SIMD_NS
