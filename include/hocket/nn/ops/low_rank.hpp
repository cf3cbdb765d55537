// The narrow half of low-rank terms (Hu et al., "LoRA: Low-rank adaptation of large language models", 2021):
//   u = [drop_1(x) A_1' | drop_2(x) A_2' | ...]
// for all adapters that share one x, each with dropout of its own. `linear` adds scale u B' (linear_addend). No dropped
// copy of x is kept, but the masks are, a bit an element: the backward pass needs them twice, and making them took a
// tenth of a LoRA step.
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
  down_op(std::vector<down_part> parts, std::size_t columns, std::size_t in, const extent& rows)
      : parts_(std::move(parts)), columns_(columns), in_(in), rows_(rows) {
    // In the order of their columns, so that plain parts which follow each other make one product.
    std::stable_sort(parts_.begin(), parts_.end(),
                     [](const down_part& a, const down_part& b) { return a.column < b.column; });
    const auto plain = [](const down_part& part) { return part.dropout == 0 && part.rows.all(); };
    for (std::size_t j = 0; j < parts_.size(); ++j) {
      kernels::epilogue::make_dropout(parts_[j].dropout, 0, 0);  // checks the probability
      const bool joins = j > 0 && plain(parts_[j]) && plain(parts_[j - 1]);
      if (joins)
        sets_.back().last = j + 1;
      else
        sets_.push_back({j, j + 1, parts_[j].dropout > 0 ? dropping_++ : 0});
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
    d.worker_bytes = (p.most_in_block(rows_) + band) * in_ * sizeof(T);  // x in T, and a band of it dropped
    if (p.backward() && mask_bytes() > 0) d.kept.push_back({rows_, mask_bytes() / sizeof(T)});
    // One pack for all parts that have no mask and serve all rows, one for each of the others.
    for (const auto& set : sets_) {
      d.forward_packs.push_back(request(set, true));
      if (p.wants(0)) d.backward_packs.push_back(request(set, false));
    }
    return d;
  }

  void forward(const frame<T>& f) const noexcept override {
    const std::size_t rows = f.block().rows;
    T* const u = f.output_rows();
    const T* const x = input_of(f);
    std::fill_n(u, rows * columns_, T{0});
    for (std::size_t j = 0; j < sets_.size(); ++j)
      each_run(f, sets_[j], [&](std::size_t first, std::size_t count) {
        multiply(count, in_, kept(f, sets_[j], x, first, count, masks::made), in_, f.forward_pack(j), columns_,
                 u + first * columns_, columns_, true);
      });
  }

  void backward(const frame<T>& f) const noexcept override {
    const std::size_t rows = f.block().rows;
    const T* const du = f.output_gradient_rows();
    if (f.sums_per_block() > 0) {
      std::fill_n(f.sums(), f.sums_per_block(), T{0});
      const T* const x = input_of(f);
      for (const set& each : sets_)
        each_run(f, each, [&](std::size_t first, std::size_t count) {
          const T* const from = kept(f, each, x, first, count, masks::read);
          T* to = f.sums();
          for (std::size_t j = 0; j < parts_.size(); ++j) {
            if (!f.wants(parts_[j].a)) continue;
            if (j >= each.first && j < each.last)
              kernels::packed_gemm::add_outer<T>(count, parts_[j].rank, du + first * columns_ + parts_[j].column,
                                                 columns_, in_, from, in_, to, in_);
            to += parts_[j].rank * in_;
          }
        });
    }
    if (!f.wants(0)) return;
    if (f.input_storage(0) == storage::bf16) return input_gradient_bf16(f, du);
    T* const dx = f.gradient_rows(0);
    if (f.beta(0) == 0) std::fill_n(dx, rows * in_, T{0});
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
  /// Parts [first, last) that see the same x: one with a mask or a choice of rows, or all that have neither.
  struct set {
    std::size_t first, last;
    std::size_t slot;  ///< of one that drops: its number among those that do
  };
  static constexpr std::size_t band = 28;  ///< rows: two tiles of the product
  /// Whether masks come from their counters, to be kept for the backward pass, or are those that were kept.
  enum class masks { made, read };
  /// Of a row of one set.
  std::size_t set_bytes() const { return kernels::epilogue::groups_of(in_) * sizeof(std::uint64_t); }
  /// Of a row of all sets that drop.
  std::size_t mask_bytes() const { return dropping_ * set_bytes(); }
  /// The masks of row `first` of the block and of one set; null if none are kept.
  std::byte* bits_of(const frame<T>& f, const set& each, std::size_t first) const noexcept {
    if (!f.keeps(0)) return nullptr;
    return reinterpret_cast<std::byte*>(f.template kept_rows<T>(0)) + first * mask_bytes() + each.slot * set_bytes();
  }
  const down_part& front(const set& each) const { return parts_[each.first]; }
  bool drops(const frame<T>& f, const set& each) const noexcept { return front(each).dropout > 0 && f.training(); }

  pack_request request(const set& each, bool turned) const {
    pack_request made;
    made.turned = turned;
    made.line = in_;
    std::size_t column = 0;
    for (std::size_t j = each.first; j < each.last; ++j) {
      if (parts_[j].column > column) made.pieces.push_back({no_input, parts_[j].column - column, 0, 1});
      made.pieces.push_back({parts_[j].a, 0, 0, 1});
      column = parts_[j].column + parts_[j].rank;
    }
    if (columns_ > column) made.pieces.push_back({no_input, columns_ - column, 0, 1});
    return made;
  }

  /// body(first, count) for the rows of the block that the set serves; for a set that drops, so few at a time that what
  /// is dropped stays in L1.
  template <class Body>
  void each_run(const frame<T>& f, const set& each, Body&& body) const noexcept {
    const std::size_t start = f.block().first, at_once = drops(f, each) ? band : f.block().rows;
    for_each_run(f, front(each).rows, start, start + f.block().rows, [&](std::size_t row, std::size_t count) {
      for (std::size_t r = 0; r < count; r += at_once) body(row - start + r, std::min(at_once, count - r));
    });
  }
  /// The block's x in T.
  const T* input_of(const frame<T>& f) const noexcept {
    if (f.input_storage(0) == storage::native) return f.input_rows(0);
    T* const to = reinterpret_cast<T*>(f.worker_scratch());
    if constexpr (std::is_same_v<T, float>)
      kernels::epilogue::widen_rows(f.block().rows, in_, f.template input_rows<bf16>(0), in_, to, in_);
    return to;
  }
  /// Rows of x as the set sees them, dropped in scratch where it has a mask.
  const T* kept(const frame<T>& f, const set& each, const T* x, std::size_t first, std::size_t count,
                masks from) const noexcept {
    if (!drops(f, each)) return x + first * in_;
    T* const to = dropped(f);
    drop(f, each, first, count, x + first * in_, nullptr, to, from);
    return to;
  }
  T* dropped(const frame<T>& f) const noexcept {
    return reinterpret_cast<T*>(f.worker_scratch()) + f.most_in_block(rows_) * in_;
  }
  /// to = residual + keep(from), `count` <= band rows of `in` columns from row `first` of the block on. Masks of sets
  /// are those of further rows of one matrix.
  void drop(const frame<T>& f, const set& each, std::size_t first, std::size_t count, const T* from, const T* residual,
            T* to, masks source) const noexcept {
    namespace ep = kernels::epilogue;
    constexpr std::size_t group = ep::dropout_group;
    const std::size_t place = (std::size_t{each.first} << 32) + f.block().first + first;
    const auto mask = ep::make_dropout(front(each).dropout, f.seed(), f.stream(0));
    std::byte* const bits = bits_of(f, each, first);
    alignas(alignment) std::int32_t keep[band * group];
    for (std::size_t g = 0; g < ep::groups_of(in_); ++g) {
      std::byte* const here = bits ? bits + g * sizeof(std::uint64_t) : nullptr;
      if (here && source == masks::read) {
        ep::masks_of_bits(count, here, mask_bytes(), keep);
      } else {
        ep::keep_groups(mask, in_, place, count, g, keep);
        if (here) ep::bits_of_masks(count, keep, here, mask_bytes());
      }
      const std::size_t at = g * group;
      ep::forward_rows<T>(ep::activation::none, mask,
                          {count, std::min(group, in_ - at), 0, from + at, in_, nullptr,
                           residual ? residual + at : nullptr, in_, nullptr, 0, to + at, in_, keep, group});
    }
  }

  /// to (rows, n) = or += A (rows, k) times a packed B.
  static void multiply(std::size_t rows, std::size_t k, const T* a, std::size_t lda, const std::byte* pack,
                       std::size_t n, T* to, std::size_t ldto, bool add) noexcept {
    namespace pg = kernels::packed_gemm;
    constexpr std::size_t width = pg::strip_columns<T>;
    alignas(alignment) T block[band * width];
    for (std::size_t s = 0; s < pg::strips_of<T>(n); ++s, pack += pg::strip_bytes<T>(precision::native, k)) {
      const std::size_t column = s * width, columns = std::min(width, n - column);
      for (std::size_t r = 0; r < rows; r += band) {
        const std::size_t here = std::min(band, rows - r);
        T* const at = to + r * ldto + column;
        pg::narrow_product<T>(here, k, a + r * lda, lda, pack, columns, block, false, pack);
        kernels::epilogue::forward_rows<T>(
            kernels::epilogue::activation::none, {},
            {here, columns, 0, block, width, nullptr, add ? at : nullptr, ldto, nullptr, 0, at, ldto});
      }
    }
  }

  /// dx += the sum over sets of keep(du A).
  void add_input_gradient(const frame<T>& f, const T* du, T* dx) const noexcept {
    for (std::size_t j = 0; j < sets_.size(); ++j)
      each_run(f, sets_[j], [&](std::size_t first, std::size_t count) {
        const T* const from = du + first * columns_;
        T* const to = dx + first * in_;
        if (!drops(f, sets_[j]))
          return multiply(count, columns_, from, columns_, f.backward_pack(j), in_, to, in_, true);
        T* const whole = dropped(f);
        multiply(count, columns_, from, columns_, f.backward_pack(j), in_, whole, in_, false);
        drop(f, sets_[j], first, count, whole, to, to, masks::read);
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
  std::vector<set> sets_;
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
