// The narrow half of low-rank terms (Hu et al., "LoRA: Low-rank adaptation of large language models", 2021):
//   u = [drop_1(x) A_1' | drop_2(x) A_2' | ...]
// for all adapters that share one x, each with dropout of its own. `linear` adds scale u B' (linear_addend). No dropped
// copy of x is made, but masks are kept, a bit an element: the backward pass needs them twice.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/kernels/epilogue/cpu.hpp>
#include <hocket/kernels/low_rank/cpu.hpp>
#include <hocket/nn/ops/row_choice.hpp>
#include <hocket/nn/tape.hpp>

namespace hocket::nn {

inline constexpr std::size_t next_column = static_cast<std::size_t>(-1);

/// One adapter's A (rank, in).
struct down_weights {
  value a;
  double dropout = 0;                ///< probability, of x
  std::size_t column = next_column;  ///< of u, where its `rank` columns begin; default: behind those before it
  row_choice rows = {};              ///< u is 0 in rows that no adapter serves
};

namespace detail {

struct down_part {
  std::size_t a, column, rank;
  double dropout;
  row_choice rows;
  std::size_t slot = 0;  ///< of one that drops: its number among those that do
};

template <Real T>
class down_op final : public op<T> {
 public:
  down_op(std::vector<down_part> parts, std::size_t columns, std::size_t in, const extent& rows)
      : parts_(std::move(parts)), columns_(columns), in_(in), rows_(rows) {
    for (down_part& part : parts_) {
      kernels::low_rank::make_dropout(part.dropout, 0, 0);  // checks the probability
      if (part.dropout > 0) part.slot = dropping_++;
    }
  }
  std::string_view name() const override { return "project_down"; }

  demands plan(const planning<T>& p) const override {
    demands d;
    d.adds = ~std::uint64_t{0};
    for (const auto& part : parts_) {
      if (p.wants(0)) d.reads_inputs |= bit(part.a);
      if (p.wants(part.a)) d.reads_inputs |= bit(0);
      if (p.wants(part.a)) d.block_sums += part.rank * in_;
    }
    d.spares = bit(0);  // x is all that a term of low rank would keep
    d.forward_by_rows = d.backward_by_rows = true;
    d.over = rows_;
    d.worker_bytes = p.most_in_block(rows_) * (in_ * sizeof(T) + row_bytes());  // x in T, masks that are not kept
    if (p.backward() && dropping_ > 0) d.kept.push_back({rows_, dropping_ * row_bytes() / sizeof(T)});
    return d;
  }

  void forward(const frame<T>& f) const noexcept override {
    T* const u = f.output_rows();
    const T* const x = input_of(f);
    std::fill_n(u, f.block().rows * columns_, T{0});
    for (const down_part& part : parts_)
      each_run(f, part, [&](std::size_t first, std::size_t count) {
        kernels::low_rank::project<T>(count, in_, x + first * in_, in_, made(f, part, first, count), part.rank,
                                      f.input(part.a).data(), in_, u + first * columns_ + part.column, columns_);
      });
  }

  void backward(const frame<T>& f) const noexcept override {
    const T* const du = f.output_gradient_rows();
    if (f.sums_per_block() > 0) {
      std::fill_n(f.sums(), f.sums_per_block(), T{0});
      const T* const x = input_of(f);
      T* to = f.sums();
      for (const down_part& part : parts_) {
        if (!f.wants(part.a)) continue;
        each_run(f, part, [&](std::size_t first, std::size_t count) {
          kernels::low_rank::add_outer<T>(count, part.rank, du + first * columns_ + part.column, columns_, in_,
                                          x + first * in_, in_, kept(f, part, first), to, in_);
        });
        to += part.rank * in_;
      }
    }
    if (!f.wants(0)) return;
    if (f.input_storage(0) == storage::bf16) return input_gradient_bf16(f, du);
    T* const dx = f.gradient_rows(0);
    if (f.beta(0) == 0) std::fill_n(dx, f.block().rows * in_, T{0});
    add_input_gradient(f, du, dx);
  }
  void finish(const frame<T>& f, std::size_t blocks) const noexcept override {
    std::size_t next = 0;
    for (const auto& part : parts_) {
      if (!f.wants(part.a)) continue;
      add_block_sums(f, blocks, next, part.rank * in_, f.gradient(part.a).data(), f.beta(part.a) != 0);
      next += part.rank * in_;
    }
  }
  bool takes_bf16(std::size_t k) const override { return k == 0; }

 private:
  using kept_elements = kernels::low_rank::kept_elements;
  /// Of one part's masks.
  std::size_t row_bytes() const { return kernels::low_rank::mask_bytes(in_); }
  kernels::low_rank::dropout mask(const frame<T>& f, const down_part& part) const noexcept {
    if (part.dropout == 0 || !f.training()) return {};
    return kernels::low_rank::make_dropout(part.dropout, f.seed(), f.stream(0));
  }
  /// The masks of rows [first, ...) of the block that the forward pass has kept.
  kept_elements kept(const frame<T>& f, const down_part& part, std::size_t first) const noexcept {
    const auto drop = mask(f, part);
    if (drop.none()) return {};
    const std::size_t apart = dropping_ * row_bytes();
    const auto* const all = reinterpret_cast<const std::byte*>(f.template kept_rows<T>(0));
    return {all + first * apart + part.slot * row_bytes(), apart, drop.scale};
  }
  /// Makes those of `count` rows, to be kept where there is a backward pass. Masks of parts are those of further rows
  /// of one matrix.
  kept_elements made(const frame<T>& f, const down_part& part, std::size_t first, std::size_t count) const noexcept {
    const auto drop = mask(f, part);
    if (drop.none()) return {};
    const bool keeps = f.keeps(0);
    const std::size_t apart = keeps ? dropping_ * row_bytes() : row_bytes();
    std::byte* const bits =
        keeps ? reinterpret_cast<std::byte*>(f.template kept_rows<T>(0)) + first * apart + part.slot * row_bytes()
              : f.worker_scratch() + f.most_in_block(rows_) * in_ * sizeof(T);
    kernels::low_rank::make_masks(drop, in_, (std::uint64_t{part.slot} << 32) + f.block().first + first, count, bits,
                                  apart);
    return {bits, apart, drop.scale};
  }

  /// body(first, count) for the rows of the block that the part serves.
  template <class Body>
  void each_run(const frame<T>& f, const down_part& part, Body&& body) const noexcept {
    const std::size_t start = f.block().first;
    for_each_run(f, part.rows, start, start + f.block().rows,
                 [&](std::size_t row, std::size_t count) { body(row - start, count); });
  }
  /// The block's x in T.
  const T* input_of(const frame<T>& f) const noexcept {
    if (f.input_storage(0) == storage::native) return f.input_rows(0);
    T* const to = reinterpret_cast<T*>(f.worker_scratch());
    if constexpr (std::is_same_v<T, float>)
      kernels::epilogue::widen_rows(f.block().rows, in_, f.template input_rows<bf16>(0), in_, to, in_);
    return to;
  }

  /// dx += the sum over parts of keep(du A).
  void add_input_gradient(const frame<T>& f, const T* du, T* dx) const noexcept {
    for (const down_part& part : parts_)
      each_run(f, part, [&](std::size_t first, std::size_t count) {
        kernels::low_rank::add_back<T>(count, part.rank, du + first * columns_ + part.column, columns_, in_,
                                       f.input(part.a).data(), in_, kept(f, part, first), dx + first * in_, in_);
      });
  }
  void input_gradient_bf16(const frame<T>& f, const T* du) const noexcept {
    if constexpr (std::is_same_v<T, float>) {
      const std::size_t rows = f.block().rows;
      T* const sum = reinterpret_cast<T*>(f.worker_scratch());
      bf16* const dx = f.template gradient_rows<bf16>(0);
      if (f.beta(0) == 0)
        std::fill_n(sum, rows * in_, T{0});
      else
        kernels::epilogue::widen_rows(rows, in_, dx, in_, sum, in_);
      add_input_gradient(f, du, sum);
      kernels::epilogue::forward_rows<float, bf16>(kernels::epilogue::activation::none, {},
                                                   {rows, in_, 0, sum, in_, nullptr, nullptr, 0, nullptr, 0, dx, in_});
    }
  }

  std::vector<down_part> parts_;
  std::size_t columns_, in_, dropping_ = 0;
  extent rows_;
};

}  // namespace detail

/// x (rows, in) -> u (rows, as many columns as the parts take).
template <Real T>
value project_down(tape<T>& t, value x, const std::vector<down_weights>& weights) {
  expects(!weights.empty(), errc::unsupported_shape, "project_down: there are no weights");
  std::vector<value> inputs{x};
  std::vector<detail::down_part> parts;
  std::size_t columns = 0;
  for (const auto& w : weights) {
    const extent rank = t.rows(w.a);
    expects(rank.dimension == 0 && rank.factor >= 1 && t.columns(w.a) == t.columns(x), errc::unsupported_shape,
            "project_down: x is ", t.describe(x), ", A ", t.describe(w.a), "; it must be rank x ", t.columns(x));
    detail::require_choice(t, "project_down", w.rows, t.rows(x));
    const detail::down_part part{inputs.size(), w.column == next_column ? columns : w.column, rank.factor, w.dropout,
                                 w.rows};
    for (const auto& other : parts)
      expects(part.column >= other.column + other.rank || other.column >= part.column + part.rank ||
                  (!part.rows.all() && part.rows.of_items.index == other.rows.of_items.index && !other.rows.all() &&
                   part.rows.number != other.rows.number),
              errc::unsupported_shape, "project_down: columns ", part.column, " to ", part.column + part.rank,
              " of u have two owners in the same rows");
    columns = std::max(columns, part.column + part.rank);
    inputs.push_back(w.a);
    parts.push_back(part);
  }
  auto what = std::make_unique<detail::down_op<T>>(std::move(parts), columns, t.columns(x), t.rows(x));
  return t.record(std::move(what), std::move(inputs), t.rows(x), columns);
}

}  // namespace hocket::nn

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in nn/instances.cpp
namespace hocket::nn {
HOCKET_NN_INSTANCE value project_down<float>(tape<float>&, value, const std::vector<down_weights>&);
HOCKET_NN_INSTANCE value project_down<double>(tape<double>&, value, const std::vector<down_weights>&);
}  // namespace hocket::nn
#endif
