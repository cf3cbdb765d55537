// How a compiled tape replays its steps. Included by tape.hpp.
#pragma once

#include <hocket/core/stream_copy.hpp>
#include <hocket/nn/tape.hpp>

namespace hocket::nn {

/// Frozen weights are packed when they are seen first or have changed since; this may allocate.
template <Real T>
void tape<T>::find_frozen_packs() {
  for (node& n : nodes_)
    for (std::vector<packed_input>* const packs : {&n.forward_packs, &n.backward_packs})
      for (packed_input& each : *packs) {
        if (!each.frozen) continue;
        bool same = each.shared != nullptr;
        for (std::size_t i = 0; i < each.inputs.size(); ++i) {
          if (each.inputs[i] == no_input) continue;
          const entry& e = entries_[n.inputs[each.inputs[i]].index];
          same = same && each.recipe.versions[i] == e.parameter->version();
          each.recipe.versions[i] = e.parameter->version();
          each.recipe.parts[i].data = elements(e.data);
        }
        if (!same) each.shared = packs_->find(each.recipe, run_.device);
      }
}

/// The packs of one pass of a node: those that change are filled from what their weights hold now.
template <Real T>
void tape<T>::refresh_packs(std::vector<packed_input>& packs, const node& n,
                            std::vector<const std::byte*>& to) noexcept {
  for (std::size_t j = 0; j < packs.size(); ++j) {
    packed_input& each = packs[j];
    if (each.frozen) {
      to[j] = each.shared->data();
      continue;
    }
    for (std::size_t i = 0; i < each.inputs.size(); ++i)
      if (each.inputs[i] != no_input) each.recipe.parts[i].data = elements(n.memory.inputs[each.inputs[i]].data);
    each.own->fill(run_.device, each.recipe.parts);
    to[j] = each.own->data();
  }
}

/// sum (+)= from, of input k: whole, or the rows of f's block.
template <Real T>
void tape<T>::add_to(const node& n, std::size_t k, const place& from, const frame<T>& f, bool by_rows) noexcept {
  const operand& in = n.memory.inputs[k];
  const place& to = in.sum.exists() ? in.sum : in.gradient;
  const bool add = in.sum.exists() || in.add;
  const std::size_t rows = by_rows ? f.block().rows : live(in.size.rows), columns = in.size.columns;
  const auto element = [&](auto type, const place& at) {
    using S = decltype(type);
    return by_rows ? f.template at<S>(at, in.size) : reinterpret_cast<S*>(at.data);
  };
  if (in.size.kept_in == storage::bf16) {
    const bf16* const x = element(bf16{}, from);
    bf16* const y = element(bf16{}, to);
    for (std::size_t i = 0; i < rows * columns; ++i) y[i] = add ? to_bf16(to_f32(x[i]) + to_f32(y[i])) : x[i];
    return;
  }
  const view<T, 2> x{element(T{}, from), {rows, columns}}, y{element(T{}, to), {rows, columns}};
  kernels::epilogue::forward<T>(f.device(), x, {}, add ? view<const T, 2>(y) : view<const T, 2>{}, y);
}

/// The block's rows of the output to where the backward pass reads them.
template <Real T>
void tape<T>::spill(const node& n, const frame<T>& f) noexcept {
  const std::size_t bytes = f.block().rows * row_bytes(n.memory.size);
  // Matrices of bytes: `at` counts in elements, which row_bytes are.
  const matrix_size in_bytes{n.memory.size.rows, row_bytes(n.memory.size)};
  std::byte* const to = f.template at<std::byte>(n.memory.back_output, in_bytes);
  const std::byte* const from = f.template at<std::byte>(n.memory.output, in_bytes);
  if (run_.past_caches)
    stream_copy(to, from, bytes);
  else
    std::copy_n(from, bytes, to);
}

template <Real T>
void tape<T>::run_step(std::size_t step, const frame<T>& f, bool by_rows) noexcept {
  const node& n = nodes_[plan_.steps[step].node];
  if (plan_.steps[step].forward) {
    n.what->forward(f);
    if (n.spills && step < plan_.forward_steps) spill(n, f);
    return;
  }
  const std::size_t through = n.needs.pass_through;
  if (through != no_input && (n.wanted & bit(through)) && !n.passed)
    add_to(n, through, n.memory.output_gradient, f, by_rows);
  n.what->backward(f);
  for (std::size_t k = 0; k < n.memory.inputs.size(); ++k)
    if (n.memory.inputs[k].sum.exists()) add_to(n, k, n.memory.inputs[k].gradient, f, by_rows);
}

template <Real T>
void tape<T>::execute(step_run& run) noexcept {
  for (std::size_t s = run.first; s <= run.last; ++s) {
    node& n = nodes_[plan_.steps[s].node];
    if (plan_.steps[s].forward)
      refresh_packs(n.forward_packs, n, n.memory.forward_packs);
    else
      refresh_packs(n.backward_packs, n, n.memory.backward_packs);
  }
  const auto memory = [&](std::size_t s) -> const node_state& { return nodes_[plan_.steps[s].node].memory; };
  if (!run.by_rows) {
    for (std::size_t s = run.first; s <= run.last; ++s)
      run_step(s, frame<T>(run_, memory(s), s >= plan_.forward_steps), false);
    return;
  }
  cut_into_blocks(run_, run.over, run.blocks);
  const auto work = [&](std::size_t b, std::size_t worker, int threads) {
    for (std::size_t s = run.first; s <= run.last; ++s)
      run_step(s, frame<T>(run_, memory(s), s >= plan_.forward_steps, run.blocks[b], b, worker, threads), true);
  };
  const int threads = run_.device.threads;
  if (run.blocks.size() < static_cast<std::size_t>(threads)) {
    for (std::size_t b = 0; b < run.blocks.size(); ++b) work(b, 0, threads);
  } else {
    for_each_tile(
        run_.device, run.blocks.size(), [&](std::size_t b, std::size_t worker) { work(b, worker, 1); }, true);
  }
  for (std::size_t s = run.first; s <= run.last; ++s)
    if (const demands& needs = nodes_[plan_.steps[s].node].needs;
        !plan_.steps[s].forward && (needs.block_sums > 0 || needs.ends_run))
      nodes_[plan_.steps[s].node].what->finish(frame<T>(run_, memory(s), true), run.blocks.size());
}

}  // namespace hocket::nn
