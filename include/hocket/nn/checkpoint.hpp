// A training run in one safetensors file: trainable weights, moments, and where the run stands (steps, masks, sampler,
// early stopping). Resuming gives the bits of the uninterrupted run. Frozen weights are not stored.
#pragma once

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <vector>

#include <hocket/core/tensor.hpp>
#include <hocket/io/safetensors.hpp>
#include <hocket/nn/optimizer.hpp>
#include <hocket/nn/parameter.hpp>
#include <hocket/nn/sampler.hpp>
#include <hocket/nn/schedule.hpp>
#include <hocket/nn/tape.hpp>

namespace hocket::nn {

/// What a run consists of besides weights; members may be null.
template <Real T>
struct training_run {
  parameter_set<T>& parameters;
  optimizer<T>& update;
  tape<T>* replay = nullptr;  ///< any of the run's tapes: its seed and step make the masks
  epoch_sampler* sampler = nullptr;
  early_stopping* stopping = nullptr;
  std::span<double> tallies = {};    ///< sums of the caller's, kept bit by bit
  std::span<tensor<T>> arrays = {};  ///< matrices of the caller's: the weights of the best evaluation
};

namespace detail {

/// f(key, number) for every number of a run; `Visit` may change it.
template <Real T, class Visit>
void visit_numbers(training_run<T>& run, Visit&& f) {
  std::uint64_t steps = run.update.steps();
  f("optimizer.steps", steps);
  run.update.resume_at(steps);
  if (run.replay) {
    std::uint64_t step = run.replay->step(), seed = run.replay->seed();
    f("tape.step", step);
    run.replay->seek(step);
    f("tape.seed", seed);
  }
  if (run.sampler) {
    std::uint64_t epoch = run.sampler->epoch(), position = run.sampler->position(), seed = run.sampler->seed();
    f("sampler.epoch", epoch);
    f("sampler.position", position);
    f("sampler.seed", seed);
    run.sampler->seek(epoch, position);
  }
  if (run.stopping) {
    std::uint64_t waited = run.stopping->waited, evaluations = run.stopping->evaluations,
                  best_evaluation = run.stopping->best_evaluation,
                  best = std::bit_cast<std::uint64_t>(run.stopping->best);
    f("stopping.waited", waited);
    f("stopping.evaluations", evaluations);
    f("stopping.best_evaluation", best_evaluation);
    f("stopping.best_bits", best);
    run.stopping->waited = waited;
    run.stopping->evaluations = evaluations;
    run.stopping->best_evaluation = best_evaluation;
    run.stopping->best = std::bit_cast<double>(best);
  }
  for (std::size_t i = 0; i < run.tallies.size(); ++i) {
    std::uint64_t bits = std::bit_cast<std::uint64_t>(run.tallies[i]);
    f(text("tally.", i), bits);
    run.tallies[i] = std::bit_cast<double>(bits);
  }
}

/// f(name, data, rows, columns) for every array of a run; `slots`: the optimizer's. Where they are const, data is only
/// read, and nothing that hangs on it is made again: packed weights, which moments rest.
template <Real T, class Slots, class Visit>
void visit_arrays(training_run<T>& run, Slots& slots, Visit&& f) {
  const auto values = [](auto& weight) {
    if constexpr (std::is_const_v<Slots>)
      return weight.value().data();
    else
      return weight.writable().data();
  };
  for (auto& each : run.parameters)
    if (each.trainable()) f("weight." + each.name(), values(each), each.rows(), each.columns());
  for (auto& slot : slots) {
    const std::string& name = slot.weight->name();
    if (!slot.first.empty()) f("first." + name, slot.first.data(), slot.weight->rows(), slot.weight->columns());
    if (!slot.second.empty()) f("second." + name, slot.second.data(), slot.weight->rows(), slot.weight->columns());
  }
  for (std::size_t i = 0; i < run.arrays.size(); ++i)
    f(text("array.", i), run.arrays[i].data(), run.arrays[i].extent(0), run.arrays[i].extent(1));
}

inline constexpr std::string_view checkpoint_format = "hocket.training.1";

}  // namespace detail

/// Written to a temporary file beside `path` and renamed: a crash leaves the last checkpoint whole.
template <Real T>
void save_checkpoint(const std::filesystem::path& path, training_run<T> run) {
  io::tensor_metadata notes{{"format", std::string(detail::checkpoint_format)},
                            {"optimizer", to_text(run.update.options())}};
  detail::visit_numbers(run, [&](std::string_view key, std::uint64_t& n) {
    notes.push_back({std::string(key), text(n)});
  });
  std::vector<io::tensor_bytes> arrays;
  const auto& slots = run.update.slots();
  detail::visit_arrays(run, slots, [&](const std::string& name, const T* data, std::size_t rows, std::size_t columns) {
    arrays.push_back(io::named_tensor(name, view<const T, 2>(data, {rows, columns})));
  });
  const std::filesystem::path partial = path.string() + ".partial";
  io::write_safetensors(partial, arrays, notes);
  std::error_code trouble;
  std::filesystem::rename(partial, path, trouble);
  expects(!trouble, errc::bad_file, path.string(), ": cannot be replaced: ", trouble.message());
}

/// Throws bad_file, before anything is changed, for a file of another run: other options, or an array that is missing,
/// unknown or of another shape.
template <Real T>
void load_checkpoint(const std::filesystem::path& path, training_run<T> run) {
  const io::safetensors_file file(path);
  const auto note = [&](std::string_view key) -> const std::string& {
    const std::string* const found = file.metadata(key);
    expects(found != nullptr, errc::bad_file, path.string(), ": it has no ", key,
            "; it is no checkpoint of such a run");
    return *found;
  };
  const auto number = [&](std::string_view key) {
    const std::string& written = note(key);
    std::uint64_t n = 0;
    const auto done = std::from_chars(written.data(), written.data() + written.size(), n);
    expects(done.ec == std::errc{} && done.ptr == written.data() + written.size(), errc::bad_file, path.string(), ": ",
            key, " is '", written, "', not a whole number");
    return n;
  };
  expects(note("format") == detail::checkpoint_format, errc::bad_file, path.string(), ": its format is '",
          note("format"), "', this version reads ", detail::checkpoint_format);
  expects(note("optimizer") == to_text(run.update.options()), errc::bad_file, path.string(), ": it was written with ",
          note("optimizer"), "; this run has ", to_text(run.update.options()));
  std::size_t arrays = 0;
  const auto& slots = run.update.slots();
  detail::visit_arrays(run, slots, [&](const std::string& name, const T*, std::size_t rows, std::size_t columns) {
    file.require_extents(file.info(name), shape<2>{rows, columns});
    file.template as_view<T, 2>(name);
    ++arrays;
  });
  expects(arrays == file.tensors().size(), errc::bad_file, path.string(), ": it holds ", file.tensors().size(),
          " arrays, this run has ", arrays, " (are the same parameters trainable?)");
  detail::visit_numbers(run, [&](std::string_view key, std::uint64_t& n) {
    const std::uint64_t written = number(key);
    expects(!key.ends_with(".seed") || written == n, errc::bad_file, path.string(), ": ", key, " is ", written,
            ", this run's is ", n, ": its random numbers would differ");
  });
  detail::visit_numbers(run, [&](std::string_view key, std::uint64_t& n) { n = number(key); });
  auto& changing = run.update.changing_slots();
  detail::visit_arrays(run, changing, [&](const std::string& name, T* data, std::size_t rows, std::size_t columns) {
    std::copy_n(file.template as_view<T, 2>(name).data(), rows * columns, data);
  });
}

}  // namespace hocket::nn

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in nn/instances.cpp
namespace hocket::nn {
HOCKET_NN_INSTANCE void save_checkpoint<float>(const std::filesystem::path&, training_run<float>);
HOCKET_NN_INSTANCE void save_checkpoint<double>(const std::filesystem::path&, training_run<double>);
HOCKET_NN_INSTANCE void load_checkpoint<float>(const std::filesystem::path&, training_run<float>);
HOCKET_NN_INSTANCE void load_checkpoint<double>(const std::filesystem::path&, training_run<double>);
}  // namespace hocket::nn
#endif
