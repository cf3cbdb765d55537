// Attention from its definition: every probability of a row is written down, sums run in index order in the next wider
// type. Masks, lengths and rows without keys as in shape.hpp.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include <hocket/core/half.hpp>
#include <hocket/kernels/attention/shape.hpp>

namespace hocket::kernels::attention::reference {

/// double for f32 and 16-bit storage, long double for double.
template <class T>
using wide = std::conditional_t<std::is_same_v<T, double>, long double, double>;

template <class T>
wide<T> widen(T x) {
  if constexpr (std::is_same_v<T, double>)
    return x;
  else
    return static_cast<double>(to_f32(x));
}

/// One key as a query meets it: its rows of k and v, and whether it is one of the prefix.
template <class T>
struct key {
  const T *k, *v;
  bool prefix;
  std::size_t index;
};

inline std::size_t queries_of(const shape& s, const ragged& r, std::size_t b) {
  return r.query_lengths ? r.query_lengths[b] : s.queries;
}
inline std::size_t keys_of(const shape& s, const ragged& r, std::size_t b) {
  return r.key_lengths ? r.key_lengths[b] : s.keys;
}

/// The keys that query i of item b sees.
template <class T>
std::vector<key<T>> visible(const shape& s, const inputs<T>& in, std::size_t b, std::size_t kv_head, std::size_t i) {
  std::vector<key<T>> seen;
  const std::size_t queries = queries_of(s, in.lengths, b), keys = keys_of(s, in.lengths, b);
  if (i >= queries) return seen;
  for (std::size_t j = 0; j < s.prefix; ++j)
    seen.push_back({in.prefix_k.at(b, kv_head, j), in.prefix_v.at(b, kv_head, j), true, j});
  const auto place = [](std::size_t x) { return static_cast<long long>(x); };
  const long long offset = in.lengths.query_lengths ? place(keys) - place(queries) : place(s.keys) - place(s.queries);
  for (std::size_t j = 0; j < keys; ++j) {
    const long long ahead = place(i) + offset - place(j);
    if (s.causal && ahead < 0) continue;
    if (s.window && std::llabs(ahead) >= place(s.window)) continue;
    seen.push_back(
        {in.k.at(b, kv_head, j, in.lengths.key_starts), in.v.at(b, kv_head, j, in.lengths.key_starts), false, j});
  }
  return seen;
}

/// One row: its keys, their probabilities, what dropout multiplies these by, and the log-sum-exp.
template <class T>
struct row {
  std::vector<key<T>> keys;
  std::vector<wide<T>> p, kept;
  wide<T> lse = -std::numeric_limits<wide<T>>::infinity();
};

template <class T>
row<T> row_at(const shape& s, const inputs<T>& in, std::size_t b, std::size_t h, std::size_t i) {
  row<T> r;
  r.keys = visible(s, in, b, h / (s.heads / s.kv_heads), i);
  const T* const q = in.q.at(b, h, i, in.lengths.query_starts);
  wide<T> largest = r.lse;
  for (const auto& key : r.keys) {
    wide<T> dot = 0;
    for (std::size_t d = 0; d < s.width; ++d) dot += widen(q[d]) * widen(key.k[d]);
    dot *= static_cast<wide<T>>(s.scale);
    if (in.bias.data && !key.prefix) dot += static_cast<wide<T>>(in.bias.at(b, h, i)[key.index]);
    r.p.push_back(dot);
    const bool stays = s.drop.none() || attention::stays(s, b, h, i, !key.prefix, key.index);
    r.kept.push_back(stays ? static_cast<wide<T>>(s.drop.scale) : 0);
    largest = largest < dot ? dot : largest;
  }
  wide<T> sum = 0;
  for (auto& p : r.p) sum += std::exp(p - largest);
  const bool blind = r.keys.empty() || largest == -std::numeric_limits<wide<T>>::infinity();
  for (auto& p : r.p) p = blind ? 0 : std::exp(p - largest) / sum;
  if (!blind) r.lse = largest + std::log(sum);
  return r;
}

/// out and lse (may be null) as shape.hpp says; padding rows of a padded batch become zeros.
template <class T>
void forward(const shape& s, const inputs<T>& in, rows_of<wide<T>> out, wide<T>* lse) {
  for (std::size_t b = 0; b < s.batch; ++b)
    for (std::size_t h = 0; h < s.heads; ++h)
      for (std::size_t i = 0; i < s.queries; ++i) {
        if (in.lengths.query_starts && i >= queries_of(s, in.lengths, b)) {
          if (lse) lse[(b * s.heads + h) * s.queries + i] = -std::numeric_limits<wide<T>>::infinity();
          continue;
        }
        const row<T> r = row_at(s, in, b, h, i);
        wide<T>* const o = out.at(b, h, i, in.lengths.query_starts);
        for (std::size_t d = 0; d < s.width; ++d) {
          o[d] = 0;
          for (std::size_t j = 0; j < r.keys.size(); ++j) o[d] += r.kept[j] * r.p[j] * widen(r.keys[j].v[d]);
        }
        if (lse) lse[(b * s.heads + h) * s.queries + i] = r.lse;
      }
}

namespace detail {

template <class W>
void clear(const rows_of<W>& x, std::size_t batch, std::size_t heads, std::size_t rows, std::size_t width,
           const std::uint32_t* starts, const std::uint32_t* lengths) {
  if (!x.data) return;
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t h = 0; h < heads; ++h)
      for (std::size_t t = 0; t < (starts ? (lengths ? lengths[b] : rows) : rows); ++t)
        for (std::size_t d = 0; d < width; ++d) x.at(b, h, t, starts)[d] = 0;
}

}  // namespace detail

/// Gradients of a loss whose gradient by out is dout (laid out as q); Z_ij is what dropout multiplies P_ij by:
///   dV_j = sum_i Z_ij P_ij dout_i;  dP_ij = Z_ij dout_i . v_j;  dS_ij = P_ij (dP_ij - sum_j' P_ij' dP_ij');
///   dQ_i = scale sum_j dS_ij k_j;  dK_j = scale sum_i dS_ij q_i;  prefix rows alike.
template <class T>
void backward(const shape& s, const inputs<T>& in, rows_of<const T> dout, const gradients<wide<T>>& g) {
  const ragged& r = in.lengths;
  detail::clear(g.dq, s.batch, s.heads, s.queries, s.width, r.query_starts, r.query_lengths);
  detail::clear(g.dk, s.batch, s.kv_heads, s.keys, s.width, r.key_starts, r.key_lengths);
  detail::clear(g.dv, s.batch, s.kv_heads, s.keys, s.width, r.key_starts, r.key_lengths);
  detail::clear<wide<T>>(g.dprefix_k, s.batch, s.kv_heads, s.prefix, s.width, nullptr, nullptr);
  detail::clear<wide<T>>(g.dprefix_v, s.batch, s.kv_heads, s.prefix, s.width, nullptr, nullptr);
  for (std::size_t b = 0; b < s.batch; ++b)
    for (std::size_t h = 0; h < s.heads; ++h)
      for (std::size_t i = 0; i < queries_of(s, r, b); ++i) {
        const std::size_t kv = h / (s.heads / s.kv_heads);
        const row<T> at = row_at(s, in, b, h, i);
        const T* const q = in.q.at(b, h, i, r.query_starts);
        const T* const d_out = dout.at(b, h, i, r.query_starts);
        std::vector<wide<T>> dp(at.keys.size());
        wide<T> mean = 0;
        for (std::size_t j = 0; j < dp.size(); ++j) {
          for (std::size_t d = 0; d < s.width; ++d) dp[j] += widen(d_out[d]) * widen(at.keys[j].v[d]);
          dp[j] *= at.kept[j];
          mean += at.p[j] * dp[j];
        }
        for (std::size_t j = 0; j < dp.size(); ++j) {
          const key<T>& key = at.keys[j];
          const wide<T> ds = at.p[j] * (dp[j] - mean) * static_cast<wide<T>>(s.scale);
          wide<T>* const dk = key.prefix ? g.dprefix_k.at(b, kv, key.index) : g.dk.at(b, kv, key.index, r.key_starts);
          wide<T>* const dv = key.prefix ? g.dprefix_v.at(b, kv, key.index) : g.dv.at(b, kv, key.index, r.key_starts);
          for (std::size_t d = 0; d < s.width; ++d) {
            g.dq.at(b, h, i, r.query_starts)[d] += ds * widen(key.k[d]);
            dk[d] += ds * widen(q[d]);
            dv[d] += at.kept[j] * at.p[j] * widen(d_out[d]);
          }
        }
      }
}

}  // namespace hocket::kernels::attention::reference
