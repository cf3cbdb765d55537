// One pass over rows each; compiled once per instruction set (core/simd_each.hpp).

namespace hocket::kernels::centre::HOCKET_SIMD_NS {

inline constexpr std::size_t lanes = HOCKET_SIMD_BYTES / sizeof(double);  ///< in f64, for both element types
template <class T>
struct simd {
  typedef T type __attribute__((vector_size(lanes * sizeof(T))));
  typedef T unaligned __attribute__((vector_size(lanes * sizeof(T)), aligned(sizeof(T)), may_alias));
};
using wide = simd<double>::type;
using wide_unaligned = simd<double>::unaligned;

template <class T>
HOCKET_ALWAYS_INLINE wide load(const T* x) {
  return __builtin_convertvector(typename simd<T>::type(*reinterpret_cast<const typename simd<T>::unaligned*>(x)),
                                 wide);
}

template <class T>
void column_sums(std::size_t rows, std::size_t columns, const T* x, std::size_t ldx, const T* origin,
                 double* sums) noexcept {
  for (std::size_t i = 0; i < rows; ++i, x += ldx) {
    std::size_t j = 0;
    for (; j + lanes <= columns; j += lanes) {
      wide_unaligned* sum = reinterpret_cast<wide_unaligned*>(sums + j);
      *sum = wide_unaligned(wide(*sum) + (load(x + j) - load(origin + j)));
    }
    for (; j < columns; ++j) sums[j] += static_cast<double>(x[j]) - static_cast<double>(origin[j]);
  }
}

template <class T>
void subtract(std::size_t rows, std::size_t columns, const T* x, std::size_t ldx, const T* high, const T* low, T* out,
              std::size_t ldout) noexcept {
  typedef T full_unaligned __attribute__((vector_size(HOCKET_SIMD_BYTES), aligned(sizeof(T)), may_alias));
  typedef T full __attribute__((vector_size(HOCKET_SIMD_BYTES)));
  constexpr std::size_t width = HOCKET_SIMD_BYTES / sizeof(T);
  for (std::size_t i = 0; i < rows; ++i, x += ldx, out += ldout) {
    std::size_t j = 0;
    for (; j + width <= columns; j += width) {
      const full value = full(*reinterpret_cast<const full_unaligned*>(x + j)) -
                         full(*reinterpret_cast<const full_unaligned*>(high + j)) -
                         full(*reinterpret_cast<const full_unaligned*>(low + j));
      *reinterpret_cast<full_unaligned*>(out + j) = full_unaligned(value);
    }
    for (; j < columns; ++j) out[j] = (x[j] - high[j]) - low[j];
  }
}

template <class T>
double squares(std::size_t rows, std::size_t columns, const T* x, std::size_t ldx) noexcept {
  wide sum[2] = {wide{}, wide{}};
  double rest = 0;
  for (std::size_t i = 0; i < rows; ++i, x += ldx) {
    std::size_t j = 0;
    for (; j + 2 * lanes <= columns; j += 2 * lanes) {
      const wide a = load(x + j), b = load(x + j + lanes);
      sum[0] += a * a;
      sum[1] += b * b;
    }
    for (; j < columns; ++j) rest += static_cast<double>(x[j]) * static_cast<double>(x[j]);
  }
  for (std::size_t lane = 0; lane < lanes; ++lane) rest += sum[0][lane] + sum[1][lane];
  return rest;
}

template <class T>
void add(std::size_t rows, std::size_t columns, const T* x, std::size_t ldx, double* sum, std::size_t ldsum) noexcept {
  for (std::size_t i = 0; i < rows; ++i, x += ldx, sum += ldsum) {
    std::size_t j = 0;
    for (; j + lanes <= columns; j += lanes) {
      wide_unaligned* to = reinterpret_cast<wide_unaligned*>(sum + j);
      *to = wide_unaligned(wide(*to) + load(x + j));
    }
    for (; j < columns; ++j) sum[j] += static_cast<double>(x[j]);
  }
}

}  // namespace hocket::kernels::centre::HOCKET_SIMD_NS
