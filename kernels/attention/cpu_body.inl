// Attention in registers; compiled once per instruction set (core/simd_each.hpp). Scores lie transposed: a register
// holds one key's scores with neighbouring queries, so that the softmax of a query runs down a column and needs no sum
// across lanes, keys and values are read where they lie, and only queries, outputs and their gradients are transposed.

namespace hocket::kernels::attention::HOCKET_SIMD_NS {

#include <hocket/core/philox_lanes.inl>
#include <hocket/kernels/attention/cpu_simd.inl>
#include <hocket/kernels/attention/cpu_tiles.inl>

template <class T>
inline constexpr std::size_t block_queries = tile_registers* lanes<T>;
template <class T>
std::size_t query_tiles(const shape& s) {
  return (s.queries + block_queries<T> - 1) / block_queries<T>;
}

/// Keys that a block of queries meets: a stretch of the prefix or of an item's own keys.
template <class S>
struct key_stretch {
  const S *k = nullptr, *v = nullptr;
  std::size_t k_row = 0, v_row = 0;
  std::size_t first = 0, last = 0;  ///< keys [first, last) are met
  bool own = false;
};

/// What of the prefix and of an item's own keys lies in `part` of both together, the prefix first.
template <class S>
key_stretch<S> prefix_of(const shape& s, const inputs<S>& in, std::size_t b, std::size_t kv_head, cpu_span part) {
  const std::size_t last = part.last < s.prefix ? part.last : s.prefix;
  if (part.first >= last) return {};
  return {in.prefix_k.at(b, kv_head, 0),
          in.prefix_v.at(b, kv_head, 0),
          in.prefix_k.row,
          in.prefix_v.row,
          part.first,
          last,
          false};
}
template <class S>
key_stretch<S> own_of(const shape& s, const inputs<S>& in, const cpu_item& at, std::size_t b, std::size_t kv_head,
                      std::size_t first_query, std::size_t queries, cpu_span part) {
  const cpu_span seen = keys_seen(s, at, first_query, queries);
  const std::uint32_t* const starts = in.lengths.key_starts;
  const std::size_t from = part.first > s.prefix ? part.first - s.prefix : 0,
                    to = part.last > s.prefix ? part.last - s.prefix : 0;
  const std::size_t first = std::max(seen.first, from), last = std::min(seen.last, to);
  if (first >= last) return {};
  return {in.k.at(b, kv_head, 0, starts), in.v.at(b, kv_head, 0, starts), in.k.row, in.v.row, first, last, true};
}

/// Rows of keys or values as T: where they lie, or converted to `spare` (keys, width); `row` follows.
template <class S, class T>
const T* rows_here(const S* from, std::size_t& row, std::size_t keys, std::size_t width, T* spare) noexcept {
  if constexpr (std::is_same_v<S, T>) {
    return from;
  } else {
    pack_rows(from, row, keys, keys, width, width, T(1), spare);
    row = width;
    return spare;
  }
}

/// Adds the bias to transposed scores (keys, block) and hides what the masks hide, for keys j0 ... of the item's own.
template <class S, class T>
void mask(const shape& s, const inputs<S>& in, const cpu_item& at, std::size_t b, std::size_t h, std::size_t i0,
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
        typename facts::whole bits{};
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

/// Takes a block of scores (keys, block) into the running maximum and sum of each query and makes weights of them. What
/// was mixed before must be shrunk to the new maximum: by `shrink`, a factor a query. peak holds maxima times log2 e,
/// rounded: where a maximum stays, the factor is 1 and not 2^(what the rounding lost), which would add up.
template <class T>
void soften(std::size_t keys, std::size_t queries, T* scores, T* peak, T* sum, T* shrink) noexcept {
  constexpr std::size_t block = block_queries<T>;
  constexpr T hidden = -std::numeric_limits<T>::infinity();
  for (std::size_t w = 0; w < queries; w += lanes<T>) {
    vec<T> best[4];
#pragma GCC unroll 4
    for (std::size_t e = 0; e < 4; ++e) best[e] = vec<T>{} + hidden;
    const T* from = scores + w;
    std::size_t j = 0;
    for (; j + 4 <= keys; j += 4, from += 4 * block) {
#pragma GCC unroll 4
      for (std::size_t e = 0; e < 4; ++e) {
        const vec<T> x = load(from + e * block);
        best[e] = best[e] < x ? x : best[e];
      }
    }
    for (; j < keys; ++j, from += block) best[0] = best[0] < load(from) ? load(from) : best[0];
    for (std::size_t e = 1; e < 4; ++e) best[0] = best[0] < best[e] ? best[e] : best[0];
    const vec<T> before = load(peak + w), here_best = best[0] * log2_e<T>,
                 now = before < here_best ? here_best : before;
    store(peak + w, now);
    const vec<T> anchor = now == hidden ? vec<T>{} : now;  // a query that has seen nothing: weights 0, not NaN
    const vec<T> less = power_of_two<T>(before - anchor);
    store(shrink + w, less);
    vec<T> total{};  // of this block alone: sums of sums lose less
    T* here = scores + w;
    for (j = 0; j < keys; ++j, here += block) {
      const vec<T> weight = power_of_two<T>(load(here) * log2_e<T> - anchor);
      store(here, weight);
      total += weight;
    }
    store(sum + w, load(sum + w) * less + total);
  }
}

/// out and lse of up to block_queries queries from i0 on of head h of item b. `work`: forward_work.
template <class S>
void forward_tile(const shape& s, const inputs<S>& in, const outputs<S>& to, std::size_t b, std::size_t h,
                  std::size_t tile, accumulator<S>* work) noexcept {
  using T = accumulator<S>;
  constexpr std::size_t block = block_queries<T>;
  const std::size_t i0 = tile * block, kv_head = h / (s.heads / s.kv_heads);
  const cpu_item at = item_of(s, in.lengths, b);
  const std::size_t queries = i0 < at.queries ? (at.queries - i0 < block ? at.queries - i0 : block) : 0;
  const std::size_t exist = s.queries - i0 < block ? s.queries - i0 : block;
  T* const lse = to.lse + (b * s.heads + h) * s.queries + i0;
  S* const out = to.out.at(b, h, i0, in.lengths.query_starts);
  for (std::size_t i = queries; i < exist; ++i) {
    lse[i] = -std::numeric_limits<T>::infinity();
    if (!in.lengths.query_starts)
      for (std::size_t d = 0; d < s.width; ++d) out[i * to.out.row + d] = {};
  }
  if (queries == 0) return;
  const std::size_t registers = (queries + lanes<T> - 1) / lanes<T>;
  T* const q = work;                            // (width, block)
  T* const mixed = q + s.width * block;         // (width, block)
  T* const scores = mixed + s.width * block;    // (block_keys, block)
  T* const peak = scores + block_keys * block;  // (block)
  T* const sum = peak + block;                  // (block)
  T* const shrink = sum + block;                // (block)
  T* const spare = shrink + block;              // (block_keys, width)
  pack_transposed(in.q.at(b, h, i0, in.lengths.query_starts), in.q.row, queries, s.width, static_cast<T>(s.scale), q,
                  block);
  bool first = true;
  for (std::size_t i = 0; i < block; ++i) {
    peak[i] = -std::numeric_limits<T>::infinity();
    sum[i] = 0;
  }
  const cpu_span all{0, s.prefix + s.keys};
  for (const auto& part : {prefix_of(s, in, b, kv_head, all), own_of(s, in, at, b, kv_head, i0, queries, all)})
    for (std::size_t j0 = part.first; j0 < part.last; j0 += block_keys) {
      const std::size_t keys = part.last - j0 < block_keys ? part.last - j0 : block_keys;
      std::size_t k_row = part.k_row, v_row = part.v_row;
      const T* const k = rows_here(part.k + j0 * k_row, k_row, keys, s.width, spare);
      product<T, false, take::set>(keys, registers, s.width, k, k_row, q, block, scores, block);
      if (part.own) mask(s, in, at, b, h, i0, queries, j0, keys, scores);
      soften(keys, queries, scores, peak, sum, shrink);
      if (!s.drop.none()) drop(s, b, h, i0, queries, part.own, j0, keys, scores);
      const T* const v = rows_here(part.v + j0 * v_row, v_row, keys, s.width, spare);
      if (first)
        product<T, true, take::set>(s.width, registers, keys, v, v_row, scores, block, mixed, block);
      else
        product<T, true, take::shrink>(s.width, registers, keys, v, v_row, scores, block, mixed, block, shrink);
      first = false;
    }
  if (first)
    for (std::size_t i = 0; i < s.width * block; ++i) mixed[i] = 0;
  log_sum_exp(peak, sum, queries, lse);
  for (std::size_t w = 0; w < queries; w += lanes<T>) {
    const vec<T> total = load(sum + w);
    store(shrink + w, total > T(0) ? static_cast<T>(s.drop.scale) / total : total);  // a NaN stays one
  }
  put_transposed(mixed, block, queries, s.width, shrink, out, to.out.row);
}

template <class S>
void forward_tiles(const shape& s, const inputs<S>& in, const outputs<S>& to, std::size_t b, std::size_t h,
                   std::size_t first, std::size_t tiles, accumulator<S>* work) noexcept {
  for (std::size_t tile = first; tile < first + tiles; ++tile) forward_tile(s, in, to, b, h, tile, work);
}

/// to[i] = a_i . b_i of `rows` rows: sums side by side in lanes, which a transpose adds for as many rows at once.
template <class S>
void dots(const S* a, std::size_t a_row, const S* b, std::size_t b_row, std::size_t rows, std::size_t width,
          accumulator<S>* to) noexcept {
  using T = accumulator<S>;
  constexpr std::size_t n = lanes<T>;
  for (std::size_t r = 0; r < rows; r += n) {
    const std::size_t here = rows - r < n ? rows - r : n;
    vec<T> square[n] = {};
    for (std::size_t i = 0; i < here; ++i) {
      const S *const left = a + (r + i) * a_row, *const right = b + (r + i) * b_row;
      std::size_t d = 0;
      for (; d + n <= width; d += n) square[i] += load(left + d) * load(right + d);
      if (d < width) square[i] += load_some(left + d, width - d, T{0}) * load_some(right + d, width - d, T{0});
    }
    transpose_from<T, n / 2>(square);
    vec<T> sum = square[0];
#pragma GCC unroll 16
    for (std::size_t i = 1; i < n; ++i) sum += square[i];
    for (std::size_t i = 0; i < here; ++i) to[r + i] = sum[i];
  }
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

/// Rows [first, last) of a head of `to` = by x from (rows, padded).
template <class S, class T>
void put_keys(const T* from, std::size_t padded, std::size_t width, T by, const rows_of<S>& to,
              const std::uint32_t* starts, std::size_t b, std::size_t kv_head, std::size_t first,
              std::size_t last) noexcept {
  for (std::size_t j = first; j < last; ++j, from += padded) {
    S* const out = to.at(b, kv_head, j, starts);
    for (std::size_t d = 0; d < width; ++d) out[d] = narrow<S>(by * from[d]);
  }
}

/// Gradients of the heads that share key/value head `kv_head` of item b, from keys `part` of prefix and own keys: dk
/// and dv of these, and what they add to dq, which goes to the output where `partial` is null, else to `partial`, tile
/// by tile (width, block) in the order of heads and queries. A prefix that the items share: its gradients go to share_k
/// and share_v. `work`: backward_work.
template <class S>
void backward_tile(const shape& s, const inputs<S>& in, const upstream<S>& up, const gradients<S>& to, std::size_t b,
                   std::size_t kv_head, cpu_span part, const rows_of<accumulator<S>>& share_k,
                   const rows_of<accumulator<S>>& share_v, accumulator<S>* partial, accumulator<S>* work) noexcept {
  using T = accumulator<S>;
  constexpr std::size_t block = block_queries<T>;
  const std::size_t wide = (s.width + lanes<T> - 1) / lanes<T>, padded = wide * lanes<T>, group = s.heads / s.kv_heads;
  const cpu_item at = item_of(s, in.lengths, b);
  const std::uint32_t *const query_starts = in.lengths.query_starts, *const key_starts = in.lengths.key_starts;
  T* const q = work;                              // (width, block), scaled
  T* const dout = q + s.width * block;            // (width, block)
  T* const dq = dout + s.width * block;           // (width, block)
  T* const weights = dq + s.width * block;        // (back_keys, block)
  T* const slopes = weights + back_keys * block;  // (back_keys, block)
  T* const q_rows = slopes + back_keys * block;   // (block, padded), scaled
  T* const dout_rows = q_rows + block * padded;   // (block, padded)
  T* const lse = dout_rows + block * padded;      // (block)
  T* const delta = lse + block;                   // (block)
  T* const factor = delta + block;                // (block)
  T* const spare_k = factor + block;              // (back_keys, width)
  T* const spare_v = spare_k + back_keys * s.width;
  const std::size_t keys_here = part.last - part.first;
  T* const dk = spare_v + back_keys * s.width;  // (keys of the part, padded)
  T* const dv = dk + keys_here * padded;        // (keys of the part, padded)
  for (std::size_t i = 0; i < 2 * keys_here * padded; ++i) dk[i] = 0;
  for (std::size_t i = 0; i < block; ++i) factor[i] = static_cast<T>(s.scale);

  for (std::size_t h = kv_head * group; h < (kv_head + 1) * group; ++h)
    for (std::size_t i0 = 0; i0 < s.queries; i0 += block) {
      S* const dq_out = to.dq.at(b, h, i0, query_starts);
      const std::size_t queries = i0 < at.queries ? (at.queries - i0 < block ? at.queries - i0 : block) : 0;
      if (!query_starts && part.first == 0)
        for (std::size_t i = queries; i < block && i0 + i < s.queries; ++i)
          for (std::size_t d = 0; d < s.width; ++d) dq_out[i * to.dq.row + d] = {};
      if (queries == 0) continue;
      const std::size_t registers = (queries + lanes<T> - 1) / lanes<T>, rows = registers * lanes<T>;
      const S* const q_in = in.q.at(b, h, i0, query_starts);
      const S* const dout_in = up.dout.at(b, h, i0, query_starts);
      const S* const out_in = up.out.at(b, h, i0, query_starts);
      pack_transposed(q_in, in.q.row, queries, s.width, static_cast<T>(s.scale), q, block);
      pack_transposed(dout_in, up.dout.row, queries, s.width, T(1), dout, block);
      pack_rows(q_in, in.q.row, queries, rows, s.width, padded, static_cast<T>(s.scale), q_rows);
      pack_rows(dout_in, up.dout.row, queries, rows, s.width, padded, T(1), dout_rows);
      for (std::size_t i = 0; i < rows; ++i) {
        const T kept =
            i < queries ? up.lse[(b * s.heads + h) * s.queries + i0 + i] : -std::numeric_limits<T>::infinity();
        // A query that saw nothing: exp(score - infinity) = 0.
        lse[i] = kept == -std::numeric_limits<T>::infinity() ? std::numeric_limits<T>::infinity() : kept;
        delta[i] = 0;
      }
      dots(out_in, up.out.row, dout_in, up.dout.row, queries, s.width, delta);
      for (std::size_t i = 0; i < s.width * block; ++i) dq[i] = 0;
      for (const auto& keys_of : {prefix_of(s, in, b, kv_head, part), own_of(s, in, at, b, kv_head, i0, queries, part)})
        for (std::size_t j0 = keys_of.first; j0 < keys_of.last; j0 += back_keys) {
          const std::size_t keys = keys_of.last - j0 < back_keys ? keys_of.last - j0 : back_keys;
          const std::size_t row = (keys_of.own ? s.prefix : 0) + j0 - part.first;
          std::size_t k_row = keys_of.k_row, v_row = keys_of.v_row;
          const T* const k = rows_here(keys_of.k + j0 * k_row, k_row, keys, s.width, spare_k);
          const T* const v = rows_here(keys_of.v + j0 * v_row, v_row, keys, s.width, spare_v);
          product<T, false, take::set>(keys, registers, s.width, k, k_row, q, block, weights, block);
          if (keys_of.own) mask(s, in, at, b, h, i0, queries, j0, keys, weights);
          product<T, false, take::set>(keys, registers, s.width, v, v_row, dout, block, slopes, block);
          make_slopes(s, b, h, i0, rows, keys_of.own, j0, keys, lse, delta, weights, slopes);
          product<T, false, take::add>(keys, wide, rows, weights, block, dout_rows, padded, dv + row * padded, padded);
          product<T, false, take::add>(keys, wide, rows, slopes, block, q_rows, padded, dk + row * padded, padded);
          product<T, true, take::add>(s.width, registers, keys, k, k_row, slopes, block, dq, block);
        }
      if (partial)
        std::copy_n(dq, s.width * block, partial + (h * query_tiles<T>(s) + i0 / block) * s.width * block);
      else
        put_transposed(dq, block, queries, s.width, factor, dq_out, to.dq.row);
    }

  const T scale_kept = static_cast<T>(s.drop.scale);
  const std::size_t of_prefix = std::min(std::max(part.first, s.prefix), part.last) - part.first,
                    first = part.first + of_prefix - std::min(s.prefix, part.first + of_prefix),
                    exist = key_starts ? at.keys : s.keys,
                    last = std::min(exist, part.last > s.prefix ? part.last - s.prefix : 0);
  if (of_prefix > 0) {
    if (share_k.data) {
      put_keys(dk, padded, s.width, T(1), share_k, nullptr, b, kv_head, part.first, part.first + of_prefix);
      put_keys(dv, padded, s.width, scale_kept, share_v, nullptr, b, kv_head, part.first, part.first + of_prefix);
    } else {
      put_keys(dk, padded, s.width, T(1), to.dprefix_k, nullptr, b, kv_head, part.first, part.first + of_prefix);
      put_keys(dv, padded, s.width, scale_kept, to.dprefix_v, nullptr, b, kv_head, part.first, part.first + of_prefix);
    }
  }
  put_keys(dk + of_prefix * padded, padded, s.width, T(1), to.dk, key_starts, b, kv_head, first, last);
  put_keys(dv + of_prefix * padded, padded, s.width, scale_kept, to.dv, key_starts, b, kv_head, first, last);
}

/// dq of the queries of one tile: the sum of `parts` partial ones, `stride` apart, in order.
template <class S>
void sum_parts(const shape& s, const inputs<S>& in, const gradients<S>& to, std::size_t b, std::size_t h,
               std::size_t tile, const accumulator<S>* partial, std::size_t parts, std::size_t stride,
               accumulator<S>* work) noexcept {
  using T = accumulator<S>;
  constexpr std::size_t block = block_queries<T>;
  const cpu_item at = item_of(s, in.lengths, b);
  const std::size_t i0 = tile * block, size = s.width * block;
  if (i0 >= at.queries) return;
  partial += (h * query_tiles<T>(s) + tile) * size;
  alignas(alignment) T factor[block];
  for (std::size_t i = 0; i < block; ++i) factor[i] = static_cast<T>(s.scale);
  for (std::size_t i = 0; i < size; i += lanes<T>) {
    vec<T> sum = load(partial + i);
    for (std::size_t p = 1; p < parts; ++p) sum += load(partial + p * stride + i);
    store(work + i, sum);
  }
  put_transposed(work, block, std::min(block, at.queries - i0), s.width, factor,
                 to.dq.at(b, h, i0, in.lengths.query_starts), to.dq.row);
}

}  // namespace hocket::kernels::attention::HOCKET_SIMD_NS
