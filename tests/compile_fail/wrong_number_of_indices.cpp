// expect: (constraint|no match|no matching)
#include <hocket/core/view.hpp>

float at(hocket::view<const float, 2> matrix) {
#if !defined(HOCKET_RIGHT)
  return matrix(3);
#else
  return matrix(3, 0);
#endif
}
