// The operation behind `linear` (linear.hpp): products with packed weights by strips of 32 columns, each followed at
// once by what comes after it. Rows do not know each other, so that consecutive operations run block after block.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/kernels/epilogue/cpu.hpp>
#include <hocket/kernels/low_rank/cpu.hpp>
#include <hocket/kernels/packed_gemm/cpu.hpp>
#include <hocket/nn/ops/row_choice.hpp>
#include <hocket/nn/tape.hpp>

namespace hocket::nn {

using kernels::epilogue::activation;

struct linear_options {
  activation act = activation::none;
  double dropout = 0;   ///< probability, after the activation
  value residual = {};  ///< of the output's shape, added last
  precision products = precision::native;
  storage kept_in = storage::native;  ///< of the output
};

namespace detail {

struct linear_group {
  std::size_t weight, bias, first, count;  ///< inputs; first: column of the output
};
/// scale u B': u and b are inputs.
struct linear_term {
  std::size_t group, u, b, column, rank, u_columns;
  double scale;
  row_choice rows;
};

template <Real T>
class linear_op final : public op<T> {
 public:
  linear_op(std::vector<linear_group> groups, std::vector<linear_term> terms, std::size_t residual, std::size_t in,
            const extent& rows, const linear_options& options)
      : groups_(std::move(groups)),
        residual_(residual),
        in_(in),
        rows_(rows),
        options_(options),
        kind_(kernels::packed_gemm::kind_for<T>(options.products)) {
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      segments_of(groups_[g], g);
      columns_ += groups_[g].count;
    }
    for (linear_term& t : terms) {
      // Terms for all rows that read one u are one product; what serves some rows only goes by itself.
      if (!t.rows.all()) {
        chosen_.push_back(std::move(t));
        continue;
      }
      auto set = std::find_if(sets_.begin(), sets_.end(), [&](const term_set& s) {
        return s.u == t.u && std::none_of(s.terms.begin(), s.terms.end(),
                                          [&](const linear_term& other) { return other.group == t.group; });
      });
      if (set == sets_.end()) set = sets_.insert(set, {t.u, t.u_columns, {}});
      set->terms.push_back(std::move(t));
    }
    kernels::epilogue::make_dropout(options.dropout, 0, 0);  // checks the probability
  }

  std::string_view name() const override { return "linear"; }
  bool takes_bf16(std::size_t k) const override { return k == 0; }

  demands plan(const planning<T>& p) const override {
    demands d;
    const wishes wanted = wishes_of(p);
    d.adds = bit(0);
    for (const auto& g : groups_) {
      d.adds |= bit(g.weight);
      if (p.wants(0)) d.reads_inputs |= bit(g.weight);
      if (g.bias != no_input) d.adds |= bit(g.bias);
    }
    if (wanted.weights) d.reads_inputs |= bit(0);
    each_term([&](const linear_term& t) {
      d.adds |= bit(t.u) | bit(t.b);
      if (p.wants(t.u)) d.reads_inputs |= bit(t.b);
      if (p.wants(t.b)) d.reads_inputs |= bit(t.u);
      if (p.wants(t.b)) d.block_sums += t.rank * groups_[t.group].count;
    });
    if (wanted.biases) d.block_sums += columns_;
    if (residual_ != no_input && p.wants(residual_)) d.pass_through = residual_;
    if (wanted.any() && options_.act != activation::none) d.kept.push_back({rows_, columns_, p.output_storage()});
    d.over = rows_;
    d.forward_by_rows = d.backward_by_rows = true;
    d.ends_run = wanted.weights;  // so that its factors are used while they are in cache
    if (wanted.weights) d.backward_scratch = factors_of(p).all / sizeof(T);
    request_packs(p, d);
    d.worker_bytes = layout_of(p.most_in_block(rows_), wanted, p.output_storage(), d.pass_through != no_input).all;
    return d;
  }

  void forward(const frame<T>& f) const noexcept override {
    if constexpr (std::is_same_v<T, float>)
      if (f.output_storage() == storage::bf16) return forward_into<bf16>(f);
    forward_into<T>(f);
  }
  void backward(const frame<T>& f) const noexcept override {
    if constexpr (std::is_same_v<T, float>)
      if (f.output_storage() == storage::bf16) return backward_from<bf16>(f);
    backward_from<T>(f);
  }
  void finish(const frame<T>& f, std::size_t blocks) const noexcept override;

 private:
  static constexpr std::size_t width = kernels::packed_gemm::strip_columns<T>;
  static constexpr std::size_t pair =
      kernels::epilogue::dropout_group / width;  ///< strips whose masks are made together

  /// Columns of one weight's output within one strip.
  struct segment {
    std::size_t strip, offset, count, group, column;  ///< column: of the group
  };
  /// Terms that read one u, at most one a group.
  struct term_set {
    std::size_t u;
    std::size_t columns;  ///< of u
    std::vector<linear_term> terms;
  };
  bool touches(const term_set& set, std::size_t strip) const {
    return std::any_of(set.terms.begin(), set.terms.end(), [&](const linear_term& t) {
      const linear_group& g = groups_[t.group];
      return g.first < (strip + 1) * width && strip * width < g.first + g.count;
    });
  }
  /// Where a thread's scratch lies.
  struct layout {
    std::size_t left = 0, narrow = 0, block = 0, sums = 0, masks = 0, rows = 0, all = 0;
  };
  /// Where a trained weight's gradient du' x takes its factors from: a list of the blocks, of every block du turned, of
  /// every block x in strips. Bytes.
  struct factors {
    std::size_t left = 0, right = 0, all = 0;
  };
  /// A block's factors.
  struct block_factors {
    std::byte *left, *right;
  };
  /// Of products in tiles a block has whole steps of 32 rows, filled up with zeros; otherwise its own rows, and the
  /// lines of du a gap, so that they do not all meet in the same sets of a cache.
  static constexpr std::size_t gap = alignment / sizeof(T);
  std::size_t left_bytes_of(std::size_t rows) const {
    return tiles() ? kernels::packed_gemm::left_bytes(term_kind(), columns_, rows) : rows * columns_ * sizeof(T);
  }
  std::size_t right_bytes_of(std::size_t rows) const {
    return kernels::packed_gemm::strips_of<T>(in_) * kernels::packed_gemm::strip_bytes<T>(term_kind(), rows);
  }
  template <class Asked>
  factors factors_of(const Asked& asked) const {
    const std::size_t blocks = asked.most_blocks_of(rows_), rows = asked.most(rows_),
                      units = tiles() ? rows / 32 + blocks : rows + blocks * gap, unit = tiles() ? 32 : 1;
    factors at;
    at.left = kernels::packed_gemm::rounded_up(blocks * sizeof(row_block), alignment);
    at.right = kernels::packed_gemm::rounded_up(at.left + units * left_bytes_of(unit), alignment);
    at.all = at.right + units * right_bytes_of(unit);
    return at;
  }
  block_factors factors_in(std::byte* scratch, const factors& at, const row_block& block,
                           std::size_t number) const noexcept {
    const std::size_t units = tiles() ? block.first / 32 + number : block.first + number * gap, unit = tiles() ? 32 : 1;
    return {scratch + at.left + units * left_bytes_of(unit), scratch + at.right + units * right_bytes_of(unit)};
  }
  /// What the backward pass is asked for.
  struct wishes {
    bool input = false, weights = false, biases = false, terms = false;
    bool any() const { return input || weights || biases || terms; }
  };

  bool tiles() const { return kind_ != precision::native; }
  /// Of terms and of trained weights' gradients: never int8.
  precision term_kind() const { return precision_of_terms(kind_); }
  /// Whether du is there in tiles of bf16 that the matrix unit multiplies with u.
  bool sums_on_matrix_unit() const { return kind_ == precision::bf16 && kernels::low_rank::multiplies_bf16(); }
  /// Split products go over k in pieces for all strips, so that a piece of A stays in L2; sums wait in scratch.
  struct piece {
    std::size_t number, count;      ///< of how many
    std::size_t first_step, steps;  ///< of k
    bool begins() const { return number == 0; }
    bool ends() const { return number + 1 == count; }
    bool alone() const { return count == 1; }
  };
  static constexpr std::size_t most_steps = 12;
  std::size_t pieces_of(std::size_t k) const {
    const std::size_t steps = kernels::packed_gemm::steps_of(kind_, k);
    return kind_ == precision::split ? std::max<std::size_t>(1, (steps + most_steps - 1) / most_steps) : 1;
  }
  piece piece_of(std::size_t k, std::size_t number) const {
    const std::size_t steps = kernels::packed_gemm::steps_of(kind_, k), count = pieces_of(k),
                      first = steps * number / count;
    return {number, count, first, steps * (number + 1) / count - first};
  }
  std::size_t sums_bytes(std::size_t k, std::size_t n, std::size_t rows) const {
    namespace pg = kernels::packed_gemm;
    return pieces_of(k) > 1 ? pg::strips_of<T>(n) * pg::block_rows(rows) * width * sizeof(T) : 0;
  }
  /// Whether du, the gradient before bias and activation, differs from dy.
  bool changes() const { return options_.act != activation::none || options_.dropout > 0; }
  /// Whether du cannot take dy's place.
  bool gradient_apart(storage kept, bool passed_on) const {
    return kept != storage::native || (changes() && passed_on);
  }
  /// Whether what is kept lies strip after strip: the backward pass then reads it so, at the pace of memory.
  bool keeps_strips(storage kept) const { return tiles() && kept == storage::bf16 && chosen_.empty(); }
  /// What the block keeps of one strip; null if nothing is kept.
  template <class S>
  struct kept_columns {
    S* data = nullptr;
    std::size_t ld = 0;
  };
  template <class S>
  kept_columns<S> kept_columns_of(const frame<T>& f, std::size_t strip) const noexcept {
    if (!f.keeps(0)) return {};
    if (!keeps_strips(f.output_storage())) return {f.template kept_rows<S>(0) + strip * width, columns_};
    return {f.template kept_strip<S>(0, strip, width), std::min(width, columns_ - strip * width)};
  }
  kernels::epilogue::dropout mask(const frame<T>& f) const noexcept {
    if (options_.dropout == 0 || !f.training()) return {};
    return kernels::epilogue::make_dropout(options_.dropout, f.seed(), f.stream(0));
  }
  template <class F>
  void each_term(F&& f) const {
    for (const term_set& set : sets_)
      for (const linear_term& t : set.terms) f(t);
    for (const linear_term& t : chosen_) f(t);
  }
  template <class Asked>
  wishes wishes_of(const Asked& p) const {
    wishes wanted{p.wants(0), false, false, false};
    for (const auto& g : groups_) {
      wanted.weights = wanted.weights || p.wants(g.weight);
      wanted.biases = wanted.biases || (g.bias != no_input && p.wants(g.bias));
    }
    each_term([&](const linear_term& t) { wanted.terms = wanted.terms || p.wants(t.u) || p.wants(t.b); });
    return wanted;
  }
  void segments_of(const linear_group& g, std::size_t number) {
    for (std::size_t c = 0; c < g.count;) {
      const std::size_t column = g.first + c, offset = column % width, count = std::min(width - offset, g.count - c);
      segments_.push_back({column / width, offset, count, number, c});
      c += count;
    }
  }
  /// body(part, worker) for parts [0, parts): on this thread, or by all threads where they share one block.
  template <class Body>
  void share(const frame<T>& f, std::size_t parts, Body&& body) const noexcept {
    if (f.device().threads == 1)
      for (std::size_t i = 0; i < parts; ++i) body(i, f.worker());
    else
      for_each_tile(f.device(), parts, body, true);
  }

  void request_packs(const planning<T>& p, demands& d) const;
  layout layout_of(std::size_t rows, const wishes& wanted, storage kept, bool passed_on) const;
  layout layout_of(const frame<T>& f) const;

  template <class S>
  void forward_into(const frame<T>& f) const noexcept;
  template <class S>
  void backward_from(const frame<T>& f) const noexcept;
  template <class S>
  void strip_forward(const frame<T>& f, const layout& at, std::size_t strip, const piece& now, const std::int32_t* keep,
                     std::byte* scratch) const noexcept;
  void strip_product(const kernels::packed_gemm::left& a, const piece& now, std::size_t first, std::size_t rows,
                     const std::byte* strip, T* c, const std::byte* next, std::size_t chunk,
                     std::size_t chunks) const noexcept;
  void pack_input(const frame<T>& f, const kernels::packed_gemm::left& to) const noexcept;
  void add_chosen(const frame<T>& f, std::size_t strip, std::size_t first, std::size_t rows, T* c) const noexcept;
  template <class S>
  void strip_backward(const frame<T>& f, const layout& at, std::size_t strip, const std::int32_t* keep, T* du,
                      std::byte* scratch) const noexcept;
  template <class S>
  void rows_backward(const frame<T>& f, T* du) const noexcept;
  void term_sums(const frame<T>& f, const T* du, std::size_t ld, std::size_t first, std::size_t count) const noexcept;
  void term_sums_of_tiles(const frame<T>& f, const kernels::packed_gemm::left& du) const noexcept;
  void multiply_back(const frame<T>& f, const layout& at, std::size_t pack, std::size_t n, const T* du,
                     std::size_t input, bool add) const noexcept;
  void chosen_gradients(const frame<T>& f, const T* du) const noexcept;
  void keep_factors(const frame<T>& f) const noexcept;
  void turn(const frame<T>& f, std::size_t first, std::size_t count, const T* du, std::size_t ld) const noexcept;
  void weight_gradients(const frame<T>& f, std::size_t blocks) const noexcept;

  std::vector<linear_group> groups_;
  std::vector<term_set> sets_;
  std::vector<linear_term> chosen_;
  std::vector<segment> segments_;
  std::size_t residual_, in_, columns_ = 0;
  extent rows_;
  linear_options options_;
  precision kind_;
};

}  // namespace detail

}  // namespace hocket::nn

#include <hocket/nn/ops/linear_rows.hpp>
#include <hocket/nn/ops/linear_sums.hpp>
