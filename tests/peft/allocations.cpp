// The counters of this program's tests; in a file of their own, because a compiler that sees both ends of an allocation
// takes them for mismatched.
#define HOCKET_COUNT_ALLOCATIONS
#include <hocket/measure/allocations.hpp>
