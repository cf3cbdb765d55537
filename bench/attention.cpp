// Every arm of kernels/attention on one thread, forward and forward + backward: the head shapes of small encoders, and
// a long sequence.
#include <memory>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/kernels/attention/arms.hpp>
#include <hocket/kernels/attention/reference.hpp>

#include "bench/support/bench.hpp"

namespace {

namespace attention = hocket::kernels::attention;
using hocket::bench::ready;

/// One problem and its answers, (B, T, H, D).
template <class T>
struct problem {
  attention::shape s;
  std::vector<T> q, k, v, dout, out, dq, dk, dv, lse;
  hocket::buffer<T> workspace;

  problem(const attention::attention_arm<T>& arm, const attention::shape& sizes) : s(sizes) {
    const std::size_t size = s.batch * s.heads * s.queries * s.width;
    q = hocket::bench::normal_values<T>(size, 1);
    k = hocket::bench::normal_values<T>(size, 2);
    v = hocket::bench::normal_values<T>(size, 3);
    dout = hocket::bench::normal_values<T>(size, 4);
    for (auto* x : {&out, &dq, &dk, &dv}) x->assign(size, T(0));
    lse.assign(s.batch * s.heads * s.queries, T(0));
    const hocket::cpu one{1};
    workspace = hocket::buffer<T>(std::max(arm.run.forward_workspace(one, s), arm.run.backward_workspace(one, s)));
  }
  template <class U>
  attention::rows_of<U> rows(U* x) const {
    return attention::heads_inside(x, s.heads, s.queries, s.width);
  }
  attention::inputs<T> inputs() const {
    attention::inputs<T> in;
    in.q = rows(q.data());
    in.k = rows(k.data());
    in.v = rows(v.data());
    return in;
  }
  void forward(const attention::attention_arm<T>& arm) {
    arm.run.forward({1}, s, inputs(), {rows(out.data()), lse.data()}, workspace.data());
  }
  void backward(const attention::attention_arm<T>& arm) {
    const T* const made = out.data();
    const T* const up = dout.data();
    arm.run.backward({1}, s, inputs(), {rows(made), rows(up), lse.data()},
                     {rows(dq.data()), rows(dk.data()), rows(dv.data())}, workspace.data());
  }
};

/// Rows 0, 1 and the last of the last head against the reference; the magnitude of the promise is max |v|.
template <class T>
hocket::comparison check(const attention::attention_arm<T>& arm, const problem<T>& p) {
  hocket::comparison result;
  const double largest = hocket::max_abs(p.v.data(), p.v.size());
  const std::size_t b = p.s.batch - 1, h = p.s.heads - 1;
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}, p.s.queries - 1}) {
    const auto row = attention::reference::row_at(p.s, p.inputs(), b, h, i);
    for (std::size_t d = 0; d < p.s.width; ++d) {
      double wanted = 0;
      for (std::size_t j = 0; j < row.keys.size(); ++j) wanted += static_cast<double>(row.p[j] * row.keys[j].v[d]);
      result.add(std::abs(static_cast<double>(p.rows(p.out.data()).at(b, h, i)[d]) - wanted),
                 arm.promise(p.s) * hocket::rounding<T>(largest));
    }
  }
  return result;
}

template <class T>
void add_arms() {
  struct size {
    std::size_t batch, heads, length, width;
    bool causal;
  };
  const size sizes[] = {
      {8, 12, 128, 32, false}, {4, 12, 512, 64, false}, {4, 12, 512, 64, true}, {1, 8, 2048, 64, false}};
  for (const size& one : sizes) {
    const attention::shape s{one.batch, one.heads, one.heads,  one.length, one.length,
                             one.width, 0,         one.causal, 0,          attention::usual_scale(one.width)};
    const std::string shape = hocket::text("b=", one.batch, "/h=", one.heads, "/t=", one.length, "/d=", one.width,
                                           one.causal ? "/causal" : "");
    for (const auto& arm : attention::arms<T>()) {
      if (!arm.accepts(s)) continue;
      const auto add = [&](const char* pass, double flops, double bytes, bool backward) {
        hocket::bench::subjects().push_back({"attention", pass + ("/" + shape), std::string(arm.name),
                                             std::string(name_of(arm.type)), flops, bytes,
                                             static_cast<double>(one.batch * one.length), "tokens", [arm, s, backward] {
                                               auto p = std::make_shared<problem<T>>(arm, s);
                                               ready made;
                                               made.run = [=] {
                                                 p->forward(arm);
                                                 if (backward) p->backward(arm);
                                               };
                                               made.run();
                                               made.check = check(arm, *p);
                                               return made;
                                             }});
      };
      add("forward", attention::flops_forward(s), attention::bytes_forward(s, sizeof(T)), false);
      add("forward_backward", arm.flops(s), arm.bytes(s), true);
    }
  }
}

const bool registered = hocket::bench::register_operation([] {
  add_arms<float>();
  add_arms<double>();
});

}  // namespace
