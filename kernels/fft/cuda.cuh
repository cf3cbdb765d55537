// A complex transform in shared memory, as device functions for kernels that keep a frame there (kernels/mfcc). The
// threads of a team (a warp, or several whole warps of the block) transform one array together:
//
//   gpu::run(plan, from, to, team);   // two padded arrays; afterwards the result is in `from`
//
// Ladder
//   1  Stockham passes of radix 8, 4, 2, 7, 5, 3 between two arrays: a butterfly lives in the registers of one thread,
//      every pass costs one read, one write and one barrier, and no pass reverses bits. Reads are consecutive; writes
//      of the first pass are radix apart, so every 17th element is left free. Twiddles come from global memory, (k, p)
//      with p innermost: consecutive threads read consecutive numbers in the first pass and the same one in later
//      passes.
//   -  one array instead of two (read, barrier, write, barrier) would halve the memory and double the barriers; two
//   real
//      frames in one complex transform would halve the work of odd lengths, but a loud frame would cost its neighbour
//      digits. Both left out.
#pragma once

#include <hocket/core/cuda/seam.cuh>
#include <hocket/kernels/fft/cuda_tables.hpp>

namespace hocket::kernels::fft::gpu {

/// Threads that work on one array: a single warp meets as a warp, more meet as the whole block.
struct team {
  unsigned me, threads;
};

HOCKET_DEVICE void meet(const team& t HOCKET_SITE_PARAMETER) {
  if (t.threads == 32)
    cu::sync_warp(cu::full_mask HOCKET_SITE_ARGUMENT);
  else
    cu::sync(HOCKET_SITE);
}

/// Where element i of a padded array lies.
HOCKET_DEVICE unsigned place(unsigned i) { return i + i / 16; }

HOCKET_DEVICE complex operator+(complex a, complex b) { return {a.re + b.re, a.im + b.im}; }
HOCKET_DEVICE complex operator-(complex a, complex b) { return {a.re - b.re, a.im - b.im}; }
HOCKET_DEVICE complex times(complex a, complex b) { return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }
HOCKET_DEVICE complex minus_i(complex a) { return {a.im, -a.re}; }  ///< -i a

/// In place: x[k] <- sum over j of x[j] exp(-2 pi i j k / Radix).
template <unsigned Radix>
struct butterfly;

template <>
struct butterfly<2> {
  static HOCKET_DEVICE void apply(complex* x) {
    const complex a = x[0], b = x[1];
    x[0] = a + b;
    x[1] = a - b;
  }
};
template <>
struct butterfly<4> {
  static HOCKET_DEVICE void apply(complex* x) {
    const complex a = x[0] + x[2], b = x[0] - x[2], c = x[1] + x[3], d = minus_i(x[1] - x[3]);
    x[0] = a + c;
    x[1] = b + d;
    x[2] = a - c;
    x[3] = b - d;
  }
};
template <>
struct butterfly<8> {
  static HOCKET_DEVICE void apply(complex* x) {
    constexpr float h = 0.70710678118654752440f;  // sqrt(1/2)
    complex even[4] = {x[0], x[2], x[4], x[6]}, odd[4] = {x[1], x[3], x[5], x[7]};
    butterfly<4>::apply(even);
    butterfly<4>::apply(odd);
    odd[1] = {(odd[1].re + odd[1].im) * h, (odd[1].im - odd[1].re) * h};
    odd[2] = minus_i(odd[2]);
    odd[3] = {(odd[3].im - odd[3].re) * h, (odd[3].re + odd[3].im) * -h};
    HOCKET_UNROLL
    for (unsigned k = 0; k < 4; ++k) {
      x[k] = even[k] + odd[k];
      x[k + 4] = even[k] - odd[k];
    }
  }
};

template <unsigned Radix>
struct circle;  ///< cos and sin of 2 pi j / Radix, j <= Radix / 2
template <>
struct circle<3> {
  static HOCKET_DEVICE float cosine(unsigned) { return -0.5f; }
  static HOCKET_DEVICE float sine(unsigned) { return 0.86602540378443864676f; }
};
template <>
struct circle<5> {
  static HOCKET_DEVICE float cosine(unsigned j) { return j == 1 ? 0.30901699437494742410f : -0.80901699437494742410f; }
  static HOCKET_DEVICE float sine(unsigned j) { return j == 1 ? 0.95105651629515357212f : 0.58778525229247312917f; }
};
template <>
struct circle<7> {
  static HOCKET_DEVICE float cosine(unsigned j) {
    return j == 1 ? 0.62348980185873353053f : j == 2 ? -0.22252093395631440429f : -0.90096886790241912624f;
  }
  static HOCKET_DEVICE float sine(unsigned j) {
    return j == 1 ? 0.78183148246802980871f : j == 2 ? 0.97492791218182360702f : 0.43388373911755812048f;
  }
};

/// Odd radices: with a_j = x_j + x_{R-j} and b_j = x_j - x_{R-j}, x_k and x_{R-k} are x_0 + sum of a_j cos -+ i sum of
/// b_j sin.
template <unsigned Radix>
struct butterfly {
  static HOCKET_DEVICE void apply(complex* x) {
    constexpr unsigned half = Radix / 2;
    complex a[half], b[half], all = x[0];
    HOCKET_UNROLL
    for (unsigned j = 1; j <= half; ++j) {
      a[j - 1] = x[j] + x[Radix - j];
      b[j - 1] = x[j] - x[Radix - j];
      all = all + a[j - 1];
    }
    const complex first = x[0];
    HOCKET_UNROLL
    for (unsigned k = 1; k <= half; ++k) {
      complex even = first, odd = {0, 0};
      HOCKET_UNROLL
      for (unsigned j = 1; j <= half; ++j) {
        const unsigned turn = j * k % Radix, at = turn <= half ? turn : Radix - turn;
        const float c = circle<Radix>::cosine(at);
        const float s = turn <= half ? circle<Radix>::sine(at) : -circle<Radix>::sine(at);
        even.re += c * a[j - 1].re;
        even.im += c * a[j - 1].im;
        odd.re += s * b[j - 1].im;
        odd.im -= s * b[j - 1].re;
      }
      x[k] = even + odd;
      x[Radix - k] = even - odd;
    }
    x[0] = all;
  }
};

using shared_numbers = cu::dynamic_array<complex>;

/// y[q + s (S p + k)] = w_n^{p k} sum over j < S of x[q + s (p + m j)] w_S^{j k}.
template <unsigned Radix>
HOCKET_DEVICE void run_pass(const transform& plan, const pass& step, const shared_numbers& from,
                            const shared_numbers& to, const team& t) {
  const unsigned count = step.m * step.s, m = step.m, s = step.s;
  const complex* const turns = plan.twiddles + step.twiddles;
  for (unsigned i = t.me; cu::inside(i < count); i += t.threads) {
    complex x[Radix];
    HOCKET_UNROLL
    for (unsigned j = 0; j < Radix; ++j) x[j] = from(place(i + count * j));
    butterfly<Radix>::apply(x);
    const unsigned p = s == 1 ? i : static_cast<unsigned>(static_cast<std::uint64_t>(i) * step.reciprocal >> 32);
    const unsigned first = i + p * s * (Radix - 1);
    to(place(first)) = x[0];
    HOCKET_UNROLL
    for (unsigned k = 1; k < Radix; ++k) to(place(first + k * s)) = m == 1 ? x[k] : times(x[k], turns[(k - 1) * m + p]);
  }
}

/// All passes of plan.length points. `from` holds the input; afterwards `from` is where the result is. Every thread of
/// the team has written its part of the input and met the others before.
HOCKET_DEVICE void run_passes(const transform& plan, shared_numbers& from, shared_numbers& to, const team& t) {
  for (unsigned i = 0; i < plan.count; ++i) {
    const pass step = plan.passes[i];
    switch (step.radix) {
      case 2: run_pass<2>(plan, step, from, to, t); break;
      case 3: run_pass<3>(plan, step, from, to, t); break;
      case 4: run_pass<4>(plan, step, from, to, t); break;
      case 5: run_pass<5>(plan, step, from, to, t); break;
      case 7: run_pass<7>(plan, step, from, to, t); break;
      default: run_pass<8>(plan, step, from, to, t); break;
    }
    meet(t);
    const shared_numbers used = from;
    from = to;
    to = used;
  }
}

/// Input number j as the passes want it: times the chirp where there is one. Numbers from size to length are zero.
HOCKET_DEVICE complex entering(const transform& plan, unsigned j, complex x) {
  return plan.chirp ? times(x, plan.chirp[j]) : x;
}

/// The transform of `from`, filled with entering(); afterwards `from` is where X[0 .. size) is. Bluestein: X[k] = c[k]
/// sum over j of (x[j] c[j]) conj(c[k - j]), the sum as a product of transforms; the inverse transform is the forward
/// one between conjugates.
HOCKET_DEVICE void run(const transform& plan, shared_numbers& from, shared_numbers& to, const team& t) {
  const unsigned ways = plan.chirp ? 2 : 1;  // one loop for both transforms: the passes are compiled once
  for (unsigned way = 0; way < ways; ++way) {
    run_passes(plan, from, to, t);
    if (!plan.chirp) return;
    const unsigned count = way == 0 ? plan.length : plan.size;
    const complex* const factors = way == 0 ? plan.chirp_spectrum : plan.chirp;
    for (unsigned k = t.me; cu::inside(k < count); k += t.threads) {
      const complex x = from(place(k));
      const complex y = way == 0 ? times(x, factors[k]) : times({x.re, -x.im}, factors[k]);
      from(place(k)) = complex{y.re, way == 0 ? -y.im : y.im};
    }
    meet(t);
  }
}

}  // namespace hocket::kernels::fft::gpu
