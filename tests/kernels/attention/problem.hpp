// Attention problems for tests: tensors in awkward layouts, ragged lengths, everything that must not be read is NaN;
// the f64 reference, a naive peer in the storage's own precision, and the bounds that follow from them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/attention/reference.hpp>

namespace attention_test {

using namespace hocket;
namespace attention = kernels::attention;

enum class lengths { full, keys, both, packed };

struct trial {
  std::size_t batch, heads, kv_heads, queries, keys, width, prefix;
  bool causal = false;
  std::size_t window = 0;
  lengths ragged = lengths::full;
  bool shared_prefix = false;
  bool inside = true;   ///< (B, T, H, D), else (B, H, T, D)
  std::size_t pad = 0;  ///< elements between rows
  bool bias = false;    ///< by head, shared by the items, now and then -infinity
  float peak = 0;       ///< size of a few scores, so that maxima must be kept
  bool blind = false;   ///< the bias hides all own keys of query 1
  double dropout = 0;

  attention::shape shape() const {
    return {batch,
            heads,
            kv_heads,
            queries,
            keys,
            width,
            prefix,
            causal,
            window,
            attention::usual_scale(width),
            attention::make_dropout(dropout, 0x123456789abcdef0, 0xfedcba9876543210)};
  }
  std::string text() const {
    return hocket::text("B ", batch, " H ", heads, "/", kv_heads, " T ", queries, " x ", keys, " D ", width, " P ",
                        prefix, causal ? " causal" : "", " window ", window, " lengths ", static_cast<int>(ragged),
                        " dropout ", dropout);
  }
};

/// Sizes of one tile, with every kind of mask and layout.
inline const std::vector<trial> small = {
    {1, 1, 1, 1, 1, 1, 0},
    {2, 2, 1, 17, 15, 32, 3, true, 0, lengths::keys, false, true, 0},
    {2, 2, 2, 16, 31, 7, 0, false, 0, lengths::both, false, false, 3, true},
    {3, 2, 1, 13, 13, 16, 2, true, 4, lengths::packed, true},
    {2, 4, 2, 19, 21, 9, 3, true, 0, lengths::both, true, true, 1, true, 0, false, 0.3},
};
/// Sizes across the borders of tiles, empty ones, widths that no register divides.
inline const std::vector<trial> more = {
    {1, 1, 1, 0, 5, 8, 1},
    {2, 1, 1, 5, 0, 8, 0},
    {1, 1, 1, 6, 0, 8, 17},
    {0, 2, 1, 3, 3, 8, 2},
    {1, 2, 1, 65, 63, 64, 5, true, 9, lengths::full, true, true, 8},
    {2, 1, 1, 33, 66, 48, 0, false, 7, lengths::keys, false, false, 5, true, 0, true},
    {1, 1, 1, 64, 65, 96, 1, true, 0, lengths::full, false, true, 8},
    {2, 1, 1, 31, 37, 128, 0, false, 0, lengths::both, false, true, 0},
    {1, 2, 1, 5, 97, 100, 2, false, 0, lengths::full, false, true, 1},
    {2, 3, 1, 20, 29, 40, 0, true, 0, lengths::packed, false, true, 8},
    {2, 2, 2, 9, 130, 32, 0, false, 0, lengths::full, false, true, 0, false, 150},
    {2, 2, 1, 66, 75, 64, 9, false, 11, lengths::packed, true, true, 8, false, 0, false, 0.5},
    {1, 1, 1, 35, 67, 100, 0, false, 0, lengths::keys, false, false, 0, false, 0, false, 0.9},
};

/// Where the elements of one tensor lie: `lengths` rows an item exist, the others are padding.
struct place {
  std::size_t batch = 0, heads = 0, rows = 0, width = 0, size = 0;
  std::size_t stride_batch = 0, stride_head = 0, stride_row = 0;
  std::vector<std::uint32_t> lengths, starts;  ///< starts: packed

  std::size_t filled(std::size_t b) const { return lengths.empty() ? rows : lengths[b]; }
  template <class T>
  attention::rows_of<T> over(T* data) const {
    return {data, stride_batch, stride_head, stride_row};
  }
  std::size_t index(std::size_t b, std::size_t h, std::size_t t, std::size_t d) const {
    return (starts.empty() ? b * stride_batch : starts[b] * stride_row) + h * stride_head + t * stride_row + d;
  }
  /// f(index) for every element of a row that exists; of a padded batch `all` takes the padding rows too.
  template <class F>
  void each(bool all, F f) const {
    for (std::size_t b = 0; b < batch; ++b)
      for (std::size_t h = 0; h < heads; ++h)
        for (std::size_t t = 0; t < (all && starts.empty() ? rows : filled(b)); ++t)
          for (std::size_t d = 0; d < width; ++d) f(index(b, h, t, d));
  }
};

inline place place_of(const trial& t, std::size_t heads, std::size_t rows, const std::vector<std::uint32_t>& lengths) {
  place p{t.batch, heads, rows, t.width, 0, 0, 0, 0, lengths, {}};
  const bool packed = t.ragged == lengths::packed && !lengths.empty();
  std::size_t total = t.batch * rows;
  if (packed) {
    total = 0;
    for (const std::uint32_t n : lengths) {
      p.starts.push_back(static_cast<std::uint32_t>(total));
      total += n;
    }
  }
  if (t.inside || packed) {
    p.stride_row = heads * t.width + t.pad;
    p.stride_head = t.width;
    p.stride_batch = rows * p.stride_row;
    p.size = total * p.stride_row;
  } else {
    p.stride_row = t.width + t.pad;
    p.stride_head = rows * p.stride_row;
    p.stride_batch = heads * p.stride_head;
    p.size = total * heads * p.stride_row;
  }
  if (p.size) p.size -= t.pad;  // the last row ends the allocation
  return p;
}

template <class T>
T make(float x) {
  if constexpr (std::is_same_v<T, double>)
    return static_cast<double>(x);
  else
    return from_f32<T>(x);
}
template <class T>
double value(T x) {
  return static_cast<double>(attention::reference::widen(x));
}
/// x as storage of type T keeps it.
template <class T>
float stored(float x) {
  if constexpr (std::is_same_v<T, double>)
    return x;
  else
    return to_f32(from_f32<T>(x));
}

template <class T>
std::vector<T> fill(const place& p, std::uint64_t seed) {
  philox random(seed);
  std::vector<T> x(p.size, make<T>(std::numeric_limits<float>::quiet_NaN()));
  p.each(false, [&](std::size_t i) { x[i] = make<T>(static_cast<float>(random.next_normal())); });
  return x;
}

/// Results of the forward and backward pass; out and dq lie as q does, and so on.
template <class T>
struct answers {
  std::vector<T> out, dq, dk, dv, dprefix_k, dprefix_v;
  std::vector<attention::accumulator<T>> lse;
};

template <class T>
struct problem {
  trial t;
  attention::shape s;
  place q, kv, prefix;
  std::vector<std::uint32_t> query_lengths, key_lengths;
  std::vector<T> q_data, k, v, prefix_k, prefix_v, dout;
  std::vector<attention::accumulator<T>> bias;

  explicit problem(const trial& wanted, std::uint64_t seed = 1) : t(wanted), s(wanted.shape()) {
    if (t.ragged != lengths::full)
      for (std::size_t b = 0; b < t.batch; ++b) {
        // The last item is full, so that reading one row too many leaves the allocation; one item may be empty.
        const std::size_t cut = b + 1 == t.batch ? 0 : 3 * b + 2;
        key_lengths.push_back(static_cast<std::uint32_t>(t.keys - std::min(cut, t.keys)));
        if (t.ragged != lengths::keys)
          query_lengths.push_back(
              static_cast<std::uint32_t>(t.queries - std::min(b + 1 == t.batch ? 0 : 2 * b + 3, t.queries)));
      }
    q = place_of(t, t.heads, t.queries, query_lengths);
    kv = place_of(t, t.kv_heads, t.keys, key_lengths);
    trial whole = t;
    whole.ragged = lengths::full;
    if (t.shared_prefix) whole.batch = 1;
    prefix = place_of(whole, t.kv_heads, t.prefix, {});
    if (t.shared_prefix) prefix.stride_batch = 0;
    q_data = fill<T>(q, seed);
    k = fill<T>(kv, seed + 1);
    v = fill<T>(kv, seed + 2);
    prefix_k = fill<T>(prefix, seed + 3);
    prefix_v = fill<T>(prefix, seed + 4);
    dout = fill<T>(q, seed + 5);
    if (t.peak > 0) raise_scores();
    if (t.bias) {
      philox random(seed + 6);
      bias.assign(t.heads * t.queries * t.keys, 0);
      for (std::size_t i = 0; i < bias.size(); ++i)
        bias[i] = i % 11 == 5 || (t.blind && i / t.keys % t.queries == 1) ? -std::numeric_limits<float>::infinity()
                                                                          : static_cast<float>(random.next_normal());
    }
  }

  /// Makes keys 2, 13, 24 ... of every head score about `peak` for every query, the more the earlier: a maximum that is
  /// not kept overflows or drowns after them.
  void raise_scores() {
    philox random(7);
    const float each = std::sqrt(t.peak / static_cast<float>(s.scale * static_cast<double>(t.width)));
    for (std::size_t b = 0; b < t.batch; ++b) {
      for (std::size_t h = 0; h < t.heads; ++h)
        for (std::size_t i = 0; i < q.filled(b); ++i)
          for (std::size_t d = 0; d < t.width; ++d)
            q_data[q.index(b, h, i, d)] = make<T>(each * (0.5f + static_cast<float>(random.next_uniform())));
      for (std::size_t h = 0; h < t.kv_heads; ++h)
        for (std::size_t j = 2; j < kv.filled(b); j += 11)
          for (std::size_t d = 0; d < t.width; ++d)
            k[kv.index(b, h, j, d)] = make<T>(each * (1 - static_cast<float>(j) / static_cast<float>(4 * t.keys)));
    }
  }

  static const std::uint32_t* or_null(const std::vector<std::uint32_t>& x) { return x.empty() ? nullptr : x.data(); }

  /// The arguments over given memory: this machine's, or a device's.
  attention::inputs<T> inputs(const T* at_q, const T* at_k, const T* at_v, const T* at_prefix_k, const T* at_prefix_v,
                              const attention::accumulator<T>* at_bias, const attention::ragged& lengths) const {
    attention::inputs<T> in{q.over(at_q), kv.over(at_k), kv.over(at_v), prefix.over(at_prefix_k),
                            prefix.over(at_prefix_v)};
    if (!bias.empty()) in.bias = {at_bias, 0, t.queries * t.keys, t.keys};
    in.lengths = lengths;
    return in;
  }
  attention::ragged lengths_here() const {
    return {or_null(query_lengths), or_null(key_lengths), or_null(q.starts), or_null(kv.starts)};
  }
  attention::inputs<T> inputs() const {
    return inputs(q_data.data(), k.data(), v.data(), prefix_k.data(), prefix_v.data(), bias.data(), lengths_here());
  }

  using wide = attention::reference::wide<T>;
  struct expectation {
    std::vector<wide> out, lse, dq, dk, dv, dprefix_k, dprefix_v;
  };
  expectation expected() const {
    expectation e;
    e.out.assign(q.size, 0);
    e.lse.assign(t.batch * t.heads * t.queries, 0);
    attention::reference::forward<T>(s, inputs(), q.over(e.out.data()), e.lse.data());
    e.dq.assign(q.size, 0);
    for (auto* x : {&e.dk, &e.dv}) x->assign(kv.size, 0);
    for (auto* x : {&e.dprefix_k, &e.dprefix_v}) x->assign(prefix.size, 0);
    attention::reference::backward<T>(s, inputs(), q.over(dout.data()),
                                      {q.over(e.dq.data()), kv.over(e.dk.data()), kv.over(e.dv.data()),
                                       prefix.over(e.dprefix_k.data()), prefix.over(e.dprefix_v.data())});
    return e;
  }

  /// What a plain implementation in T's own precision gives: sums in f32 (double for double) in index order,
  /// probabilities and their gradients rounded to T before they are multiplied, as matrix units do; the backward pass
  /// knows the probabilities by their log-sum-exp.
  struct naive {
    std::vector<double> out, dq, dk, dv, dprefix_k, dprefix_v;
  };
  naive peer() const {
    using A = attention::accumulator<T>;
    const auto round = [](A x) {
      if constexpr (std::is_same_v<T, double>)
        return x;
      else
        return stored<T>(x);
    };
    const attention::inputs<T> in = inputs();
    std::vector<A> out(q.size), dq(q.size), dk(kv.size), dv(kv.size), dpk(prefix.size), dpv(prefix.size);
    const auto read = [](const T& x) { return static_cast<A>(value(x)); };
    for (std::size_t b = 0; b < t.batch; ++b)
      for (std::size_t h = 0; h < t.heads; ++h)
        for (std::size_t i = 0; i < q.filled(b); ++i) {
          const std::size_t kv_head = h / (t.heads / t.kv_heads), first = q.index(b, h, i, 0);
          const auto seen = attention::reference::visible(s, in, b, kv_head, i);
          std::vector<A> p;
          A largest = -std::numeric_limits<A>::infinity(), sum = 0, delta = 0;
          for (const auto& key : seen) {
            A dot = 0;
            for (std::size_t d = 0; d < t.width; ++d) dot += read(q_data[first + d]) * read(key.k[d]);
            dot *= static_cast<A>(s.scale);
            if (!bias.empty() && !key.prefix) dot += in.bias.at(b, h, i)[key.index];
            p.push_back(dot);
            largest = std::max(largest, dot);
          }
          if (!(largest > -std::numeric_limits<A>::infinity())) continue;
          std::vector<A> scores = p;
          for (A& x : p) sum += x = std::exp(x - largest);
          for (A& x : p) x /= sum;
          std::vector<A> kept(p.size());
          for (std::size_t j = 0; j < p.size(); ++j)
            kept[j] = s.drop.none() || attention::stays(s, b, h, i, !seen[j].prefix, seen[j].index)
                          ? static_cast<A>(s.drop.scale)
                          : 0;
          for (std::size_t d = 0; d < t.width; ++d) {
            A o = 0;
            for (std::size_t j = 0; j < p.size(); ++j) o += round(kept[j] * p[j]) * read(seen[j].v[d]);
            out[first + d] = round(o);
            delta += round(o) * read(dout[first + d]);
          }
          const A lse = largest + std::log(sum);  // what a flash-style backward pass is given
          for (std::size_t j = 0; j < p.size(); ++j) p[j] = std::exp(scores[j] - lse);
          for (std::size_t j = 0; j < p.size(); ++j) {
            A dp = 0;
            for (std::size_t d = 0; d < t.width; ++d) dp += read(dout[first + d]) * read(seen[j].v[d]);
            const A ds = round(p[j] * (kept[j] * dp - delta));
            const std::size_t at = seen[j].prefix ? prefix.index(t.shared_prefix ? 0 : b, kv_head, seen[j].index, 0)
                                                  : kv.index(b, kv_head, seen[j].index, 0);
            A* const to_k = (seen[j].prefix ? dpk : dk).data() + at;
            A* const to_v = (seen[j].prefix ? dpv : dv).data() + at;
            for (std::size_t d = 0; d < t.width; ++d) {
              dq[first + d] += ds * read(seen[j].k[d]);
              to_k[d] += ds * read(q_data[first + d]);
              to_v[d] += round(kept[j] * p[j]) * read(dout[first + d]);
            }
          }
        }
    const auto finish = [&](const std::vector<A>& x, double by) {
      std::vector<double> y(x.size());
      for (std::size_t i = 0; i < x.size(); ++i) y[i] = static_cast<double>(round(x[i] * static_cast<A>(by)));
      return y;
    };
    return {finish(out, 1), finish(dq, s.scale),  finish(dk, s.scale),
            finish(dv, 1),  finish(dpk, s.scale), finish(dpv, 1)};
  }

  /// The magnitudes that promises are stated in.
  struct scales {
    double score = 0, exponent = 0;        ///< the most that a score's terms sum to; the largest score, about
    double v = 0, dq = 0, dk = 0, dv = 0;  ///< of one term
    double rows = 0;                       ///< queries that see a key: the terms of dk and dv
  };
  scales magnitudes() const {
    scales m;
    double largest_q = 0, largest_k = 0, largest_dout = 0, dot = 0;
    const attention::inputs<T> in = inputs();
    for (std::size_t b = 0; b < t.batch; ++b)
      for (std::size_t h = 0; h < t.heads; ++h)
        for (std::size_t i = 0; i < q.filled(b); ++i) {
          const std::size_t first = q.index(b, h, i, 0);
          const auto row = attention::reference::row_at(s, in, b, h, i);
          double most = 0, up = 0, v_here = 0;
          for (const auto& key : row.keys) {
            double terms = 0;
            for (std::size_t d = 0; d < t.width; ++d) {
              terms += std::abs(value(q_data[first + d]) * value(key.k[d])) * s.scale;
              v_here = std::max(v_here, std::abs(value(key.v[d])));
              largest_k = std::max(largest_k, std::abs(value(key.k[d])));
            }
            if (!bias.empty() && !key.prefix && std::isfinite(in.bias.at(b, h, i)[key.index]))
              terms += std::abs(static_cast<double>(in.bias.at(b, h, i)[key.index]));
            most = std::max(most, terms);
          }
          for (std::size_t d = 0; d < t.width; ++d) {
            up += std::abs(value(dout[first + d]));
            largest_dout = std::max(largest_dout, std::abs(value(dout[first + d])));
            largest_q = std::max(largest_q, std::abs(value(q_data[first + d])));
          }
          m.rows += row.keys.empty() ? 0 : 1;
          m.score = std::max(m.score, most);
          if (std::isfinite(row.lse)) m.exponent = std::max(m.exponent, std::abs(static_cast<double>(row.lse)));
          m.v = std::max(m.v, v_here);
          dot = std::max(dot, up * v_here);
        }
    m.dq = s.scale * dot * largest_k;
    m.dk = s.scale * dot * largest_q;
    m.dv = largest_dout;
    return m;
  }
};

template <class T>
constexpr double epsilon_of = std::is_same_v<T, double>  ? 0x1p-52
                              : std::is_same_v<T, float> ? 0x1p-23
                              : std::is_same_v<T, f16>   ? 0x1p-10
                                                         : 0x1p-7;

/// The 2x rule (3x for gradients): the tensor's largest error against the peer's largest. The floor is one rounding of
/// the result to T, and one of the accumulator for the terms that were summed (a gradient may be their difference) and
/// for the scores: exp turns one rounding of the largest into a relative error.
template <class T, class W>
void add_by_peer(comparison& result, const place& p, const std::vector<T>& ours, const std::vector<W>& reference,
                 const std::vector<double>& peer, double factor, double terms, double exponent) {
  double error = 0, magnitude = 0;
  p.each(false, [&](std::size_t i) {
    error = std::max(error, std::abs(peer[i] - static_cast<double>(reference[i])));
    magnitude = std::max(magnitude, std::abs(static_cast<double>(reference[i])));
  });
  const double floor = epsilon_of<T> * magnitude + epsilon_of<attention::accumulator<T>> * terms * (1 + exponent);
  const double bound = std::max(factor * error, floor);
  p.each(true, [&](std::size_t i) { result.add(std::abs(value(ours[i]) - static_cast<double>(reference[i])), bound); });
}

/// The promise: |ours - reference| <= units x epsilon x magnitude, for f32 and f64.
template <class T, class W>
void add_by_promise(comparison& result, const place& p, const std::vector<T>& ours, const std::vector<W>& reference,
                    double units, double magnitude) {
  p.each(true, [&](std::size_t i) {
    result.add(std::abs(value(ours[i]) - static_cast<double>(reference[i])), units * epsilon_of<T> * magnitude);
  });
}

/// What lies outside the rows is not ours: it stays NaN.
template <class T>
void add_untouched(comparison& result, const place& p, const std::vector<T>& ours) {
  std::vector<bool> mine(ours.size());
  p.each(true, [&](std::size_t i) { mine[i] = true; });
  for (std::size_t i = 0; i < ours.size(); ++i)
    if (!mine[i]) result.add(std::isnan(value(ours[i])) ? 0 : 1, 0);
}

template <class T>
bool same_bits(const answers<T>& a, const answers<T>& b) {
  const auto same = [](const auto& x, const auto& y) {
    return x.size() == y.size() && (x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(x[0])) == 0);
  };
  return same(a.out, b.out) && same(a.lse, b.lse) && same(a.dq, b.dq) && same(a.dk, b.dk) && same(a.dv, b.dv) &&
         same(a.dprefix_k, b.dprefix_k) && same(a.dprefix_v, b.dprefix_v);
}

/// All of a problem's answers against its reference.
template <class T>
comparison judge(const problem<T>& p, const typename problem<T>::expectation& e, const typename problem<T>::naive& peer,
                 const typename problem<T>::scales& m, const answers<T>& a, bool with_backward = true) {
  comparison result;
  const double forward = attention::promise_forward(p.s, m.score), backward = attention::promise_backward(p.s, m.score);
  add_by_peer(result, p.q, a.out, e.out, peer.out, 2, m.v, m.exponent);
  add_untouched(result, p.q, a.out);
  for (std::size_t i = 0; i < e.lse.size(); ++i) {
    const double ours = static_cast<double>(a.lse[i]), wanted = static_cast<double>(e.lse[i]);
    // Sums are kept in the accumulator's type whatever the storage; -infinity must be met exactly.
    const double epsilon = epsilon_of<attention::accumulator<T>>;
    result.add(ours == wanted ? 0 : std::abs(ours - wanted), (forward + std::abs(m.score) + 8) * epsilon);
  }
  constexpr bool full = std::is_same_v<T, float> || std::is_same_v<T, double>;
  if (full) add_by_promise(result, p.q, a.out, e.out, forward, m.v);
  if (!with_backward) return result;
  const auto both = [&](const place& where, const std::vector<T>& ours, const auto& wanted,
                        const std::vector<double>& naive, double terms, double rows) {
    add_by_peer(result, where, ours, wanted, naive, 3, terms, m.exponent);
    add_untouched(result, where, ours);
    if (full) add_by_promise(result, where, ours, wanted, backward, terms * rows);
  };
  both(p.q, a.dq, e.dq, peer.dq, m.dq, 1);
  both(p.kv, a.dk, e.dk, peer.dk, m.dk, m.rows);
  both(p.kv, a.dv, e.dv, peer.dv, m.dv, m.rows);
  both(p.prefix, a.dprefix_k, e.dprefix_k, peer.dprefix_k, m.dk, m.rows);
  both(p.prefix, a.dprefix_v, e.dprefix_v, peer.dprefix_v, m.dv, m.rows);
  return result;
}

}  // namespace attention_test
