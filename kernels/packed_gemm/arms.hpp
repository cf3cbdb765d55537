// The packed products of this build. Magnitude for promises: k max|A| max|B|.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include <hocket/core/arm.hpp>
#include <hocket/core/buffer.hpp>
#include <hocket/kernels/packed_gemm/cpu.hpp>
#include <hocket/kernels/packed_gemm/reference.hpp>

namespace hocket::kernels::packed_gemm {

/// C (m,n) = A (m,k) B (k,n), all dense; B is given turned, as a weight (n,k).
struct shape {
  std::size_t m = 0, n = 0, k = 0;
};

/// A packed B: made once, run many times on the calling thread.
template <Real T>
class packed_product {
 public:
  virtual ~packed_product() = default;
  virtual void run(const T* a, T* c) noexcept = 0;
};
template <Real T>
using make_packed = std::unique_ptr<packed_product<T>> (*)(const shape&, const T* weight);

/// Against the product of the rounded operands: sums of k products in f32 err by less than k epsilon / 2 of the
/// magnitude and, as rounding is not all of one sign, by far less; int8 sums are exact. Against that of the operands as
/// they are, bf16 adds two roundings of 2^-9, int8 two of half a step: reference.hpp rounds as the arm does.
inline double sum_promise(const shape&) { return 1; }
inline bool any_shape(const shape&) { return true; }
inline double multiply_add_flops(const shape& s) {
  return 2 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
}
/// A and C in T, B in `Bytes` an element.
template <Real T, std::size_t Bytes>
double moved_bytes(const shape& s) {
  const double m = static_cast<double>(s.m), n = static_cast<double>(s.n), k = static_cast<double>(s.k);
  return static_cast<double>(sizeof(T)) * (m * k + m * n) + static_cast<double>(Bytes) * k * n;
}

template <Real T>
struct packed_arm : arm<shape, make_packed<T>> {
  precision kind;
};

template <Real T, precision P>
class own_product final : public packed_product<T> {
 public:
  own_product(const shape& s, const T* weight)
      : s_(s), packed_(packed_bytes<T>(P, s.n, s.k)), workspace_(workspace_bytes<T>(P, s.m, s.k)) {
    const part<T> whole{weight, s.k, s.n, 0, all_of_line, T{1}};
    pack<T>(P, s.k, s.n, {&whole, 1}, true, 0, strips_of<T>(s.n), packed_.data());
  }
  static std::unique_ptr<packed_product<T>> make(const shape& s, const T* weight) {
    return std::make_unique<own_product>(s, weight);
  }
  void run(const T* a, T* c) noexcept override {
    multiply<T>(P, s_.m, s_.n, s_.k, a, s_.k, packed_.data(), c, s_.n, workspace_.data());
  }

 private:
  shape s_;
  buffer<std::byte> packed_, workspace_;
};

template <Real T, precision P, std::size_t Bytes>
packed_arm<T> own_arm(std::string_view name) {
  return {{name, backend::cpu, dtype_of<T>, &any_shape, &sum_promise, &multiply_add_flops, &moved_bytes<T, Bytes>,
           &own_product<T, P>::make},
          P};
}

template <Real T>
std::vector<packed_arm<T>> arms() {
  std::vector<packed_arm<T>> list{own_arm<T, precision::native, sizeof(T)>("own")};
  if constexpr (std::is_same_v<T, float>) {
    list.push_back(own_arm<T, precision::bf16, 2>("own-bf16"));
    list.push_back(own_arm<T, precision::int8, 1>("own-int8"));
    list.push_back(own_arm<T, precision::split, 6>("own-split"));
  }
  return list;
}

}  // namespace hocket::kernels::packed_gemm
