// Packing of operands for the matrix unit: however they lie in memory, in whichever cuts they come, the packed bytes
// are those of the explicitly transposed and rounded matrix, and nothing beside it is read or written.
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tensor.hpp>
#include <hocket/kernels/packed_gemm/cpu.hpp>

#include "catch.hpp"
#include "machine_sets.hpp"

namespace {

using hocket::bf16;
using hocket::buffer;
namespace packed_gemm = hocket::kernels::packed_gemm;
using packed_gemm::precision;

constexpr std::size_t sizes[] = {0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 67};

float rounded_by(float x) { return hocket::to_f32(hocket::to_bf16(x)); }

/// (rows, columns) in S, with NaN on both sides of every row and in a row before and behind.
template <class S>
struct surrounded {
  using wide = std::conditional_t<std::is_same_v<S, double>, double, float>;
  surrounded(std::size_t rows, std::size_t columns, std::uint64_t seed)
      : ld(columns + 5), values((rows + 2) * ld), plain({rows, columns}) {
    std::fill(values.begin(), values.end(), stored(std::numeric_limits<wide>::quiet_NaN()));
    const hocket::philox random(seed);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t c = 0; c < columns; ++c) {
        const S x = stored(static_cast<wide>(random.normal_at(r * columns + c)));
        values[(r + 1) * ld + 2 + c] = x;
        if constexpr (std::is_same_v<S, wide>)
          plain.as_view()(r, c) = x;
        else
          plain.as_view()(r, c) = hocket::to_f32(x);
      }
  }
  const S* data() const { return values.data() + ld + 2; }
  static S stored(wide x) {
    if constexpr (std::is_same_v<S, wide>)
      return x;
    else
      return hocket::from_f32<S>(x);
  }
  std::size_t ld;
  std::vector<S> values;
  hocket::tensor<wide> plain;  ///< without what surrounds it
};

/// Packed bytes with a margin that must stay as it is.
struct target {
  explicit target(std::size_t bytes) : size(bytes), memory(bytes + 64) {
    std::fill_n(memory.data(), memory.size(), std::byte{0xa5});
  }
  bool margin_kept() const {
    for (std::size_t i = size; i < memory.size(); ++i)
      if (memory[i] != std::byte{0xa5}) return false;
    return true;
  }
  bool equals(const target& other) const {
    return size == other.size && std::memcmp(memory.data(), other.memory.data(), size) == 0 && margin_kept();
  }
  std::size_t size;
  buffer<std::byte> memory;
};

template <class F>
void on_every_machine(F&& f) {
  for (const auto& mode : hocket::tests::machine_modes(true)) {
    const hocket::tests::on_mode guard(mode);
    INFO(mode.text());
    f();
  }
}

/// What of x lies in the tile of a part: it, rounded, or one of the three bf16 that it is the sum of.
std::uint16_t bits_of_part(float x, precision p, std::size_t part) {
  if (p == precision::bf16) return hocket::to_bf16(x).bits;
  for (; part > 0; --part) x -= rounded_by(x);
  return hocket::to_bf16(x).bits;
}

/// A (rows, k) in bf16 or split, element by element by its place (shape.hpp).
target left_by_definition(precision p, const hocket::tensor<float>& a) {
  const std::size_t rows = a.extent(0), k = a.extent(1), steps = packed_gemm::steps_of(p, k),
                    parts = packed_gemm::parts_of(p);
  target to(packed_gemm::left_bytes(p, rows, k));
  std::fill_n(to.memory.data(), to.size, std::byte{0});
  auto* const out = reinterpret_cast<std::uint16_t*>(to.memory.data());
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t q = 0; q < k; ++q)
      for (std::size_t part = 0; part < parts; ++part)
        out[(((i / 16 * steps + q / 32) * parts + part) * 16 + i % 16) * 32 + q % 32] =
            bits_of_part(a.as_view()(i, q), p, part);
  return to;
}

template <class S>
void check_left(precision p, std::size_t rows, std::size_t k) {
  const surrounded<S> a(rows, k, 1 + rows), turned(k, rows, 2 + k);
  hocket::tensor<float> straight({rows, k});
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t q = 0; q < k; ++q) straight.as_view()(i, q) = turned.plain.as_view()(q, i);
  const target wanted = left_by_definition(p, a.plain), wanted_turned = left_by_definition(p, straight);
  on_every_machine([&] {
    // Cuts at multiples of 16; an empty piece changes nothing.
    for (const std::size_t cut : {std::size_t{0}, std::size_t{16}, rows / 2 / 16 * 16, rows / 16 * 16}) {
      if (cut > rows) continue;
      target to(wanted.size), from_turned(wanted.size);
      const packed_gemm::left left{p, rows, k, to.memory.data()}, other{p, rows, k, from_turned.memory.data()};
      packed_gemm::pack_left<S>(left, cut, rows - cut, a.data() + cut * a.ld, a.ld);
      packed_gemm::pack_left<S>(left, 0, cut, a.data(), a.ld);
      CHECK(to.equals(wanted));
      packed_gemm::pack_left_turned<S>(other, cut, rows - cut, turned.data() + cut, turned.ld);
      packed_gemm::pack_left_turned<S>(other, 0, cut, turned.data(), turned.ld);
      CHECK(from_turned.equals(wanted_turned));
    }
    if constexpr (std::is_same_v<S, float>) {
      target to(wanted.size);
      for (std::size_t step = 0; step < packed_gemm::steps_of(p, k); ++step)
        packed_gemm::pack_left_step<float>({p, rows, k, to.memory.data()}, step,
                                           std::min<std::size_t>(32, k - step * 32), a.data() + step * 32, a.ld);
      CHECK(to.equals(wanted));
    }
  });
}

template <class S>
void check_right(precision p, std::size_t k, std::size_t n) {
  const surrounded<S> b(k, n, 3 + k);
  const std::size_t strips = packed_gemm::strips_of<float>(n), each = packed_gemm::strip_bytes<float>(p, k),
                    parts = packed_gemm::parts_of(p);
  target wanted(strips * each);
  std::fill_n(wanted.memory.data(), wanted.size, std::byte{0});
  auto* const out = reinterpret_cast<std::uint16_t*>(wanted.memory.data());
  for (std::size_t q = 0; q < k; ++q)
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t part = 0; part < parts; ++part)
        out[j / 32 * (each / 2) + (q / 32 * parts + part) * 1024 + j % 32 / 16 * 512 + q % 32 / 2 * 32 + j % 16 * 2 +
            q % 2] = bits_of_part(b.plain.as_view()(q, j), p, part);
  on_every_machine([&] {
    target whole(wanted.size), by_strip(wanted.size), as_weight(wanted.size);
    packed_gemm::pack_rows<float, S>(p, k, n, b.data(), b.ld, whole.memory.data());
    CHECK(whole.equals(wanted));
    for (std::size_t s = strips; s-- > 0;)
      packed_gemm::pack_rows<float, S>(p, k, std::min<std::size_t>(32, n - s * 32), b.data() + s * 32, b.ld,
                                       by_strip.memory.data() + s * each);
    CHECK(by_strip.equals(wanted));
    const packed_gemm::part<float> part{b.plain.data(), n, k};
    packed_gemm::pack<float>(p, k, n, {&part, 1}, false, 0, strips, as_weight.memory.data());
    CHECK(as_weight.equals(wanted));
  });
}

}  // namespace

TEMPLATE_TEST_CASE("A is packed from its rows and from its columns, in any cut", "[packed_gemm]", float, bf16) {
  for (const std::size_t rows : sizes)
    for (const std::size_t k : sizes) {
      INFO(rows << " x " << k);
      check_left<TestType>(precision::bf16, rows, k);
      if constexpr (std::is_same_v<TestType, float>) check_left<float>(precision::split, rows, k);
    }
}

TEMPLATE_TEST_CASE("B is packed from its rows, whole and by strips", "[packed_gemm]", float, bf16) {
  for (const std::size_t k : sizes)
    for (const std::size_t n : sizes) {
      INFO(k << " x " << n);
      check_right<TestType>(precision::bf16, k, n);
      if constexpr (std::is_same_v<TestType, float>) check_right<float>(precision::split, k, n);
    }
}

TEST_CASE("what goes to bf16 is rounded to the nearest, ties to even; the unit takes what is below 2^-126 for zero",
          "[packed_gemm]") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {0x1.01p0F,    0x1.03p0F,  -0x1.01p0F, 0x1.010001p0F, 0x1.fffffep127F, infinity,
                                -infinity,    0x1p-126F,  -0.0F,      0x1.feffp0F,   0x1.00ffffp0F,   3e38F,
                                0x1.01p-126F, -0x1.81p9F, 1.0F,       0x1p-125F};
  const std::vector<float> tiny = {0x1p-127F, -0x1p-140F, 0x1.8p-130F, std::numeric_limits<float>::denorm_min()};
  on_every_machine([&] {
    std::vector<std::uint16_t> packed(16 * 32);
    const auto pack = [&](const std::vector<float>& row) {
      packed_gemm::pack_left<float>({precision::bf16, 1, row.size(), reinterpret_cast<std::byte*>(packed.data())}, 0, 1,
                                    row.data(), row.size());
    };
    pack(x);
    for (std::size_t i = 0; i < x.size(); ++i) CHECK(packed[i] == hocket::to_bf16(x[i]).bits);
    CHECK(rounded_by(x[0]) == 1.0F);       // a tie, to the even neighbour
    CHECK(rounded_by(x[1]) == 0x1.04p0F);  // another, to the other side
    pack({std::numeric_limits<float>::quiet_NaN(), 1.0F});
    CHECK(std::isnan(hocket::to_f32(bf16{packed[0]})));
    pack(tiny);
    for (std::size_t i = 0; i < tiny.size(); ++i) {
      const std::uint16_t sign = hocket::to_bf16(tiny[i]).bits & 0x8000U;
      CHECK(packed[i] == (hocket::rounds_in_hardware() ? sign : hocket::to_bf16(tiny[i]).bits));
    }
  });
}

namespace {

template <class T>
void check_native(std::size_t k, std::size_t n) {
  const surrounded<T> b(k, n, 5 + n);
  constexpr std::size_t width = packed_gemm::strip_columns<T>;
  const std::size_t strips = packed_gemm::strips_of<T>(n), each = packed_gemm::strip_bytes<T>(precision::native, k);
  on_every_machine([&] {
    target rows(strips * each), as_weight(strips * each);
    packed_gemm::pack_rows<T>(precision::native, k, n, b.data(), b.ld, rows.memory.data());
    const packed_gemm::part<T> part{b.plain.data(), n, k};
    packed_gemm::pack<T>(precision::native, k, n, {&part, 1}, false, 0, strips, as_weight.memory.data());
    CHECK(as_weight.equals(rows));
    const auto* const strip = reinterpret_cast<const T*>(rows.memory.data());
    std::vector<T> turned(n * (k + 2), T(7));
    packed_gemm::turn<T>(k, n, b.data(), b.ld, turned.data(), k + 2);
    bool right = true;
    for (std::size_t q = 0; q < k; ++q)
      for (std::size_t j = 0; j < strips * width; ++j) {
        const T wanted = j < n ? b.plain.as_view()(q, j) : T(0);
        right = right && strip[j / width * (each / sizeof(T)) + q * width + j % width] == wanted;
        right = right && (j >= n || turned[j * (k + 2) + q] == wanted);
      }
    for (std::size_t j = 0; j < n; ++j) right = right && turned[j * (k + 2) + k] == T(7);
    CHECK(right);
  });
}

}  // namespace

TEMPLATE_TEST_CASE("one matrix in strips, and turned, in its own precision", "[packed_gemm]", float, double) {
  for (const std::size_t k : {0u, 1u, 15u, 16u, 17u, 33u, 70u})
    for (const std::size_t n : {1u, 7u, 16u, 31u, 32u, 33u, 65u}) check_native<TestType>(k, n);
}
