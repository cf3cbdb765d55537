// expect: (no viable conversion|could not convert|no matching|cannot convert)
#include <hocket/core/view.hpp>

void takes_matrix(hocket::view<const float, 2>);

void call(hocket::view<const float, 1> vector) {
#if !defined(HOCKET_RIGHT)
  takes_matrix(vector);
#else
  takes_matrix({vector.data(), {1, vector.extent(0)}});
#endif
}
