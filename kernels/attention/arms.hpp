// The attention arms of this build: forward and backward pass together, as a training step needs them.
#pragma once

#include <vector>

#include <hocket/core/arm.hpp>
#include <hocket/kernels/attention/cpu.hpp>

namespace hocket::kernels::attention {

/// Both passes and the workspace they need, in elements of the type that sums are kept in.
template <class S>
struct passes {
  std::size_t (*forward_workspace)(const cpu&, const shape&);
  std::size_t (*backward_workspace)(const cpu&, const shape&);
  void (*forward)(const cpu&, const shape&, const inputs<S>&, const outputs<S>&, accumulator<S>* workspace) noexcept;
  void (*backward)(const cpu&, const shape&, const inputs<S>&, const upstream<S>&, const gradients<S>&,
                   accumulator<S>* workspace) noexcept;
};
template <class S>
using attention_arm = arm<shape, passes<S>>;

inline bool any_shape(const shape&) { return true; }
/// In epsilon x max |v|, for scores of unit variance whose terms sum to at most sqrt(width): see promise_forward, which
/// takes the scores of the data. For bf16 it is that of the f32 arithmetic between storage and storage; the rounding of
/// probabilities and results to bf16 comes on top, two units in the last place of these.
inline double usual_promise(const shape& s) { return promise_forward(s, std::sqrt(static_cast<double>(s.width))); }
inline double flops_of_passes(const shape& s) { return flops_forward(s) + flops_backward(s); }
template <class S>
double bytes_of_passes(const shape& s) {
  return bytes_forward(s, sizeof(S)) + bytes_backward(s, sizeof(S));
}
template <class S>
concept attention_storage = Real<S> || std::is_same_v<S, bf16>;

/// S: float, double or bf16.
template <attention_storage S>
std::vector<attention_arm<S>> arms() {
  return {{"own",
           backend::cpu,
           dtype_of<S>,
           &any_shape,
           &usual_promise,
           &flops_of_passes,
           &bytes_of_passes<S>,
           {&forward_workspace<S>, &backward_workspace<S>, &forward<S>, &backward<S>}}};
}

}  // namespace hocket::kernels::attention
