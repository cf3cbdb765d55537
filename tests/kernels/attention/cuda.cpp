// The CUDA attention kernels on the host executor: masks, ragged and packed batches, prefixes, grouped heads, awkward
// sizes, everything outside the rows NaN; every order, both device generations.
#include <hocket/kernels/attention/cuda_launch.cuh>

#include "catch.hpp"
#include "cuda_host/machine.hpp"
#include "cuda_host/mutants.hpp"
#include "error_kind.hpp"
#include "kernels/attention/problem.hpp"

using namespace attention_test;

namespace {

/// Forward and backward pass of a problem on the executor.
template <class T>
answers<T> run(const problem<T>& p, const cuda_host::execution& how) {
  cuda_host::machine machine(how);
  const cuda_on_host device = machine.device();
  const auto upload = [&](const std::vector<std::uint32_t>& x, const char* name) -> const std::uint32_t* {
    return x.empty() ? nullptr : machine.upload(x, name);
  };
  const attention::ragged lengths{upload(p.query_lengths, "query lengths"), upload(p.key_lengths, "key lengths"),
                                  upload(p.q.starts, "query starts"), upload(p.kv.starts, "key starts")};
  const attention::inputs<T> in =
      p.inputs(machine.upload(p.q_data, "q"), machine.upload(p.k, "k"), machine.upload(p.v, "v"),
               machine.upload(p.prefix_k, "prefix k"), machine.upload(p.prefix_v, "prefix v"),
               machine.upload(p.bias, "bias"), lengths);
  const std::size_t rows = attention::gpu::workspace(p.s);
  T* const out = machine.allocate<T>(p.q.size, "out");
  float* const lse = machine.allocate<float>(rows, "lse");
  attention::gpu::forward<cuda_on_host, T>(device, p.s, in, {p.q.over(out), lse});
  T* const dq = machine.allocate<T>(p.q.size, "dq");
  T* const dk = machine.allocate<T>(p.kv.size, "dk");
  T* const dv = machine.allocate<T>(p.kv.size, "dv");
  T* const dprefix_k = machine.allocate<T>(p.prefix.size, "dprefix k");
  T* const dprefix_v = machine.allocate<T>(p.prefix.size, "dprefix v");
  const T* const kept = out;
  const T* const dout = machine.upload(p.dout, "dout");
  attention::gpu::backward<cuda_on_host, T>(
      device, p.s, in, p.q.over(kept), p.q.over(dout), lse,
      {p.q.over(dq), p.kv.over(dk), p.kv.over(dv), p.prefix.over(dprefix_k), p.prefix.over(dprefix_v)},
      machine.allocate<float>(rows, "workspace"));
  const auto copy = [](const auto* x, std::size_t n) { return std::vector(x, x + n); };
  return {copy(out, p.q.size),
          copy(dq, p.q.size),
          copy(dk, p.kv.size),
          copy(dv, p.kv.size),
          copy(dprefix_k, p.prefix.size),
          copy(dprefix_v, p.prefix.size),
          copy(lse, rows)};
}

template <class T>
void check(const std::vector<trial>& trials, const std::vector<cuda_host::execution>& orders) {
  for (const trial& t : trials) {
    const problem<T> p(t);
    const auto expected = p.expected();
    const auto peer = p.peer();
    const auto magnitudes = p.magnitudes();
    std::vector<answers<T>> all;
    for (const auto& how : orders) {
      all.push_back(run(p, how));
      const comparison result = judge(p, expected, peer, magnitudes, all.back());
      INFO(t.text() << ": " << result.message());
      CHECK(result);
      CHECK(same_bits(all[0], all.back()));
    }
  }
}

const std::vector<cuda_host::execution> two_orders = {{cuda_host::order::ascending, 1}, {cuda_host::order::random, 2}};

struct without_tensor_cores {
  without_tensor_cores() { cu::has_mma = false; }
  ~without_tensor_cores() { cu::has_mma = true; }
};

}  // namespace

TEST_CASE("attention on CUDA keeps its promise in every order, bit for bit", "[attention][cuda_host]") {
  cuda_host::launch_counts.clear();
  check<float>(small, cuda_host::all_orders());
  check<f16>(small, cuda_host::all_orders());
  check<bf16>(small, cuda_host::all_orders());
  const auto orders = cuda_host::all_orders().size();
  const auto dropping =
      static_cast<std::size_t>(std::count_if(small.begin(), small.end(), [](const trial& t) { return t.dropout > 0; }));
  for (const char* type : {"f32", "f16", "bf16"}) {
    const auto count = [&](const char* kernel) {
      return cuda_host::launch_counts[text("hocket_attention_", kernel, type)];
    };
    CHECK(count("delta_") == small.size() * orders);
    for (const char* pass : {"forward", "dq", "dkv"}) {
      CHECK(count(text(pass, "_d32_").c_str()) == (small.size() - dropping) * orders);
      CHECK(count(text(pass, "_d32_drop_").c_str()) == dropping * orders);
    }
  }
}

TEST_CASE("attention on CUDA at awkward sizes", "[attention][cuda_host]") {
  check<float>(more, two_orders);
  check<f16>(more, {{}});
  check<bf16>(more, {{}});
}

TEST_CASE("attention on CUDA without tensor cores", "[attention][cuda_host]") {
  const without_tensor_cores older;
  check<f16>(small, {{}});
  check<bf16>(more, {{}});
}

TEST_CASE("attention on CUDA around every tile border", "[attention][cuda_host][.long]") {
  std::vector<trial> trials;
  for (const std::size_t queries : std::initializer_list<std::size_t>{1, 15, 16, 17, 63, 64, 65})
    for (const std::size_t keys : std::initializer_list<std::size_t>{1, 15, 16, 17, 63, 64, 65})
      for (const std::size_t width : std::initializer_list<std::size_t>{32, 64, 96, 128})
        trials.push_back({1, 1, 1, queries, keys, width, (queries + keys) % 3, keys % 2 == 0, queries % 5});
  check<float>(trials, {{}});
  check<f16>(trials, {{}});
}

TEST_CASE("rows that see no key give zeros on CUDA", "[attention][cuda_host]") {
  for (trial t : {trial{1, 1, 1, 5, 2, 8, 0, true},
                  trial{1, 1, 1, 3, 7, 8, 0, false, 0, lengths::full, false, true, 0, true, 0, true}}) {
    const problem<float> p(t);
    const auto a = run(p, {});
    const std::size_t row = t.blind ? 1 : 0;
    CHECK(a.lse[row] == -std::numeric_limits<float>::infinity());
    for (std::size_t d = 0; d < t.width; ++d) {
      CHECK(a.out[p.q.index(0, 0, row, d)] == 0);
      CHECK(a.dq[p.q.index(0, 0, row, d)] == 0);
    }
  }
}

TEST_CASE("the attention tests notice damage to the kernels", "[attention][cuda_host][mutation]") {
  const std::vector<trial> f32_trials = {small[1], small[2], small[3], small[4], more[4], more[10]};
  const std::vector<trial> half_trials = {small[1], small[2], small[3], small[4], more[4], more[7], more[9], more[10]};
  const auto try_type = [](auto zero, const std::vector<trial>& trials) {
    using T = decltype(zero);
    struct known {
      problem<T> p;
      typename problem<T>::expectation expected;
      typename problem<T>::naive peer;
      typename problem<T>::scales magnitudes;
    };
    std::vector<known> all;
    for (const trial& t : trials) {
      problem<T> p(t);
      auto expected = p.expected();
      auto peer = p.peer();
      auto magnitudes = p.magnitudes();
      all.push_back({std::move(p), std::move(expected), std::move(peer), magnitudes});
    }
    return cuda_host::try_mutants([&] {
      for (const known& k : all)
        if (!judge(k.p, k.expected, k.peer, k.magnitudes, run(k.p, {}))) return false;
      return true;
    });
  };
  for (const auto& report : {try_type(0.0f, f32_trials), try_type(f16{}, half_trials)}) {
    INFO(report.message());
    CHECK(report.total() >= 20);
    CHECK(report.survivors.empty());
  }
}

TEST_CASE("attention on CUDA refuses what does not fit", "[attention][cuda_host]") {
  cuda_host::machine machine;
  float* const x = machine.allocate<float>(4096, "x");
  std::vector<float> host(4096);
  const auto kind_of = [&](attention::shape s, const float* q, const attention::inputs<float>& more_in = {}) {
    attention::inputs<float> in = more_in;
    in.q = attention::heads_outside(q, s.heads, s.queries, s.width);
    const float* const device = x;
    in.k = in.v = attention::heads_outside(device, s.kv_heads, s.keys, s.width);
    return tests::kind_of([&] {
      attention::gpu::forward<cuda_on_host, float>(machine.device(), s, in,
                                                   {attention::heads_outside(x, s.heads, s.queries, s.width), x});
    });
  };
  CHECK(kind_of({1, 1, 1, 4, 4, 129, 0}, x) == "unsupported_shape");
  CHECK(kind_of({1, 3, 2, 4, 4, 8, 0}, x) == "unsupported_shape");
  CHECK(kind_of({1, 1, 1, 4, 4, 0, 0}, x) == "unsupported_shape");
  CHECK(kind_of({1, 1, 1, 4, 4, 8, 0}, host.data()) == "bad_pointer");
  CHECK(kind_of({9, 8, 8, 8, 8, 8, 0}, x) == "bad_pointer");
  CHECK(kind_of({1, 1, 1, 4, 4, 8, 0, false, 0, std::numeric_limits<double>::quiet_NaN()}, x) == "bad_option");
  attention::inputs<float> packed;
  const std::uint32_t zero = 0;
  packed.lengths.key_starts = machine.upload(std::vector<std::uint32_t>{zero}, "starts");
  CHECK(kind_of({1, 1, 1, 4, 4, 8, 0}, x, packed) == "bad_option");
  CHECK(kind_of({0, 1, 1, 4, 4, 8, 0}, nullptr) == "accepted");
}
