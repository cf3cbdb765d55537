// Scaled dot-product attention: sizes, where its tensors lie, and the facts that every arm shares.
//   out_i = sum over the keys j that query i sees of P_ij v_j,  P_i = softmax of (scale q_i k_j + bias_ij)
// Vaswani et al., "Attention is all you need", 2017, eq. 1.
//
// What query i of item b sees, where the item has Lq queries and Lk keys (its lengths, else the sizes of the shape):
//   - all prefix keys: they stand before the item's own keys and no mask hides them;
//   - own key j if j < Lk, and with `causal` if j <= i + offset, and with a window w if |i + offset - j| < w: with
//   both,
//     the last w keys up to the query itself.
// offset = Lk - Lq where query lengths are given, else (keys - queries) of the shape: the last query stands at the last
// key, and padding keys of some items does not move the diagonal of a padded batch.
// A query that sees no key, and every row past an item's length, gives an output of zeros and a log-sum-exp of
// -infinity; its gradients are zeros.
//
// Grouped heads: query head h reads key/value head h / (heads / kv_heads).
//
// Dropout (Srivastava et al., 2014) as PyTorch has it: P_ij becomes 0 with probability p, else P_ij / (1 - p), after
// the softmax, whose log-sum-exp knows nothing of it.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <hocket/core/error.hpp>
#include <hocket/core/rng.hpp>

namespace hocket::kernels::attention {

/// Which probabilities are dropped: a pure function of (seed, stream, row, column), on every device and in every order,
/// so that the backward pass makes the masks again. See `stays`.
struct dropout {
  std::uint64_t seed = 0, stream = 0;
  std::uint32_t threshold = 0;  ///< a probability whose 16 bits are below is dropped; 0: none is
  double scale = 1;             ///< of the probabilities that stay
  std::size_t first_item = 0;   ///< where a call sees a part of a batch: what its item 0 is there

  bool none() const { return threshold == 0; }
};
inline constexpr std::size_t dropout_group = 8;  ///< keys of one Philox block, 16 bits each

/// p in [0, 1), rounded to a multiple of 2^-16; the scale is exact for the rounded one.
inline dropout make_dropout(double p, std::uint64_t seed, std::uint64_t stream) {
  expects(p >= 0 && p < 1, errc::bad_option, "attention: dropout of ", p, "; it must be at least 0 and below 1");
  const double parts = std::round(p * 0x1p16);
  const auto threshold = static_cast<std::uint32_t>(parts < 0xffffp0 ? parts : 0xffffp0);
  return {seed, stream, threshold, 1 / (1 - static_cast<double>(threshold) * 0x1p-16)};
}

struct shape {
  std::size_t batch = 0;     ///< B, items
  std::size_t heads = 0;     ///< H, query heads
  std::size_t kv_heads = 0;  ///< key/value heads, a divisor of H
  std::size_t queries = 0;   ///< rows of q per item (the most that one has)
  std::size_t keys = 0;      ///< rows of k and v per item, without the prefix
  std::size_t width = 0;     ///< D of one head
  std::size_t prefix = 0;    ///< prefix keys and values
  bool causal = false;
  std::size_t window = 0;  ///< 0: no window
  double scale = 1;        ///< of the scores; see usual_scale
  dropout drop = {};       ///< of the probabilities
};

/// 1 / sqrt(D): unit variance of a product of unit normal rows.
inline double usual_scale(std::size_t width) { return 1 / std::sqrt(static_cast<double>(width)); }

/// Groups of dropout_group keys a query: those of the prefix, then those of its own.
inline std::size_t prefix_groups(const shape& s) { return (s.prefix + dropout_group - 1) / dropout_group; }
inline std::size_t dropout_groups(const shape& s) {
  return prefix_groups(s) + (s.keys + dropout_group - 1) / dropout_group;
}
/// The first Philox block of query i of head h of item b.
inline std::uint64_t dropout_row(const shape& s, std::size_t b, std::size_t h, std::size_t i) {
  return (((b + s.drop.first_item) * std::uint64_t{s.heads} + h) * s.queries + i) * dropout_groups(s);
}
/// Whether the probability of one key (own ones and those of the prefix count from 0) stays for query i of head h of
/// item b. Key j of a group takes half j % 2, the low one first, of word j / 2 of the group's Philox4x32-10 block.
inline bool stays(const shape& s, std::size_t b, std::size_t h, std::size_t i, bool own, std::size_t key) {
  const std::uint64_t block = dropout_row(s, b, h, i) + (own ? prefix_groups(s) : 0) + key / dropout_group;
  const dropout& d = s.drop;
  const auto words = philox4x32({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                                 static_cast<std::uint32_t>(d.stream), static_cast<std::uint32_t>(d.stream >> 32)},
                                {static_cast<std::uint32_t>(d.seed), static_cast<std::uint32_t>(d.seed >> 32)});
  const std::size_t j = key % dropout_group;
  return (words[j / 2] >> (j % 2 * 16) & 0xffff) >= d.threshold;
}

/// Element d of row t of head h of item b lies at data[b batch + h head + t row + d]; where the rows of all items are
/// packed without padding (ragged::query_starts, key_starts) at data[(starts[b] + t) row + h head + d].
template <class T>
struct rows_of {
  T* data = nullptr;
  std::size_t batch = 0, head = 0, row = 0;

  T* at(std::size_t b, std::size_t h, std::size_t t, const std::uint32_t* starts = nullptr) const {
    return data + (starts ? starts[b] * row : b * batch) + h * head + t * row;
  }
  template <class U = T>
  requires(!std::is_const_v<U>) operator rows_of<const U>() const { return {data, batch, head, row}; }
};

/// (B, H, T, D), dense.
template <class T>
rows_of<T> heads_outside(T* data, std::size_t heads, std::size_t rows, std::size_t width) {
  return {data, heads * rows * width, rows * width, width};
}
/// (B, T, H, D), dense: what a projection to H D columns gives. Packed rows lie like this too.
template <class T>
rows_of<T> heads_inside(T* data, std::size_t heads, std::size_t rows, std::size_t width) {
  return {data, rows * heads * width, width, heads * width};
}

/// Lengths of the items of a ragged batch; null where all are full. With starts, item b's rows begin at row starts[b]
/// of the tensor, and rows past its length do not exist; without, they exist as padding that is never read.
struct ragged {
  const std::uint32_t* query_lengths = nullptr;  ///< (B), at most shape::queries
  const std::uint32_t* key_lengths = nullptr;    ///< (B), at most shape::keys
  const std::uint32_t* query_starts = nullptr;   ///< (B); q, out and their gradients are packed
  const std::uint32_t* key_starts = nullptr;     ///< (B); k, v and their gradients are packed
};

/// What sums are kept in: f32 for 16-bit storage.
template <class T>
using accumulator = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <class T>
struct inputs {
  rows_of<const T> q, k, v;
  rows_of<const T> prefix_k = {}, prefix_v = {};  ///< `prefix` rows; batch = 0: all items share one
  rows_of<const accumulator<T>> bias =
      {};  ///< on own keys: (i, j) at b batch + h head + i row + j; null: none. A constant
  ragged lengths = {};
};
template <class T>
struct outputs {
  rows_of<T> out;
  accumulator<T>* lse = nullptr;  ///< (B, H, queries) dense, natural logarithm; the backward pass needs it
};
template <class T>
struct gradients {
  rows_of<T> dq, dk, dv;
  rows_of<T> dprefix_k = {}, dprefix_v = {};  ///< summed over the items where they share the prefix
};

/// Throws unless the sizes fit together.
inline void require_shape(const shape& s) {
  expects(s.heads >= 1 && s.kv_heads >= 1 && s.heads % s.kv_heads == 0, errc::unsupported_shape, "attention: ", s.heads,
          " query heads cannot share ", s.kv_heads, " key/value heads; the first must be a multiple of the second");
  expects(s.width >= 1, errc::unsupported_shape, "attention: a head of width 0 has no scores");
  expects(std::isfinite(s.scale), errc::bad_option, "attention: scale is ", s.scale, "; it must be finite");
  expects(s.drop.threshold < 0x10000, errc::bad_option, "attention: a dropout threshold of ", s.drop.threshold,
          "; it must be below 2^16");
}

/// Two products of width D a pair of query and key, masked or not.
inline double flops_forward(const shape& s) {
  return 4.0 * static_cast<double>(s.batch * s.heads * s.queries) * static_cast<double>((s.keys + s.prefix) * s.width);
}
/// Five: scores again, dP, dV, dQ, dK.
inline double flops_backward(const shape& s) { return 2.5 * flops_forward(s); }
/// q, k, v read and out written once.
inline double bytes_forward(const shape& s, std::size_t element) {
  return static_cast<double>(element * s.batch * s.width) *
         static_cast<double>(2 * s.heads * s.queries + 2 * s.kv_heads * (s.keys + s.prefix));
}
/// The same and out, dout; dq, dk, dv written.
inline double bytes_backward(const shape& s, std::size_t element) {
  return static_cast<double>(element * s.batch * s.width) *
         static_cast<double>(4 * s.heads * s.queries + 4 * s.kv_heads * (s.keys + s.prefix));
}

/// Promised relative error of a probability in epsilons, for a row whose scores sum terms of at most `score` =
/// scale sum |q k| + |bias|: a score is off by (D / 2 + 3) epsilon score, so are the largest one and the exponent,
/// the GPU's fast exponential by 1.2 epsilon a unit of its argument (2 score) and 2; the sum of the row by one a term.
inline double promise_probability(const shape& s, double score) {
  return (static_cast<double>(s.width) + 9) * score + static_cast<double>(s.keys + s.prefix) + 8;
}
/// out: in epsilon x max |v| over the visible keys: the probabilities' errors, and one rounding a term; all of them as
/// large as dropout makes what stays.
inline double promise_forward(const shape& s, double score) {
  return (promise_probability(s, score) + static_cast<double>(s.keys + s.prefix) + 4) * s.drop.scale;
}
/// Gradients, in epsilon x the sum of P |dout| |v| |k| (dq, dk) or P |dout| (dv): dP and the row's sum of dout out are
/// D terms each and carry the errors of P and out; sums over rows add one rounding a term.
inline double promise_backward(const shape& s, double score) {
  return 4 * promise_forward(s, score) +
         (2 * static_cast<double>(s.width) + static_cast<double>(s.queries * (s.heads / s.kv_heads) + 8)) *
             s.drop.scale;
}

}  // namespace hocket::kernels::attention
