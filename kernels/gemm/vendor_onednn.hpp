// oneDNN's f32 product (plain f32 arithmetic, no bf16) as the engine "onednn". Included by choice; link with -ldnnl.
#pragma once

#if defined(HOCKET_HAVE_ONEDNN)

#include <dnnl.h>

#include <hocket/kernels/gemm/engine.hpp>

namespace hocket::kernels::gemm {

inline void onednn(const shape& s, float alpha, const float* a, const float* b, float beta, float* c,
                   float* workspace) noexcept {
  if (s.m == 0 || s.n == 0 || s.k == 0) return own<float>(s, alpha, a, b, beta, c, workspace);
  const one_thread alone;
  const auto size = [](std::size_t n) { return static_cast<dnnl_dim_t>(n); };
  const dnnl_status_t status = dnnl_sgemm(s.transpose_a ? 'T' : 'N', s.transpose_b ? 'T' : 'N', size(s.m), size(s.n),
                                          size(s.k), alpha, a, size(s.lda), b, size(s.ldb), beta, c, size(s.ldc));
  if (status != dnnl_success) own<float>(s, alpha, a, b, beta, c, workspace);
}

inline const bool onednn_registered = register_engine<float>({"onednn", 20, &onednn});

}  // namespace hocket::kernels::gemm

#endif
