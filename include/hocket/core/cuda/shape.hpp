// The shape of a launch, for GPU and host executor alike.
#pragma once

#include <cstddef>

namespace hocket {

struct extent3 {
  unsigned x = 1, y = 1, z = 1;
};

/// Grid and block as CUDA counts them, and the bytes of dynamic shared memory of a block.
struct launch_shape {
  extent3 grid, block;
  std::size_t dynamic_shared_bytes = 0;
};

}  // namespace hocket
