// The narrow half of low-rank terms (Hu et al., "LoRA: Low-rank adaptation of large language models", 2021):
//   u = [drop_1(x) A_1' | drop_2(x) A_2' | ...]
// for all adapters that share one x, each with dropout of its own. `linear` adds scale u B' (linear_addend). What is
// dropped is made again in the backward pass, a tile at a time: no dropped copy of x is kept.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/kernels/epilogue/cpu.hpp>
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
};

template <Real T>
class down_op final : public op<T> {
 public:
  down_op(std::vector<down_part> parts, std::size_t columns, std::size_t in)
      : parts_(std::move(parts)), columns_(columns), in_(in), across_((in + wide_ - 1) / wide_) {
    std::size_t written = 0;
    for (const auto& part : parts_) {
      kernels::epilogue::make_dropout(part.dropout, 0, 0);  // checks the probability
      drops_ = drops_ || part.dropout > 0;
      written += part.rows.all() ? part.rank : 0;
    }
    whole_ = written == columns_;
  }
  std::string_view name() const override { return "project_down"; }

  demands plan(const planning<T>& p) const override {
    demands d;
    d.adds = ~std::uint64_t{0};
    for (const auto& part : parts_) {
      if (p.wants(0)) d.reads_inputs |= bit(part.a);
      if (p.wants(part.a)) d.reads_inputs |= bit(0);
    }
    d.spares = bit(0);  // x is all that a term of low rank would keep
    const std::size_t scratch = drops_ ? static_cast<std::size_t>(p.device().threads) * tile_size_ : 0;
    d.forward_scratch = scratch;
    if (p.backward()) d.backward_scratch = scratch;
    return d;
  }

  void forward(const frame<T>& f) const noexcept override {
    const auto x = f.input(0);
    const auto u = f.output();
    const std::size_t rows = x.extent(0);
    for_each_tile(
        f.device(), (rows + tall_ - 1) / tall_,
        [&](std::size_t tile, std::size_t worker) {
          const std::size_t first = tile * tall_, last = std::min(rows, first + tall_);
          if (!whole_) std::fill(u.data() + first * columns_, u.data() + last * columns_, T{0});
          for (std::size_t j = 0; j < parts_.size(); ++j) {
            const down_part& part = parts_[j];
            const T* const a = f.input(part.a).data();
            for_each_run(f, part.rows, first, last, [&](std::size_t row, std::size_t count) {
              T* const to = u.data() + row * columns_ + part.column;
              if (!drops(f, part)) {
                f.products().tile({count, part.rank, in_, false, true, in_, in_, columns_}, T{1}, x.data() + row * in_,
                                  a, T{0}, to, worker);
                return;
              }
              T* const kept = f.forward_scratch() + worker * tile_size_;
              for (std::size_t c = 0; c < across_; ++c) {
                const std::size_t column = c * wide_, wide = std::min(wide_, in_ - column);
                drop(f, j, c, row, count, x.data() + row * in_ + column, in_, nullptr, kept, wide);
                f.products().tile({count, part.rank, wide, false, true, wide, in_, columns_}, T{1}, kept, a + column,
                                  c == 0 ? T{0} : T{1}, to, worker);
              }
            });
          }
        },
        true);
  }

  void backward(const frame<T>& f) const noexcept override {
    const std::size_t rows = f.input(0).extent(0);
    const view<const T, 2> du = f.output_gradient();
    if (f.wants(0)) {
      for_each_tile(
          f.device(), (rows + tall_ - 1) / tall_ * across_,
          [&](std::size_t tile, std::size_t worker) {
            input_gradient(f, du, tile / across_ * tall_, rows, tile % across_, worker);
          },
          true);
    }
    for_each_tile(
        f.device(), parts_.size() * across_,
        [&](std::size_t tile, std::size_t worker) {
          if (f.wants(parts_[tile / across_].a)) weight_gradient(f, du, tile / across_, tile % across_, worker);
        },
        true);
  }

 private:
  static bool drops(const frame<T>& f, const down_part& part) noexcept { return part.dropout > 0 && f.training(); }

  /// to = residual + keep(from), `count` rows from `row` on of block `c` of columns, by the mask of part j. Masks of
  /// blocks and parts are those of further rows of one matrix.
  void drop(const frame<T>& f, std::size_t j, std::size_t c, std::size_t row, std::size_t count, const T* from,
            std::size_t ld, const T* residual, T* to, std::size_t ldto) const noexcept {
    const std::size_t place = (std::size_t{j * across_ + c} << 32) + row, wide = std::min(wide_, in_ - c * wide_);
    const auto mask = kernels::epilogue::make_dropout(parts_[j].dropout, f.seed(), f.stream(0));
    kernels::epilogue::forward_rows<T>(kernels::epilogue::activation::none, mask,
                                       {count, wide, place, from, ld, nullptr, residual, ldto, nullptr, 0, to, ldto});
  }

  /// Rows [first, first + tall) of block c: dx (+)= the sum over parts of keep(du A).
  void input_gradient(const frame<T>& f, const view<const T, 2>& du, std::size_t first, std::size_t rows, std::size_t c,
                      std::size_t worker) const noexcept {
    const std::size_t last = std::min(rows, first + tall_), column = c * wide_, wide = std::min(wide_, in_ - column);
    T* const dx = f.gradient(0).data() + column;
    if (f.beta(0) == 0)
      for (std::size_t r = first; r < last; ++r) std::fill_n(dx + r * in_, wide, T{0});
    for (std::size_t j = 0; j < parts_.size(); ++j) {
      const down_part& part = parts_[j];
      const T* const a = f.input(part.a).data() + column;
      for_each_run(f, part.rows, first, last, [&](std::size_t row, std::size_t count) {
        const T* const from = du.data() + row * columns_ + part.column;
        T* const to = dx + row * in_;
        const bool dropped = drops(f, part);
        T* const whole = dropped ? f.backward_scratch() + worker * tile_size_ : to;
        const std::size_t ld = dropped ? wide : in_;
        f.products().tile({count, wide, part.rank, false, false, columns_, in_, ld}, T{1}, from, a,
                          dropped ? T{0} : T{1}, whole, worker);
        if (dropped) drop(f, j, c, row, count, whole, ld, to, to, in_);
      });
    }
  }

  /// Block c of dA_j (+)= du_j' drop_j(x).
  void weight_gradient(const frame<T>& f, const view<const T, 2>& du, std::size_t j, std::size_t c,
                       std::size_t worker) const noexcept {
    const down_part& part = parts_[j];
    const auto x = f.input(0);
    const std::size_t rows = x.extent(0), column = c * wide_, wide = std::min(wide_, in_ - column);
    T* const da = f.gradient(part.a).data() + column;
    T beta = f.beta(part.a);
    const auto add = [&](std::size_t row, std::size_t count, const T* from, std::size_t ld) {
      f.products().tile({part.rank, wide, count, true, false, columns_, ld, in_}, T{1},
                        du.data() + row * columns_ + part.column, from, beta, da, worker);
      beta = T{1};
    };
    const bool dropped = drops(f, part);
    for (std::size_t first = 0; first < rows; first = dropped ? first + tall_ : rows)
      for_each_run(f, part.rows, first, dropped ? std::min(rows, first + tall_) : rows,
                   [&](std::size_t row, std::size_t count) {
                     const T* const from = x.data() + row * in_ + column;
                     if (!dropped) return add(row, count, from, in_);
                     T* const kept = f.backward_scratch() + worker * tile_size_;
                     drop(f, j, c, row, count, from, in_, nullptr, kept, wide);
                     add(row, count, kept, wide);
                   });
    if (beta == 0)  // no row was its own
      for (std::size_t r = 0; r < part.rank; ++r) std::fill_n(da + r * in_, wide, T{0});
  }

  static constexpr std::size_t tall_ = 192, wide_ = 192;  ///< a tile of f32 is 144 KiB: it stays in L2
  static constexpr std::size_t tile_size_ = tall_ * wide_;
  std::vector<down_part> parts_;
  std::size_t columns_, in_, across_;
  bool drops_ = false;
  bool whole_ = false;  ///< whether every element of u is written by some part
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
  auto what = std::make_unique<detail::down_op<T>>(std::move(parts), columns, t.columns(x));
  return t.record(std::move(what), std::move(inputs), t.rows(x), columns);
}

}  // namespace hocket::nn
