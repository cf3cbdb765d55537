// The executor itself: right kernels run in every order, and each kind of bug gives its exact message.
#include "cuda_host/executor.hpp"

#include <limits>
#include <vector>

#include "catch.hpp"
#include "cuda_host/machine.hpp"

using namespace hocket;
using cuda_host::kernel_error;
using cuda_host::order;

namespace {

/// Runs a kernel body in the given order and returns the error's text, or "" when none was found.
template <class Body>
std::string run(launch_shape shape, Body&& body, order how = order::ascending, std::uint64_t seed = 1) {
  static thread_local cuda_host::executor machine;
  try {
    machine.launch("kernel", shape, {how, seed}, body);
  } catch (const kernel_error& e) {
    return e.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("a block-wide sum is right in every order", "[cuda_host]") {
  const std::size_t n = 1000;
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<float>(i % 17);
  float expected = 0;
  for (const float v : x) expected += v;
  for (const order how : {order::ascending, order::descending, order::random})
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      float sum = -1;
      const auto error = run(
          {{1, 1, 1}, {128, 1, 1}, 0},
          [&] {
            HOCKET_SHARED(partial, cu::array<float, 128>);
            float mine = 0;
            for (unsigned i = cu::thread_x(); i < n; i += cu::block_dim_x()) mine += x[i];
            partial(cu::thread_x()) = mine;
            cu::sync();
            for (unsigned step = 64; step > 0; step /= 2) {
              if (cu::thread_x() < step) partial(cu::thread_x()) += partial(cu::thread_x() + step);
              cu::sync();
            }
            if (cu::thread_x() == 0) sum = partial(0);
          },
          how, seed);
      CHECK(error == "");
      CHECK(sum == expected);
    }
}

TEST_CASE("a missing barrier is a race in every order", "[cuda_host]") {
  for (const order how : {order::ascending, order::descending, order::random}) {
    const auto error = run(
        {{1, 1, 1}, {64, 1, 1}, 0},
        [&] {
          HOCKET_SHARED(tile, cu::array<float, 64>);
          tile(cu::thread_x()) = 1.0f;
          const float other = tile(63 - cu::thread_x());
          (void)other;
        },
        how);
    INFO(error);
    CHECK((contains(error, "race: executor.cpp:") || contains(error, "unwritten shared memory")));
  }
}

TEST_CASE("a write after another thread's read needs a barrier", "[cuda_host]") {
  const auto error = run({{1, 1, 1}, {64, 1, 1}, 0}, [&] {
    HOCKET_SHARED(tile, cu::array<float, 64>);
    tile(cu::thread_x()) = 1.0f;
    cu::sync();
    const float other = tile((cu::thread_x() + 1) % 64);
    tile(cu::thread_x()) = other + 1.0f;
  });
  INFO(error);
  CHECK(contains(error, "race: executor.cpp:"));
  CHECK(contains(error, "read by thread"));
}

TEST_CASE("a shuffle does not order shared memory, a warp barrier does", "[cuda_host]") {
  const auto body = [](bool with_barrier) {
    HOCKET_SHARED(tile, cu::array<float, 32>);
    tile(cu::thread_x()) = 1.0f;
    if (with_barrier) cu::sync_warp();
    cu::shfl(1.0f, 0);
    const float other = tile(31 - cu::thread_x());
    (void)other;
  };
  CHECK(contains(run({{1, 1, 1}, {32, 1, 1}, 0}, [&] { body(false); }), "race"));
  CHECK(run({{1, 1, 1}, {32, 1, 1}, 0}, [&] { body(true); }) == "");
  CHECK(contains(run({{1, 1, 1}, {64, 1, 1}, 0},
                     [&] {
                       HOCKET_SHARED(tile, cu::array<float, 64>);
                       tile(cu::thread_x()) = 1.0f;
                       cu::sync_warp();
                       const float other = tile(63 - cu::thread_x());
                       (void)other;
                     }),
                 "kernel block (0,0,0)"));
}

TEST_CASE("a barrier that not all threads reach is named with both places", "[cuda_host]") {
  const auto two_places = run({{1, 1, 1}, {64, 1, 1}, 0}, [] {
    if (cu::thread_x() < 32)
      cu::sync();
    else
      cu::sync();
  });
  INFO(two_places);
  CHECK(contains(two_places, "divergent barrier: executor.cpp:"));
  CHECK(contains(two_places, " and executor.cpp:"));
  const auto left_early = run({{1, 1, 1}, {64, 1, 1}, 0}, [] {
    if (cu::thread_x() == 5) return;
    cu::sync();
  });
  INFO(left_early);
  CHECK(contains(left_early, "waits for 1 threads that have left"));
}

TEST_CASE("a collective without one of its lanes names the lane", "[cuda_host]") {
  const auto error = run({{1, 1, 1}, {32, 1, 1}, 0}, [] {
    if (cu::thread_x() != 7) cu::shfl_xor(1.0f, 1);
  });
  INFO(error);
  CHECK(contains(error, "missing lane: shfl_xor at executor.cpp:"));
  CHECK(contains(error, "lane 7"));
  CHECK(contains(run({{1, 1, 1}, {40, 1, 1}, 0}, [] { cu::ballot(true); }), "missing lane"));
  const auto two_places = run({{1, 1, 1}, {32, 1, 1}, 0}, [] {
    if (cu::thread_x() < 16)
      cu::shfl(1.0f, 0);
    else
      cu::shfl(1.0f, 0);
  });
  INFO(two_places);
  CHECK(contains(two_places, "divergent collective: shfl at executor.cpp:"));
}

TEST_CASE("shared memory is poisoned for every block", "[cuda_host]") {
  const auto error = run({{2, 1, 1}, {32, 1, 1}, 0}, [] {
    HOCKET_SHARED(tile, cu::array<float, 32>);
    if (cu::block_x() == 0) tile(cu::thread_x()) = 1.0f;
    const float mine = tile(cu::thread_x());
    (void)mine;
  });
  INFO(error);
  CHECK(contains(error, "block (1,0,0)"));
  CHECK(contains(error, "read of unwritten shared memory: executor.cpp:"));
}

TEST_CASE("accesses out of bounds are found in shared and in global memory", "[cuda_host]") {
  CHECK(contains(run({{1, 1, 1}, {32, 1, 1}, 0},
                     [] {
                       HOCKET_SHARED(tile, cu::array<float, 4, 8>);
                       tile(4, cu::thread_x() % 8) = 1.0f;
                     }),
                 "out of bounds: executor.cpp:"));
  CHECK(contains(run({{1, 1, 1}, {32, 1, 1}, 0},
                     [] {
                       HOCKET_SHARED(tile, cu::array<float, 4, 8>);
                       tile(1, 8) = 1.0f;
                     }),
                 "column 8 of 8"));
#if !defined(HOCKET_ASAN_FIBERS)
  cuda_host::guarded_buffer<float> y(40, "y");
  const auto error = run({{2, 1, 1}, {32, 1, 1}, 0}, [&] { y.data()[cu::global_index()] = 1.0f; });
  INFO(error);
  CHECK(contains(error, "out of bounds: access to y, 0 bytes past its end"));
  CHECK(run({{2, 1, 1}, {32, 1, 1}, 0}, [&] {
          if (cu::inside(cu::global_index() < 40)) y.data()[cu::global_index()] = 1.0f;
        }) == "");
  // far from every buffer, as behind an index that was read past an end
  float* const far = y.data() + (std::size_t{1} << 44);
  CHECK(contains(run({{1, 1, 1}, {32, 1, 1}, 0}, [&] { far[cu::lane()] = 1.0f; }), "memory of no buffer"));
  // between the last element and the guard page
  cuda_host::machine machine;
  float* const odd = machine.allocate<float>(3, "odd");
  try {
    machine.run("kernel", {{1, 1, 1}, {1, 1, 1}, 0}, [&] { odd[3] = 1.0f; });
    FAIL("a write past the end was not noticed");
  } catch (const cuda_host::kernel_error& e) {
    CHECK(contains(e.what(), "kernel wrote past the end of odd"));
  }
#endif
}

TEST_CASE("an asynchronous copy must be waited for", "[cuda_host]") {
  alignas(16) float global[32 * 4];
  for (int i = 0; i < 128; ++i) global[i] = static_cast<float>(i);
  const auto body = [&](bool wait, bool barrier) {
    HOCKET_SHARED(tile, cu::array<float, 32, 4>);
    cu::copy_async16(tile.at(cu::thread_x()), global + 4 * cu::thread_x());
    cu::copy_commit();
    if (wait) cu::copy_wait<0>();
    if (barrier) cu::sync();
    const float other = tile(31 - cu::thread_x(), 3);
    if (other != static_cast<float>(4 * (31 - cu::thread_x()) + 3)) cuda_host::current().stop("wrong value");
  };
  CHECK(run({{1, 1, 1}, {32, 1, 1}, 0}, [&] { body(true, true); }) == "");
  CHECK(contains(run({{1, 1, 1}, {32, 1, 1}, 0}, [&] { body(false, true); }), "missing copy wait: executor.cpp:"));
  CHECK(contains(run({{1, 1, 1}, {32, 1, 1}, 0}, [&] { body(true, false); }), "kernel block"));
  CHECK(contains(run({{1, 1, 1}, {32, 1, 1}, 0},
                     [&] {
                       HOCKET_SHARED(tile, cu::array<float, 32, 5>);
                       cu::copy_async16(tile.at(cu::thread_x()), global + 4 * cu::thread_x());
                     }),
                 "misaligned"));
}

TEST_CASE("a wait for the older group leaves the younger one pending", "[cuda_host]") {
  alignas(16) float global[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  const auto error = run({{1, 1, 1}, {32, 1, 1}, 0}, [&] {
    HOCKET_SHARED(tile, cu::array<float, 2, 4>);
    if (cu::thread_x() == 0) {
      for (unsigned i = 0; i < 2; ++i) {
        cu::copy_async16(tile.at(i), global + 4 * i);
        cu::copy_commit();
      }
      cu::copy_wait<1>();
      if (static_cast<float>(tile(0, 3)) != 3.0f) cuda_host::current().stop("group 0 has not arrived");
      const float early = tile(1, 0);
      (void)early;
    }
  });
  INFO(error);
  CHECK(contains(error, "missing copy wait"));
}

TEST_CASE("collectives give what CUDA defines", "[cuda_host]") {
  const auto error = run({{1, 1, 1}, {32, 1, 1}, 0}, [] {
    const unsigned me = cu::lane();
    const auto require = [](bool ok, const char* what) {
      if (!ok) cuda_host::current().stop(what);
    };
    require(cu::shfl(me, 5) == 5, "shfl");
    require(cu::shfl_xor(me, 3) == (me ^ 3u), "shfl_xor");
    require(cu::shfl_down(me, 4) == (me + 4 < 32 ? me + 4 : me), "shfl_down");
    require(cu::shfl_up(me, 4) == (me >= 4 ? me - 4 : me), "shfl_up");
    require(cu::ballot(me % 2 == 1) == 0xaaaaaaaau, "ballot");
    require(cu::any(me == 31) && !cu::any(false), "any");
    require(cu::all(true) && !cu::all(me != 31), "all");
    require(cu::match_any(me / 16) == (me < 16 ? 0x0000ffffu : 0xffff0000u), "match_any");
    require(cu::reduce_add(me) == 496, "reduce_add");
    require(cu::reduce_max(me) == 31, "reduce_max");
    require(cu::warp_sum(1.0f) == 32.0f, "warp_sum");
    require(cu::warp_max(static_cast<float>(me)) == 31.0f, "warp_max");
  });
  CHECK(error == "");
}

TEST_CASE("a matrix product by fragments equals the plain sum", "[cuda_host]") {
  float a[16][16], b[16][8], d[16][8];
  for (int i = 0; i < 16; ++i)
    for (int k = 0; k < 16; ++k) a[i][k] = static_cast<float>((i * 7 + k * 3) % 11 - 5);
  for (int k = 0; k < 16; ++k)
    for (int j = 0; j < 8; ++j) b[k][j] = static_cast<float>((k * 5 + j) % 7 - 3);
  for (const bool brain : {false, true}) {
    const auto error = run({{1, 1, 1}, {32, 1, 1}, 0}, [&] {
      HOCKET_SHARED(sa, cu::array<std::uint16_t, 16, 24>);
      HOCKET_SHARED(sb, cu::array<std::uint16_t, 16, 8>);
      const auto bits = [&](float x) { return brain ? to_bf16(x).bits : to_f16(x).bits; };
      for (unsigned i = cu::lane(); i < 256; i += 32) sa(i / 16, i % 16) = bits(a[i / 16][i % 16]);
      for (unsigned i = cu::lane(); i < 128; i += 32) sb(i / 8, i % 8) = bits(b[i / 8][i % 8]);
      cu::sync_warp();
      unsigned fa[4], fb[2];
      cu::load_matrix_x4(fa, sa.at(cu::lane() % 16, cu::lane() / 16 * 8));
      cu::load_matrix_x2_trans(fb, sb.at(cu::lane() % 16));
      float acc[4] = {0, 0, 0, 0};
      if (brain)
        cu::mma_bf16(acc, fa, fb);
      else
        cu::mma_f16(acc, fa, fb);
      for (unsigned q = 0; q < 4; ++q) d[cu::lane() / 4 + 8 * (q / 2)][2 * (cu::lane() % 4) + q % 2] = acc[q];
    });
    CHECK(error == "");
    for (int i = 0; i < 16; ++i)
      for (int j = 0; j < 8; ++j) {
        float expected = 0;
        for (int k = 0; k < 16; ++k) expected += a[i][k] * b[k][j];
        CHECK(d[i][j] == expected);  // small integers: exact in every type
      }
  }
}

TEST_CASE("a mutation site can be found and broken at run time", "[cuda_host]") {
  const auto body = [] {
    HOCKET_SHARED(tile, cu::array<float, 64>);
    tile(cu::thread_x()) = 1.0f;
    cu::sync();
    const float other = tile(63 - cu::thread_x());
    (void)other;
  };
  cuda_host::mutations = {};
  cuda_host::mutations.recording = true;
  CHECK(run({{1, 1, 1}, {64, 1, 1}, 0}, body) == "");
  const auto sites = std::exchange(cuda_host::mutations, {}).seen;
  REQUIRE(sites.size() == 1);
  cuda_host::mutations.armed = &*sites.begin();
  CHECK(run({{1, 1, 1}, {64, 1, 1}, 0}, body) != "");
  CHECK(cuda_host::mutations.hits > 0);
  cuda_host::mutations = {};
  CHECK(run({{1, 1, 1}, {64, 1, 1}, 0}, body) == "");
}
