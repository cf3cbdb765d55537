// The gradients of linear_op (linear_op.hpp) that are sums over all rows: of weights, from factors that every block
// leaves packed; of biases and of terms, from sums of every block.
#pragma once

#include <hocket/nn/ops/linear_op.hpp>

namespace hocket::nn::detail {

/// The block's x as a factor of the weights' gradient, and which rows the block has.
template <Real T>
void linear_op<T>::keep_factors(const frame<T>& f) const noexcept {
  namespace pg = kernels::packed_gemm;
  auto* const scratch = reinterpret_cast<std::byte*>(f.backward_scratch());
  reinterpret_cast<row_block*>(scratch)[f.block_number()] = f.block();
  const std::size_t rows = f.block().rows;
  std::byte* const to = factors_in(scratch, factors_of(f), f.block(), f.block_number()).right;
  const std::size_t at_once = f.device().threads == 1 ? pg::rounded_up(in_, width) : width;
  share(f, (in_ + at_once - 1) / at_once, [&](std::size_t part, std::size_t) {
    const std::size_t first = part * at_once, count = std::min(at_once, in_ - first);
    std::byte* const here = to + first / width * pg::strip_bytes<T>(term_kind(), rows);
    if constexpr (std::is_same_v<T, float>)
      if (f.input_storage(0) == storage::bf16)
        return pg::pack_rows<float, bf16>(precision::bf16, rows, count, f.template input_rows<bf16>(0) + first, in_,
                                          here);
    pg::pack_rows<T>(term_kind(), rows, count, f.input_rows(0) + first, in_, here);
  });
}

/// Columns [first, first + count) of the block's du, at `du`, as the other factor.
template <Real T>
void linear_op<T>::turn(const frame<T>& f, std::size_t first, std::size_t count, const T* du,
                        std::size_t ld) const noexcept {
  namespace pg = kernels::packed_gemm;
  const std::size_t rows = f.block().rows;
  std::byte* const to =
      factors_in(reinterpret_cast<std::byte*>(f.backward_scratch()), factors_of(f), f.block(), f.block_number()).left;
  if constexpr (std::is_same_v<T, float>)
    if (tiles()) return pg::pack_left_turned<float>({term_kind(), columns_, rows, to}, first, count, du, ld);
  pg::turn<T>(rows, count, du, ld, reinterpret_cast<T*>(to) + first * (rows + gap), rows + gap);
}

template <Real T>
void linear_op<T>::finish(const frame<T>& f, std::size_t blocks) const noexcept {
  const wishes wanted = wishes_of(f);
  if (wanted.biases)
    for (const auto& g : groups_)
      if (g.bias != no_input && f.wants(g.bias))
        add_block_sums(f, blocks, g.first, g.count, f.gradient(g.bias).data(), f.beta(g.bias) != 0);
  std::size_t next = wanted.biases ? columns_ : 0;
  each_term([&](const linear_term& t) {
    if (!f.wants(t.b)) return;
    const std::size_t count = groups_[t.group].count;
    T* const db = f.gradient(t.b).data();
    if (f.beta(t.b) == 0) std::fill_n(db, count * t.rank, T{0});
    constexpr std::size_t at_once = 64;  // by registers, while other threads wait
    for (std::size_t r = 0; r < t.rank; ++r)
      for (std::size_t c = 0; c < count; c += at_once) {
        const std::size_t here = std::min(at_once, count - c);
        T sum[at_once] = {};
        for (std::size_t b = 0; b < blocks; ++b) {
          const T* const from = f.sums(b) + next + r * count + c;
          for (std::size_t i = 0; i < here; ++i) sum[i] += from[i];
        }
        for (std::size_t i = 0; i < here; ++i) db[(c + i) * t.rank + r] += static_cast<T>(t.scale) * sum[i];
      }
    next += t.rank * count;
  });
  if (wanted.weights) weight_gradients(f, blocks);
}

/// dW (+)= du' x, block after block, from the factors that the backward pass has kept.
template <Real T>
void linear_op<T>::weight_gradients(const frame<T>& f, std::size_t blocks) const noexcept {
  namespace pg = kernels::packed_gemm;
  constexpr std::size_t tall = 128;  // of x the strips of all blocks pass by once for so many rows of dW
  const factors at = factors_of(f);
  auto* const scratch = reinterpret_cast<std::byte*>(f.backward_scratch());
  const auto* const block_of = reinterpret_cast<const row_block*>(scratch);
  const std::size_t strips = pg::strips_of<T>(in_), lines = (columns_ + tall - 1) / tall;
  for_each_tile(
      f.device(), lines * strips,
      [&](std::size_t tile, std::size_t) {
        const std::size_t strip = tile % strips, first = tile / strips * tall, rows = std::min(tall, columns_ - first),
                          column = strip * width, count = std::min(width, in_ - column);
        alignas(alignment) T c[tall * width];
        if (blocks == 0) std::fill_n(c, rows * width, T{0});
        {
          const pg::tile_scope scope(term_kind());
          const auto strip_in = [&](std::size_t b) {
            return factors_in(scratch, at, block_of[b], b).right +
                   strip * pg::strip_bytes<T>(term_kind(), block_of[b].rows);
          };
          for (std::size_t b = 0; b < blocks; ++b) {
            const std::size_t k = block_of[b].rows;
            std::byte* const left = factors_in(scratch, at, block_of[b], b).left;
            const std::byte *const right = strip_in(b), *const ahead = strip_in(std::min(b + 1, blocks - 1));
            if constexpr (std::is_same_v<T, float>)
              if (tiles())
                pg::product_tiles<float>({term_kind(), columns_, k, left}, first, rows, right, c, b > 0, ahead);
            if (!tiles())
              pg::product<T>(rows, k, reinterpret_cast<const T*>(left) + first * (k + gap), k + gap, right, c, b > 0,
                             ahead);
          }
        }
        for (const auto& g : groups_) {
          if (!f.wants(g.weight)) continue;
          const std::size_t from = std::max(first, g.first), to = std::min(first + rows, g.first + g.count);
          if (from >= to) continue;
          T* const dw = f.gradient(g.weight).data() + (from - g.first) * in_ + column;
          kernels::epilogue::forward_rows<T>(activation::none, {},
                                             {to - from, count, 0, c + (from - first) * width, width, nullptr,
                                              f.beta(g.weight) != 0 ? dw : nullptr, in_, nullptr, 0, dw, in_});
        }
      },
      true);
}

}  // namespace hocket::nn::detail
