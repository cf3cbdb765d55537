// The passes of linear_op (linear_op.hpp), block by block. A thread's scratch holds, one after the other: the input or
// the gradient in tiles (bf16, int8), u in tiles, a block of 32 columns, the masks of 64 columns, du.
#pragma once

#include <hocket/nn/ops/linear_op.hpp>

namespace hocket::nn::detail {

// Packs: of the forward pass the weights, one for each set of terms, one for each chosen term; of the backward pass the
// same where their input's gradient is wanted.
template <Real T>
void linear_op<T>::request_packs(const planning<T>& p, demands& d) const {
  pack_request weights;
  weights.kind = kind_;
  weights.line = in_;
  for (const auto& g : groups_) weights.pieces.push_back({g.weight, 0, 0, 1});
  d.forward_packs.push_back(weights);
  if (p.wants(0)) {
    weights.turned = false;
    d.backward_packs.push_back(weights);
  }
  const auto request = [&](const std::vector<linear_term>& terms, std::size_t line, precision kind, bool turned) {
    pack_request made;
    made.kind = kind;
    made.line = line;
    made.turned = turned;
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      // Terms of one group lie side by side in u; in the lines of a pack they would overlap, so there is one a group.
      const auto of_group = [&](const linear_term& t) { return t.group == g; };
      const auto found = std::find_if(terms.begin(), terms.end(), of_group);
      if (found == terms.end())
        made.pieces.push_back({no_input, groups_[g].count, 0, 1});
      else
        made.pieces.push_back({found->b, 0, found->column, found->scale});
    }
    return made;
  };
  for (const term_set& set : sets_) {
    d.forward_packs.push_back(request(set.terms, set.columns, term_kind(), true));
    if (p.wants(set.u)) d.backward_packs.push_back(request(set.terms, set.columns, term_kind(), false));
  }
  for (const linear_term& t : chosen_) {
    linear_term alone = t;
    alone.column = 0;
    d.forward_packs.push_back(request({alone}, t.rank, precision::native, true));
  }
}

template <Real T>
auto linear_op<T>::layout_of(std::size_t rows, const wishes& wanted, storage kept, bool passed_on) const -> layout {
  namespace pg = kernels::packed_gemm;
  layout at;
  const auto take = [&](std::size_t bytes) {
    const std::size_t place = at.all;
    at.all += pg::rounded_up(bytes, alignment);
    return place;
  };
  const std::size_t widest = wanted.any() ? std::max(in_, columns_) : in_;
  at.left = take(pg::left_bytes(kind_, rows, widest));
  for (const term_set& set : sets_) {
    const std::size_t place = take(pg::left_bytes(term_kind(), rows, set.columns));
    if (&set == &sets_.front()) at.narrow = place;
  }
  at.block = take(pg::block_rows(rows) * width * sizeof(T));
  at.sums = take(std::max(sums_bytes(in_, columns_, rows), wanted.any() ? sums_bytes(columns_, in_, rows) : 0));
  at.masks = take(options_.dropout > 0 ? rows * kernels::epilogue::dropout_group * sizeof(std::int32_t) : 0);
  const bool du_here = tiles() ? !chosen_.empty() : gradient_apart(kept, passed_on);
  at.rows = take(wanted.any() && du_here ? rows * columns_ * sizeof(T) : 0);
  return at;
}
template <Real T>
auto linear_op<T>::layout_of(const frame<T>& f) const -> layout {
  return layout_of(f.most_in_block(rows_), wishes_of(f), f.output_storage(), f.passes_on());
}

// Forward -----------------------------------------------------------------------------------------------------------

template <Real T>
void linear_op<T>::pack_input(const frame<T>& f, const kernels::packed_gemm::left& to) const noexcept {
  namespace pg = kernels::packed_gemm;
  if constexpr (std::is_same_v<T, float>) {
    constexpr std::size_t band = 64;
    share(f, (to.rows + band - 1) / band, [&](std::size_t i, std::size_t) {
      const std::size_t first = i * band, rows = std::min(band, to.rows - first);
      if (f.input_storage(0) == storage::bf16)
        pg::pack_left<bf16>(to, first, rows, f.template input_rows<bf16>(0) + first * in_, in_);
      else
        pg::pack_left<float>(to, first, rows, f.input_rows(0) + first * in_, in_);
    });
  }
}

template <Real T>
template <class S>
void linear_op<T>::forward_into(const frame<T>& f) const noexcept {
  namespace pg = kernels::packed_gemm;
  const layout at = layout_of(f);
  std::byte* const own = f.worker_scratch();
  const std::size_t rows = f.block().rows;
  if (tiles()) pack_input(f, {kind_, rows, in_, own + at.left});
  if constexpr (std::is_same_v<T, float>) {
    std::byte* to = own + at.narrow;
    for (const term_set& set : sets_) {
      if (!tiles()) break;
      pg::pack_left<float>({term_kind(), rows, set.columns, to}, 0, rows, f.input_rows(set.u), f.columns(set.u));
      to += pg::rounded_up(pg::left_bytes(term_kind(), rows, set.columns), alignment);
    }
  }
  const std::size_t all = pg::strips_of<T>(columns_);
  const auto drop = mask(f);
  for (std::size_t i = 0; i < pieces_of(in_); ++i) {
    const piece now = piece_of(in_, i);
    share(f, (all + pair - 1) / pair, [&](std::size_t group, std::size_t worker) {
      std::byte* const scratch = f.worker_scratch(worker);
      auto* const keep = reinterpret_cast<std::int32_t*>(scratch + at.masks);
      if (!drop.none() && now.ends())
        kernels::epilogue::keep_groups(drop, columns_, f.block().first, rows, group, keep);
      const pg::tile_scope scope(kind_);
      for (std::size_t s = group * pair; s < std::min(all, (group + 1) * pair); ++s)
        strip_forward<S>(f, at, s, now, drop.none() ? nullptr : keep + s % pair * width, scratch);
    });
  }
}

/// c (rows, strip) = or, behind the first piece, += a piece of A times a piece of the strip; meanwhile its share of
/// that of the `next` strip is asked for.
template <Real T>
void linear_op<T>::strip_product(const kernels::packed_gemm::left& a, const piece& now, std::size_t first,
                                 std::size_t rows, const std::byte* strip, T* c, const std::byte* next,
                                 std::size_t chunk, std::size_t chunks) const noexcept {
  namespace pg = kernels::packed_gemm;
  if constexpr (std::is_same_v<T, float>) {
    const std::size_t step = pg::parts_of(kind_) * 2 * pg::tile_bytes, bytes = pg::strip_bytes<T>(kind_, a.k);
    if (now.alone()) return pg::product_tiles<float>(a, first, rows, strip, c, false, next + chunk * (bytes / chunks));
    pg::product_steps<float>(a, first, rows, strip, now.first_step, now.steps, c, !now.begins(),
                             next + now.first_step * step + chunk * (now.steps * step / chunks));
  }
}

template <Real T>
template <class S>
void linear_op<T>::strip_forward(const frame<T>& f, const layout& at, std::size_t strip, const piece& now,
                                 const std::int32_t* keep, std::byte* scratch) const noexcept {
  namespace pg = kernels::packed_gemm;
  constexpr std::size_t masks = kernels::epilogue::dropout_group;
  const std::size_t rows = f.block().rows, bytes = pg::strip_bytes<T>(kind_, in_);
  const std::size_t at_once = pg::rows_at_once(kind_, in_, rows), all = pg::strips_of<T>(columns_);
  const std::size_t chunks = std::max<std::size_t>(1, (rows + at_once - 1) / at_once);
  const std::byte* const weights = f.forward_pack(0) + strip * bytes;
  std::byte* const own = f.worker_scratch();
  T* const sums = now.alone() ? nullptr : reinterpret_cast<T*>(own + at.sums) + strip * pg::block_rows(rows) * width;
  const auto drop = mask(f);
  S* const y = f.template output_rows<S>();
  const kept_columns<S> u = kept_columns_of<S>(f, strip);
  const T* const residual = residual_ != no_input ? f.input_rows(residual_) : nullptr;
  const auto first_segment =
      std::partition_point(segments_.begin(), segments_.end(), [&](const segment& each) { return each.strip < strip; });
  for (std::size_t chunk = 0; chunk * at_once < rows; ++chunk) {
    const std::size_t first = chunk * at_once, here = std::min(at_once, rows - first);
    const std::byte* const next = weights + (strip + 1 < all ? bytes : 0);
    T* const c = sums ? sums + first * width : reinterpret_cast<T*>(scratch + at.block);
    if (tiles())
      strip_product({kind_, rows, in_, own + at.left}, now, first, here, weights, c, next, chunk, chunks);
    else
      pg::product<T>(here, in_, f.input_rows(0) + first * in_, in_, weights, c, false, next + chunk * (bytes / chunks));
    if (!now.ends()) continue;
    std::byte* narrow = own + at.narrow;
    for (std::size_t j = 0; j < sets_.size(); ++j) {
      const term_set& set = sets_[j];
      const std::byte* const term = f.forward_pack(1 + j) + strip * pg::strip_bytes<T>(term_kind(), set.columns);
      if constexpr (std::is_same_v<T, float>) {
        if (tiles() && touches(set, strip))
          pg::product_tiles<float>({term_kind(), rows, set.columns, narrow}, first, here, term, c, true, term);
        narrow += pg::rounded_up(pg::left_bytes(term_kind(), rows, set.columns), alignment);
      }
      if (!tiles() && touches(set, strip))
        pg::product<T>(here, set.columns, f.input_rows(set.u) + first * f.columns(set.u), f.columns(set.u), term, c,
                       true, term);
    }
    add_chosen(f, strip, first, here, c);
    for (auto s = first_segment; s != segments_.end() && s->strip == strip; ++s) {
      const linear_group& g = groups_[s->group];
      const std::size_t place = first * columns_ + g.first + s->column;
      kernels::epilogue::forward_rows<T, S>(
          options_.act, drop,
          {here, s->count, 0, c + s->offset, width, g.bias != no_input ? f.input(g.bias).data() + s->column : nullptr,
           residual ? residual + place : nullptr, columns_, u.data ? u.data + first * u.ld + s->offset : nullptr, u.ld,
           y + place, columns_, keep ? keep + first * masks + s->offset : nullptr, masks, u.data && f.keeps_far(0),
           true});
    }
  }
}

/// Terms that serve some rows only.
template <Real T>
void linear_op<T>::add_chosen(const frame<T>& f, std::size_t strip, std::size_t first, std::size_t rows,
                              T* c) const noexcept {
  namespace pg = kernels::packed_gemm;
  const std::size_t start = f.block().first + first;
  for (std::size_t j = 0; j < chosen_.size(); ++j) {
    const linear_term& t = chosen_[j];
    const linear_group& g = groups_[t.group];
    if (g.first + g.count <= strip * width || (strip + 1) * width <= g.first) continue;
    const std::byte* const pack =
        f.forward_pack(1 + sets_.size() + j) + strip * pg::strip_bytes<T>(precision::native, t.rank);
    const std::size_t ld = f.columns(t.u);
    for_each_run(f, t.rows, start, start + rows, [&](std::size_t row, std::size_t count) {
      const std::size_t skip = row - start;
      pg::product<T>(count, t.rank, f.input_rows(t.u) + (first + skip) * ld + t.column, ld, pack, c + skip * width,
                     true, pack);
    });
  }
}

// Backward ----------------------------------------------------------------------------------------------------------

template <Real T>
template <class S>
void linear_op<T>::backward_from(const frame<T>& f) const noexcept {
  namespace pg = kernels::packed_gemm;
  const wishes wanted = wishes_of(f);
  if (!wanted.any()) return;  // the residual's alone
  const layout at = layout_of(f);
  const std::size_t rows = f.block().rows, all = pg::strips_of<T>(columns_);
  std::fill_n(f.sums(), f.sums_per_block(), T{0});
  if (wanted.weights) keep_factors(f);
  // Where du is: null if in tiles alone.
  T* du = nullptr;
  if (gradient_apart(f.output_storage(), f.passes_on())) {
    if (!tiles() || !chosen_.empty()) du = reinterpret_cast<T*>(f.worker_scratch() + at.rows);
  } else {
    du = f.output_gradient_rows();
  }
  if (f.device().threads == 1 && du) {
    rows_backward<S>(f, du);
    if constexpr (std::is_same_v<T, float>)
      if (tiles()) pg::pack_left<float>({kind_, rows, columns_, f.worker_scratch() + at.left}, 0, rows, du, columns_);
    if (wanted.weights) turn(f, 0, columns_, du, columns_);
  } else {
    const auto drop = mask(f);
    share(f, (all + pair - 1) / pair, [&](std::size_t group, std::size_t worker) {
      std::byte* const scratch = f.worker_scratch(worker);
      auto* const keep = reinterpret_cast<std::int32_t*>(scratch + at.masks);
      if (!drop.none()) kernels::epilogue::keep_groups(drop, columns_, f.block().first, rows, group, keep);
      for (std::size_t s = group * pair; s < std::min(all, (group + 1) * pair); ++s)
        strip_backward<S>(f, at, s, drop.none() ? nullptr : keep + s % pair * width, du, scratch);
    });
  }
  if (sums_on_matrix_unit()) term_sums_of_tiles(f, {kind_, rows, columns_, f.worker_scratch() + at.left});
  std::size_t pack = 0;
  if (wanted.input) multiply_back(f, at, pack++, in_, du, 0, f.beta(0) != 0);
  for (std::size_t j = 0; j < sets_.size(); ++j) {
    const std::size_t u = sets_[j].u;
    const bool later = std::any_of(sets_.begin(), sets_.begin() + static_cast<std::ptrdiff_t>(j),
                                   [&](const term_set& other) { return other.u == u; });
    if (f.wants(u)) multiply_back(f, at, pack++, sets_[j].columns, du, u, later || f.beta(u) != 0);
  }
  if (!chosen_.empty()) chosen_gradients(f, du);
}

/// du of the block, a few rows at a time: whole rows are read in the order in which memory brings them. Not where
/// strips are kept: there du is in tiles alone.
template <Real T>
template <class S>
void linear_op<T>::rows_backward(const frame<T>& f, T* du) const noexcept {
  constexpr std::size_t band = 8;
  const std::size_t rows = f.block().rows;
  const S *const dy = f.template output_gradient_rows<S>(), *const u =
                                                                f.keeps(0) ? f.template kept_rows<S>(0) : nullptr;
  T* const sums = wishes_of(f).biases ? f.sums() : nullptr;
  const bool in_place = static_cast<const void*>(du) == static_cast<const void*>(dy);
  if (changes() || sums || !in_place)
    for (std::size_t r = 0; r < rows; r += band) {
      const std::size_t place = r * columns_;
      kernels::epilogue::backward_rows<T, S>(
          options_.act, mask(f),
          {std::min(band, rows - r), columns_, f.block().first + r, dy + place, columns_, u ? u + place : nullptr,
           columns_, du + place, columns_, sums, nullptr, 0, true});
    }
  term_sums(f, du, columns_, 0, columns_);
}

/// The same for 32 columns, where du is in tiles or several threads share the block.
template <Real T>
template <class S>
void linear_op<T>::strip_backward(const frame<T>& f, const layout& at, std::size_t strip, const std::int32_t* keep,
                                  T* du, std::byte* scratch) const noexcept {
  namespace pg = kernels::packed_gemm;
  constexpr std::size_t masks = kernels::epilogue::dropout_group;
  const std::size_t rows = f.block().rows, first = strip * width, count = std::min(width, columns_ - first);
  const S* const dy = f.template output_gradient_rows<S>();
  const auto u = kept_columns_of<S>(f, strip);
  if (first + count < columns_)  // rows lie further apart than a processor looks ahead
    for (std::size_t r = 0; r < rows; ++r) {
      __builtin_prefetch(dy + r * columns_ + first + count);
      if (u.data && u.ld == columns_) __builtin_prefetch(u.data + r * columns_ + width);
    }
  T* const to = du ? du + first : reinterpret_cast<T*>(scratch + at.block);
  const std::size_t ld = du ? columns_ : width;
  T* const sums = wishes_of(f).biases ? f.sums() + first : nullptr;
  const bool in_place = static_cast<const void*>(to) == static_cast<const void*>(dy + first);
  if (changes() || sums || !in_place)
    kernels::epilogue::backward_rows<T, S>(
        options_.act, mask(f), {rows, count, 0, dy + first, columns_, u.data, u.ld, to, ld, sums, keep, masks, true});
  term_sums(f, to, ld, first, count);
  if (wishes_of(f).weights) turn(f, first, count, to, ld);
  if constexpr (std::is_same_v<T, float>) {
    if (!tiles()) return;
    const pg::left tiles_of{kind_, rows, columns_, f.worker_scratch() + at.left};
    pg::pack_left_step<float>(tiles_of, strip, count, to, ld);
  }
}

/// What columns [first, first + count) of du, at `du`, give to db of the terms, but for those of term_sums_of_tiles.
template <Real T>
void linear_op<T>::term_sums(const frame<T>& f, const T* du, std::size_t ld, std::size_t first,
                             std::size_t count) const noexcept {
  const std::size_t start = f.block().first, rows = f.block().rows;
  T* next = f.sums() + (wishes_of(f).biases ? columns_ : 0);
  each_term([&](const linear_term& t) {
    if (!f.wants(t.b)) return;
    const linear_group& g = groups_[t.group];
    if (sums_on_matrix_unit() && t.rows.all()) {
      next += t.rank * g.count;
      return;
    }
    const std::size_t begin = std::max(first, g.first), end = std::min(first + count, g.first + g.count);
    const std::size_t ldu = f.columns(t.u);
    if (begin < end)
      for_each_run(f, t.rows, start, start + rows, [&](std::size_t row, std::size_t many) {
        const std::size_t skip = row - start;
        kernels::low_rank::add_outer<T>(many, t.rank, f.input_rows(t.u) + skip * ldu + t.column, ldu, end - begin,
                                        du + skip * ld + (begin - first), ld, {}, next + (begin - g.first), g.count);
      });
    next += t.rank * g.count;
  });
}

/// What du in tiles of bf16 gives to db of the terms that serve all rows.
template <Real T>
void linear_op<T>::term_sums_of_tiles(const frame<T>& f, const kernels::packed_gemm::left& du) const noexcept {
  namespace pg = kernels::packed_gemm;
  if constexpr (std::is_same_v<T, float>) {
    const std::size_t band = du.apart() * pg::tile_bytes / sizeof(bf16), strip = pg::tile_bytes / sizeof(bf16);
    const kernels::low_rank::tiled_matrix<bf16> tiles{reinterpret_cast<const bf16*>(du.data), strip / pg::tile_rows,
                                                      band, strip};
    T* next = f.sums() + (wishes_of(f).biases ? columns_ : 0);
    for (const term_set& set : sets_)
      for (const linear_term& t : set.terms) {
        if (!f.wants(t.b)) continue;
        const linear_group& g = groups_[t.group];
        kernels::low_rank::add_outer_bf16(du.rows, t.rank, f.input_rows(t.u) + t.column, f.columns(t.u), g.first,
                                          g.count, tiles, {}, next, g.count);
        next += t.rank * g.count;
      }
  }
}

/// The gradient of `input`, (rows, n), = or += du B by the backward pack of this number.
template <Real T>
void linear_op<T>::multiply_back(const frame<T>& f, const layout& at, std::size_t pack, std::size_t n, const T* du,
                                 std::size_t input, bool add) const noexcept {
  namespace pg = kernels::packed_gemm;
  const std::size_t rows = f.block().rows, at_once = pg::rows_at_once(kind_, columns_, rows);
  const std::size_t bytes = pg::strip_bytes<T>(kind_, columns_), all = pg::strips_of<T>(n);
  const std::size_t chunks = std::max<std::size_t>(1, (rows + at_once - 1) / at_once);
  const bool narrow = f.input_storage(input) == storage::bf16;
  for (std::size_t i = 0; i < pieces_of(columns_); ++i) {
    const piece now = piece_of(columns_, i);
    share(f, all, [&](std::size_t strip, std::size_t worker) {
      T* const sums = now.alone()
                          ? nullptr
                          : reinterpret_cast<T*>(f.worker_scratch() + at.sums) + strip * pg::block_rows(rows) * width;
      const std::byte* const weights = f.backward_pack(pack) + strip * bytes;
      const std::size_t count = std::min(width, n - strip * width);
      const pg::tile_scope scope(kind_);
      for (std::size_t chunk = 0; chunk * at_once < rows; ++chunk) {
        const std::size_t first = chunk * at_once, here = std::min(at_once, rows - first);
        const std::byte* const next = weights + (strip + 1 < all ? bytes : 0);
        T* const c = sums ? sums + first * width : reinterpret_cast<T*>(f.worker_scratch(worker) + at.block);
        if (tiles())
          strip_product({kind_, rows, columns_, f.worker_scratch() + at.left}, now, first, here, weights, c, next,
                        chunk, chunks);
        else
          pg::product<T>(here, columns_, du + first * columns_, columns_, weights, c, false,
                         next + chunk * (bytes / chunks));
        if (!now.ends()) continue;
        const std::size_t place = first * n + strip * width;
        const auto store = [&](auto* to, const T* before) {
          using To = std::remove_pointer_t<decltype(to)>;
          kernels::epilogue::forward_rows<T, To>(activation::none, {},
                                                 {here, count, 0, c, width, nullptr, before, n, nullptr, 0, to, n});
        };
        if (!narrow) {
          T* const to = f.gradient_rows(input) + place;
          store(to, add ? to : nullptr);
        } else if constexpr (std::is_same_v<T, float>) {
          bf16* const to = f.template gradient_rows<bf16>(input) + place;
          for (std::size_t r = 0; add && r < here; ++r)
            for (std::size_t j = 0; j < count; ++j) c[r * width + j] += to_f32(to[r * n + j]);
          store(to, nullptr);
        }
      }
    });
  }
}

/// du of terms that serve some rows only.
template <Real T>
void linear_op<T>::chosen_gradients(const frame<T>& f, const T* du) const noexcept {
  const std::size_t start = f.block().first, rows = f.block().rows;
  for (std::size_t j = 0; j < chosen_.size(); ++j) {
    const linear_term& t = chosen_[j];
    if (!f.wants(t.u)) continue;
    const linear_group& g = groups_[t.group];
    T* const to = f.gradient_rows(t.u);
    const std::size_t ld = f.columns(t.u);
    const auto same = [&](const linear_term& other) { return other.u == t.u; };
    const bool begins = std::none_of(chosen_.begin(), chosen_.begin() + static_cast<std::ptrdiff_t>(j), same) &&
                        std::none_of(sets_.begin(), sets_.end(), [&](const term_set& s) { return s.u == t.u; });
    if (begins && f.beta(t.u) == 0) std::fill_n(to, rows * ld, T{0});
    for_each_run(f, t.rows, start, start + rows, [&](std::size_t row, std::size_t count) {
      f.products().tile({count, t.rank, g.count, false, false, columns_, t.rank, ld}, static_cast<T>(t.scale),
                        du + (row - start) * columns_ + g.first, f.input(t.b).data(), T{1},
                        to + (row - start) * ld + t.column, f.worker());
    });
  }
}

}  // namespace hocket::nn::detail
