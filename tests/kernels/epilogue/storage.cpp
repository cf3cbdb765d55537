// The epilogue where it keeps its outputs in bf16, where masks are given instead of made, and where a saved matrix is
// written past the caches: against the reference, and bit for bit against the plain way.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/epilogue/cpu.hpp>
#include <hocket/kernels/epilogue/reference.hpp>

#include "catch.hpp"
#include "machine_sets.hpp"

using namespace hocket;
namespace epilogue = kernels::epilogue;
using epilogue::activation;

namespace {

constexpr activation every[] = {activation::none, activation::relu, activation::gelu, activation::tanh,
                                activation::gelu_tanh};
const std::vector<shape<2>> sizes = {{1, 1},  {2, 7},  {3, 16}, {4, 17},   {65, 31},
                                     {3, 63}, {3, 64}, {3, 65}, {33, 127}, {2, 129}};

/// Rows with `pad` elements of NaN behind each.
template <class S>
struct rows_of {
  rows_of(const shape<2>& size, std::size_t pad, std::uint64_t seed = 0, double spread = 0)
      : ld(size[1] + pad), extents(size), values(size[0] * ld) {
    const philox random(seed);
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = from_f32<S>(seed && i % ld < size[1] ? static_cast<float>(spread * random.normal_at(i))
                                                       : std::numeric_limits<float>::quiet_NaN());
  }
  double operator()(std::size_t r, std::size_t c) const { return to_f64(values[r * ld + c]); }
  /// The same numbers in f32.
  std::vector<float> plain() const {
    std::vector<float> all;
    for (std::size_t r = 0; r < extents[0]; ++r)
      for (std::size_t c = 0; c < extents[1]; ++c) all.push_back(to_f32(values[r * ld + c]));
    return all;
  }
  bool padding_kept() const {
    for (std::size_t i = 0; i < values.size(); ++i)
      if (i % ld >= extents[1] && !std::isnan(to_f32(values[i]))) return false;
    return true;
  }
  bool same_bits(const rows_of& other) const {
    return values.size() == other.values.size() &&
           (values.empty() || std::memcmp(values.data(), other.values.data(), values.size() * sizeof(S)) == 0);
  }
  std::size_t ld;
  shape<2> extents;
  std::vector<S> values;
};

template <class F>
void on_every_machine(F&& f) {
  for (const auto& mode : tests::machine_modes(true)) {
    const tests::on_mode guard(mode);
    INFO(mode.text());
    f();
  }
}

/// f(shape) for every size, activation and two probabilities of dropout, on every machine.
template <class F>
void on_every_shape(F&& f) {
  on_every_machine([&] {
    for (const auto& size : sizes)
      for (const activation act : every)
        for (const double p : {0.0, 0.3}) {
          const epilogue::shape s{size[0], size[1], act, epilogue::make_dropout(p, 99, 7)};
          INFO(to_text(size) << " " << name_of(act) << " " << p);
          f(s);
        }
  });
}

struct pass {
  pass(const epilogue::shape& s, bool extras)
      : x({s.rows, s.columns}, 3, 3, 4.0),
        residual({s.rows, s.columns}, 1, 4, 1.0),
        bias({1, s.columns}, 0, 6, 1.0),
        y({s.rows, s.columns}, 2),
        u({s.rows, s.columns}, 5) {
    epilogue::forward_rows<float, bf16>(
        s.act, s.drop,
        {s.rows, s.columns, 0, x.values.data(), x.ld, extras ? bias.values.data() : nullptr,
         extras ? residual.values.data() : nullptr, residual.ld, u.values.data(), u.ld, y.values.data(), y.ld});
  }
  rows_of<float> x, residual, bias;
  rows_of<bf16> y, u;
};

void check_forward(const epilogue::shape& s, bool extras) {
  const pass made(s, extras);
  const double promised = epilogue::promise_forward(s);
  comparison y, u;
  for (std::size_t r = 0; r < s.rows; ++r)
    for (std::size_t c = 0; c < s.columns; ++c) {
      const double before = made.x(r, c) + (extras ? made.bias(0, c) : 0),
                   value = epilogue::reference::value_of(s.act, before) *
                           epilogue::reference::factor<float>(s.drop, s.columns, r, c),
                   wanted = value + (extras ? made.residual(r, c) : 0);
      const double size =
          std::abs(made.x(r, c)) + (extras ? std::abs(made.bias(0, c)) + std::abs(made.residual(r, c)) : 0.0) + 1;
      y.add(std::abs(made.y(r, c) - wanted), epilogue::epsilon_bf16 / 2 * std::abs(wanted) +
                                                 epilogue::rough_share * std::abs(value) +
                                                 rounding<float>(promised * size));
      u.add(std::abs(made.u(r, c) - before), epilogue::epsilon_bf16 / 2 * std::abs(before) + rounding<float>(size));
    }
  INFO("y " << y.message() << ", u " << u.message());
  CHECK((y.ok && u.ok));
  CHECK((made.y.padding_kept() && made.u.padding_kept()));
}

void check_backward(const epilogue::shape& s) {
  const shape<2> size{s.rows, s.columns};
  const rows_of<bf16> dy(size, 3, 5, 1.0), u(size, 1, 6, 2.5);
  rows_of<float> du(size, 2), sums({1, s.columns}, 0, 7, 1.0);
  const rows_of<float> before = sums;
  epilogue::backward_rows<float, bf16>(
      s.act, s.drop,
      {s.rows, s.columns, 0, dy.values.data(), dy.ld, s.act == activation::none ? nullptr : u.values.data(), u.ld,
       du.values.data(), du.ld, sums.values.data()});
  comparison result;
  const double promised = epilogue::promise_backward(s);
  for (std::size_t c = 0; c < s.columns; ++c) {
    double total = before(0, c), magnitude = std::abs(total), allowed = 0;
    for (std::size_t r = 0; r < s.rows; ++r) {
      const double up = dy(r, c) * epilogue::reference::factor<float>(s.drop, s.columns, r, c),
                   wanted = up * epilogue::reference::slope_of(s.act, u(r, c)),
                   bound = (s.act == activation::gelu ? epilogue::rough_share * std::abs(up) : 0) +
                           rounding<float>(promised * std::abs(dy(r, c)));
      result.add(std::abs(du(r, c) - wanted), bound);
      total += wanted;
      magnitude += std::abs(wanted);
      allowed += bound;
    }
    result.add(std::abs(sums(0, c) - total),
               allowed + rounding<float>((1 + static_cast<double>(s.rows) / 2) * magnitude));
  }
  INFO(result.message());
  CHECK(result);
  CHECK(du.padding_kept());
}

/// The masks of columns [first, first + count) from keep_groups, as `linear` asks for them.
std::vector<std::int32_t> masks_of(const epilogue::shape& s, std::size_t first_row, std::size_t rows,
                                   std::size_t group) {
  std::vector<std::int32_t> keep((rows + 1) * epilogue::dropout_group, 7);
  epilogue::keep_groups(s.drop, s.columns, first_row, rows, group, keep.data());
  for (std::size_t j = 0; j < epilogue::dropout_group; ++j)
    CHECK(keep[rows * epilogue::dropout_group + j] == 7);  // one row too far
  return keep;
}

/// All of a matrix by strips of 32 columns with given masks gives the bits of the whole one with its own.
template <class S>
void check_masks(const epilogue::shape& s) {
  const shape<2> size{s.rows, s.columns};
  const rows_of<float> x(size, 3, 3, 4.0);
  const rows_of<S> dy(size, 1, 5, 1.0), u(size, 2, 8, 2.0);
  rows_of<S> whole(size, 2), cut(size, 2);
  rows_of<float> du_whole(size, 4), du_cut(size, 4);
  // The second half of the rows, so that the first one has a number.
  const std::size_t skip = s.rows / 2, rows = s.rows - skip;
  epilogue::forward_rows<float, S>(s.act, s.drop,
                                   {rows, s.columns, skip, x.values.data() + skip * x.ld, x.ld, nullptr, nullptr, 0,
                                    nullptr, 0, whole.values.data() + skip * whole.ld, whole.ld});
  const bool reads = s.act != activation::none;
  epilogue::backward_rows<float, S>(
      s.act, s.drop,
      {rows, s.columns, skip, dy.values.data() + skip * dy.ld, dy.ld, reads ? u.values.data() + skip * u.ld : nullptr,
       u.ld, du_whole.values.data() + skip * du_whole.ld, du_whole.ld, nullptr});
  for (std::size_t first = 0; first < s.columns; first += 32) {
    const std::size_t count = std::min<std::size_t>(32, s.columns - first);
    const auto keep = masks_of(s, skip, rows, first / epilogue::dropout_group);
    const std::int32_t* const here = keep.data() + first % epilogue::dropout_group;
    epilogue::forward_rows<float, S>(
        s.act, s.drop,
        {rows, count, 0, x.values.data() + skip * x.ld + first, x.ld, nullptr, nullptr, 0, nullptr, 0,
         cut.values.data() + skip * cut.ld + first, cut.ld, here, epilogue::dropout_group});
    epilogue::backward_rows<float, S>(
        s.act, s.drop,
        {rows, count, 0, dy.values.data() + skip * dy.ld + first, dy.ld,
         reads ? u.values.data() + skip * u.ld + first : nullptr, u.ld, du_cut.values.data() + skip * du_cut.ld + first,
         du_cut.ld, nullptr, here, epilogue::dropout_group});
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t c = 0; c < count; ++c)
        CHECK((here[r * epilogue::dropout_group + c] == -1) == epilogue::stays(s.drop, s.columns, skip + r, first + c));
  }
  CHECK(whole.same_bits(cut));
  CHECK(du_whole.same_bits(du_cut));
}

/// Slopes that the forward pass keeps give the gradient that it would have given with what went in: of f32 the same
/// bits, of bf16 within the rounding of a slope.
template <class S>
void check_slopes(const epilogue::shape& s) {
  const shape<2> size{s.rows, s.columns};
  const rows_of<float> x(size, 3, 3, 4.0), bias({1, s.columns}, 0, 6, 1.0);
  const rows_of<S> dy(size, 1, 5, 1.0);
  rows_of<S> y(size, 2), y_slopes(size, 2), u(size, 5), slopes(size, 5);
  rows_of<float> du(size, 2), du_slopes(size, 2);
  const auto run = [&](rows_of<S>& out, rows_of<S>& kept, rows_of<float>& gradient, bool keeps_slopes) {
    epilogue::forward_rows_of<float, S> forth{
        s.rows, s.columns,          0,       x.values.data(),   x.ld,  bias.values.data(), nullptr,
        0,      kept.values.data(), kept.ld, out.values.data(), out.ld};
    forth.slopes = keeps_slopes;
    epilogue::forward_rows<float, S>(s.act, s.drop, forth);
    epilogue::backward_rows_of<float, S> back{s.rows,      s.columns,
                                              0,           dy.values.data(),
                                              dy.ld,       s.act == activation::none ? nullptr : kept.values.data(),
                                              kept.ld,     gradient.values.data(),
                                              gradient.ld, nullptr};
    back.slopes = keeps_slopes;
    epilogue::backward_rows<float, S>(s.act, s.drop, back);
  };
  run(y, u, du, false);
  run(y_slopes, slopes, du_slopes, true);
  CHECK(y.same_bits(y_slopes));
  CHECK((slopes.padding_kept() && du_slopes.padding_kept()));
  if constexpr (std::is_same_v<S, float>) {
    CHECK(du.same_bits(du_slopes));
    return;
  }
  comparison result;
  for (std::size_t r = 0; r < s.rows; ++r)
    for (std::size_t c = 0; c < s.columns; ++c) {
      const double up = dy(r, c) * epilogue::reference::factor<float>(s.drop, s.columns, r, c),
                   wanted = up * epilogue::reference::slope_of(s.act, x(r, c) + bias(0, c));
      result.add(std::abs(du_slopes(r, c) - wanted),
                 epilogue::epsilon_bf16 / 2 * std::abs(wanted) +
                     (s.act == activation::gelu ? epilogue::rough_share * std::abs(up) : 0) +
                     rounding<float>(epilogue::promise_backward(s) * std::abs(dy(r, c))));
    }
  INFO(result.message());
  CHECK(result);
}

}  // namespace

TEST_CASE("outputs kept in bf16 are the reference's, rounded", "[epilogue]") {
  on_every_shape([](const epilogue::shape& s) {
    check_forward(s, false);
    check_forward(s, true);
    check_backward(s);
  });
}

TEST_CASE("far tails, infinity and NaN of activations kept in bf16", "[epilogue]") {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> x = {-1e30F, -40, -13, -9, -6, -5, -1e-3F, 0, 1e-3F, 5, 6, 9, 13, 40, 1e30F, infinity, nan};
  x.resize(64, 1.5F);  // whole registers, and below what is left over
  on_every_machine([&] {
    for (const activation act : every)
      for (const std::size_t columns : {x.size(), std::size_t{17}}) {
        std::vector<bf16> y(columns), kept(columns), ones(columns, to_bf16(1));
        std::vector<float> slope(columns);
        epilogue::forward_rows<float, bf16>(
            act, {}, {1, columns, 0, x.data(), columns, nullptr, nullptr, 0, kept.data(), columns, y.data(), columns});
        epilogue::backward_rows<float, bf16>(
            act, {},
            {1, columns, 0, ones.data(), columns, act == activation::none ? nullptr : kept.data(), columns,
             slope.data(), columns, nullptr});
        for (std::size_t i = 0; i < columns; ++i) {
          INFO(name_of(act) << " " << x[i] << " of " << columns);
          const double given = static_cast<double>(x[i]), was = to_f64(kept[i]);
          if (std::isnan(x[i])) {
            CHECK(std::isnan(to_f32(y[i])));
            if (act != activation::none) CHECK(std::isnan(slope[i]));
          } else if (std::isinf(x[i])) {
            if (act != activation::tanh) CHECK(to_f32(y[i]) == infinity);
          } else {
            const double wanted = epilogue::reference::value_of(act, given),
                         steep = epilogue::reference::slope_of(act, was);
            CHECK(std::abs(to_f64(y[i]) - wanted) <=
                  (epilogue::epsilon_bf16 / 2 + epilogue::rough_share) * std::abs(wanted) +
                      rounding<float>(epilogue::promise_forward({1, 1, act}) * std::min(std::abs(given) + 1, 16.0)));
            CHECK(std::abs(static_cast<double>(slope[i]) - steep) <=
                  epilogue::rough_share + rounding<float>(epilogue::promise_backward({1, 1, act})));
          }
        }
      }
  });
}

TEST_CASE("a kept slope gives the gradient of what went in", "[epilogue]") {
  on_every_shape([](const epilogue::shape& s) {
    check_slopes<float>(s);
    check_slopes<bf16>(s);
  });
}

TEST_CASE("masks that are given are those that would be made", "[epilogue]") {
  on_every_machine([] {
    for (const auto& size : sizes)
      for (const activation act : {activation::none, activation::gelu}) {
        const epilogue::shape s{size[0], size[1], act, epilogue::make_dropout(0.4, 5, std::uint64_t{3} << 33 | 1)};
        INFO(to_text(size) << " " << name_of(act));
        check_masks<float>(s);
        check_masks<bf16>(s);
      }
  });
}

TEST_CASE("what is written past the caches is what would be written", "[epilogue]") {
  // Rows aligned for it and not; the last columns of a row never fill a register.
  on_every_machine([] {
    for (const std::size_t columns : {16U, 64U, 67U, 128U})
      for (const std::size_t shift : {0U, 1U, 16U}) {
        const shape<2> size{9, columns};
        const rows_of<float> x(size, 0, 3, 2.0);
        const std::size_t ld = 144;
        buffer<float> near(9 * ld + 16), far(9 * ld + 16), y(9 * columns), z(9 * columns);
        std::fill_n(near.data(), near.size(), 7.0F);
        std::fill_n(far.data(), far.size(), 7.0F);
        buffer<bf16> near_half(9 * ld + 16), far_half(9 * ld + 16), half(9 * columns);
        std::fill_n(near_half.data(), near_half.size(), to_bf16(7));
        std::fill_n(far_half.data(), far_half.size(), to_bf16(7));
        const auto run = [&](auto* u, auto* out, bool past) {
          using S = std::remove_pointer_t<decltype(out)>;
          epilogue::forward_rows_of<float, S> in{9,         columns, 0,   x.values.data(), columns, nullptr, nullptr, 0,
                                                 u + shift, ld,      out, columns};
          in.far = past;
          epilogue::forward_rows<float, S>(activation::gelu, {}, in);
        };
        run(near.data(), y.data(), false);
        run(far.data(), z.data(), true);
        CHECK(std::memcmp(near.data(), far.data(), near.size() * sizeof(float)) == 0);
        CHECK(std::memcmp(y.data(), z.data(), y.size() * sizeof(float)) == 0);
        run(near_half.data(), half.data(), false);
        run(far_half.data(), half.data(), true);
        CHECK(std::memcmp(near_half.data(), far_half.data(), near_half.size() * sizeof(bf16)) == 0);
      }
  });
}

TEST_CASE("rows of bf16 become f32 without a change", "[epilogue]") {
  on_every_machine([] {
    for (const auto& size : sizes) {
      const rows_of<bf16> x(size, 3, 5, 1.0);
      rows_of<float> y(size, 2);
      epilogue::widen_rows(size[0], size[1], x.values.data(), x.ld, y.values.data(), y.ld);
      CHECK(y.plain() == x.plain());
      CHECK(y.padding_kept());
    }
  });
}
