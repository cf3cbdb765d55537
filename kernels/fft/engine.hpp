// Real transforms that other libraries provide, one row at a time. A vendor header registers its engine under a name
// when it is included; who plans by name ("own", "fftw") gets it without knowing the library.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/core/dtype.hpp>
#include <hocket/core/error.hpp>

namespace hocket::kernels::fft {

/// One planned length. forward: `in` (n) real -> `out` (n / 2 + 1) pairs (re, im); both are aligned to 64 bytes, `in`
/// is kept. May be called from several threads on distinct rows.
template <Real T>
class row_engine {
 public:
  virtual ~row_engine() = default;
  virtual void forward(const T* in, T* out) const noexcept = 0;
};

template <Real T>
using engine_maker = std::unique_ptr<row_engine<T>> (*)(std::size_t n);

/// Engines registered so far, beside "own".
template <Real T>
std::vector<std::pair<std::string, engine_maker<T>>>& engines() {
  static std::vector<std::pair<std::string, engine_maker<T>>> known;
  return known;
}

/// For a vendor header's inline variable: registers once per program, however many units include the header.
template <Real T>
bool register_engine(std::string_view name, engine_maker<T> make) {
  for (const auto& entry : engines<T>())
    if (entry.first == name) return true;
  engines<T>().emplace_back(std::string(name), make);
  return true;
}

/// Null for "own". Throws not_built for a name that nobody registered.
template <Real T>
std::unique_ptr<row_engine<T>> make_engine(std::string_view name, std::size_t n) {
  if (name == "own") return nullptr;
  std::string known = "own";
  for (const auto& [candidate, make] : engines<T>()) {
    if (candidate == name) return make(n);
    known += ", " + candidate;
  }
  fail(errc::not_built, "FFT engine \"", name, "\" is not in this program (known: ", known,
       "); include its header, e.g. <hocket/kernels/fft/vendor_fftw.hpp> for \"fftw\"");
}

}  // namespace hocket::kernels::fft
