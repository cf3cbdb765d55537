// Deltas: the derivative of a feature over time, by the least-squares polynomial of its own order (Savitzky and Golay,
// "Smoothing and differentiation of data by simplified least squares procedures", 1964).
//   librosa.feature.delta                   width 9, order 1 or 2, delta_edge::interp
//   torchaudio.functional.compute_deltas    width 5, order 1, delta_edge::replicate (HTK's regression formula)
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/core/error.hpp>
#include <hocket/core/options.hpp>
#include <hocket/core/view.hpp>

namespace hocket::audio {

/// What frames near the ends do.
enum class delta_edge {
  interp,     ///< the polynomial through the first (last) `width` frames holds; its derivative of its own order is
              ///< constant
  replicate,  ///< frames beyond the end repeat the last one
};

struct delta_options {
  std::size_t width = 9;
  std::size_t order = 1;
  delta_edge edge = delta_edge::interp;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("width", self.width, "frames of the fit, odd and at least 3");
    visit("order", self.order, "1: delta, 2: delta-delta; less than width");
    visit("edge", self.edge, "interp (librosa), replicate (torchaudio)");
  }
};

/// Weights h[i], i in [0, width), of x[f - width/2 + i] in the derivative of `order`: order! times the highest
/// coefficient of the fit. Gram's orthogonal polynomials on the symmetric grid, by their recurrence.
inline std::vector<double> delta_weights(std::size_t width, std::size_t order) {
  const auto half = static_cast<double>(width / 2);
  std::vector<double> before(width, 0.0), now(width, 1.0);
  double norm_before = 1, factorial = 1;
  for (std::size_t degree = 0; degree < order; ++degree) {
    double norm = 0;
    for (const double p : now) norm += p * p;
    const double back = degree == 0 ? 0 : norm / norm_before;
    for (std::size_t i = 0; i < width; ++i) {
      const double next = (static_cast<double>(i) - half) * now[i] - back * before[i];
      before[i] = now[i];
      now[i] = next;
    }
    norm_before = norm;
    factorial *= static_cast<double>(degree + 1);
  }
  double norm = 0;
  for (const double p : now) norm += p * p;
  for (double& p : now) p *= factorial / norm;
  return now;
}

/// x (rows, F) -> out (rows, F), sums in double.
template <class T>
void deltas(const view<const T, 2>& x, const view<T, 2>& out, const delta_options& options = {}) {
  const std::size_t width = options.width, half = width / 2, frames = x.extent(1);
  expects(width >= 3 && width % 2 == 1, errc::bad_option, "delta width is ", width,
          "; expected an odd number of at least 3");
  expects(options.order >= 1 && options.order < width, errc::bad_option, "delta order is ", options.order,
          "; expected 1 to width - 1 = ", width - 1);
  expects(out.extents() == x.extents(), errc::unsupported_shape, "deltas of ", to_text(x.extents()), " into ",
          to_text(out.extents()));
  if (x.empty()) return;
  expects(options.edge == delta_edge::replicate || frames >= width, errc::unsupported_shape, "deltas of width ", width,
          " with edge=interp need as many frames, there are ", frames, "; use edge=replicate or a smaller width");
  const std::vector<double> weights = delta_weights(width, options.order);
  for (std::size_t r = 0; r < x.extent(0); ++r)
    for (std::size_t f = 0; f < frames; ++f) {
      const std::size_t centre = options.edge == delta_edge::interp ? std::clamp(f, half, frames - 1 - half) : f;
      double sum = 0;
      for (std::size_t i = 0; i < width; ++i) {
        const std::size_t at = std::min(std::max(centre + i, half) - half, frames - 1);
        sum += weights[i] * static_cast<double>(x(r, at));
      }
      out(r, f) = static_cast<T>(sum);
    }
}

}  // namespace hocket::audio

namespace hocket {
template <>
struct enum_names<audio::delta_edge> {
  static constexpr std::array values = {std::pair{audio::delta_edge::interp, std::string_view{"interp"}},
                                        std::pair{audio::delta_edge::replicate, std::string_view{"replicate"}}};
};
}  // namespace hocket
