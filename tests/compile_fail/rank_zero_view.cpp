// expect: a view has at least one dimension
#include <hocket/core/view.hpp>

#if !defined(HOCKET_RIGHT)
hocket::view<float, 0> scalar;
#else
hocket::view<float, 1> scalar;
#endif
