// expect: (read-only|const)
#include <hocket/core/view.hpp>

void fill(hocket::view<const float, 1> samples) {
#if !defined(HOCKET_RIGHT)
  samples(0) = 1.0F;
#else
  [[maybe_unused]] const float first = samples(0);
#endif
}
