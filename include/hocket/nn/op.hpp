// The contract between a tape and its operations: what an operation says when the tape is compiled (`demands`), and
// what it sees while it runs (`frame`). docs/tape.md explains both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/core/device.hpp>
#include <hocket/core/dtype.hpp>
#include <hocket/core/error.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/packed_gemm/shape.hpp>
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

/// What the elements of a matrix are kept in: the tape's own T or, on a tape<float>, bf16.
enum class storage : std::uint8_t { native, bf16 };

struct matrix_size {
  extent rows;
  std::size_t columns;
  storage kept_in = storage::native;
};

/// Rows of a batch that go through a run of operations together, so that they stay in cache: whole items where the rows
/// are those of a ragged batch. How a batch is cut depends on the batch alone (row_blocks.hpp).
struct row_block {
  std::size_t first = 0, rows = 0;        ///< rows [first, first + rows)
  std::size_t first_item = 0, items = 0;  ///< of a ragged batch
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

using kernels::packed_gemm::precision;

/// Products of low-rank terms beside those of the weights: int8 has too few digits for what a low rank leaves.
constexpr precision precision_of_terms(precision of_weights) {
  return of_weights == precision::int8 ? precision::bf16 : of_weights;
}

/// A piece of a packed B (kernels/packed_gemm): input `input` or, without one, `zeros` lines of zeros. It fills its
/// lines from `offset` on, times `scale`.
struct pack_piece {
  std::size_t input = no_input;
  std::size_t zeros = 0;
  std::size_t offset = 0;
  double scale = 1;
};
/// Weights that an operation wants packed for products: pieces side by side when `turned`, else one below the other,
/// with lines of `line` elements. The tape packs what is frozen once, what is trained before every pass.
struct pack_request {
  std::vector<pack_piece> pieces;
  bool turned = true;
  std::size_t line = 0;
  precision kind = precision::native;
};

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

  // An operation whose rows do not know each other may run by rows: its passes are then called for one row_block after
  // the other, by several threads at once, and the blocks of consecutive operations stay in a thread's cache.
  bool forward_by_rows = false, backward_by_rows = false;
  extent over{0};                ///< the rows that are cut into blocks
  bool ends_run = false;         ///< finish() runs before the next operation
  std::size_t worker_bytes = 0;  ///< scratch that one thread needs for a block
  std::size_t block_sums = 0;    ///< elements that the backward pass leaves for each block; finish() sums them
  std::vector<pack_request> forward_packs = {}, backward_packs = {};
};

/// Lengths of the live batch.
struct sequence_state {
  std::uint32_t items_dimension = 0, tokens_dimension = 0;
  std::size_t longest = 0;       ///< of any batch
  std::size_t live_longest = 0;  ///< of this batch
  std::vector<std::uint32_t> lengths, starts;
  std::vector<std::uint32_t> starts_in_block;  ///< of passes by rows: counted from the item's row_block
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
  bool past_caches = false;                      ///< what waits for the backward pass is written past the caches
  std::size_t scratch_bytes = 0;                 ///< of a worker: worker_bytes of the greediest operation
  std::vector<buffer<std::byte>> worker_memory;  ///< each: what lives within a run of operations, then scratch
};

/// Where a matrix lies: at `data`, or for what lives within one run of operations `offset` bytes into the memory of the
/// worker, which then holds the rows of the current block alone.
struct place {
  std::byte* data = nullptr;
  std::size_t offset = 0;
  bool local = false;
  bool exists() const { return local || data != nullptr; }
};

/// One input of an operation, resolved to memory.
struct operand {
  place data, back_data;  ///< in the forward pass, and in the backward pass
  place gradient;         ///< where the operation writes
  place sum;              ///< where the tape adds `gradient` afterwards, if that is not the same place
  matrix_size size{extent(0), 0};
  bool wanted = false, add = false;
};

/// An operation's memory, resolved.
struct node_state {
  std::uint32_t number = 0;
  std::vector<operand> inputs;
  place output, back_output, output_gradient;
  matrix_size size{extent(0), 0};
  std::vector<place> kept, back_kept;
  std::vector<matrix_size> kept_sizes;
  std::byte *forward_scratch = nullptr, *backward_scratch = nullptr;
  std::byte* sums = nullptr;  ///< block_sums elements for each block
  std::size_t block_sums = 0;
  bool passes_on = false;  ///< its output's gradient is also an input's
  std::vector<const std::byte*> forward_packs, backward_packs;
};

/// What an operation sees while it runs. Functions without `rows` in their name give whole matrices with their live
/// sizes; those of a pass by rows (input_rows, ...) begin at the current block.
template <Real T>
class frame {
 public:
  /// `back`: in the backward pass, where forward steps may run too.
  frame(run_state<T>& run, const node_state& node, bool back) : run_(run), node_(node), back_(back) {}
  /// Of a pass by rows: `number` of the block, and who works on it; threads > 1 when one block has all of them.
  frame(run_state<T>& run, const node_state& node, bool back, const row_block& block, std::size_t number,
        std::size_t worker, int threads)
      : run_(run),
        node_(node),
        back_(back),
        block_(block),
        number_(number),
        worker_(worker),
        device_{threads},
        local_(run.worker_memory[worker].data()) {}

  std::size_t rows(const extent& e) const { return run_.live[e.dimension] * e.factor; }
  /// The most rows that any batch of the recording has.
  std::size_t most(const extent& e) const { return run_.most[e.dimension] * e.factor; }
  std::size_t inputs() const { return node_.inputs.size(); }
  view<const T, 2> input(std::size_t k) const { return whole(data(k), node_.inputs[k].size); }
  view<T, 2> output() const { return whole(output_place(), node_.size); }
  /// An operation without `pass_through` may overwrite it.
  view<T, 2> output_gradient() const { return whole(node_.output_gradient, node_.size); }

  /// Whether input k has a gradient that this operation writes.
  bool wants(std::size_t k) const { return node_.inputs[k].wanted; }
  /// Where it goes. With beta(k) = 1 it is added to what is there, with 0 it replaces it.
  view<T, 2> gradient(std::size_t k) const { return whole(node_.inputs[k].gradient, node_.inputs[k].size); }
  T beta(std::size_t k) const { return node_.inputs[k].add ? T{1} : T{0}; }

  view<T, 2> kept(std::size_t j) const { return whole(kept_place(j), node_.kept_sizes[j]); }
  bool keeps(std::size_t j) const { return j < node_.kept.size(); }
  T* forward_scratch() const { return reinterpret_cast<T*>(node_.forward_scratch); }
  T* backward_scratch() const { return reinterpret_cast<T*>(node_.backward_scratch); }

  // By rows -----------------------------------------------------------------------------------------------------------

  const row_block& block() const { return block_; }
  std::size_t worker() const { return worker_; }
  /// S is T or, where the matrix is kept in it, bf16. Rows are as far apart as the matrix has columns.
  template <class S = T>
  const S* input_rows(std::size_t k) const {
    return at<S>(data(k), node_.inputs[k].size);
  }
  template <class S = T>
  S* output_rows() const {
    return at<S>(output_place(), node_.size);
  }
  template <class S = T>
  S* output_gradient_rows() const {
    return at<S>(node_.output_gradient, node_.size);
  }
  template <class S = T>
  S* gradient_rows(std::size_t k) const {
    return at<S>(node_.inputs[k].gradient, node_.inputs[k].size);
  }
  template <class S = T>
  S* kept_rows(std::size_t j) const {
    return at<S>(kept_place(j), node_.kept_sizes[j]);
  }
  /// The current block's rows of a strip of `width` columns of kept matrix j, where strips lie one after the other: a
  /// row has the columns of its strip only.
  template <class S = T>
  S* kept_strip(std::size_t j, std::size_t strip, std::size_t width) const {
    const place& where = kept_place(j);
    const matrix_size& size = node_.kept_sizes[j];
    const std::size_t rows_before = where.local ? 0 : block_.first, all = where.local ? block_.rows : rows(size.rows),
                      first = strip * width, columns = size.columns - first < width ? size.columns - first : width;
    return reinterpret_cast<S*>(where.local ? local_ + where.offset : where.data) + all * first + rows_before * columns;
  }
  /// The current block's first row of a matrix at `where`.
  template <class S>
  S* at(const place& where, const matrix_size& size) const {
    if (where.local) return reinterpret_cast<S*>(local_ + where.offset);
    return reinterpret_cast<S*>(where.data) + block_.first * size.columns;
  }
  storage input_storage(std::size_t k) const { return node_.inputs[k].size.kept_in; }
  storage output_storage() const { return node_.size.kept_in; }
  std::size_t columns(std::size_t k) const { return node_.inputs[k].size.columns; }

  /// Whether kept matrix j is written now and read after everything else: past the caches, if an operation can.
  bool keeps_far(std::size_t j) const { return run_.past_caches && !back_ && !kept_place(j).local; }

  /// Scratch of one thread: by itself the current worker's, inside a parallel loop over a block that of `worker`.
  std::byte* worker_scratch() const { return worker_scratch(worker_); }
  std::byte* worker_scratch(std::size_t worker) const {
    auto& memory = run_.worker_memory[worker];
    return memory.data() + (memory.size() - run_.scratch_bytes);
  }
  /// block_sums elements of this block, zeroed by whoever fills them; in finish() of block b.
  T* sums() const { return sums(number_); }
  T* sums(std::size_t b) const { return reinterpret_cast<T*>(node_.sums) + b * node_.block_sums; }
  std::size_t sums_per_block() const { return node_.block_sums; }
  bool passes_on() const { return node_.passes_on; }
  std::size_t most_in_block(const extent& e) const { return most_rows_in_block(run_, e); }
  std::size_t most_blocks_of(const extent& e) const { return most_blocks(run_, e); }
  /// Of the current block among those of the pass.
  std::size_t block_number() const { return number_; }
  const std::byte* forward_pack(std::size_t j) const { return node_.forward_packs[j]; }
  const std::byte* backward_pack(std::size_t j) const { return node_.backward_packs[j]; }

  std::span<const std::uint32_t> indices(index_input i) const { return run_.indices[i.index]; }
  const sequence_state& batch(sequences s) const { return run_.batches[s.index]; }
  /// One thread where several blocks are worked on side by side.
  const cpu& device() const { return device_.threads > 0 ? device_ : run_.device; }
  linalg::gemm_plan<T>& products() const { return run_.products; }

  bool training() const { return run_.training; }
  std::uint64_t seed() const { return run_.seed; }
  /// A stream of random numbers for part `part` < 16 of this operation in this step: the same whenever it is asked for.
  std::uint64_t stream(std::size_t part) const { return run_.step << 20 | std::uint64_t{node_.number} << 4 | part; }

 private:
  view<T, 2> whole(const place& at, const matrix_size& size) const {
    return {reinterpret_cast<T*>(at.data), {rows(size.rows), size.columns}};
  }
  const place& data(std::size_t k) const { return back_ ? node_.inputs[k].back_data : node_.inputs[k].data; }
  const place& output_place() const { return back_ ? node_.back_output : node_.output; }
  const place& kept_place(std::size_t j) const { return back_ ? node_.back_kept[j] : node_.kept[j]; }

  run_state<T>& run_;
  const node_state& node_;
  bool back_;
  row_block block_{};
  std::size_t number_ = 0, worker_ = 0;
  cpu device_{0};
  std::byte* local_ = nullptr;
};

/// What an operation may ask when it is planned.
template <Real T>
class planning {
 public:
  planning(const run_state<T>& run, std::uint64_t wanted, const node_state& node)
      : run_(run), wanted_(wanted), node_(node) {}
  bool backward() const { return wanted_ != 0; }
  bool wants(std::size_t k) const { return (wanted_ & bit(k)) != 0; }
  /// The most rows that any batch has, and that any block of them has.
  std::size_t most(const extent& e) const { return run_.most[e.dimension] * e.factor; }
  std::size_t most_in_block(const extent& e) const { return most_rows_in_block(run_, e); }
  std::size_t most_blocks_of(const extent& e) const { return most_blocks(run_, e); }
  const sequence_state& batch(sequences s) const { return run_.batches[s.index]; }
  std::size_t most_items(sequences s) const { return run_.most[batch(s).items_dimension]; }
  const cpu& device() const { return run_.device; }
  storage input_storage(std::size_t k) const { return node_.inputs[k].size.kept_in; }
  storage output_storage() const { return node_.size.kept_in; }

 private:
  const run_state<T>& run_;
  std::uint64_t wanted_;
  const node_state& node_;
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
  /// Whole matrices with all threads of frame::device() or, by rows, the rows of frame::block().
  virtual void forward(const frame<T>&) const noexcept = 0;
  virtual void backward(const frame<T>&) const noexcept = 0;
  /// After a backward pass by rows: adds what it left for each of `blocks` blocks, in their order.
  virtual void finish(const frame<T>&, std::size_t /*blocks*/) const noexcept {}
  /// Whether input k may be kept in bf16.
  virtual bool takes_bf16(std::size_t) const { return false; }
};

}  // namespace hocket::nn
