// The contract between a tape and its operations: what an operation says when the tape is compiled (`demands`), and
// what it sees while it runs (`frame`). docs/tape.md explains both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <hocket/core/device.hpp>
#include <hocket/core/dtype.hpp>
#include <hocket/core/error.hpp>
#include <hocket/core/view.hpp>
#include <hocket/linalg/gemm.hpp>

namespace hocket::nn {

/// A number of rows that changes from batch to batch: tokens, items.
struct dimension {
  std::uint32_t index = 0;
};

/// Rows of a matrix on a tape: a number, or a multiple of a dimension.
struct extent {
  constexpr extent(std::size_t fixed) : factor(fixed) {}
  constexpr extent(nn::dimension of, std::size_t times = 1) : dimension(of.index), factor(times) {}
  std::uint32_t dimension = 0;  ///< 0: none
  std::size_t factor = 0;
  friend constexpr bool operator==(const extent&, const extent&) = default;
};

struct matrix_size {
  extent rows;
  std::size_t columns;
};

/// A matrix on a tape, an array of indices, the lengths of a ragged batch: handles, good on the tape that gave them.
struct value {
  std::uint32_t index = 0, tape = 0;
};
struct index_input {
  std::uint32_t index = 0, tape = 0;
};
struct sequences {
  std::uint32_t index = 0, tape = 0;
};

inline constexpr std::size_t no_input = static_cast<std::size_t>(-1);

constexpr std::uint64_t bit(std::size_t k) { return std::uint64_t{1} << k; }

/// What an operation needs, told once when the tape is compiled.
struct demands {
  std::uint64_t reads_inputs = 0;       ///< bit k: the backward pass reads input k
  bool reads_output = false;            ///< the backward pass reads the output
  std::uint64_t adds = 0;               ///< bit k: can add to the gradient of input k; for others the tape adds
  std::size_t pass_through = no_input;  ///< input whose gradient is the output's own: the tape sees to it
  std::size_t in_place = no_input;      ///< the output may take the memory of this input
  bool light = false;                   ///< a pass over memory, no product: running it twice costs next to nothing
  std::uint64_t spares = 0;  ///< bit k of reads_inputs: input k need not wait, a light operation may make it again
  std::vector<matrix_size> kept = {};  ///< from the forward to the backward pass, besides inputs and output
  std::size_t forward_scratch = 0, backward_scratch = 0;  ///< elements
};

/// Lengths of the live batch.
struct sequence_state {
  std::uint32_t items_dimension = 0, tokens_dimension = 0;
  std::size_t longest = 0;       ///< of any batch
  std::size_t live_longest = 0;  ///< of this batch
  std::vector<std::uint32_t> lengths, starts;
};

/// What all operations of a tape share while it runs.
template <Real T>
struct run_state {
  explicit run_state(const cpu& where, const linalg::gemm_options& engine) : device(where), products(engine, where) {}
  cpu device;
  linalg::gemm_plan<T> products;
  std::vector<std::size_t> live{1}, most{1};  ///< of every dimension; number 0 is the unit
  std::vector<std::vector<std::uint32_t>> indices;
  std::vector<sequence_state> batches;
  std::uint64_t seed = 0, step = 0;
  bool training = true;
};

/// One input of an operation, resolved to memory.
template <Real T>
struct operand {
  const T* data = nullptr;
  T* gradient = nullptr;  ///< where the operation writes
  T* sum = nullptr;       ///< where the tape adds `gradient` afterwards, if that is not the same place
  matrix_size size{extent(0), 0};
  bool wanted = false, add = false;
};

/// An operation's memory, resolved.
template <Real T>
struct node_state {
  std::uint32_t number = 0;
  std::vector<operand<T>> inputs;
  T* output = nullptr;
  T* output_gradient = nullptr;
  matrix_size size{extent(0), 0};
  std::vector<T*> kept;
  std::vector<matrix_size> kept_sizes;
  T *forward_scratch = nullptr, *backward_scratch = nullptr;
};

/// What an operation sees while it runs: views with the live sizes.
template <Real T>
class frame {
 public:
  frame(run_state<T>& run, const node_state<T>& node) : run_(run), node_(node) {}

  std::size_t rows(const extent& e) const { return run_.live[e.dimension] * e.factor; }
  std::size_t inputs() const { return node_.inputs.size(); }
  view<const T, 2> input(std::size_t k) const {
    const operand<T>& in = node_.inputs[k];
    return {in.data, {rows(in.size.rows), in.size.columns}};
  }
  view<T, 2> output() const { return {node_.output, {rows(node_.size.rows), node_.size.columns}}; }
  /// An operation without `pass_through` may overwrite it.
  view<T, 2> output_gradient() const { return {node_.output_gradient, {rows(node_.size.rows), node_.size.columns}}; }

  /// Whether input k has a gradient that this operation writes.
  bool wants(std::size_t k) const { return node_.inputs[k].wanted; }
  /// Where it goes. With beta(k) = 1 it is added to what is there, with 0 it replaces it.
  view<T, 2> gradient(std::size_t k) const {
    const operand<T>& in = node_.inputs[k];
    return {in.gradient, {rows(in.size.rows), in.size.columns}};
  }
  T beta(std::size_t k) const { return node_.inputs[k].add ? T{1} : T{0}; }

  view<T, 2> kept(std::size_t j) const {
    return {node_.kept[j], {rows(node_.kept_sizes[j].rows), node_.kept_sizes[j].columns}};
  }
  bool keeps(std::size_t j) const { return j < node_.kept.size(); }
  T* forward_scratch() const { return node_.forward_scratch; }
  T* backward_scratch() const { return node_.backward_scratch; }

  std::span<const std::uint32_t> indices(index_input i) const { return run_.indices[i.index]; }
  const sequence_state& batch(sequences s) const { return run_.batches[s.index]; }
  const cpu& device() const { return run_.device; }
  linalg::gemm_plan<T>& products() const { return run_.products; }

  bool training() const { return run_.training; }
  std::uint64_t seed() const { return run_.seed; }
  /// A stream of random numbers for part `part` < 16 of this operation in this step: the same whenever it is asked for.
  std::uint64_t stream(std::size_t part) const { return run_.step << 20 | std::uint64_t{node_.number} << 4 | part; }

 private:
  run_state<T>& run_;
  const node_state<T>& node_;
};

/// What an operation may ask when it is planned.
template <Real T>
class planning {
 public:
  planning(const run_state<T>& run, std::uint64_t wanted) : run_(run), wanted_(wanted) {}
  bool backward() const { return wanted_ != 0; }
  bool wants(std::size_t k) const { return (wanted_ & bit(k)) != 0; }
  /// The most rows that any batch has.
  std::size_t most(const extent& e) const { return run_.most[e.dimension] * e.factor; }
  const sequence_state& batch(sequences s) const { return run_.batches[s.index]; }
  std::size_t most_items(sequences s) const { return run_.most[batch(s).items_dimension]; }
  const cpu& device() const { return run_.device; }

 private:
  const run_state<T>& run_;
  std::uint64_t wanted_;
};

/// One operation of a tape. It owns no memory that changes: the same operation may run for many batches.
template <Real T>
class op {
 public:
  op() = default;
  op(const op&) = delete;
  op& operator=(const op&) = delete;
  virtual ~op() = default;
  virtual std::string_view name() const = 0;
  virtual demands plan(const planning<T>&) const = 0;
  virtual void forward(const frame<T>&) const noexcept = 0;
  virtual void backward(const frame<T>&) const noexcept = 0;
};

}  // namespace hocket::nn
