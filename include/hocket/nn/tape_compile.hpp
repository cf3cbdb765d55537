// How a tape becomes a schedule and a memory plan. Included by tape.hpp.
#pragma once

#include <utility>

#include <hocket/nn/tape.hpp>

namespace hocket::nn {

template <Real T>
void tape<T>::build(const value* loss, const std::vector<value>& keep) {
  require_recording("compile");
  for (const value& v : keep) {
    require_own(v, "compile");
    expects(at(v).size.kept_in == storage::native, errc::bad_option, "compile: ", describe(v),
            " is kept in bf16 and cannot be read; keep what widened() makes of it");
    entries_[v.index].kept = entries_[v.index].needed = true;
  }
  if (loss) {
    loss_ = *loss;
    entries_[loss->index].kept = entries_[loss->index].needed = true;
  }
  schedule(loss);
  find_runs();
  place_all();
  compiled_ = true;
  for (entry& e : entries_)
    if (e.kind == source::parameter) {
      e.data = at_address(e.parameter->value().data());
      e.gradient = at_address(e.wants ? e.parameter->gradient().data() : nullptr);
    }
  for (node& n : nodes_)
    if (!n.forward_steps.empty()) make_packs(n);
  resolve_nodes();
}

template <Real T>
void tape<T>::schedule(const value* loss) {
  for (std::size_t i = nodes_.size(); i-- > 0;)
    if (entries_[nodes_[i].output.index].needed)
      for (const value& v : nodes_[i].inputs) entries_[v.index].needed = true;
  if (loss) entries_[loss->index].reached = true;
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    node& n = nodes_[i];
    if (!entries_[n.output.index].reached) continue;
    for (std::size_t k = 0; k < n.inputs.size(); ++k) {
      entry& in = entries_[n.inputs[k].index];
      if (!in.wants) continue;
      n.wanted |= bit(k);
      in.reached = true;
    }
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    node& n = nodes_[i];
    if (!entries_[n.output.index].needed) continue;
    n.memory.size = entries_[n.output.index].size;
    n.memory.inputs.resize(n.inputs.size());
    for (std::size_t k = 0; k < n.inputs.size(); ++k) n.memory.inputs[k].size = entries_[n.inputs[k].index].size;
    n.needs = n.what->plan(planning<T>(run_, n.wanted, n.memory));
    plan_.steps.push_back({static_cast<std::uint32_t>(i), true});
  }
  plan_.forward_steps = plan_.steps.size();
  std::uint32_t last_block = 0;
  std::vector<char> again = made_again();
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    if (nodes_[i].wanted == 0) continue;
    if (nodes_[i].block != 0 && nodes_[i].block != last_block) recompute(last_block = nodes_[i].block);
    for (std::size_t k = 0; k < nodes_[i].inputs.size(); ++k) {
      const entry& in = entries_[nodes_[i].inputs[k].index];
      if (in.kind == source::computed && (nodes_[i].needs.reads_inputs & bit(k)) &&
          std::exchange(again[in.node], char{0}))
        plan_.steps.push_back({in.node, true});
    }
    plan_.steps.push_back({static_cast<std::uint32_t>(i), false});
  }
  for (std::size_t s = 0; s < plan_.steps.size(); ++s) {
    node& n = nodes_[plan_.steps[s].node];
    if (plan_.steps[s].forward)
      n.forward_steps.push_back(s);
    else
      n.backward_step = s;
  }
}

/// Which light operations run again just before their output's first use in the backward pass, so that it need not wait
/// for it: where all who read it there can spare it, and all that makes it waits anyway for the operation's own
/// backward pass.
template <Real T>
std::vector<char> tape<T>::made_again() const {
  std::vector<char> again(nodes_.size(), 0);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const node& n = nodes_[i];
    if (!n.needs.light || n.needs.reads_output || n.wanted == 0 || n.block != 0 || entries_[n.output.index].kept)
      continue;
    again[i] = 1;
    for (std::size_t k = 0; k < n.inputs.size(); ++k)
      if (entries_[n.inputs[k].index].kind == source::computed && !(n.needs.reads_inputs & bit(k))) again[i] = 0;
  }
  for (const node& n : nodes_)
    for (std::size_t k = 0; n.wanted != 0 && k < n.inputs.size(); ++k) {
      const entry& in = entries_[n.inputs[k].index];
      const bool reads = (n.needs.reads_inputs & bit(k)) != 0, spares = (n.needs.spares & bit(k)) != 0;
      if (in.kind == source::computed && reads && (!spares || n.block != 0)) again[in.node] = 0;
    }
  return again;
}

/// Appends forward steps for what the block's backward passes read and only the block can give.
template <Real T>
void tape<T>::recompute(std::uint32_t block) {
  const auto inside = [&](value v) {
    const entry& e = entries_[v.index];
    return e.kind == source::computed && nodes_[e.node].block == block;
  };
  std::vector<char> again(nodes_.size(), 0);
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    const node& n = nodes_[i];
    if (n.block != block) continue;
    if (n.wanted != 0) {
      if (n.needs.reads_output || !n.needs.kept.empty()) again[i] = 1;
      for (std::size_t k = 0; k < n.inputs.size(); ++k)
        if ((n.needs.reads_inputs & bit(k)) && inside(n.inputs[k])) again[entries_[n.inputs[k].index].node] = 1;
    }
    if (again[i])
      for (const value& v : n.inputs)
        if (inside(v)) again[entries_[v.index].node] = 1;
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (again[i]) plan_.steps.push_back({static_cast<std::uint32_t>(i), true});
}

template <Real T>
void tape<T>::find_runs() {
  for (std::size_t s = 0; s < plan_.steps.size(); ++s) {
    const auto& step = plan_.steps[s];
    const demands& needs = nodes_[step.node].needs;
    const bool by_rows = step.forward ? needs.forward_by_rows : needs.backward_by_rows;
    if (s == plan_.forward_steps) forward_runs_ = runs_.size();
    const bool ended = s > 0 && !plan_.steps[s - 1].forward && nodes_[plan_.steps[s - 1].node].needs.ends_run;
    const bool joins = s > 0 && s != plan_.forward_steps && !ended && by_rows && runs_.back().by_rows &&
                       runs_.back().over == needs.over;
    if (joins) {
      runs_.back().last = s;
      continue;
    }
    runs_.push_back({s, s, by_rows, needs.over, {}});
    if (by_rows) runs_.back().blocks.reserve(most_blocks(run_, needs.over));
  }
  if (plan_.steps.size() == plan_.forward_steps) forward_runs_ = runs_.size();
}

template <Real T>
auto tape<T>::run_of(std::size_t step) const -> const step_run& {
  return *std::find_if(runs_.begin(), runs_.end(), [&](const step_run& run) { return step <= run.last; });
}

template <Real T>
std::size_t tape<T>::new_buffer(const matrix_size& size, std::vector<lifetime> alive) {
  buffers_.push_back({{bytes(size), std::move(alive)}, size.rows, row_bytes(size), false});
  return buffers_.size() - 1;
}
template <Real T>
std::size_t tape<T>::new_scratch(std::size_t bytes, std::vector<lifetime> alive) {
  buffers_.push_back({{bytes, std::move(alive)}, extent(0), 0, false});
  return buffers_.size() - 1;
}

/// A value has a buffer for the forward pass and, where the backward pass reads it, one for that: the same buffer, or
/// one that is computed again there, or a copy that is written past the caches while the value itself stays with a
/// thread.
template <Real T>
void tape<T>::place_values() {
  std::vector<std::vector<std::size_t>> used(entries_.size());
  std::vector<char> read_back(entries_.size(), 0), consumers(entries_.size(), 0);
  for (std::size_t s = 0; s < plan_.steps.size(); ++s) {
    const node& n = nodes_[plan_.steps[s].node];
    for (std::size_t k = 0; k < n.inputs.size(); ++k) {
      if (!plan_.steps[s].forward && !(n.needs.reads_inputs & bit(k))) continue;
      used[n.inputs[k].index].push_back(s);
      if (s >= plan_.forward_steps) read_back[n.inputs[k].index] = 1;
    }
    if (!plan_.steps[s].forward && n.needs.reads_output) {
      used[n.output.index].push_back(s);
      read_back[n.output.index] = 1;
    }
  }
  for (const node& n : nodes_)
    if (!n.forward_steps.empty())
      for (const value& v : n.inputs) consumers[v.index] = static_cast<char>(std::min(consumers[v.index] + 1, 2));
  for (node& n : nodes_) {
    if (n.forward_steps.empty()) continue;
    entry& out = entries_[n.output.index];
    const std::size_t made = n.forward_steps[0], again = n.forward_steps.size() > 1 ? n.forward_steps[1] : none;
    if (out.kept) used[n.output.index].push_back(plan_.steps.size());
    std::size_t last_forward = made, last_before = made, last = made;  // uses: forward, before it is made again, all
    for (const std::size_t s : used[n.output.index]) {
      if (s < plan_.forward_steps) last_forward = std::max(last_forward, s);
      if (s < again) last_before = std::max(last_before, s);
      last = std::max(last, s);
    }
    const step_run& run = run_of(made);
    const bool stays = !out.kept && run.by_rows && out.size.rows == run.over && last_forward <= run.last;
    n.spills = again == none && read_back[n.output.index] && stays;
    const bool apart = n.spills || (again != none && !out.kept && last_before < plan_.forward_steps);
    const lifetime forward{made, n.spills ? last_forward : out.kept ? last : last_before};
    const lifetime back{again != none ? again : made, std::max(last, again != none ? again : made)};
    if (n.needs.in_place != no_input && again == none) {
      const value v = n.inputs[n.needs.in_place];
      const entry& in = entries_[v.index];
      if (in.kind == source::computed && !in.kept && !read_back[v.index] && consumers[v.index] == 1 &&
          bytes(in.size) == bytes(out.size) && nodes_[in.node].block == n.block)
        out.block = in.block;
    }
    if (out.block == none)
      out.block = new_buffer(out.size, {forward});
    else
      buffers_[out.block].memory.alive.push_back(forward);
    out.back_block = apart ? new_buffer(out.size, {back}) : out.block;
    if (!apart && again != none) buffers_[out.block].memory.alive.push_back(back);
    for (const matrix_size& size : n.needs.kept) {
      const std::size_t until = n.backward_step == none ? made : n.backward_step;
      n.kept_blocks.push_back(new_buffer(size, {{made, again == none ? until : made}}));
      n.kept_back_blocks.push_back(again == none ? n.kept_blocks.back() : new_buffer(size, {{again, until}}));
    }
    if (n.needs.forward_scratch > 0) {
      std::vector<lifetime> then{{made, made}};
      if (again != none) then.push_back({again, again});
      n.forward_block = new_scratch(n.needs.forward_scratch * sizeof(T), std::move(then));
    }
    if (n.backward_step == none) continue;
    const std::vector<lifetime> then{{n.backward_step, n.backward_step}};
    if (n.needs.backward_scratch > 0) n.backward_block = new_scratch(n.needs.backward_scratch * sizeof(T), then);
    if (n.needs.block_sums > 0)
      n.sums_block = new_scratch(n.needs.block_sums * most_blocks(run_, n.needs.over) * sizeof(T), then);
  }
}

template <Real T>
void tape<T>::place_gradients() {
  std::vector<char> written(entries_.size(), 0);
  if (plan_.steps.size() > plan_.forward_steps) {
    entry& loss = entries_[loss_.index];
    loss.gradient_block = new_buffer(loss.size, {{plan_.forward_steps, nodes_[loss.node].backward_step}});
    written[loss_.index] = 1;
  }
  for (std::size_t s = plan_.forward_steps; s < plan_.steps.size(); ++s) {
    if (plan_.steps[s].forward) continue;
    node& n = nodes_[plan_.steps[s].node];
    n.adds.assign(n.inputs.size(), 0);
    n.own_blocks.assign(n.inputs.size(), none);
    const auto visit = [&](std::size_t k) {
      if (!(n.wanted & bit(k))) return;
      const std::uint32_t v = n.inputs[k].index;
      entry& in = entries_[v];
      const bool first = !written[v];
      written[v] = 1;
      n.adds[k] = in.kind == source::parameter || !first;
      const bool passes = k == n.needs.pass_through;
      if (in.kind == source::input && first) in.gradient_storage = tensor<T>({most(in.size.rows), in.size.columns});
      if (in.kind == source::computed && first) {
        const std::size_t last = nodes_[in.node].backward_step;
        const entry& out = entries_[n.output.index];
        const auto same = [&](const value& other) { return other.index == v; };
        if (passes && std::count_if(n.inputs.begin(), n.inputs.end(), same) == 1 && bytes(in.size) == bytes(out.size)) {
          n.passed = true;
          in.gradient_block = out.gradient_block;
          buffers_[in.gradient_block].memory.alive.push_back({s, last});
        } else {
          in.gradient_block = new_buffer(in.size, {{s, last}});
        }
      }
      if (n.adds[k] && !passes && !(n.needs.adds & bit(k))) n.own_blocks[k] = new_buffer(in.size, {{s, s}});
    };
    if (n.needs.pass_through != no_input) visit(n.needs.pass_through);
    for (std::size_t k = 0; k < n.inputs.size(); ++k)
      if (k != n.needs.pass_through) visit(k);
  }
}

/// Steps of a run by rows are done block after block, so all of them at once as whole matrices see it: what crosses the
/// run's borders lives as long as the run. What lives within one run needs rows for one block only, for each worker.
template <Real T>
void tape<T>::settle_lifetimes() {
  for (std::size_t b = 0; b < buffers_.size(); ++b) {
    planned_matrix& each = buffers_[b];
    const step_run* home = nullptr;
    for (const step_run& run : runs_) {
      if (!run.by_rows || each.row_bytes == 0 || !(each.rows == run.over)) continue;
      const bool inside = std::all_of(each.memory.alive.begin(), each.memory.alive.end(), [&](const lifetime& life) {
        return run.first <= life.first && life.last <= run.last;
      });
      if (inside) home = &run;
    }
    if (home) {
      each.local = true;
      each.memory.bytes = most_rows_in_block(run_, home->over) * each.row_bytes;
      continue;
    }
    for (lifetime& life : each.memory.alive)
      for (const step_run& run : runs_) {
        if (run.last < life.first || life.last < run.first) continue;
        life.first = std::min(life.first, run.first);
        life.last = std::max(life.last, run.last);
      }
  }
}

template <Real T>
void tape<T>::place_all() {
  place_values();
  place_gradients();
  settle_lifetimes();
  std::vector<planned_buffer> shared, local;
  for (const planned_matrix& each : buffers_) (each.local ? local : shared).push_back(each.memory);
  arena_ = buffer<std::byte>(plan_memory(shared));
  const std::size_t local_bytes = plan_memory(local);
  std::size_t next_shared = 0, next_local = 0;
  for (planned_matrix& each : buffers_) each.memory = each.local ? local[next_local++] : shared[next_shared++];
  for (std::size_t s = 0; s <= plan_.steps.size(); ++s) least_bytes_ = std::max(least_bytes_, bytes_alive(shared, s));
  for (const planned_buffer& each : shared)
    for (const lifetime& life : each.alive)
      if (life.first < plan_.forward_steps && life.last >= plan_.forward_steps) {
        saved_bytes_ += each.bytes;
        break;
      }
  for (const node& n : nodes_) run_.scratch_bytes = std::max(run_.scratch_bytes, n.needs.worker_bytes);
  run_.past_caches = saved_bytes_ >= past_caches_from;
  run_.scratch_bytes = kernels::packed_gemm::rounded_up(run_.scratch_bytes, alignment);
  run_.worker_memory.clear();
  for (int worker = 0; worker < run_.device.threads; ++worker)
    run_.worker_memory.emplace_back(local_bytes + run_.scratch_bytes);
}

template <Real T>
place tape<T>::place_of(std::size_t block) {
  if (block == none) return {};
  const planned_matrix& each = buffers_[block];
  if (each.local) return {nullptr, each.memory.offset, true};
  return {arena_.data() + each.memory.offset, 0, false};
}

/// Weights that are frozen parameters are found among the packs of all tapes; others get a pack of their own.
template <Real T>
void tape<T>::make_packs(node& n) {
  const auto make = [&](const std::vector<pack_request>& wanted, std::vector<packed_input>& to) {
    for (const pack_request& request : wanted) {
      packed_input made;
      made.frozen = true;
      pack_recipe<T>& recipe = made.recipe;
      recipe.turned = request.turned;
      recipe.kind = request.kind;
      (request.turned ? recipe.k : recipe.n) = request.line;
      std::size_t& lines = request.turned ? recipe.n : recipe.k;
      for (const pack_piece& piece : request.pieces) {
        made.inputs.push_back(piece.input);
        recipe.versions.push_back(0);
        if (piece.input == no_input) {
          recipe.parts.push_back({nullptr, 0, piece.zeros, 0, 0, T{1}});
          lines += piece.zeros;
          continue;
        }
        const entry& e = entries_[n.inputs[piece.input].index];
        made.frozen = made.frozen && e.kind == source::parameter && !e.wants;
        const std::size_t rows = most(e.size.rows), columns = e.size.columns;
        const bool whole = piece.offset == 0 && columns == request.line;
        recipe.parts.push_back({nullptr, columns, rows, piece.offset,
                                whole ? kernels::packed_gemm::all_of_line : columns, static_cast<T>(piece.scale)});
        lines += rows;
      }
      if (!made.frozen) made.own = std::make_unique<packed_weight<T>>(recipe);
      to.push_back(std::move(made));
    }
  };
  make(n.needs.forward_packs, n.forward_packs);
  if (n.backward_step != none) make(n.needs.backward_packs, n.backward_packs);
}

template <Real T>
void tape<T>::resolve_nodes() {
  for (entry& e : entries_) {
    if (e.kind == source::computed) {
      e.data = place_of(e.block);
      e.back_data = place_of(e.back_block);
      e.gradient = place_of(e.gradient_block);
    } else if (e.kind == source::input && !e.gradient_storage.empty()) {
      e.gradient = at_address(e.gradient_storage.data());
    }
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    node& n = nodes_[i];
    node_state& m = n.memory;
    const entry& out = entries_[n.output.index];
    m.size = out.size;
    m.output = place_of(out.block);
    m.back_output = place_of(out.back_block);
    m.output_gradient = place_of(out.gradient_block);
    m.kept_sizes = n.needs.kept;
    m.kept.clear();
    m.back_kept.clear();
    for (const std::size_t block : n.kept_blocks) m.kept.push_back(place_of(block));
    for (const std::size_t block : n.kept_back_blocks) m.back_kept.push_back(place_of(block));
    m.forward_scratch = place_of(n.forward_block).data;
    m.backward_scratch = place_of(n.backward_block).data;
    m.sums = place_of(n.sums_block).data;
    m.block_sums = n.needs.block_sums;
    m.passes_on = n.needs.pass_through != no_input;
    m.forward_packs.resize(n.forward_packs.size());
    m.backward_packs.resize(n.backward_packs.size());
    m.inputs.resize(n.inputs.size());
    for (std::size_t k = 0; k < n.inputs.size(); ++k) {
      const entry& in = entries_[n.inputs[k].index];
      operand& o = m.inputs[k];
      o.data = in.data;
      o.back_data = in.kind == source::computed ? in.back_data : in.data;
      o.size = in.size;
      if (!(n.wanted & bit(k))) continue;
      o.wanted = k != n.needs.pass_through;
      o.gradient = in.gradient;
      o.add = n.adds[k] != 0;
      if (n.own_blocks[k] != none) {
        o.sum = in.gradient;
        o.gradient = place_of(n.own_blocks[k]);
        o.add = false;
      }
    }
  }
  if (compiled_ && entries_[loss_.index].gradient_block != none)
    loss_gradient_ = elements(place_of(entries_[loss_.index].gradient_block));
  stale_ = false;
}

}  // namespace hocket::nn
