// Catch2 v2 (Debian 12) and v3 under one include.
#pragma once

#if HOCKET_CATCH_MAJOR == 2
#include <catch2/catch.hpp>
#else
#include <catch2/catch_all.hpp>

namespace Catch {
inline auto Contains(const std::string& part) { return Matchers::ContainsSubstring(part); }  // its name in v2
}  // namespace Catch
using Catch::Approx;  // as v2 has it
#endif
