// Every attention arm against PyTorch's scaled_dot_product_attention and its gradients, by the 2x rule.
#include <hocket/kernels/attention/arms.hpp>

#include "catch.hpp"
#include "kernels/attention/problem.hpp"
#include "kernels/attention/torch_oracle.hpp"
#include "machine_sets.hpp"

using namespace attention_test;

namespace {

template <class T>
std::vector<T> as(const std::vector<float>& x) {
  std::vector<T> out(x.size());
  std::transform(x.begin(), x.end(), out.begin(), [](float value) { return make<T>(value); });
  return out;
}

template <class T>
std::vector<double> widened(const std::vector<T>& x) {
  std::vector<double> out(x.size());
  std::transform(x.begin(), x.end(), out.begin(), [](T each) { return value(each); });
  return out;
}

}  // namespace

TEMPLATE_TEST_CASE("attention is PyTorch's, forward and backward", "[attention]", float, double, bf16) {
  using T = TestType;
  using A = attention::accumulator<T>;
  const std::string peer = std::is_same_v<T, bf16> ? "bf16" : "f32";
  for (const std::string& name : torch_cases) {
    const torch_case given(name);
    const attention::shape& s = given.s;
    const auto q = as<T>(given.given("q")), k = as<T>(given.given("k")), v = as<T>(given.given("v")),
               dout = as<T>(given.given("dout")), prefix_k = as<T>(given.given("prefix_k")),
               prefix_v = as<T>(given.given("prefix_v"));
    const auto bias = as<A>(given.given("bias"));
    const auto rows = [&](auto* data, std::size_t heads, std::size_t count) {
      return attention::heads_outside(data, heads, count, s.width);
    };
    const auto shared = [&](auto* data) {
      auto place = rows(data, s.kv_heads, s.prefix);
      place.batch = 0;
      return place;
    };
    attention::inputs<T> in{rows(q.data(), s.heads, s.queries), rows(k.data(), s.kv_heads, s.keys),
                            rows(v.data(), s.kv_heads, s.keys), shared(prefix_k.data()), shared(prefix_v.data())};
    if (!bias.empty()) in.bias = {bias.data(), 0, s.queries * s.keys, s.keys};
    for (const auto& arm : attention::arms<T>())
      for (const auto& mode : tests::machine_modes(std::is_same_v<T, bf16>)) {
        const tests::on_mode guard(mode);
        std::vector<T> out(q.size()), dq(q.size()), dk(k.size()), dv(k.size()), dpk(prefix_k.size()),
            dpv(prefix_k.size());
        std::vector<A> lse(s.batch * s.heads * s.queries);
        const cpu device{2};
        std::vector<A> work(std::max(arm.run.forward_workspace(device, s), arm.run.backward_workspace(device, s)));
        arm.run.forward(device, s, in, {rows(out.data(), s.heads, s.queries), lse.data()}, work.data());
        const T *const made = out.data(), *const up = dout.data();
        arm.run.backward(device, s, in, {rows(made, s.heads, s.queries), rows(up, s.heads, s.queries), lse.data()},
                         {rows(dq.data(), s.heads, s.queries), rows(dk.data(), s.kv_heads, s.keys),
                          rows(dv.data(), s.kv_heads, s.keys), shared(dpk.data()), shared(dpv.data())},
                         work.data());
        const auto check = [&](const char* what, const std::vector<T>& ours) {
          if (ours.empty()) return;
          const comparison result = given.judge(widened(ours), peer, what, epsilon_of<T>);
          INFO(name << " " << arm.name << " " << mode.text() << " " << what << ": " << result.message());
          CHECK(result);
        };
        check("out", out);
        check("dq", dq);
        check("dk", dk);
        check("dv", dv);
        check("dprefix_k", dpk);
        check("dprefix_v", dpv);
      }
  }
}
