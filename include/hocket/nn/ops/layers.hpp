// Operations of an encoder besides products: embedding, layer norm, attention, pooling.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

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
  explicit embedding_op(std::vector<index_input> ids) : ids_(std::move(ids)) {}
  std::string_view name() const override { return "embedding"; }
  demands plan(const planning<T>&) const override {
    demands d;
    for (std::size_t k = 0; k < ids_.size(); ++k) d.adds |= bit(k);
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    std::array<kernels::embedding::lookup<T>, most_tables> tables;
    for (std::size_t k = 0; k < ids_.size(); ++k) tables[k] = {f.input(k), f.indices(ids_[k])};
    kernels::embedding::forward<T>(f.device(), {tables.data(), ids_.size()}, f.output());
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
};

template <Real T>
class layer_norm_op final : public op<T> {
 public:
  layer_norm_op(extent rows, std::size_t columns, T eps) : rows_(rows), columns_(columns), eps_(eps) {}
  std::string_view name() const override { return "layer_norm"; }
  demands plan(const planning<T>& p) const override {
    demands d;
    if (p.backward()) d.reads_inputs = bit(0) | bit(1);
    d.kept = {{rows_, 1}, {rows_, 1}};
    const std::size_t rows = p.most(rows_);
    if (p.backward())
      d.backward_scratch =
          kernels::layernorm::workspace_size({rows, columns_}) + 2 * columns_ + (p.wants(0) ? 0 : rows * columns_);
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    kernels::layernorm::forward<T>(kernels::layernorm::norm::layer, f.input(0), row(f.input(1)), row(f.input(2)), eps_,
                                   f.output(), keep(f), f.device());
  }
  void backward(const frame<T>& f) const noexcept override {
    // The kernel gives all three gradients at once; those that nobody wants go into scratch.
    const std::size_t rows = f.input(0).extent(0);
    T* const work = f.backward_scratch();
    T* const spare = work + kernels::layernorm::workspace_size({rows, columns_});
    const view<T, 2> dx = f.wants(0) ? f.gradient(0) : view<T, 2>(spare + 2 * columns_, {rows, columns_});
    const view<T, 1> dgain{f.wants(1) ? f.gradient(1).data() : spare, {columns_}},
        dbias{f.wants(2) ? f.gradient(2).data() : spare + columns_, {columns_}};
    kernels::layernorm::backward<T>(kernels::layernorm::norm::layer, f.input(0), row(f.input(1)), f.output_gradient(),
                                    keep(f), dx, dgain, dbias, work, f.device());
  }

 private:
  static view<const T, 1> row(const view<const T, 2>& m) { return {m.data(), {m.extent(1)}}; }
  kernels::layernorm::kept<T> keep(const frame<T>& f) const {
    const std::size_t rows = f.input(0).extent(0);
    return {{f.kept(0).data(), {rows}}, {f.kept(1).data(), {rows}}};
  }
  extent rows_;
  std::size_t columns_;
  T eps_;
};

/// Input k's columns [first, first + heads width) of one of q, k, v.
struct attention_part {
  std::size_t input, first, stride;
};

template <Real T>
class attention_op final : public op<T> {
 public:
  attention_op(std::array<attention_part, 3> parts, const kernels::attention::shape& s, sequences batch, extent items,
               extent tokens, bool prefix)
      : parts_(parts), shape_(s), batch_(batch), items_(items), tokens_(tokens), prefix_(prefix) {}
  std::string_view name() const override { return "attention"; }

  demands plan(const planning<T>& p) const override {
    demands d;
    const std::size_t longest = p.batch(batch_).longest;
    d.kept = {{items_, shape_.heads * longest}};  // log-sum-exp of every query
    const auto s = sized(p.most(items_), longest);
    d.forward_scratch = kernels::attention::forward_workspace<T>(p.device(), s);
    if (!p.backward()) return d;
    d.reads_output = true;
    for (const auto& part : parts_) d.reads_inputs |= bit(part.input);
    if (prefix_) d.reads_inputs |= bit(prefix_input()) | bit(prefix_input() + 1);
    d.backward_scratch = kernels::attention::backward_workspace<T>(p.device(), s);
    for (const auto& part : parts_)
      if (!p.wants(part.input)) d.backward_scratch += p.most(tokens_) * shape_.kv_heads * shape_.width + alignment;
    if (prefix_) d.backward_scratch += 2 * shape_.prefix * shape_.kv_heads * shape_.width;
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    const auto& batch = f.batch(batch_);
    const kernels::attention::outputs<T> to{whole(f.output().data(), shape_.heads), f.kept(0).data()};
    kernels::attention::forward<T>(f.device(), sized(batch.lengths.size(), batch.live_longest), given(f), to,
                                   f.forward_scratch());
  }
  void backward(const frame<T>& f) const noexcept override {
    const auto& batch = f.batch(batch_);
    const auto s = sized(batch.lengths.size(), batch.live_longest);
    T* spare = f.backward_scratch() + kernels::attention::backward_workspace<T>(f.device(), s);
    const auto take = [&](std::size_t elements) { return std::exchange(spare, spare + elements); };
    const auto target = [&](const attention_part& part, std::size_t heads) -> kernels::attention::rows_of<T> {
      if (f.wants(part.input)) return {f.gradient(part.input).data() + part.first, 0, shape_.width, part.stride};
      return whole(take(f.output().extent(0) * heads * shape_.width), heads);
    };
    kernels::attention::gradients<T> to;
    to.dq = target(parts_[0], shape_.heads);
    to.dk = target(parts_[1], shape_.kv_heads);
    to.dv = target(parts_[2], shape_.kv_heads);
    if (prefix_) {
      const auto row = [&](std::size_t k) {
        return whole(f.wants(k) ? f.gradient(k).data() : take(shape_.prefix * shape_.kv_heads * shape_.width),
                     shape_.kv_heads);
      };
      to.dprefix_k = row(prefix_input());
      to.dprefix_v = row(prefix_input() + 1);
    }
    const auto out = whole<const T>(f.output().data(), shape_.heads),
               dout = whole<const T>(f.output_gradient().data(), shape_.heads);
    kernels::attention::backward<T>(f.device(), s, given(f), {out, dout, f.kept(0).data()}, to, f.backward_scratch());
  }

 private:
  std::size_t prefix_input() const { return std::max({parts_[0].input, parts_[1].input, parts_[2].input}) + 1; }
  kernels::attention::shape sized(std::size_t items, std::size_t longest) const {
    kernels::attention::shape s = shape_;
    s.batch = items;
    s.queries = s.keys = longest;
    return s;
  }
  template <class U>
  kernels::attention::rows_of<U> whole(U* data, std::size_t heads) const {
    return {data, 0, shape_.width, heads * shape_.width};
  }
  kernels::attention::inputs<T> given(const frame<T>& f) const {
    const auto& batch = f.batch(batch_);
    const auto source = [&](const attention_part& part) -> kernels::attention::rows_of<const T> {
      return {f.input(part.input).data() + part.first, 0, shape_.width, part.stride};
    };
    kernels::attention::inputs<T> in;
    in.q = source(parts_[0]);
    in.k = source(parts_[1]);
    in.v = source(parts_[2]);
    if (prefix_) {
      in.prefix_k = whole(f.input(prefix_input()).data(), shape_.kv_heads);
      in.prefix_v = whole(f.input(prefix_input() + 1).data(), shape_.kv_heads);
    }
    in.lengths = {batch.lengths.data(), batch.lengths.data(), batch.starts.data(), batch.starts.data()};
    return in;
  }

  std::array<attention_part, 3> parts_;
  kernels::attention::shape shape_;
  sequences batch_;
  extent items_, tokens_;
  bool prefix_;
};

template <Real T>
class pool_op final : public op<T> {
 public:
  pool_op(pool kind, sequences batch) : kind_(kind), batch_(batch) {}
  std::string_view name() const override { return "pool"; }
  demands plan(const planning<T>&) const override {
    demands d;
    d.adds = bit(0);
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    kernels::pooling::forward<T>(f.device(), kind_, at(f), f.input(0), f.output());
  }
  void backward(const frame<T>& f) const noexcept override {
    kernels::pooling::backward<T>(f.device(), kind_, at(f), f.output_gradient(), f.beta(0) != 0, f.gradient(0));
  }

 private:
  kernels::pooling::ragged at(const frame<T>& f) const { return {f.batch(batch_).starts, f.batch(batch_).lengths}; }
  pool kind_;
  sequences batch_;
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
  return t.record(std::make_unique<detail::embedding_op<T>>(std::move(ids)), std::move(inputs), t.rows(tables[0].ids),
                  t.columns(tables[0].table));
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

/// Where q, k and v lie: three matrices of heads x width columns, or (all three the same value) one of three times
/// that, side by side.
struct attention_inputs {
  value q, k, v;
  value prefix_k = {}, prefix_v = {};  ///< (prefix rows, heads x width): keys and values before every item's own
};
struct attention_options {
  std::size_t heads = 1;
  bool causal = false;
  std::size_t window = 0;  ///< 0: none
};

/// Self-attention within the items of a ragged batch: (tokens, heads x width).
template <Real T>
value attention(tape<T>& t, sequences batch, const attention_inputs& in, const attention_options& options) {
  const bool packed = in.q.index == in.k.index && in.q.index == in.v.index;
  const std::size_t columns = packed ? t.columns(in.q) / 3 : t.columns(in.q);
  for (const value v : {in.q, in.k, in.v})
    expects(t.rows(v) == t.tokens(batch) && t.columns(v) == (packed ? 3 : 1) * columns, errc::unsupported_shape,
            "attention: q is ", t.describe(in.q), ", k ", t.describe(in.k), ", v ", t.describe(in.v),
            "; they must have the rows of the batch and equal columns");
  expects(options.heads >= 1 && columns % options.heads == 0, errc::unsupported_shape, "attention: ", columns,
          " columns cannot be ", options.heads, " heads");
  kernels::attention::shape s;
  s.heads = s.kv_heads = options.heads;
  s.width = columns / options.heads;
  s.causal = options.causal;
  s.window = options.window;
  s.scale = kernels::attention::usual_scale(s.width);
  const bool prefix = present(in.prefix_k);
  if (prefix) {
    for (const value v : {in.prefix_k, in.prefix_v})
      expects(t.rows(v).dimension == 0 && t.rows(v) == t.rows(in.prefix_k) && t.columns(v) == columns,
              errc::unsupported_shape, "attention: a prefix is ", t.describe(v), "; it must be rows x ", columns);
    s.prefix = t.rows(in.prefix_k).factor;
  }
  kernels::attention::require_shape(s);
  std::vector<value> inputs = packed ? std::vector<value>{in.q} : std::vector<value>{in.q, in.k, in.v};
  std::array<detail::attention_part, 3> parts;
  for (std::size_t i = 0; i < 3; ++i)
    parts[i] = packed ? detail::attention_part{0, i * columns, 3 * columns} : detail::attention_part{i, 0, columns};
  if (prefix) {
    inputs.push_back(in.prefix_k);
    inputs.push_back(in.prefix_v);
  }
  return t.record(std::make_unique<detail::attention_op<T>>(parts, s, batch, t.items(batch), t.tokens(batch), prefix),
                  std::move(inputs), t.tokens(batch), columns);
}

/// One row an item: the mean of its rows, or its first.
template <Real T>
value pooled(tape<T>& t, sequences batch, value x, pool kind) {
  expects(t.rows(x) == t.tokens(batch), errc::unsupported_shape, "pool: x is ", t.describe(x),
          "; it must have the rows of the batch");
  return t.record(std::make_unique<detail::pool_op<T>>(kind, batch), {x}, t.items(batch), t.columns(x));
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
