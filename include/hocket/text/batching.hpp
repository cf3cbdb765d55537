// Texts of different lengths in batches without padding: the tokens of a batch lie one text after the other, with the
// offsets where each begins (what other libraries call cu_seqlens). Texts of like length share a batch, so that
// whatever does cost by the longest row wastes little. Same lengths, same options, same batches; results go back to the
// order in which the texts came.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <hocket/core/error.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/core/view.hpp>
#include <hocket/text/wordpiece.hpp>

namespace hocket::texts {

struct batch_options {
  std::size_t rows = 32;    ///< texts of a batch at most
  std::size_t tokens = 0;   ///< tokens of a batch at most; 0: any number. A longer text is a batch of its own
  bool by_length = true;    ///< longest first; false: as they come
  bool shuffle = false;     ///< training: texts are drawn without replacement, batches come in any order
  std::size_t window = 50;  ///< with shuffle and by_length: batches over which texts are sorted by length; 0: all
  std::uint64_t seed = 0;   ///< of the shuffle
  std::uint64_t epoch = 0;  ///< another epoch is another shuffle of the same seed
};

/// Positions of texts in the input, batch by batch.
using batch_plan = std::vector<std::vector<std::size_t>>;

namespace detail {

/// A stable sort of `rows` by length, longest first: a bucket for each length.
inline void sort_by_length(std::span<const std::size_t> lengths, std::span<std::size_t> rows) {
  std::size_t longest = 0;
  for (const std::size_t row : rows) longest = std::max(longest, lengths[row]);
  std::vector<std::size_t> begin(longest + 2);
  for (const std::size_t row : rows) ++begin[longest - lengths[row] + 1];
  for (std::size_t k = 1; k < begin.size(); ++k) begin[k] += begin[k - 1];
  const std::vector<std::size_t> before(rows.begin(), rows.end());
  for (const std::size_t row : before) rows[begin[longest - lengths[row]]++] = row;
}

}  // namespace detail

/// Every position of `lengths` in one batch, filled in order up to the limits.
inline batch_plan plan_batches(std::span<const std::size_t> lengths, const batch_options& options = {}) {
  expects(options.rows > 0, errc::bad_option, "batch_options: rows is 0, at least 1 text makes a batch");
  for (const std::size_t length : lengths)  // the sort has a bucket for each length
    expects(length < (std::size_t{1} << 31), errc::unsupported_shape, "a text of ", length, " tokens");
  std::vector<std::size_t> order(lengths.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  philox random(options.seed, options.epoch);
  if (options.shuffle) random.shuffle(order);
  if (options.by_length && !order.empty()) {
    const bool whole = !options.shuffle || options.window == 0 || options.window > order.size() / options.rows;
    const std::size_t step = whole ? order.size() : options.window * options.rows;
    for (std::size_t at = 0; at < order.size(); at += step)
      detail::sort_by_length(lengths, std::span(order).subspan(at, std::min(step, order.size() - at)));
  }
  batch_plan plan;
  std::size_t tokens = 0;
  for (const std::size_t row : order) {
    const bool fits = !plan.empty() && plan.back().size() < options.rows &&
                      (options.tokens == 0 || tokens + lengths[row] <= options.tokens);
    if (!fits) {
      plan.emplace_back();
      tokens = 0;
    }
    plan.back().push_back(row);
    tokens += lengths[row];
  }
  if (options.shuffle) random.shuffle(plan);
  return plan;
}

/// Texts without padding: text i has tokens [offsets[i], offsets[i + 1]).
struct ragged_batch {
  std::vector<token_id> ids;         ///< (tokens)
  std::vector<token_id> positions;   ///< (tokens): 0, 1, ... within each text
  std::vector<std::size_t> offsets;  ///< (texts + 1)
  std::vector<std::size_t> rows;     ///< (texts): positions in the input
  std::size_t longest = 0;           ///< tokens of the longest text

  std::size_t texts() const { return rows.size(); }
  std::size_t tokens() const { return ids.size(); }
  std::span<const token_id> ids_of(std::size_t i) const {
    return std::span(ids).subspan(offsets[i], offsets[i + 1] - offsets[i]);
  }
};

/// Packs the texts at `rows` of `all` (one vector of ids for each text).
inline ragged_batch pack(std::span<const std::vector<token_id>> all, std::span<const std::size_t> rows) {
  ragged_batch batch;
  batch.rows.assign(rows.begin(), rows.end());
  batch.offsets.push_back(0);
  for (const std::size_t row : rows) {
    expects(row < all.size(), errc::unsupported_shape, "pack: row ", row, " of ", all.size(), " texts");
    batch.ids.insert(batch.ids.end(), all[row].begin(), all[row].end());
    for (std::size_t k = 0; k < all[row].size(); ++k) batch.positions.push_back(static_cast<token_id>(k));
    batch.offsets.push_back(batch.ids.size());
    batch.longest = std::max(batch.longest, all[row].size());
  }
  return batch;
}

inline std::vector<std::size_t> lengths_of(std::span<const std::vector<token_id>> all) {
  std::vector<std::size_t> lengths;
  for (const std::vector<token_id>& ids : all) lengths.push_back(ids.size());
  return lengths;
}

/// Puts row i of `results` (texts of a batch, D) where its text stood in the input (N, D).
template <class T>
void restore_order(std::span<const std::size_t> rows, view<const T, 2> results, view<T, 2> all) {
  expects(results.extent(0) == rows.size() && results.extent(1) == all.extent(1), errc::unsupported_shape,
          "restore_order: results are ", to_text(results.extents()), " for ", rows.size(), " texts, the whole is ",
          to_text(all.extents()));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    expects(rows[i] < all.extent(0), errc::unsupported_shape, "restore_order: row ", rows[i], " of ", all.extent(0));
    const T* const from = results.data() + i * results.stride(0);
    std::copy_n(from, results.extent(1), all.data() + rows[i] * all.stride(0));
  }
}

}  // namespace hocket::texts
