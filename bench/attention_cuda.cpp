// The CUDA kernels of attention, forward: sequences of a transformer's encoder, heads of every width they pad to.
#include <hocket/kernels/attention/shape.hpp>

#include "bench/support/bench.hpp"
#include "bench/support/cuda.hpp"

namespace {

namespace attention = hocket::kernels::attention;

const bool registered = hocket::bench::register_operation([] {
  for (const std::size_t rows : {512, 2048})
    for (const std::size_t width : {32, 64, 128}) {
      const std::size_t batch = 8, heads = 16;
      const attention::shape s{batch, heads, heads, rows, rows, width, 0};
      hocket::bench::add_cuda_arms(
          "attention", hocket::text("forward_d", width),
          hocket::text("B=", batch, "/H=", heads, "/T=", rows, "/D=", width),
          {{"batch", batch}, {"heads", heads}, {"queries", rows}}, [s](std::size_t element) {
            return hocket::bench::cuda_work{attention::flops_forward(s), attention::bytes_forward(s, element)};
          });
    }
});

}  // namespace
