// The one product call: C = alpha op(A) op(B) + beta C and the Gram matrix X^T X, on row-major views, by whichever
// engine the program has (kernels/gemm/engine.hpp). The work is cut into tiles that depend on the shape alone and every
// engine runs on one thread per tile, so any number of threads gives the same bits.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/core/device.hpp>
#include <hocket/core/parallel.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/gemm/engine.hpp>

namespace hocket::linalg {

enum class transpose { no, yes };

struct gemm_options {
  std::string engine = "best";
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("engine", self.engine, "best, own, or a registered vendor: blas, onednn, eigen");
  }
};

/// An engine with scratch memory for `workers` concurrent calls: made once, used many times without allocating.
template <Real T>
class gemm_plan {
 public:
  explicit gemm_plan(const gemm_options& options = {}, const cpu& device = {})
      : engine_(kernels::gemm::find_engine<T>(options.engine)), device_(device) {
    require_threads(device);
    for (int worker = 0; worker < device.threads; ++worker) scratch_.emplace_back(kernels::gemm::workspace_size);
  }

  const cpu& device() const { return device_; }
  std::string_view engine_name() const { return engine_.name; }

  /// One product on the calling thread, as worker `worker` of device().threads.
  void tile(const kernels::gemm::shape& s, T alpha, const T* a, const T* b, T beta, T* c, std::size_t worker) noexcept {
    engine_.run(s, alpha, a, b, beta, c, scratch_[worker].data());
  }

  /// C (m,n) = alpha op(A) op(B) + beta C over tiles of C. `device` may use fewer threads than the plan holds.
  void run(T alpha, view<const T, 2> a, transpose turn_a, view<const T, 2> b, transpose turn_b, T beta, view<T, 2> c) {
    const std::size_t m = c.extent(0), n = c.extent(1);
    const std::size_t k = a.extent(turn_a == transpose::yes ? 0 : 1);
    // whole rows of C per tile while C is narrow; square tiles when it is wide
    const std::size_t rows = n <= wide_ ? 192 : 384, columns = n <= wide_ ? std::max<std::size_t>(n, 1) : wide_;
    const std::size_t down = (m + rows - 1) / rows, across = (n + columns - 1) / columns;
    for_each_tile(
        device_, down * across,
        [&](std::size_t index, std::size_t worker) {
          const std::size_t i = index / across * rows, j = index % across * columns;
          const kernels::gemm::shape s{std::min(rows, m - i),
                                       std::min(columns, n - j),
                                       k,
                                       turn_a == transpose::yes,
                                       turn_b == transpose::yes,
                                       a.stride(0),
                                       b.stride(0),
                                       c.stride(0)};
          tile(s, alpha, a.data() + (s.transpose_a ? i : i * s.lda), b.data() + (s.transpose_b ? j * s.ldb : j), beta,
               c.data() + i * s.ldc + j, worker);
        },
        true);
  }

 private:
  static constexpr std::size_t wide_ = 512;
  kernels::gemm::engine<T> engine_;
  cpu device_;
  std::vector<buffer<T>> scratch_;
};

/// C = alpha op(A) op(B) + beta C. Throws unsupported_shape when the views do not fit, not_built for an unknown engine.
template <Real T>
void gemm(T alpha, view<const T, 2> a, transpose turn_a, view<const T, 2> b, transpose turn_b, T beta, view<T, 2> c,
          const gemm_options& options = {}, const cpu& device = {}) {
  const std::size_t ma = a.extent(turn_a == transpose::yes ? 1 : 0), ka = a.extent(turn_a == transpose::yes ? 0 : 1);
  const std::size_t kb = b.extent(turn_b == transpose::yes ? 1 : 0), nb = b.extent(turn_b == transpose::yes ? 0 : 1);
  expects(ka == kb && ma == c.extent(0) && nb == c.extent(1), errc::unsupported_shape, "gemm: op(A) is ", ma, " x ", ka,
          ", op(B) is ", kb, " x ", nb, ", C is ", to_text(c.extents()));
  gemm_plan<T> plan(options, device);
  plan.run(alpha, a, turn_a, b, turn_b, beta, c);
}

}  // namespace hocket::linalg

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in linalg/instances.cpp
namespace hocket::linalg {
HOCKET_LINALG_INSTANCE class gemm_plan<float>;
HOCKET_LINALG_INSTANCE class gemm_plan<double>;
}  // namespace hocket::linalg
#endif
