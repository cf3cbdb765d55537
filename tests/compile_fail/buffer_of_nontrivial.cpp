// expect: a buffer holds trivial elements
#include <string>

#include <hocket/core/buffer.hpp>

#if !defined(HOCKET_RIGHT)
using element = std::string;
#else
using element = float;
#endif
hocket::buffer<element> storage(4);
