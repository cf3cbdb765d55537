// Ladder (librosa preset, 30 s at 22.05 kHz, one AVX-512 core; microseconds per frame, bare FFTW 3.0-3.4 beside it):
//   2.5       one frame per lane, gathered by 16-byte pieces, radix 8 x 4 twice, power and bands from the second cache
//   2.4       squares taken in the last step of the real transform: no complex spectrum is stored
//   9 -> 5.5 -> 4.3   FFTW arm on FFTW's own real transform: squares taken in the row, rows brought into lanes by
//   pieces
//             that the bands read at once, the fastest of five plans. Bands straight from groups of four rows: no gain.
//             FFTW on lanes (split arrays): 3 to 4 times its own real transform
//   NEW       FFTW arm on FFTW's complex transform of half the length (1.2-1.7 against 3.5-4.9 for its real one): the
//             step to the real spectrum is ours, in lanes; everything above but the prefetch became needless
//   20 -> 5   complex output: four blocks written row by row (alone: no gain), lines asked for six rows ahead
//             (all of it); measured on a busy machine
//
// The chain with one frame per SIMD lane; compiled once per instruction set (core/simd_each.hpp). Every value of a
// frame is computed by the same instructions whatever its lane, its block and the frames beside it: a frame's bits do
// not depend on how a clip is cut.

namespace hocket::kernels::mfcc::HOCKET_SIMD_NS {

namespace wide = hocket::kernels::fft::HOCKET_SIMD_NS;
using wide::complex_vec;
using wide::lanes;
using wide::larger;
using wide::load;
using wide::load_complex;
using wide::store;
using wide::store_complex;
using wide::sum_of;
using wide::vec;

#include <hocket/kernels/mfcc/log.inl>

/// ln of an energy for coefficient 0.
template <class T>
T ln_energy(const tables<T>& t, T energy) {
  const T least = t.energy_floor > T{0} ? t.energy_floor : std::numeric_limits<T>::min();
  return static_cast<T>(std::log(static_cast<double>(energy > least ? energy : least)));
}

/// Copies frame f into `row` (zero outside the frame, `pitch` long), ready for the window; returns its energy if asked
/// for.
template <class T>
T prepare_row(const plan<T>& how, const span_of_samples<T>& from, std::size_t f, T* row) {
  const tables<T>& t = how.facts();
  constexpr std::size_t width = lanes<T>;
  const std::size_t length = t.frame_length;
  const std::ptrdiff_t begin = from.begin_of(t, f);
  T* x = row + t.fft_offset;
  if (begin >= 0 && begin + static_cast<std::ptrdiff_t>(length) <= from.size) {
    std::copy_n(from.data + begin, length, x);
  } else {
    for (std::size_t i = 0; i < length; ++i) {
      const std::ptrdiff_t at =
          padded_index(t.pad, t.position(begin + static_cast<std::ptrdiff_t>(i), from.size), from.size);
      x[i] = at == outside ? T{0} : from.data[at];
    }
  }
  if (!how.prepared()) return T{0};

  const std::size_t whole = length / width * width;
  for (std::size_t i = 0; i < length; ++i) x[i] *= t.sample_scale;
  if (t.dither != T{0}) {
    const philox noise(t.dither_seed);
    for (std::size_t i = 0; i < length; ++i)
      x[i] += static_cast<T>(static_cast<double>(t.dither) * noise.normal_at(f * length + i));
  }
  if (t.remove_dc) {
    vec<T> sums = {};
    for (std::size_t i = 0; i < whole; i += width) sums += load(x + i);
    T sum = sum_of<T>(sums);
    for (std::size_t i = whole; i < length; ++i) sum += x[i];
    const T mean = sum / static_cast<T>(length);
    for (std::size_t i = 0; i < whole; i += width) store<T>(x + i, load(x + i) - mean);
    for (std::size_t i = whole; i < length; ++i) x[i] -= mean;
  }
  T energy = 0;
  const bool wants_energy = how.stop() == stage::mfcc;
  if (wants_energy && t.energy == energy_source::raw) {
    vec<T> sums = {};
    for (std::size_t i = 0; i < whole; i += width) sums += load(x + i) * load(x + i);
    energy = sum_of<T>(sums);
    for (std::size_t i = whole; i < length; ++i) energy += x[i] * x[i];
  }
  if (t.preemphasis != T{0}) {
    T* last = x + length;  // from the end, so that the sample before is still the old one
    for (; last >= x + width + 1; last -= width)
      store<T>(last - width, load(last - width) - load(last - width - 1) * t.preemphasis);
    for (; last > x + 1; --last) last[-1] -= t.preemphasis * last[-2];
    x[0] -= t.preemphasis * x[0];
  }
  if (wants_energy && t.energy == energy_source::windowed) {
    for (std::size_t i = 0; i < length; ++i) {
      const T value = x[i] * t.window[i];
      energy += value * value;
    }
  }
  return wants_energy && t.energy != energy_source::none ? ln_energy(t, energy) : T{0};
}

/// Where the parts of a worker's memory lie.
template <class T>
struct parts {
  T *rows, *wave, *bins, *spare, *work, *mel, *cepstra, *energy, *engine;
  parts(const plan<T>& how, T* memory) {
    rows = memory;
    wave = rows + how.rows_size();
    bins = wave + how.wave_size();
    spare = bins + how.bins_size();
    work = spare + how.wave_size();
    mel = work + how.work_size();
    energy = mel + lanes<T> * how.facts().n_mels;
    cepstra = energy + lanes<T>;
    engine = cepstra + lanes<T> * how.facts().n_mfcc;
    engine += (64 - static_cast<std::size_t>(engine - memory) % 64) % 64;
  }
};

/// Rows of samples -> windowed numbers of the transform, in lanes.
template <class T>
void fill_wave(const plan<T>& how, const T* const* rows, T* wave) {
  constexpr std::size_t width = lanes<T>, step = wide::piece_size<T>;
  const std::size_t n = how.facts().n_fft;
  const T* window = how.window();
  const bool halved = how.transform().halved();
  const std::size_t pitch = halved ? width : 2 * width;  // an odd length has imaginary parts, all zero
  std::size_t i = 0;
  for (; i + step <= n; i += step) {
    vec<T> v[step];
    wide::gather_piece(rows, i, v);
#pragma GCC unroll 4
    for (std::size_t j = 0; j < step; ++j) store<T>(wave + (i + j) * pitch, v[j] * window[i + j]);
  }
  for (; i < n; ++i)
    for (std::size_t lane = 0; lane < width; ++lane) wave[i * pitch + lane] = rows[lane][i] * window[i];
  if (!halved)
    for (std::size_t k = 0; k < n; ++k) store<T>(wave + k * pitch + width, vec<T>{});
}

/// |X|^2 of bins 0 .. n / 2 in lanes, one register each, from the complex transform `z` (see wide::split_spectrum).
template <class T>
void split_squares(const fft::real_plan<T>& tables, const T* z, T* power) {
  constexpr std::size_t width = lanes<T>, u = wide::unit<T>;
  if (!tables.halved()) {
    for (std::size_t k = 0; k < tables.bins(); ++k) {
      const complex_vec<T> x = load_complex(z + k * u);
      store<T>(power + k * width, x.re * x.re + x.im * x.im);
    }
    return;
  }
  const std::size_t m = tables.size() / 2;
  const complex_vec<T> first = load_complex(z);
  const vec<T> sum = (first.re + first.im) * T{2}, difference = (first.re - first.im) * T{2};
  store<T>(power, sum * sum);
  store<T>(power + m * width, difference * difference);
  for (std::size_t k = 1; k <= m / 2; ++k) {
    complex_vec<T> low, high;
    wide::split_pair(load_complex(z + k * u), load_complex(z + (m - k) * u), tables.split() + 2 * k, low, high);
    store<T>(power + (m - k) * width, high.re * high.re + high.im * high.im);
    store<T>(power + k * width, low.re * low.re + low.im * low.im);
  }
}

/// |X|^2 -> |X|^power, in place.
template <class T>
void take_power(T power, std::size_t count, T* bins) {
  constexpr std::size_t width = lanes<T>;
  if (power == T{2}) return;
  for (std::size_t k = 0; k < count; ++k) {
    vec<T> value = load(bins + k * width);
    if (power == T{1}) {
      value = root<T>(value);
    } else {
      for (std::size_t lane = 0; lane < width; ++lane) value[lane] = std::pow(value[lane], power / T{2});
    }
    store<T>(bins + k * width, value);
  }
}

/// One band, in lanes: four sums side by side, so that one addition need not wait for the one before.
template <class T>
HOCKET_ALWAYS_INLINE vec<T> filter_band(const T* power, const T* weights, std::size_t count) {
  constexpr std::size_t width = lanes<T>;
  vec<T> sums[4] = {};
  std::size_t j = 0;
  for (; j + 4 <= count; j += 4)
#pragma GCC unroll 4
    for (std::size_t i = 0; i < 4; ++i) sums[i] += load(power + (j + i) * width) * weights[j + i];
  for (; j < count; ++j) sums[0] += load(power + j * width) * weights[j];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/// Banded filters, in lanes: power (K) -> mel (M).
template <class T>
void filter_bands(const tables<T>& t, const T* power, T* mel) {
  constexpr std::size_t width = lanes<T>;
  for (std::size_t m = 0; m < t.n_mels; ++m)
    store<T>(mel + m * width,
             filter_band(power + t.mel_first[m] * width, t.mel_weights.data() + t.mel_begin[m], t.mel_length[m]));
}

/// log_scale ln(max(x, floor) + offset) + shift of every band, in place; returns the largest of all.
template <class T>
T take_log(const tables<T>& t, T* mel) {
  constexpr std::size_t width = lanes<T>;
  vec<T> peak = vec<T>{} - std::numeric_limits<T>::infinity();
  for (std::size_t m = 0; m < t.n_mels; ++m) {
    vec<T> x = load(mel + m * width);
    if (t.take_log) x = ln<T>(larger<T>(x, vec<T>{} + t.log_floor) + t.log_offset) * t.log_scale + t.log_shift;
    peak = x > peak ? x : peak;
    store<T>(mel + m * width, x);
  }
  T largest = peak[0];
  for (std::size_t lane = 1; lane < width; ++lane) largest = peak[lane] > largest ? peak[lane] : largest;
  return largest;
}

/// (max(x, least) + out_shift) * out_scale: from -> to, which may be the same.
template <class T>
void finish_log(const tables<T>& t, T least, const T* from, T* to) {
  constexpr std::size_t width = lanes<T>;
  for (std::size_t m = 0; m < t.n_mels; ++m)
    store<T>(to + m * width, (larger<T>(load(from + m * width), vec<T>{} + least) + t.out_shift) * t.out_scale);
}

/// C[c] for Count coefficients from c on. The frame's own level is taken out first and put back times the row's sum:
/// all rows but the first cancel it, and would otherwise pass through sums a hundred times larger than their result.
/// Bands are summed by sixteens, so that a rounding error grows with 16 + M / 16 terms instead of M.
template <class T, std::size_t Count>
HOCKET_ALWAYS_INLINE void cosines(const T* dct, const T* row_sums, std::size_t n_mfcc, std::size_t n_mels,
                                  const T* logs, vec<T> level, T* out) {
  constexpr std::size_t width = lanes<T>;
  vec<T> sums[Count] = {};
  for (std::size_t begin = 0; begin < n_mels; begin += 16) {
    const std::size_t end = begin + 16 < n_mels ? begin + 16 : n_mels;
    vec<T> part[Count] = {};
    for (std::size_t m = begin; m < end; ++m) {
      const vec<T> x = load(logs + m * width) - level;
#pragma GCC unroll 8
      for (std::size_t c = 0; c < Count; ++c) part[c] += x * dct[m * n_mfcc + c];
    }
#pragma GCC unroll 8
    for (std::size_t c = 0; c < Count; ++c) sums[c] += part[c];
  }
#pragma GCC unroll 8
  for (std::size_t c = 0; c < Count; ++c) store<T>(out + c * width, sums[c] + level * row_sums[c]);
}

template <class T>
void take_cosines(const plan<T>& how, const T* logs, const T* energy, T* out) {
  constexpr std::size_t width = lanes<T>;
  const tables<T>& t = how.facts();
  vec<T> level = {};
  for (std::size_t m = 0; m < t.n_mels; ++m) level += load(logs + m * width);
  level = level / static_cast<T>(t.n_mels);
  const T *dct = how.dct(), *row_sums = how.dct_row_sums();
  std::size_t c = 0;
  for (; c + 8 <= t.n_mfcc; c += 8)
    cosines<T, 8>(dct + c, row_sums + c, t.n_mfcc, t.n_mels, logs, level, out + c * width);
  for (; c + 4 <= t.n_mfcc; c += 4)
    cosines<T, 4>(dct + c, row_sums + c, t.n_mfcc, t.n_mels, logs, level, out + c * width);
  for (; c < t.n_mfcc; ++c) cosines<T, 1>(dct + c, row_sums + c, t.n_mfcc, t.n_mels, logs, level, out + c * width);
  if (t.energy != energy_source::none && t.n_mfcc > 0) store<T>(out, load(energy) * t.energy_scale);
}

/// Rows of a large output lie pages apart, where no prefetcher follows: lines that will be written are asked for this
/// many rows ahead.
inline constexpr std::size_t ahead = 6;

template <class T>
HOCKET_ALWAYS_INLINE void fetch_row(const T* row, std::size_t count) {
  for (std::size_t i = 0; i < count; i += 64 / sizeof(T)) __builtin_prefetch(row + i, 1);
}

/// `from`: blocks of `rows` registers, one after the other, for `count` frames in all. Row r, frame j -> out[r * stride
/// + j]: the frames of a row lie side by side over all blocks, so that a row of a large output is touched once for many
/// frames.
template <class T>
void emit(const T* from, std::size_t rows, std::size_t count, T* out, std::size_t stride) {
  constexpr std::size_t width = lanes<T>;
  for (std::size_t r = 0; r < rows; ++r) {
    const T* block = from + r * width;
    T* to = out + r * stride;
    if (r + 2 * ahead < rows) fetch_row(to + 2 * ahead * stride, count);
    std::size_t left = count;
    for (; left >= width; left -= width, to += width, block += rows * width) store<T>(to, load(block));
    std::copy_n(block, left, to);
  }
}

/// The same for complex rows: pairs (re, im), `stride` in pairs.
template <class T>
void emit_complex(const T* from, std::size_t rows, std::size_t count, T* out, std::size_t stride) {
  constexpr std::size_t width = lanes<T>, u = wide::unit<T>;
  for (std::size_t r = 0; r < rows; ++r) {
    const T* block = from + r * u;
    T* to = out + 2 * r * stride;
    if (r + ahead < rows) fetch_row(to + 2 * ahead * stride, 2 * count);
    std::size_t left = count;
    for (; left >= width; left -= width, to += 2 * width, block += rows * u) {
      const complex_vec<T> z = load_complex(block);
      store<T>(to, wide::interleave_low<T>(z.re, z.im));
      store<T>(to + width, wide::interleave_high<T>(z.re, z.im));
    }
    for (std::size_t lane = 0; lane < left; ++lane) {
      to[2 * lane] = block[lane];
      to[2 * lane + 1] = block[width + lane];
    }
  }
}

/// The lanes' complex transforms by another library, one row at a time: rows of samples -> own.spare, as
/// wide::transform leaves it.
template <class T>
void engine_rows(const plan<T>& how, const parts<T>& own, const T* const* rows, std::size_t count) {
  constexpr std::size_t width = lanes<T>;
  const std::size_t n = how.facts().n_fft, size = how.transform().complex().size(), pitch = how.engine_pitch();
  const std::size_t hop = how.facts().hop;
  const T* window = how.window();
  T* in = own.engine;
  const T* out[width];
  for (std::size_t lane = 0; lane < width; ++lane) {
    T* row = own.engine + (1 + (lane < count ? lane : 0)) * pitch;
    out[lane] = row;
    if (lane >= count) continue;
    if (how.transform().halved()) {
      std::size_t i = 0;
      for (; i + width <= n; i += width) store<T>(in + i, load(rows[lane] + i) * load(window + i));
      for (; i < n; ++i) in[i] = rows[lane][i] * window[i];
    } else {
      for (std::size_t i = 0; i < n; ++i) {
        in[2 * i] = rows[lane][i] * window[i];
        in[2 * i + 1] = T{0};
      }
    }
    // What the next frame has beyond this one comes from far away while the transform runs.
    if (!how.prepared())
      for (std::size_t next = n; next < n + hop; next += 64 / sizeof(T)) __builtin_prefetch(rows[lane] + next);
    how.engine()->forward(in, row);
  }
  wide::gather_rows(out, 2 * size, own.spare);
}

/// Frames f .. f + count - 1, count <= lanes, up to their bins: complex numbers for stage::stft, otherwise |X|^power.
template <class T>
void spectrum_block(const plan<T>& how, const parts<T>& own, const span_of_samples<T>& from, std::size_t f,
                    std::size_t count, T* bins) {
  constexpr std::size_t width = lanes<T>;
  const tables<T>& t = how.facts();
  const T* rows[width] = {};
  for (std::size_t lane = 0; lane < width; ++lane) {
    if (lane >= count) {  // an idle lane repeats the first frame: no special case, no stray peak
      rows[lane] = rows[0];
      own.energy[lane] = own.energy[0];
      continue;
    }
    const std::ptrdiff_t begin = from.begin_of(t, f + lane);
    if (!how.prepared() && t.frame_length == t.n_fft && begin >= 0 &&
        begin + static_cast<std::ptrdiff_t>(t.n_fft) <= from.size) {
      rows[lane] = from.data + begin;
      continue;
    }
    T* row = own.rows + lane * how.row_pitch();
    own.energy[lane] = prepare_row(how, from, f + lane, row);
    rows[lane] = row;
  }

  if (how.engine()) {
    engine_rows(how, own, rows, count);
  } else {
    fill_wave(how, rows, own.wave);
    wide::transform(how.transform().complex(), own.wave, own.spare, own.work);
  }
  if (how.stop() == stage::stft) return wide::split_spectrum(how.transform(), own.spare, bins);
  split_squares(how.transform(), own.spare, bins);
  take_power(t.power, t.n_bins(), bins);
}

/// One tile: frames f .. f + count - 1, count <= how.tile(), up to (not including) the peak clamp. Writes to `out` when
/// the plan is frame-local; otherwise the log-mel values go to `held` ((M + 1) registers, the last one energy) and the
/// largest of them is returned.
template <class T>
T run_block(const plan<T>& how, T* memory, const span_of_samples<T>& from, std::size_t f, std::size_t count, T* out,
            std::size_t stride, T* held) {
  constexpr std::size_t width = lanes<T>;
  const tables<T>& t = how.facts();
  const parts<T> own(how, memory);
  if (how.stop() == stage::stft || how.stop() == stage::power) {
    const bool complex = how.stop() == stage::stft;
    const std::size_t block = t.n_bins() * (complex ? wide::unit<T> : width);
    for (std::size_t done = 0; done < count; done += width) {
      T* bins = own.bins + done / width * block;
      spectrum_block(how, own, from, f + done, count - done < width ? count - done : width, bins);
    }
    if (complex)
      emit_complex(own.bins, how.rows(), count, out, stride);
    else
      emit(own.bins, how.rows(), count, out, stride);
    return T{0};
  }

  // The log-mel values of a long clip are beyond the second cache when their turn comes: their lines are asked for
  // while the transforms run.
  if (held) fetch_row(held, (t.n_mels + 1) * width);
  spectrum_block(how, own, from, f, count, own.bins);
  T* mel = held ? held : own.mel;
  filter_bands(t, own.bins, mel);
  if (how.stop() == stage::mel) {
    emit(mel, how.rows(), count, out, stride);
    return T{0};
  }
  const T largest = take_log(t, mel);
  if (held) {
    store<T>(held + t.n_mels * width, load(own.energy));
    return largest;
  }
  finish_log(t, -std::numeric_limits<T>::infinity(), mel, mel);
  if (how.stop() == stage::log_mel) {
    emit(mel, how.rows(), count, out, stride);
    return largest;
  }
  take_cosines(how, mel, own.energy, own.cepstra);
  emit(own.cepstra, how.rows(), count, out, stride);
  return largest;
}

/// The rest of a held block once the peak is known.
template <class T>
void finish_block(const plan<T>& how, T* memory, T least, const T* held, std::size_t count, T* out,
                  std::size_t stride) {
  const parts<T> own(how, memory);
  finish_log(how.facts(), least, held, own.mel);
  if (how.stop() == stage::log_mel) return emit(own.mel, how.rows(), count, out, stride);
  take_cosines(how, own.mel, held + how.facts().n_mels * lanes<T>, own.cepstra);
  emit(own.cepstra, how.rows(), count, out, stride);
}

}  // namespace hocket::kernels::mfcc::HOCKET_SIMD_NS
