// The CUDA kernels of attention, forward and backward: sequences of a transformer's encoder, heads of every width they
// pad to.
#include <hocket/kernels/attention/shape.hpp>

#include "bench/support/bench.hpp"
#include "bench/support/cuda.hpp"

namespace {

namespace attention = hocket::kernels::attention;

const bool registered = hocket::bench::register_operation([] {
  for (const std::size_t rows : {512u, 2048u})
    for (const std::size_t width : {32u, 64u, 128u}) {
      const std::size_t batch = 8, heads = 16;
      const attention::shape s{batch, heads, heads, rows, rows, width, 0};
      const std::string shape = hocket::text("B=", batch, "/H=", heads, "/T=", rows, "/D=", width);
      const hocket::bench::dimensions sizes{{"batch", batch},  {"heads", heads}, {"kv_heads", heads},
                                            {"queries", rows}, {"keys", rows},   {"prefix", 0}};
      hocket::bench::add_cuda_arms(
          "attention", hocket::text("forward_d", width), shape, sizes, [s](std::size_t element) {
            return hocket::bench::cuda_work{attention::flops_forward(s), attention::bytes_forward(s, element)};
          });
      // all of the backward pass, under its first large kernel
      hocket::bench::add_cuda_arms(
          "attention", hocket::text("dq_d", width), shape + "/backward", sizes, [s](std::size_t element) {
            return hocket::bench::cuda_work{attention::flops_backward(s), attention::bytes_backward(s, element)};
          });
    }
});

}  // namespace
