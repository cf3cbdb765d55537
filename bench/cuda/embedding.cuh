// The embedding's kernels as arms: `rows`, `columns`, `tables`, `words` of each table. The backward pass is one arm:
// links, sums of tiles, their join.
#pragma once

#include <hocket/kernels/embedding/cuda_launch.cuh>
#include <hocket/kernels/embedding/reference.hpp>

#include "bench/cuda/prepare.hpp"

namespace hocket::bench {

/// Ids as in text: every third row has one word, others are drawn; the last table has one row for all (token types).
inline std::vector<std::uint32_t> embedding_ids(std::size_t rows, std::size_t words, std::size_t table, bool last) {
  philox random(7, table);
  std::vector<std::uint32_t> ids(rows);
  for (std::size_t r = 0; r < rows; ++r) {
    const auto drawn = static_cast<std::uint32_t>(random.next_below(words));
    ids[r] = last || r % 3 == 0 ? static_cast<std::uint32_t>(words - 1) : drawn;
  }
  return ids;
}

template <class T, CudaDevice Device>
ready prepare_embedding_forward(const Device& device, const kernels::embedding::shape& s, std::size_t words) {
  namespace embedding = kernels::embedding;
  const shape<2> size{s.rows, s.columns}, table_size{words, s.columns};
  struct operands {
    std::vector<device_buffer<T, Device>> tables;
    std::vector<device_buffer<std::uint32_t, Device>> ids;
    device_buffer<T, Device> y;
    std::vector<embedding::gpu::device_lookup<T>> lookups;
  };
  const std::shared_ptr<operands> on(new operands{{}, {}, {device, "embedding: y", s.rows * s.columns}, {}});
  std::vector<std::vector<float>> values;
  std::vector<std::vector<std::uint32_t>> ids;
  for (std::size_t t = 0; t < s.tables; ++t) {
    const auto stored = stored_values<T>(words * s.columns, t + 1);
    values.push_back(widened(stored));
    ids.push_back(embedding_ids(s.rows, words, t, t > 0 && t + 1 == s.tables));
    on->tables.emplace_back(device, "embedding: table", stored);
    on->ids.emplace_back(device, "embedding: ids", ids.back());
    on->lookups.push_back({{on->tables.back().data(), table_size}, {on->ids.back().data(), {s.rows}}});
  }
  ready made;
  made.run = [=] { embedding::gpu::forward<Device, T>(device, on->lookups, {on->y.data(), size}); };
  made.run();

  std::vector<embedding::lookup<float>> lookups;
  for (std::size_t t = 0; t < s.tables; ++t) lookups.push_back({{values[t].data(), table_size}, ids[t]});
  std::vector<double> wanted(s.rows * s.columns);
  embedding::reference::forward<float>(lookups, {wanted.data(), size});
  const std::vector<T> y = on->y.download();
  for (std::size_t i = 0; i < y.size(); ++i) {
    double magnitude = 0;
    for (const auto& each : lookups)
      magnitude += std::abs(static_cast<double>(each.table(each.ids[i / s.columns], i % s.columns)));
    made.check.add(std::abs(to_f64(y[i]) - wanted[i]),
                   rounding<float>(static_cast<double>(s.tables) / 2 * magnitude) + storage_rounding<T>(wanted[i]));
  }
  made.timed_run = timed_on(device, made.run);
  made.written = [on] { return bytes_of(on->y); };
  return made;
}

/// With one table its ids are drawn, with more it is the last one, a row of which is every row.s.
template <CudaDevice Device>
ready prepare_embedding_backward(const Device& device, const kernels::embedding::shape& s, std::size_t words) {
  namespace embedding = kernels::embedding;
  const shape<2> size{s.rows, s.columns}, table_size{words, s.columns};
  const auto dy = stored_values<float>(s.rows * s.columns, 77), before = stored_values<float>(words * s.columns, 78);
  const auto ids = embedding_ids(s.rows, words, 0, s.tables > 1);
  struct operands {
    device_buffer<float, Device> dy, dtable, sums;
    device_buffer<std::uint32_t, Device> ids, links;
  };
  const std::shared_ptr<operands> on(new operands{{device, "embedding: dy", dy},
                                                  {device, "embedding: dtable", before},
                                                  {device, "embedding: sums", s.rows * s.columns},
                                                  {device, "embedding: ids", ids},
                                                  {device, "embedding: links", s.rows}});
  ready made;
  made.run = [=] {
    embedding::gpu::backward(device, {std::as_const(on->dy).data(), size}, {std::as_const(on->ids).data(), {s.rows}},
                             {on->dtable.data(), table_size}, {on->sums.data(), size}, {on->links.data(), {s.rows}});
  };
  made.run();

  std::vector<double> wanted(before.begin(), before.end()), magnitude(before.size());
  embedding::reference::backward<float>({dy.data(), size}, ids, {wanted.data(), table_size});
  for (std::size_t i = 0; i < before.size(); ++i) magnitude[i] = std::abs(static_cast<double>(before[i]));
  for (std::size_t i = 0; i < dy.size(); ++i)
    magnitude[ids[i / s.columns] * s.columns + i % s.columns] += std::abs(static_cast<double>(dy[i]));
  const std::vector<float> ours = on->dtable.download();
  for (std::size_t i = 0; i < ours.size(); ++i)
    made.check.add(std::abs(static_cast<double>(ours[i]) - wanted[i]),
                   rounding<float>(embedding::gpu::promise_backward(s.rows) * magnitude[i]));
  made.timed_run = timed_on(device, made.run);
  made.written = [on] { return bytes_of(on->dtable); };
  return made;
}

template <CudaDevice Device>
ready prepare_embedding(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  const kernels::embedding::shape s{size_of(sizes, "rows"), size_of(sizes, "columns"), size_of(sizes, "tables")};
  const std::size_t words = size_of(sizes, "words");
  if (kernel.variant == "backward") return prepare_embedding_backward(device, s, words);
  expects(kernel.variant == "forward", errc::bad_option, "embedding has no arm ", kernel.variant);
  return with_type(kernel.dtype,
                   [&](auto type) { return prepare_embedding_forward<decltype(type), Device>(device, s, words); });
}

}  // namespace hocket::bench
