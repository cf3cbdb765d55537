// expect: (no viable conversion|could not convert|no matching|conversion from)
#include <hocket/core/view.hpp>

hocket::view<float, 1> drop_const(hocket::view<const float, 1> samples) {
#if !defined(HOCKET_RIGHT)
  return samples;
#else
  return {const_cast<float*>(samples.data()), samples.extents()};
#endif
}
