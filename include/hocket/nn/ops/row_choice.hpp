// Which rows of a batch one of several adapters serves: a batch may mix items of several adapters and of none. And what
// passes by rows do with sums over rows.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <hocket/nn/tape.hpp>

namespace hocket::nn {

/// The rows of those items whose entry in `of_items` is `number`; without `batch` a row is an item. Default: all rows.
struct row_choice {
  index_input of_items = {};
  sequences batch = {};
  std::uint32_t number = 0;
  bool all() const { return of_items.tape == 0; }
};

namespace detail {

/// Throws unless the choice fits a matrix of `rows`.
template <Real T>
void require_choice(const tape<T>& t, std::string_view what, const row_choice& choice, const extent& rows) {
  if (choice.all()) return;
  const bool ragged = choice.batch.tape != 0;
  expects(!ragged || t.tokens(choice.batch) == rows, errc::unsupported_shape, what, ": items of ",
          ragged ? t.describe(t.tokens(choice.batch)) : "", " rows cannot choose among ", t.describe(rows));
  const extent items = ragged ? t.items(choice.batch) : rows;
  expects(t.rows(choice.of_items) == items, errc::unsupported_shape, what, ": a choice for ", t.describe(items),
          " items has ", t.describe(t.rows(choice.of_items)), " entries");
  expects(choice.number < t.bound(choice.of_items), errc::bad_option, what, ": choice ", choice.number,
          " is never made: entries are below ", t.bound(choice.of_items));
}

/// body(row, count) for every run of chosen rows within [first, last), in order.
template <Real T, class Body>
void for_each_run(const frame<T>& f, const row_choice& choice, std::size_t first, std::size_t last,
                  Body&& body) noexcept {
  if (choice.all()) {
    if (first < last) body(first, last - first);
    return;
  }
  const auto chosen = f.indices(choice.of_items);
  const sequence_state* const batch = choice.batch.tape != 0 ? &f.batch(choice.batch) : nullptr;
  std::size_t item = first;
  if (batch)  // the last one that starts at or before `first`: empty items stand before it
    item = static_cast<std::size_t>(std::upper_bound(batch->starts.begin(), batch->starts.end(), first) -
                                    batch->starts.begin()) -
           1;
  const auto end_of = [&](std::size_t i) { return batch ? std::size_t{batch->starts[i]} + batch->lengths[i] : i + 1; };
  for (std::size_t at = first, end = first; at < last; at = end) {
    const bool mine = chosen[item] == choice.number;
    for (; end < last && (chosen[item] == choice.number) == mine; ++item) end = std::min(last, end_of(item));
    if (mine) body(at, end - at);
  }
}

/// Sums over rows that a pass by rows leaves for each block, added in the order of blocks.
template <Real T>
void add_block_sums(const frame<T>& f, std::size_t blocks, std::size_t first, std::size_t count, T* to,
                    bool add) noexcept {
  if (!add) std::fill_n(to, count, T{0});
  for (std::size_t b = 0; b < blocks; ++b)
    for (std::size_t c = 0; c < count; ++c) to[c] += f.sums(b)[first + c];
}

}  // namespace detail

}  // namespace hocket::nn
