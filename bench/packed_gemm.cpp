// The packed products of kernels/packed_gemm on one thread, f32, bf16 and int8, at the shapes of MiniLM's layers;
// beside them oneDNN's with weights in its own layout, as limits.
#include <memory>
#include <string>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/core/tensor.hpp>
#include <hocket/kernels/gemm/engine.hpp>
#include <hocket/kernels/packed_gemm/arms.hpp>

#include "bench/support/bench.hpp"
#include "bench/support/onednn_packed.hpp"

namespace {

namespace packed = hocket::kernels::packed_gemm;
using hocket::bench::ready;

struct operands {
  hocket::buffer<float> a, weight, c;
  explicit operands(const packed::shape& s)
      : a(hocket::bench::aligned_normals<float>(s.m * s.k, 1)),
        weight(hocket::bench::aligned_normals<float>(s.n * s.k, 2)),
        c(s.m * s.n) {}
};

/// Row 0 and the last against the product of the operands as the arm rounds them.
hocket::comparison check(packed::precision kind, const packed::shape& s, const operands& o, double promise) {
  const auto column_of_b = [&](std::size_t j, std::size_t p) { return o.weight.data()[j * s.k + p]; };
  hocket::tensor<float> b({s.k, s.n}), a({2, s.k});
  for (std::size_t j = 0; j < s.n; ++j)
    for (std::size_t p = 0; p < s.k; ++p) b.as_view()(p, j) = column_of_b(j, p);
  std::copy_n(o.a.data(), s.k, a.data());
  std::copy_n(o.a.data() + (s.m - 1) * s.k, s.k, a.data() + s.k);
  hocket::tensor<double> wanted({2, s.n});
  packed::reference::product<float>(kind, std::as_const(a).as_view(), std::as_const(b).as_view(), wanted.as_view());
  const double magnitude = static_cast<double>(s.k) * hocket::max_abs(o.a.data(), o.a.size()) *
                           hocket::max_abs(o.weight.data(), o.weight.size());
  hocket::comparison result;
  for (std::size_t j = 0; j < s.n; ++j)
    for (const std::size_t row : {std::size_t{0}, std::size_t{1}})
      result.add(
          std::abs(static_cast<double>(o.c.data()[(row == 0 ? 0 : s.m - 1) * s.n + j]) - wanted.data()[row * s.n + j]),
          promise * hocket::rounding<float>(magnitude));
  return result;
}

void add(const packed::shape& s) {
  const std::string shape = hocket::text("m=", s.m, "/n=", s.n, "/k=", s.k);
  for (const auto& arm : packed::arms<float>()) {
    hocket::bench::subjects().push_back({"packed_gemm", shape, std::string(arm.name), std::string(name_of(arm.type)),
                                         arm.flops(s), arm.bytes(s), 1, "products", [arm, s] {
                                           auto o = std::make_shared<operands>(s);
                                           std::shared_ptr<packed::packed_product<float>> product =
                                               arm.run(s, o->weight.data());
                                           ready made;
                                           made.run = [=] { product->run(o->a.data(), o->c.data()); };
                                           made.run();
                                           made.check = check(arm.kind, s, *o, arm.promise(s));
                                           return made;
                                         }});
  }
#if defined(HOCKET_HAVE_ONEDNN)
  for (const packed::precision kind : {packed::precision::native, packed::precision::bf16, packed::precision::int8}) {
    const std::string name = kind == packed::precision::native ? "f32" : std::string(hocket::name_of(kind));
    hocket::bench::subjects().push_back(
        {"packed_gemm", shape, "limit-onednn-" + name, "f32", packed::multiply_add_flops(s), 0, 1, "products",
         [kind, s] {
           const operands o(s);
           auto product =
               std::make_shared<hocket::bench::onednn_packed>(kind, s.m, s.n, s.k, o.a.data(), o.weight.data());
           ready made;
           made.run = [product] {
             const hocket::kernels::gemm::one_thread alone;
             product->run();
           };
           made.run();
           made.check.add(0, 0);  // another library's product: a limit, whose numbers are its own
           return made;
         }});
  }
#endif
}

const bool registered = hocket::bench::register_operation([] {
  for (const packed::shape& s : {packed::shape{2048, 1152, 384}, packed::shape{2048, 1536, 384},
                                 packed::shape{2048, 384, 1536}, packed::shape{64, 1536, 384}})
    add(s);
});

}  // namespace
