// Operations of an encoder besides products: embedding, layer norm, attention, pooling.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <hocket/core/half.hpp>
#include <hocket/kernels/attention/cpu.hpp>
#include <hocket/kernels/embedding/cpu.hpp>
#include <hocket/kernels/layernorm/cpu.hpp>
#include <hocket/kernels/pooling/cpu.hpp>
#include <hocket/nn/ops/linear.hpp>
#include <hocket/nn/tape.hpp>

namespace hocket::nn {

using kernels::pooling::pool;

/// A table (vocabulary, columns) and which of its rows each row of the output takes.
struct table_lookup {
  value table;
  index_input ids;
};

namespace detail {

template <Real T>
class embedding_op final : public op<T> {
 public:
  embedding_op(std::vector<index_input> ids, const extent& rows) : ids_(std::move(ids)), rows_(rows) {}
  std::string_view name() const override { return "embedding"; }
  demands plan(const planning<T>&) const override {
    demands d;
    for (std::size_t k = 0; k < ids_.size(); ++k) d.adds |= bit(k);
    d.forward_by_rows = true;
    d.over = rows_;
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    std::array<kernels::embedding::lookup<T>, most_tables> tables;
    const row_block& block = f.block();
    for (std::size_t k = 0; k < ids_.size(); ++k)
      tables[k] = {f.input(k), f.indices(ids_[k]).subspan(block.first, block.rows)};
    kernels::embedding::forward<T>(f.device(), {tables.data(), ids_.size()},
                                   {f.output_rows(), {block.rows, f.columns(0)}});
  }
  void backward(const frame<T>& f) const noexcept override {
    for (std::size_t k = 0; k < ids_.size(); ++k) {
      if (!f.wants(k)) continue;
      const auto d = f.gradient(k);
      if (f.beta(k) == 0) std::fill_n(d.data(), d.size(), T{0});
      kernels::embedding::backward<T>(f.device(), f.output_gradient(), f.indices(ids_[k]), d);
    }
  }
  static constexpr std::size_t most_tables = 4;

 private:
  std::vector<index_input> ids_;
  extent rows_;
};

template <Real T>
class layer_norm_op final : public op<T> {
 public:
  layer_norm_op(extent rows, std::size_t columns, T eps) : rows_(rows), columns_(columns), eps_(eps) {}
  std::string_view name() const override { return "layer_norm"; }
  demands plan(const planning<T>& p) const override {
    demands d;
    if (p.backward()) d.reads_inputs = bit(0) | bit(1);
    d.adds = bit(1) | bit(2);
    d.light = true;
    d.kept = {{rows_, 2}};  // mean and 1 / deviation
    d.forward_by_rows = d.backward_by_rows = true;
    d.over = rows_;
    if (p.wants(1) || p.wants(2)) d.block_sums = 2 * columns_;
    if (p.backward()) d.worker_bytes = sizeof(T) * (2 * columns_ + (p.wants(0) ? 0 : band * columns_));
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    const auto [mean, inverse_sd] = statistics(f);
    kernels::layernorm::forward_rows<T>({f.block().rows, columns_, f.input_rows(0), columns_, f.input(1).data()},
                                        f.input(2).data(), eps_, f.output_rows(), columns_, mean, inverse_sd);
  }
  void backward(const frame<T>& f) const noexcept override {
    // Sums over rows are made for 64 rows at a time, as the kernel's own.
    T* const sums = reinterpret_cast<T*>(f.worker_scratch());
    T* const spare = sums + 2 * columns_;
    const bool wanted = f.wants(1) || f.wants(2);
    if (wanted) std::fill_n(f.sums(), 2 * columns_, T{0});
    const auto [mean, inverse_sd] = statistics(f);
    for (std::size_t first = 0; first < f.block().rows; first += band) {
      const std::size_t rows = std::min(band, f.block().rows - first), at = first * columns_;
      std::fill_n(sums, 2 * columns_, T{0});
      kernels::layernorm::backward_rows<T>({rows, columns_, f.input_rows(0) + at, columns_, f.input(1).data()},
                                           f.output_gradient_rows() + at, columns_, mean + first, inverse_sd + first,
                                           f.wants(0) ? f.gradient_rows(0) + at : spare, columns_, sums,
                                           sums + columns_);
      for (std::size_t c = 0; wanted && c < 2 * columns_; ++c) f.sums()[c] += sums[c];
    }
  }
  void finish(const frame<T>& f, std::size_t blocks) const noexcept override {
    for (const std::size_t k : {std::size_t{1}, std::size_t{2}})
      if (f.wants(k)) add_block_sums(f, blocks, (k - 1) * columns_, columns_, f.gradient(k).data(), f.beta(k) != 0);
  }

 private:
  static constexpr std::size_t band = kernels::layernorm::rows_per_tile;
  std::pair<T*, T*> statistics(const frame<T>& f) const {
    T* const both = f.kept_rows(0);
    return {both, both + f.block().rows};
  }
  extent rows_;
  std::size_t columns_;
  T eps_;
};

/// Columns [first, first + heads width) of an input whose rows are `stride` apart: one of q, k, v.
struct attention_part {
  std::size_t input, first, stride, heads;
};
/// Which inputs are what; no_input: absent. Of the bias, row i of head h of item b begins at
/// b bias_item + h bias_head + i bias_row.
struct attention_places {
  std::array<attention_part, 3> parts{};
  std::size_t prefix_k = no_input, prefix_v = no_input, bias = no_input;
  std::size_t bias_item = 0, bias_head = 0, bias_row = 0;
};

/// S: what q, k and v, the output and their gradients are kept in. A prefix is kept in T and converted for each block.
template <Real T, class S>
class attention_op final : public op<T> {
 public:
  attention_op(const attention_places& in, const kernels::attention::shape& s, sequences batch, extent items,
               extent tokens, double dropout)
      : in_(in), shape_(s), batch_(batch), items_(items), tokens_(tokens), dropout_(dropout) {
    kernels::attention::make_dropout(dropout, 0, 0);  // checks the probability
  }
  std::string_view name() const override { return "attention"; }
  bool takes_bf16(std::size_t k) const override {
    return !std::is_same_v<S, T> &&
           std::any_of(in_.parts.begin(), in_.parts.end(), [&](const attention_part& part) { return part.input == k; });
  }

  demands plan(const planning<T>& p) const override {
    demands d;
    const std::size_t longest = p.batch(batch_).longest;
    d.kept = {{items_, shape_.heads * longest}};  // log-sum-exp of every query
    d.forward_by_rows = d.backward_by_rows = true;
    d.over = tokens_;
    const auto s = sized(p.most(items_), longest);
    d.forward_scratch = shared_by(p.device(), s, [](const cpu& device, const auto& size) {
      return kernels::attention::forward_workspace<S>(device, size);
    });
    if (in_.prefix_k != no_input && converts) d.worker_bytes = 4 * prefix_size() * sizeof(S);
    if (!p.backward()) return d;
    d.reads_output = true;
    for (const auto& part : in_.parts) d.reads_inputs |= bit(part.input);
    for (const std::size_t k : {in_.prefix_k, in_.prefix_v, in_.bias})
      if (k != no_input) d.reads_inputs |= bit(k);
    d.adds = (in_.prefix_k != no_input ? bit(in_.prefix_k) | bit(in_.prefix_v) : 0);
    const std::size_t rows = p.most_in_block(tokens_);
    d.backward_scratch = shared_by(p.device(), s, [&](const cpu& device, const auto& size) {
      std::size_t elements = kernels::attention::backward_workspace<S>(device, size);
      for (const auto& part : in_.parts)
        if (!p.wants(part.input)) elements += rows * part.heads * shape_.width;
      return elements;
    });
    d.block_sums = 2 * prefix_size();
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    const auto s = live(f);
    T* const work = f.forward_scratch() + f.worker() * kernels::attention::forward_workspace<S>(cpu{1}, most(f));
    kernels::attention::forward<S>(f.device(), s, given(f),
                                   {whole(f.template output_rows<S>(), shape_.heads), statistics(f)}, work);
  }
  void backward(const frame<T>& f) const noexcept override {
    // The kernel gives all gradients at once; those that nobody wants go into scratch.
    const auto s = live(f);
    std::size_t spare_size = 0;
    for (const auto& part : in_.parts)
      if (!f.wants(part.input)) spare_size += f.most_in_block(tokens_) * part.heads * shape_.width;
    T* const work =
        f.backward_scratch() + f.worker() * (kernels::attention::backward_workspace<S>(cpu{1}, most(f)) + spare_size);
    T* spare = work + kernels::attention::backward_workspace<S>(f.device(), most(f));
    const auto target = [&](const attention_part& part) -> kernels::attention::rows_of<S> {
      if (f.wants(part.input))
        return {f.template gradient_rows<S>(part.input) + part.first, 0, shape_.width, part.stride};
      T* const to = spare;
      spare += f.most_in_block(tokens_) * part.heads * shape_.width;
      return whole(reinterpret_cast<S*>(to), part.heads);
    };
    kernels::attention::gradients<S> to{target(in_.parts[0]), target(in_.parts[1]), target(in_.parts[2])};
    S* const prefix_sums = converts ? converted(f) + 2 * prefix_size() : reinterpret_cast<S*>(f.sums());
    if (in_.prefix_k != no_input) {
      to.dprefix_k = whole(prefix_sums, shape_.kv_heads);
      to.dprefix_v = whole(prefix_sums + prefix_size(), shape_.kv_heads);
    }
    const auto out = whole<const S>(f.template output_rows<S>(), shape_.heads),
               dout = whole<const S>(f.template output_gradient_rows<S>(), shape_.heads);
    kernels::attention::backward<S>(f.device(), s, given(f), {out, dout, statistics(f)}, to, work);
    if constexpr (converts)
      for (std::size_t i = 0; i < f.sums_per_block(); ++i) f.sums()[i] = to_f32(prefix_sums[i]);
  }
  void finish(const frame<T>& f, std::size_t blocks) const noexcept override {
    if (in_.prefix_k == no_input) return;
    const std::size_t inputs[] = {in_.prefix_k, in_.prefix_v};
    for (std::size_t i = 0; i < 2; ++i)
      if (f.wants(inputs[i]))
        add_block_sums(f, blocks, i * prefix_size(), prefix_size(), f.gradient(inputs[i]).data(),
                       f.beta(inputs[i]) != 0);
  }

 private:
  static constexpr bool converts = !std::is_same_v<S, T>;
  std::size_t prefix_size() const { return shape_.prefix * shape_.kv_heads * shape_.width; }
  /// Of this thread: prefix keys and values in S, then their gradients.
  S* converted(const frame<T>& f) const { return reinterpret_cast<S*>(f.worker_scratch()); }
  /// Workspace of one call with all threads, or of as many calls with one.
  template <class Size>
  static std::size_t shared_by(const cpu& device, const kernels::attention::shape& s, Size&& size) {
    return std::max(size(device, s), static_cast<std::size_t>(device.threads) * size(cpu{1}, s));
  }
  kernels::attention::shape sized(std::size_t items, std::size_t longest) const {
    kernels::attention::shape s = shape_;
    s.batch = items;
    s.queries = s.keys = longest;
    return s;
  }
  /// The largest that the tape was recorded for: scratch is laid out by it.
  kernels::attention::shape most(const frame<T>& f) const { return sized(f.most(items_), f.batch(batch_).longest); }
  /// The shape of the block, with the masks of this step.
  kernels::attention::shape live(const frame<T>& f) const {
    auto s = sized(f.block().items, f.batch(batch_).live_longest);
    if (dropout_ > 0 && f.training()) {
      s.drop = kernels::attention::make_dropout(dropout_, f.seed(), f.stream(0));
      s.drop.first_item = f.block().first_item;
    }
    return s;
  }
  T* statistics(const frame<T>& f) const {
    return f.kept(0).data() + f.block().first_item * shape_.heads * f.batch(batch_).live_longest;
  }
  template <class U>
  kernels::attention::rows_of<U> whole(U* data, std::size_t heads) const {
    return {data, 0, shape_.width, heads * shape_.width};
  }
  /// The prefix in S.
  const S* prefix(const frame<T>& f, std::size_t input, std::size_t number) const {
    const T* const from = f.input(input).data();
    if constexpr (converts) {
      S* const to = converted(f) + number * prefix_size();
      for (std::size_t i = 0; i < prefix_size(); ++i) to[i] = to_bf16(from[i]);
      return to;
    } else {
      return from;
    }
  }
  kernels::attention::inputs<S> given(const frame<T>& f) const {
    const auto& batch = f.batch(batch_);
    const std::size_t item = f.block().first_item;
    const auto source = [&](const attention_part& part) -> kernels::attention::rows_of<const S> {
      return {f.template input_rows<S>(part.input) + part.first, 0, shape_.width, part.stride};
    };
    kernels::attention::inputs<S> in{source(in_.parts[0]), source(in_.parts[1]), source(in_.parts[2])};
    if (in_.prefix_k != no_input) {
      in.prefix_k = whole(prefix(f, in_.prefix_k, 0), shape_.kv_heads);
      in.prefix_v = whole(prefix(f, in_.prefix_v, 1), shape_.kv_heads);
    }
    if (in_.bias != no_input)
      in.bias = {f.input(in_.bias).data() + item * in_.bias_item, in_.bias_item, in_.bias_head, in_.bias_row};
    const std::uint32_t *const lengths = batch.lengths.data() + item, *const starts =
                                                                          batch.starts_in_block.data() + item;
    in.lengths = {lengths, lengths, starts, starts};
    return in;
  }

  attention_places in_;
  kernels::attention::shape shape_;
  sequences batch_;
  extent items_, tokens_;
  double dropout_;
};

template <Real T>
class pool_op final : public op<T> {
 public:
  pool_op(pool kind, sequences batch, const extent& rows) : kind_(kind), batch_(batch), rows_(rows) {}
  std::string_view name() const override { return "pool"; }
  demands plan(const planning<T>&) const override {
    demands d;
    d.adds = bit(0);
    d.forward_by_rows = d.backward_by_rows = true;
    d.over = rows_;
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    kernels::pooling::forward<T>(f.device(), kind_, at(f), {f.input_rows(0), {f.block().rows, f.columns(0)}},
                                 items(f, f.output()));
  }
  void backward(const frame<T>& f) const noexcept override {
    kernels::pooling::backward<T>(f.device(), kind_, at(f), items(f, f.output_gradient()), f.beta(0) != 0,
                                  {f.gradient_rows(0), {f.block().rows, f.columns(0)}});
  }

 private:
  kernels::pooling::ragged at(const frame<T>& f) const {
    const row_block& block = f.block();
    const sequence_state& batch = f.batch(batch_);
    return {std::span(batch.starts_in_block).subspan(block.first_item, block.items),
            std::span(batch.lengths).subspan(block.first_item, block.items)};
  }
  static view<T, 2> items(const frame<T>& f, const view<T, 2>& all) {
    return {all.data() + f.block().first_item * all.stride(0), {f.block().items, all.extent(1)}};
  }
  pool kind_;
  sequences batch_;
  extent rows_;
};

}  // namespace detail

/// Row r is the sum over tables of table[ids[r]]. At most four tables.
template <Real T>
value embedding(tape<T>& t, const std::vector<table_lookup>& tables) {
  expects(!tables.empty() && tables.size() <= detail::embedding_op<T>::most_tables, errc::unsupported_shape,
          "embedding: ", tables.size(), " tables; it takes 1 to ", detail::embedding_op<T>::most_tables);
  std::vector<value> inputs;
  std::vector<index_input> ids;
  for (const auto& each : tables) {
    expects(t.columns(each.table) == t.columns(tables[0].table) && t.rows(each.ids) == t.rows(tables[0].ids),
            errc::unsupported_shape, "embedding: tables ", t.describe(tables[0].table), " and ", t.describe(each.table),
            " or their ids do not fit together");
    expects(t.rows(each.table).dimension == 0 && t.bound(each.ids) <= t.rows(each.table).factor,
            errc::unsupported_shape, "embedding: ids below ", t.bound(each.ids), " would read past ",
            t.describe(each.table));
    inputs.push_back(each.table);
    ids.push_back(each.ids);
  }
  return t.record(std::make_unique<detail::embedding_op<T>>(std::move(ids), t.rows(tables[0].ids)), std::move(inputs),
                  t.rows(tables[0].ids), t.columns(tables[0].table));
}

/// Over the columns; gain and bias (1, columns).
template <Real T>
value layer_norm(tape<T>& t, value x, value gain, value bias, double eps) {
  for (const value v : {gain, bias})
    expects(t.rows(v) == extent(1) && t.columns(v) == t.columns(x), errc::unsupported_shape, "layer_norm: x is ",
            t.describe(x), ", gain or bias ", t.describe(v), "; it must be 1 x ", t.columns(x));
  expects(eps > 0, errc::bad_option, "layer_norm: eps is ", eps, "; it must be positive");
  return t.record(std::make_unique<detail::layer_norm_op<T>>(t.rows(x), t.columns(x), static_cast<T>(eps)),
                  {x, gain, bias}, t.rows(x), t.columns(x));
}

/// Where q, k and v lie: q (tokens, heads x width), k and v (tokens, kv_heads x width), or, all three the same value,
/// one matrix that holds them side by side.
struct attention_inputs {
  value q, k, v;
  value prefix_k = {}, prefix_v = {};  ///< (prefix rows, kv_heads x width): keys and values before every item's own
  /// Added to the scores of own keys, a constant: row i of column j is query i of key j of an item. As many columns as
  /// the longest item that the batch was recorded for, L; rows L (all items and heads share it), heads x L (by head),
  /// items x L or items x heads x L.
  value bias = {};
};
struct attention_options {
  std::size_t heads = 1;
  bool causal = false;
  std::size_t window = 0;    ///< 0: none
  std::size_t kv_heads = 0;  ///< a divisor of `heads`: query head h reads h / (heads / kv_heads); 0: heads
  double dropout = 0;        ///< probability, of the attention's probabilities in training passes
};

namespace detail {

/// Finds the strides of a bias whose item has L = longest queries; throws unless its size is one of attention_inputs'.
template <Real T>
void place_bias(const tape<T>& t, sequences batch, value bias, std::size_t heads, attention_places& in) {
  const std::size_t longest = t.longest(batch), both = heads * longest;
  const extent rows = t.rows(bias);
  const bool by_item = rows.dimension != 0, by_head = rows.factor == both;
  expects(t.columns(bias) == longest && (rows.factor == longest || by_head) &&
              (!by_item || rows == extent(dimension{t.items(batch).dimension}, rows.factor)),
          errc::unsupported_shape, "attention: the bias is ", t.describe(bias), "; it must have ", longest, " or ",
          both, " rows, or so many an item, and ", longest, " columns");
  expects(!t.moves(bias), errc::bad_option, "attention: the bias ", t.describe(bias),
          " is trained; it is a constant here and has no gradient");
  in.bias_row = longest;
  in.bias_head = by_head ? longest * longest : 0;
  in.bias_item = by_item ? rows.factor * longest : 0;
}

}  // namespace detail

/// Self-attention within the items of a ragged batch: (tokens, heads x width), kept in what q, k and v are kept in.
template <Real T>
value attention(tape<T>& t, sequences batch, const attention_inputs& in, const attention_options& options) {
  const bool packed = in.q.index == in.k.index && in.q.index == in.v.index;
  const std::size_t heads = options.heads, kv_heads = options.kv_heads ? options.kv_heads : heads;
  expects(heads >= 1 && heads % kv_heads == 0, errc::unsupported_shape, "attention: ", heads, " heads cannot share ",
          kv_heads, " of keys and values");
  const std::size_t over = packed ? heads + 2 * kv_heads : heads, width = t.columns(in.q) / over;
  expects(t.columns(in.q) % over == 0, errc::unsupported_shape, "attention: ", t.columns(in.q), " columns cannot be ",
          over, " heads");
  for (const value v : {in.q, in.k, in.v})
    expects(t.rows(v) == t.tokens(batch) && (packed || v.index == in.q.index || t.columns(v) == kv_heads * width),
            errc::unsupported_shape, "attention: q is ", t.describe(in.q), ", k ", t.describe(in.k), ", v ",
            t.describe(in.v), "; they must have the rows of the batch, k and v ", kv_heads * width, " columns");
  const storage kept_in = t.kept_in(in.q);
  expects(t.kept_in(in.k) == kept_in && t.kept_in(in.v) == kept_in, errc::bad_option,
          "attention: q, k and v must be kept in the same type");
  kernels::attention::shape s;
  s.heads = heads;
  s.kv_heads = kv_heads;
  s.width = width;
  s.causal = options.causal;
  s.window = options.window;
  s.scale = kernels::attention::usual_scale(width);
  detail::attention_places places;
  std::vector<value> inputs;
  const auto add = [&](value v) {
    inputs.push_back(v);
    return inputs.size() - 1;
  };
  if (packed) {
    const std::size_t all = over * width;
    add(in.q);
    places.parts = {
        {{0, 0, all, heads}, {0, heads * width, all, kv_heads}, {0, (heads + kv_heads) * width, all, kv_heads}}};
  } else {
    const std::array<value, 3> each{in.q, in.k, in.v};
    for (std::size_t i = 0; i < 3; ++i)
      places.parts[i] = {add(each[i]), 0, t.columns(each[i]), i == 0 ? heads : kv_heads};
  }
  if (present(in.prefix_k)) {
    for (const value v : {in.prefix_k, in.prefix_v})
      expects(t.rows(v).dimension == 0 && t.rows(v) == t.rows(in.prefix_k) && t.columns(v) == kv_heads * width,
              errc::unsupported_shape, "attention: a prefix is ", t.describe(v), "; it must be rows x ",
              kv_heads * width);
    s.prefix = t.rows(in.prefix_k).factor;
    places.prefix_k = add(in.prefix_k);
    places.prefix_v = add(in.prefix_v);
  }
  if (present(in.bias)) {
    detail::place_bias(t, batch, in.bias, heads, places);
    places.bias = add(in.bias);
  }
  kernels::attention::require_shape(s);
  const auto record = [&]<class S>(S) {
    return t.record(std::make_unique<detail::attention_op<T, S>>(places, s, batch, t.items(batch), t.tokens(batch),
                                                                 options.dropout),
                    std::move(inputs), t.tokens(batch), heads * width, kept_in);
  };
  if constexpr (std::is_same_v<T, float>)
    if (kept_in == storage::bf16) return record(bf16{});
  return record(T{});
}

/// One row an item: the mean of its rows, or its first.
template <Real T>
value pooled(tape<T>& t, sequences batch, value x, pool kind) {
  expects(t.rows(x) == t.tokens(batch), errc::unsupported_shape, "pool: x is ", t.describe(x),
          "; it must have the rows of the batch");
  return t.record(std::make_unique<detail::pool_op<T>>(kind, batch, t.tokens(batch)), {x}, t.items(batch),
                  t.columns(x));
}

}  // namespace hocket::nn

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in nn/instances.cpp
namespace hocket::nn {
HOCKET_NN_INSTANCE value embedding<float>(tape<float>&, const std::vector<table_lookup>&);
HOCKET_NN_INSTANCE value embedding<double>(tape<double>&, const std::vector<table_lookup>&);
HOCKET_NN_INSTANCE value layer_norm<float>(tape<float>&, value, value, value, double);
HOCKET_NN_INSTANCE value layer_norm<double>(tape<double>&, value, value, value, double);
HOCKET_NN_INSTANCE value attention<float>(tape<float>&, sequences, const attention_inputs&, const attention_options&);
HOCKET_NN_INSTANCE value attention<double>(tape<double>&, sequences, const attention_inputs&, const attention_options&);
HOCKET_NN_INSTANCE value pooled<float>(tape<float>&, sequences, value, pool);
HOCKET_NN_INSTANCE value pooled<double>(tape<double>&, sequences, value, pool);
}  // namespace hocket::nn
#endif
