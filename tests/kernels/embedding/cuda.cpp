// The CUDA embedding on the host executor: every order, awkward sizes, repeated ids, chains over many tiles of rows.
#include <vector>

#include "bench/cuda/embedding.cuh"
#include "catch.hpp"
#include "cuda_host/arms.hpp"
#include "cuda_host/mutants.hpp"
#include "error_kind.hpp"

using namespace hocket;
namespace embedding = kernels::embedding;

namespace {

struct trial {
  embedding::shape size;
  std::size_t words;
};
/// Below, at and above a tile of 64 rows and a warp's 128 columns; 1 word: a chain over all tiles.
const std::vector<trial> trials = {{{1, 1, 1}, 1},   {{3, 31, 2}, 5},  {{63, 33, 3}, 2},   {{64, 5, 4}, 9},
                                   {{65, 7, 1}, 60}, {{131, 3, 2}, 4}, {{300, 2, 1}, 7},   {{9, 127, 2}, 3},
                                   {{5, 128, 1}, 2}, {{6, 129, 3}, 3}, {{200, 1, 1}, 200}, {{2, 300, 1}, 1}};

std::string text_of(const trial& t) {
  return text(t.size.rows, " x ", t.size.columns, ", ", t.size.tables, " tables of ", t.words);
}

template <class T>
void check_forward() {
  for (const trial& t : trials)
    cuda_host::check_in_every_order(text_of(t), [&](const cuda_on_host& device) {
      return bench::prepare_embedding_forward<T, cuda_on_host>(device, t.size, t.words);
    });
}

}  // namespace

TEST_CASE("the embedding on CUDA keeps its promise in every order, bit for bit", "[embedding][cuda_host]") {
  check_forward<float>();
  check_forward<f16>();
  check_forward<bf16>();
  for (const trial& t : trials)
    cuda_host::check_in_every_order(text_of(t), [&](const cuda_on_host& device) {
      return bench::prepare_embedding_backward(device, t.size, t.words);
    });
}

// Ids that end at their guard page, rows that do not fill a block: a read past the ids is seen.
TEST_CASE("the embedding's tests notice every damage to the kernels", "[embedding][cuda_host][mutation]") {
  const auto report = cuda_host::try_mutants([] {
    for (const trial& t : {trial{{132, 33, 2}, 40}, trial{{68, 3, 1}, 30}, trial{{100, 3, 1}, 50}})
      if (!cuda_host::right([&](const cuda_on_host& device) {
            return bench::prepare_embedding_forward<float, cuda_on_host>(device, t.size, t.words);
          }) ||
          !cuda_host::right(
              [&](const cuda_on_host& device) { return bench::prepare_embedding_backward(device, t.size, t.words); }))
        return false;
    return true;
  });
  INFO(report.message());
  CHECK(report.total() == 11);  // bounds tests
  CHECK(report.survivors.empty());
}

TEST_CASE("the embedding on CUDA refuses what does not fit", "[embedding][cuda_host]") {
  cuda_host::machine machine;
  float* const data = machine.allocate<float>(64, "data");
  const std::vector<std::uint32_t> zeros(8);
  const std::uint32_t* const ids = machine.upload(zeros, "ids");
  std::uint32_t* const links = machine.allocate<std::uint32_t>(8, "links");
  std::vector<float> host(64);
  using lookup = embedding::gpu::device_lookup<float>;
  const auto forward = [&](const std::vector<lookup>& lookups) {
    return tests::kind_of([&] {
      embedding::gpu::forward<cuda_on_host, float>(machine.device(), lookups, {data + 32, {4, 8}});
    });
  };
  const lookup good{{data, {2, 8}}, {ids, {4}}};
  CHECK(forward({good}) == "accepted");
  CHECK(forward({good, good, good, good}) == "accepted");
  CHECK(forward({}) == "unsupported_shape");
  CHECK(forward({good, good, good, good, good}) == "unsupported_shape");
  CHECK(forward({{{data, {2, 7}}, {ids, {4}}}}) == "unsupported_shape");
  CHECK(forward({{{data, {2, 8}}, {ids, {5}}}}) == "unsupported_shape");
  CHECK(forward({{{host.data(), {2, 8}}, {ids, {4}}}}) == "bad_pointer");
  const auto backward = [&](std::size_t id_count, std::size_t sum_rows, std::size_t link_count) {
    return tests::kind_of([&] {
      embedding::gpu::backward(machine.device(), {data, {4, 4}}, {ids, {id_count}}, {data + 16, {2, 4}},
                               {data + 32, {sum_rows, 4}}, {links, {link_count}});
    });
  };
  CHECK(backward(4, 4, 4) == "accepted");
  CHECK(backward(3, 4, 4) == "unsupported_shape");
  CHECK(backward(4, 3, 4) == "unsupported_shape");
  CHECK(backward(4, 4, 5) == "unsupported_shape");
}
