// The narrow half of low-rank terms (Hu et al., "LoRA: Low-rank adaptation of large language models", 2021):
//   u = [drop_1(x) A_1' | drop_2(x) A_2' | ...]
// for all adapters that share one x, each with dropout of its own. `linear` adds scale u B' (linear_addend). No dropped
// copy of x is made, but masks are kept, a bit an element: the backward pass needs them twice. Products in bf16 are the
// matrix unit's; where there is none they are computed in f32.
#pragma once

#include <algorithm>
#include <array>
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
  down_op(std::vector<down_part> parts, std::size_t columns, std::size_t in, const extent& rows, precision products)
      : parts_(std::move(parts)), columns_(columns), in_(in), rows_(rows), products_(products) {
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
    std::fill_n(u, f.block().rows * columns_, T{0});
    if constexpr (std::is_same_v<T, float>)
      if (on_unit()) return forward_on_unit(f, u);
    const T* const x = input_of(f);
    for (const down_part& part : parts_)
      each_run(f, part, [&](std::size_t first, std::size_t count) {
        kernels::low_rank::project<T>(count, in_, x + first * in_, in_, made(f, part, first, count), part.rank,
                                      f.input(part.a).data(), in_, u + first * columns_ + part.column, columns_);
      });
  }

  void backward(const frame<T>& f) const noexcept override {
    const T* const du = f.output_gradient_rows();
    if constexpr (std::is_same_v<T, float>)
      if (on_unit()) return backward_on_unit(f, du);
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

  // On the matrix unit ----------------------------------------------------------------------------------------------

  bool on_unit() const noexcept { return products_ == precision::bf16 && kernels::low_rank::multiplies_bf16(); }
  /// body(the block's x) as it is kept.
  template <class Body>
  void with_input(const frame<T>& f, Body&& body) const noexcept {
    if (f.input_storage(0) == storage::bf16)
      body(f.template input_rows<bf16>(0));
    else
      body(static_cast<const T*>(f.input_rows(0)));
  }
  /// One past the last of the parts from `first` on that are one product: none drops, all serve all rows and want the
  /// same, their columns lie side by side.
  std::size_t joined_from(const frame<T>& f, std::size_t first) const noexcept {
    std::size_t rank = parts_[first].rank, end = first + 1;
    const auto joins = [&](const down_part& part) {
      return part.rows.all() && mask(f, part).none() && f.wants(part.a) == f.wants(parts_[first].a);
    };
    for (; joins(parts_[first]) && end < parts_.size(); rank += parts_[end++].rank)
      if (!joins(parts_[end]) || parts_[end].column != parts_[first].column + rank) break;
    return end;
  }
  /// body(first, end, rank) for parts [first, end) that are one product.
  template <class Body>
  void each_product(const frame<T>& f, Body&& body) const noexcept {
    for (std::size_t first = 0, end; first < parts_.size(); first = end) {
      end = joined_from(f, first);
      std::size_t rank = 0;
      for (std::size_t i = first; i < end; ++i) rank += parts_[i].rank;
      body(first, end, rank);
    }
  }
  /// Rows of A of parts [first, end) in pieces: body(its number of ranks before, lines).
  template <class Body>
  void each_piece(const frame<T>& f, std::size_t first, std::size_t end, Body&& body) const noexcept {
    std::array<const T*, 64> lines;
    std::size_t used = 0, before = 0;
    const auto take = [&] {
      body(before, std::span<const T* const>(lines.data(), used));
      before += used;
      used = 0;
    };
    for (std::size_t i = first; i < end; ++i)
      for (std::size_t j = 0; j < parts_[i].rank; ++j) {
        lines[used++] = f.input(parts_[i].a).data() + j * in_;
        if (used == lines.size()) take();
      }
    if (used > 0) take();
  }
  void forward_on_unit(const frame<T>& f, T* u) const noexcept {
    with_input(f, [&](const auto* x) {
      each_product(f, [&](std::size_t i, std::size_t end, std::size_t) {
        each_run(f, parts_[i], [&](std::size_t first, std::size_t count) {
          const auto keep = made(f, parts_[i], first, count);
          each_piece(f, i, end, [&](std::size_t before, std::span<const T* const> lines) {
            kernels::low_rank::project_bf16(count, in_, x + first * in_, in_, keep, lines,
                                            u + first * columns_ + parts_[i].column + before, columns_);
          });
        });
      });
    });
  }
  void backward_on_unit(const frame<T>& f, const T* du) const noexcept {
    if (f.sums_per_block() > 0) with_input(f, [&](const auto* x) { weight_gradients_on_unit(f, du, x); });
    if (!f.wants(0)) return;
    if (f.input_storage(0) == storage::bf16)
      input_gradient_on_unit(f, du, f.template gradient_rows<bf16>(0));
    else
      input_gradient_on_unit(f, du, f.gradient_rows(0));
  }
  template <class X>
  void weight_gradients_on_unit(const frame<T>& f, const T* du, const X* x) const noexcept {
    std::fill_n(f.sums(), f.sums_per_block(), T{0});
    T* to = f.sums();
    each_product(f, [&](std::size_t i, std::size_t, std::size_t rank) {
      if (!f.wants(parts_[i].a)) return;
      each_run(f, parts_[i], [&](std::size_t first, std::size_t count) {
        kernels::low_rank::add_outer_bf16(count, rank, du + first * columns_ + parts_[i].column, columns_, 0, in_,
                                          kernels::low_rank::in_rows(x + first * in_, in_), kept(f, parts_[i], first),
                                          to, in_);
      });
      to += rank * in_;
    });
  }
  /// Two products that serve all rows, as those of an adapter on query and value with dropout, share one pass over dx.
  template <class X>
  void input_gradient_on_unit(const frame<T>& f, const T* du, X* dx) const noexcept {
    namespace lr = kernels::low_rank;
    const std::size_t rows = f.block().rows;
    bool add = f.beta(0) != 0;
    if (!add && !std::any_of(parts_.begin(), parts_.end(), [](const down_part& p) { return p.rows.all(); })) {
      std::fill_n(dx, rows * in_, X{});
      add = true;
    }
    std::array<const T*, 64> lines;
    std::array<lr::back_term, 8> terms;
    std::size_t used = 0, count = 0;
    const auto put = [&] {
      if (count > 0) lr::add_back_bf16(rows, columns_, in_, {terms.data(), count}, add, dx, in_);
      add = add || count > 0;
      used = count = 0;
    };
    each_product(f, [&](std::size_t i, std::size_t end, std::size_t) {
      if (!parts_[i].rows.all()) return;
      each_piece(f, i, end, [&](std::size_t before, std::span<const T* const> some) {
        if (used + some.size() > lines.size() || count == terms.size()) put();
        std::copy(some.begin(), some.end(), lines.begin() + static_cast<std::ptrdiff_t>(used));
        terms[count++] = {du + parts_[i].column + before, {lines.data() + used, some.size()}, kept(f, parts_[i], 0)};
        used += some.size();
      });
    });
    put();
    each_product(f, [&](std::size_t i, std::size_t end, std::size_t) {
      if (parts_[i].rows.all()) return;
      each_run(f, parts_[i], [&](std::size_t first, std::size_t many) {
        each_piece(f, i, end, [&](std::size_t before, std::span<const T* const> some) {
          const lr::back_term term{du + first * columns_ + parts_[i].column + before, some, kept(f, parts_[i], first)};
          lr::add_back_bf16(many, columns_, in_, {&term, 1}, true, dx + first * in_, in_);
        });
      });
    });
  }

  std::vector<down_part> parts_;
  std::size_t columns_, in_, dropping_ = 0;
  extent rows_;
  precision products_;
};

}  // namespace detail

/// x (rows, in) -> u (rows, as many columns as the parts take). `products`: native or bf16.
template <Real T>
value project_down(tape<T>& t, value x, const std::vector<down_weights>& weights,
                   precision products = precision::native) {
  expects(!weights.empty(), errc::unsupported_shape, "project_down: there are no weights");
  expects(products == precision::native || (products == precision::bf16 && std::is_same_v<T, float>), errc::bad_option,
          "project_down: products are native, or bf16 on a tape of f32, not ", hocket::name_of(products));
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
  auto what = std::make_unique<detail::down_op<T>>(std::move(parts), columns, t.columns(x), t.rows(x), products);
  return t.record(std::move(what), std::move(inputs), t.rows(x), columns);
}

}  // namespace hocket::nn

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in nn/instances.cpp
namespace hocket::nn {
HOCKET_NN_INSTANCE value project_down<float>(tape<float>&, value, const std::vector<down_weights>&, precision);
HOCKET_NN_INSTANCE value project_down<double>(tape<double>&, value, const std::vector<down_weights>&, precision);
}  // namespace hocket::nn
#endif
