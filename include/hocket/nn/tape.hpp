// tape<T>: reverse-mode automatic differentiation over kernels. Operations are recorded once, compiled into a schedule
// with a static memory plan, and replayed for every batch that fits: a replay allocates nothing, and gives the same
// bits for any number of threads. docs/tape.md is the page about it.
//
//   tape<float> t(cpu{2});
//   const dimension tokens = t.dimension_of("tokens", 2048);
//   const value x = t.input("x", tokens, 384);
//   const value loss = mse(t, linear(t, x, {{t.parameter(w), t.parameter(b)}}), y);
//   t.compile(loss);
//   for (...) { t.set(tokens, n); t.set(x, ...); t.forward(); t.backward(); t.scalar(loss); ... }
//
// Functions of a replay put their messages together only when they fail: a step allocates nothing.
// Misuse throws with the name of what was misused: bad_option for calls out of order, unsupported_shape for sizes.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/core/device.hpp>
#include <hocket/core/tensor.hpp>
#include <hocket/kernels/epilogue/cpu.hpp>
#include <hocket/nn/memory_plan.hpp>
#include <hocket/nn/op.hpp>
#include <hocket/nn/parameter.hpp>
#include <hocket/nn/row_blocks.hpp>
#include <hocket/nn/weight_packs.hpp>

namespace hocket::nn {

/// A buffer of the memory plan, and the rows it has if it is a matrix: what lives within one run of operations by rows
/// needs room for one block only.
struct planned_matrix {
  planned_buffer memory;
  extent rows{0};
  std::size_t row_bytes = 0;  ///< 0: scratch
  bool local = false;
};

/// The order in which operations run: all forward passes, then backward passes (and forward passes anew of checkpointed
/// blocks).
struct step_list {
  struct step {
    std::uint32_t node;
    bool forward;
  };
  std::vector<step> steps;
  std::size_t forward_steps = 0;
};

template <Real T>
class tape {
 public:
  /// `products`: what encoders ask their products to be computed in. Tapes over the same frozen weights had best be
  /// given one weight_packs.
  explicit tape(const cpu& device = {}, std::uint64_t seed = 0, const linalg::gemm_options& engine = {},
                precision products = precision::native, std::shared_ptr<weight_packs<T>> packs = {})
      : number_(next_number()),
        run_(device, engine),
        products_(products),
        packs_(packs ? std::move(packs) : std::make_shared<weight_packs<T>>()) {
    expects(products == precision::native || std::is_same_v<T, float>, errc::bad_option,
            "a tape of f64 computes products in f64, not in ", hocket::name_of(products));
    expects(products != precision::split, errc::bad_option, "a tape's products are native, bf16 or int8; split is how ",
            "native ones are computed where that is faster");
    run_.seed = seed;
  }
  explicit tape(const cuda&) : tape() {
    fail(errc::not_built, "a tape runs on the processor so far: make it with cpu{threads}");
  }
  tape(const tape&) = delete;
  tape& operator=(const tape&) = delete;

  // Recording ---------------------------------------------------------------------------------------------------------

  dimension dimension_of(std::string name, std::size_t most) {
    require_recording("dimension_of");
    expects(most >= 1, errc::bad_option, "dimension ", name, ": the most it can be is ", most, "; it must be >= 1");
    run_.live.push_back(0);
    run_.most.push_back(most);
    dimension_names_.push_back(std::move(name));
    return {static_cast<std::uint32_t>(run_.live.size() - 1)};
  }

  /// A matrix that is set for each batch. With `with_gradient` its gradient can be read after a backward pass.
  value input(std::string name, extent rows, std::size_t columns, bool with_gradient = false) {
    require_recording("input");
    entry e;
    e.name = std::move(name);
    e.size = {rows, columns};
    e.kind = source::input;
    e.wants = with_gradient;
    e.storage = tensor<T>({most(rows), columns});
    e.data = at_address(e.storage.data());
    return add(std::move(e));
  }

  /// The parameter must outlive the tape; asked for twice it is the same value.
  value parameter(nn::parameter<T>& p) {
    require_recording("parameter");
    for (std::size_t i = 0; i < entries_.size(); ++i)
      if (entries_[i].parameter == &p) return {static_cast<std::uint32_t>(i), number_};
    entry e;
    e.name = p.name();
    e.size = {extent(p.rows()), p.columns()};
    e.kind = source::parameter;
    e.parameter = &p;
    e.wants = p.trainable();
    return add(std::move(e));
  }

  /// Whole numbers below `bound`, one a row: token ids, labels.
  index_input indices(std::string name, extent rows, std::size_t bound) {
    require_recording("indices");
    run_.indices.emplace_back().reserve(most(rows));
    index_facts_.push_back({std::move(name), rows, bound});
    return {static_cast<std::uint32_t>(run_.indices.size() - 1), number_};
  }

  /// A ragged batch: items of up to `longest` rows, packed one after the other into `tokens` rows.
  nn::sequences sequences_of(dimension items, dimension tokens, std::size_t longest) {
    require_recording("sequences_of");
    sequence_state s;
    s.items_dimension = items.index;
    s.tokens_dimension = tokens.index;
    s.longest = longest;
    s.lengths.reserve(run_.most[items.index]);
    s.starts.reserve(run_.most[items.index]);
    s.starts_in_block.reserve(run_.most[items.index]);
    run_.batches.push_back(std::move(s));
    return {static_cast<std::uint32_t>(run_.batches.size() - 1), number_};
  }

  /// For the functions that make operations.
  value record(std::unique_ptr<op<T>> what, std::vector<value> inputs, extent rows, std::size_t columns,
               storage kept_in = storage::native) {
    require_recording(what->name());
    expects(kept_in == storage::native || std::is_same_v<T, float>, errc::bad_option, what->name(),
            ": a tape of f64 keeps nothing in bf16");
    expects(inputs.size() <= 64, errc::unsupported_shape, what->name(), " has ", inputs.size(),
            " inputs; an operation has at most 64");
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      require_own(inputs[k], what->name());
      expects(at(inputs[k]).size.kept_in == storage::native || what->takes_bf16(k), errc::bad_option, what->name(),
              ": ", describe(inputs[k]), " is kept in bf16; widened() makes f32 of it");
    }
    node n;
    n.inputs = std::move(inputs);
    n.block = block_;
    n.memory.number = next_number_++;
    entry e;
    e.name = text(what->name(), " (operation ", nodes_.size(), ")");
    e.size = {rows, columns, kept_in};
    e.kind = source::computed;
    e.node = static_cast<std::uint32_t>(nodes_.size());
    for (const value& v : n.inputs) e.wants = e.wants || entries_[v.index].wants;
    n.what = std::move(what);
    n.output = add(std::move(e));
    nodes_.push_back(std::move(n));
    return nodes_.back().output;
  }

  /// Passes over the numbers of `count` operations: those that follow have the masks that they would have behind them.
  void skip_operations(std::size_t count) {
    require_recording("skip_operations");
    next_number_ += static_cast<std::uint32_t>(count);
  }

  /// What `body` records keeps nothing for the backward pass but its inputs and is computed again there (Chen et al.,
  /// "Training deep nets with sublinear memory cost", 2016). Returns what body returns.
  template <class Body>
  auto checkpointed(Body&& body) {
    require_recording("checkpointed");
    expects(block_ == 0, errc::bad_option, "checkpointed blocks cannot be nested");
    block_ = ++blocks_;
    struct leave {
      std::uint32_t& block;
      ~leave() { block = 0; }
    } guard{block_};
    return body();
  }

  extent rows(value v) const { return at(v).size.rows; }
  std::size_t columns(value v) const { return at(v).size.columns; }
  storage kept_in(value v) const { return at(v).size.kept_in; }
  precision products() const { return products_; }
  /// Whether gradients flow into it.
  bool moves(value v) const { return at(v).wants; }
  std::string describe(value v) const {
    const entry& e = at(v);
    return text(e.name, " of ", describe(e.size.rows), " x ", e.size.columns);
  }
  std::string describe(const extent& e) const {
    if (e.dimension == 0) return text(e.factor);
    return e.factor == 1 ? dimension_names_[e.dimension - 1] : text(e.factor, " ", dimension_names_[e.dimension - 1]);
  }
  extent rows(index_input i) const { return index_facts_[i.index].rows; }
  std::size_t bound(index_input i) const { return index_facts_[i.index].bound; }
  extent items(nn::sequences s) const { return dimension{run_.batches[s.index].items_dimension}; }
  extent tokens(nn::sequences s) const { return dimension{run_.batches[s.index].tokens_dimension}; }
  /// The most rows an item may have.
  std::size_t longest(nn::sequences s) const { return run_.batches[s.index].longest; }
  std::size_t most(const extent& e) const { return run_.most[e.dimension] * e.factor; }

  // Compiling ---------------------------------------------------------------------------------------------------------

  /// For training: forward passes end in `loss` (1 x 1), backward passes start there. `keep` can be read afterwards.
  void compile(value loss, const std::vector<value>& keep = {}) {
    require_own(loss, "compile");
    expects(at(loss).size.rows == extent(1) && at(loss).size.columns == 1, errc::unsupported_shape,
            "a loss is one number; this one is ", describe(loss));
    expects(at(loss).size.kept_in == storage::native, errc::bad_option, "a loss is kept in the tape's own type; ",
            describe(loss), " is kept in bf16");
    expects(at(loss).wants, errc::bad_option,
            "nothing that the loss depends on is trainable: use compile_forward, or train a parameter");
    build(&loss, keep);
  }
  /// For inference: nothing is saved.
  void compile_forward(const std::vector<value>& keep) { build(nullptr, keep); }

  // Replaying ---------------------------------------------------------------------------------------------------------

  void set(dimension d, std::size_t n) {
    expects(n <= run_.most[d.index], errc::unsupported_shape, "dimension ", dimension_names_[d.index - 1],
            " was recorded for at most ", run_.most[d.index], "; ", n, " needs a tape recorded for more");
    run_.live[d.index] = n;
  }
  void set(value v, const view<const T, 2>& data) {
    require_own(v, "set");
    entry& e = entries_[v.index];
    expects(e.kind == source::input, errc::bad_option, "set: ", e.name, " is not an input");
    if (data.extent(0) != live(e.size.rows) || data.extent(1) != e.size.columns)
      fail(errc::unsupported_shape, "input ", e.name, " is ", describe(e.size.rows), " = ", live(e.size.rows), " x ",
           e.size.columns, ", the data is ", to_text(data.extents()));
    for (std::size_t r = 0; r < data.extent(0); ++r)
      std::copy_n(data.data() + r * data.stride(0), data.extent(1), e.storage.data() + r * e.size.columns);
    e.set_rows = data.extent(0) + 1;
  }
  void set(index_input i, std::span<const std::uint32_t> numbers) {
    const index_facts& facts = index_facts_[i.index];
    if (numbers.size() != live(facts.rows))
      fail(errc::unsupported_shape, facts.name, " is ", describe(facts.rows), " = ", live(facts.rows), " numbers, not ",
           numbers.size());
    for (std::size_t k = 0; k < numbers.size(); ++k)
      expects(numbers[k] < facts.bound, errc::bad_value, facts.name, "[", k, "] is ", numbers[k],
              "; it must be less than ", facts.bound);
    run_.indices[i.index].assign(numbers.begin(), numbers.end());
  }
  /// Sets the dimensions of items and tokens too.
  void set(nn::sequences which, std::span<const std::uint32_t> lengths) {
    sequence_state& s = run_.batches[which.index];
    std::size_t total = 0, longest = 0;
    for (std::size_t b = 0; b < lengths.size(); ++b) {
      expects(lengths[b] <= s.longest, errc::unsupported_shape, "item ", b, " has ", lengths[b],
              " rows; the tape was recorded for at most ", s.longest);
      total += lengths[b];
      longest = std::max<std::size_t>(longest, lengths[b]);
    }
    set(dimension{s.items_dimension}, lengths.size());
    set(dimension{s.tokens_dimension}, total);
    s.lengths.assign(lengths.begin(), lengths.end());
    s.starts.clear();
    std::uint32_t start = 0;
    for (const std::uint32_t length : lengths) {
      s.starts.push_back(start);
      start += length;
    }
    s.live_longest = longest;
  }

  /// Dropout is on (the default) or off; while it is off there is no backward pass.
  void training(bool on) { run_.training = on; }
  /// The step that random masks belong to. A backward pass ends its step; a forward pass repeats it.
  std::uint64_t step() const { return run_.step; }
  void seek(std::uint64_t step) { run_.step = step; }
  std::uint64_t seed() const { return run_.seed; }

  void forward() {
    expects(compiled_, errc::bad_option, "forward: the tape is not compiled yet");
    require_inputs();
    resolve_parameters();
    find_frozen_packs();
    for (std::size_t i = 0; i < forward_runs_; ++i) execute(runs_[i]);
    state_ = run_.training ? pass::ready : pass::evaluated;
  }

  /// Adds `scale` d loss / d p to the gradient of every trainable parameter p.
  void backward(T scale = T{1}) {
    expects(compiled_ && runs_.size() > forward_runs_, errc::bad_option,
            "backward: the tape was compiled for forward passes only");
    expects(state_ != pass::none, errc::bad_option, "backward: there was no forward pass");
    expects(state_ != pass::evaluated, errc::bad_option,
            "backward: the forward pass ran with training(false); its saved values are not those of a training step");
    expects(state_ != pass::done, errc::bad_option,
            "backward twice after one forward pass: the saved values are gone; call forward() again");
    state_ = pass::done;
    *loss_gradient_ = scale;
    for (std::size_t i = forward_runs_; i < runs_.size(); ++i) execute(runs_[i]);
    ++run_.step;
  }

  /// A value after a forward pass. Only what was kept, the loss, and inputs can be read.
  view<const T, 2> read(value v) const {
    require_own(v, "read");
    const entry& e = at(v);
    expects(e.kind != source::computed || e.kept, errc::bad_option, "read: ", e.name,
            " shares its memory with later values; name it in compile's list to keep it");
    expects(e.kind != source::computed || state_ != pass::none, errc::bad_option, "read: there was no forward pass");
    return {elements(e.data), {live(e.size.rows), e.size.columns}};
  }
  T scalar(value v) const {
    const auto one = read(v);
    if (one.size() != 1) fail(errc::unsupported_shape, "scalar: ", describe(v), " is not one number");
    return one(0, 0);
  }
  /// The gradient of an input recorded with it.
  view<const T, 2> gradient(value v) const {
    require_own(v, "gradient");
    const entry& e = at(v);
    expects(e.kind == source::input && e.wants, errc::bad_option, "gradient: ", e.name,
            " is not an input recorded with a gradient");
    expects(state_ == pass::done, errc::bad_option, "gradient: there was no backward pass");
    return {elements(e.gradient), {live(e.size.rows), e.size.columns}};
  }

  const cpu& device() const { return run_.device; }
  bool compiled() const { return compiled_; }
  std::size_t operations() const { return nodes_.size(); }
  /// Bytes of the arena (with the threads' own memory), and of what waits in it for the backward pass when a forward
  /// pass of the largest batch ends.
  std::size_t arena_bytes() const {
    std::size_t bytes = arena_.size();
    for (const auto& each : run_.worker_memory) bytes += each.size();
    return bytes;
  }
  std::size_t saved_bytes() const { return saved_bytes_; }
  /// The least arena that any plan could have.
  std::size_t least_bytes() const { return least_bytes_; }

 private:
  enum class source { input, parameter, computed };
  enum class pass { none, ready, evaluated, done };

  struct entry {
    std::string name;
    matrix_size size{extent(0), 0};
    source kind = source::computed;
    nn::parameter<T>* parameter = nullptr;
    std::uint32_t node = 0;
    bool wants = false, kept = false;
    bool needed = false;       ///< for what is kept
    bool reached = false;      ///< by gradients
    std::size_t set_rows = 0;  ///< 1 + rows that were set; 0: never
    tensor<T> storage, gradient_storage;
    place data, back_data, gradient;
    std::size_t block = none, back_block = none, gradient_block = none;  ///< of the memory plan
  };
  /// Weights of a node, packed: shared where they are frozen parameters.
  struct packed_input {
    pack_recipe<T> recipe;
    std::vector<std::size_t> inputs;  ///< of every part; no_input: zeros
    bool frozen = false;
    std::shared_ptr<const packed_weight<T>> shared;
    std::unique_ptr<packed_weight<T>> own;
  };
  /// Consecutive steps: one operation on whole matrices, or operations by rows over the same blocks.
  struct step_run {
    std::size_t first, last;  ///< steps, both included
    bool by_rows = false;
    extent over{0};
    std::vector<row_block> blocks;
  };
  struct node {
    std::unique_ptr<op<T>> what;
    std::vector<value> inputs;
    value output;
    std::uint32_t block = 0;
    std::uint64_t wanted = 0;
    demands needs;
    node_state memory;
    std::vector<packed_input> forward_packs, backward_packs;
    bool passed = false;     ///< the gradient of input pass_through lies where the output's does
    std::vector<char> adds;  ///< of each input: whether another operation has written its gradient before
    bool spills = false;     ///< the output is copied for the backward pass
    std::vector<std::size_t> kept_blocks, kept_back_blocks, own_blocks;
    std::size_t forward_block = none, backward_block = none, sums_block = none;
    std::vector<std::size_t> forward_steps;
    std::size_t backward_step = none;
  };
  struct index_facts {
    std::string name;
    extent rows;
    std::size_t bound;
  };
  static constexpr std::size_t none = static_cast<std::size_t>(-1);
  /// What waits for the backward pass is written past the caches where it is more than this: they would lose it anyway.
  static constexpr std::size_t past_caches_from = std::size_t{16} << 20;

  static std::uint32_t next_number() {
    static std::atomic<std::uint32_t> count{0};
    return ++count;
  }
  value add(entry e) {
    entries_.push_back(std::move(e));
    return {static_cast<std::uint32_t>(entries_.size() - 1), number_};
  }
  const entry& at(value v) const {
    require_own(v, "a call");
    return entries_[v.index];
  }
  void require_recording(std::string_view what) const {
    expects(!compiled_, errc::bad_option, what, ": the tape is compiled; record a new one");
  }
  void require_own(value v, std::string_view what) const {
    expects(v.tape == number_ && v.index < entries_.size(), errc::bad_option, what, ": the value belongs to tape ",
            v.tape, ", this is tape ", number_);
  }
  std::size_t live(const extent& e) const { return run_.live[e.dimension] * e.factor; }
  static std::size_t row_bytes(const matrix_size& s) {
    return s.columns * (s.kept_in == storage::bf16 ? sizeof(bf16) : sizeof(T));
  }
  std::size_t bytes(const matrix_size& s) const { return most(s.rows) * row_bytes(s); }
  static place at_address(const T* data) {
    // Parameters and inputs are only read through their place; gradients are made from pointers to change.
    return {reinterpret_cast<std::byte*>(const_cast<T*>(data)), 0, false};
  }
  static T* elements(const place& p) { return reinterpret_cast<T*>(p.data); }

  void require_inputs() const {
    for (const entry& e : entries_)
      expects(e.kind != source::input || e.set_rows == live(e.size.rows) + 1, errc::unsupported_shape,
              "forward: input ", e.name,
              e.set_rows == 0 ? " was never set" : " was set for another size; set it again after its dimension");
    for (std::size_t i = 0; i < index_facts_.size(); ++i)
      if (run_.indices[i].size() != live(index_facts_[i].rows))
        fail(errc::unsupported_shape, "forward: ", index_facts_[i].name, " holds ", run_.indices[i].size(),
             " numbers, but ", describe(index_facts_[i].rows), " is ", live(index_facts_[i].rows), " now");
    for (const sequence_state& s : run_.batches)
      expects(s.lengths.size() == run_.live[s.items_dimension], errc::unsupported_shape, "forward: a batch of ",
              s.lengths.size(), " lengths was set, but ", dimension_names_[s.items_dimension - 1], " is ",
              run_.live[s.items_dimension]);
  }

  /// Parameters may have moved since the last pass (loaded anew, made their own).
  void resolve_parameters() {
    for (entry& e : entries_) {
      if (e.kind != source::parameter) continue;
      expects(e.parameter->trainable() == e.wants, errc::bad_option, "parameter ", e.name,
              e.wants ? " was " : " was not ",
              "trainable when the tape was compiled; compile a new tape after a change");
      const T* const data = e.parameter->value().data();
      T* const gradient = e.wants ? e.parameter->gradient().data() : nullptr;
      if (data == elements(e.data) && gradient == elements(e.gradient)) continue;
      e.data = at_address(data);
      e.gradient = at_address(gradient);
      stale_ = true;
    }
    if (stale_) resolve_nodes();
  }

  void build(const value* loss, const std::vector<value>& keep);
  void schedule(const value* loss);
  void recompute(std::uint32_t block);
  std::vector<char> made_again() const;
  void find_runs();
  void place_all();
  void place_values();
  void place_gradients();
  void settle_lifetimes();
  void resolve_nodes();
  void make_packs(node& n);
  const step_run& run_of(std::size_t step) const;
  std::size_t new_buffer(const matrix_size& size, std::vector<lifetime> alive);
  std::size_t new_scratch(std::size_t bytes, std::vector<lifetime> alive);
  place place_of(std::size_t block);

  void execute(step_run& run) noexcept;
  void refresh_packs(std::vector<packed_input>& packs, const node& n, std::vector<const std::byte*>& to) noexcept;
  void spill(const node& n, const frame<T>& f) noexcept;
  void find_frozen_packs();
  void run_step(std::size_t step, const frame<T>& f, bool by_rows) noexcept;
  void add_to(const node& n, std::size_t k, const place& from, const frame<T>& f, bool by_rows) noexcept;

  std::uint32_t number_;
  run_state<T> run_;
  std::vector<std::string> dimension_names_;
  std::deque<entry> entries_;
  std::deque<node> nodes_;
  std::vector<index_facts> index_facts_;
  std::uint32_t block_ = 0, blocks_ = 0, next_number_ = 0;
  bool compiled_ = false, stale_ = false;
  pass state_ = pass::none;
  step_list plan_;
  std::vector<step_run> runs_;
  std::size_t forward_runs_ = 0;
  std::vector<planned_matrix> buffers_;
  buffer<std::byte> arena_;
  precision products_;
  std::shared_ptr<weight_packs<T>> packs_;
  T* loss_gradient_ = nullptr;
  value loss_{};
  std::size_t saved_bytes_ = 0, least_bytes_ = 0;
};

}  // namespace hocket::nn

#include <hocket/nn/tape_compile.hpp>
#include <hocket/nn/tape_run.hpp>

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in nn/instances.cpp
namespace hocket::nn {
HOCKET_NN_INSTANCE class tape<float>;
HOCKET_NN_INSTANCE class tape<double>;
}  // namespace hocket::nn
#endif
