// Every arm of the PCA's passes against plain sums in long double: awkward sizes, padded rows full of NaN, an offset of
// a million spreads, every instruction set.
#include <cmath>
#include <limits>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/centre/arms.hpp>
#include <hocket/kernels/centre/reference.hpp>

#include "catch.hpp"
#include "machine_sets.hpp"

namespace {

using namespace hocket;
namespace centre = hocket::kernels::centre;
using centre::pass;

/// offset + normal numbers, NaN in the padding and in `shift` elements before the first row.
template <Real T>
struct padded {
  padded(std::size_t rows, std::size_t columns, std::size_t pad, std::size_t shift, double offset, std::uint64_t seed)
      : ld(columns + pad), shift(shift), values(shift + rows * ld) {
    const philox random(seed);
    std::fill(values.begin(), values.end(), std::numeric_limits<T>::quiet_NaN());
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j)
        data()[i * ld + j] = static_cast<T>(offset + random.normal_at(i * columns + j));
  }
  T* data() { return values.data() + shift; }
  std::size_t ld, shift;
  buffer<T> values;
};

/// |ours - reference| where they should agree; what lies between the rows must still be NaN.
template <class A>
comparison elements(std::size_t rows, std::size_t columns, const A* ours, std::size_t ld,
                    const std::vector<long double>& expected, const std::vector<double>& allowed) {
  comparison result;
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      const std::size_t at = i * columns + j;
      result.add(static_cast<double>(std::abs(static_cast<long double>(ours[i * ld + j]) - expected[at])), allowed[at]);
    }
    for (std::size_t j = columns; j < ld; ++j) result.add(std::isnan(ours[i * ld + j]) ? 0 : HUGE_VAL, 0);
  }
  return result;
}

template <Real T>
struct subject {
  const centre::centre_arm<T>& arm;
  std::size_t rows, columns, shift;
  double offset;

  double bound(pass which, double magnitude) const {
    return arm.promise({rows, columns, which}) * rounding<T>(magnitude);
  }

  comparison column_sums(padded<T>& x) const {
    std::vector<T> origin(columns, static_cast<T>(offset + 1));
    std::vector<double> sums(columns, 0.25), allowed(columns);
    std::vector<long double> expected(columns, 0.25L);
    for (std::size_t j = 0; j < columns; ++j) {
      double size = 0.25;
      for (std::size_t i = 0; i < rows; ++i)
        size += std::abs(static_cast<double>(x.data()[i * x.ld + j]) - static_cast<double>(origin[j]));
      allowed[j] = bound(pass::column_sums, size);
    }
    arm.run.column_sums(rows, columns, x.data(), x.ld, origin.data(), sums.data());
    centre::reference_column_sums<T>(rows, columns, x.data(), x.ld, origin.data(), expected.data());
    return elements(1, columns, sums.data(), columns, expected, allowed);
  }

  comparison subtract(padded<T>& x) const {
    // the centre of a column in two numbers: rounded to T, and what rounding left over
    std::vector<T> high(columns), low(columns);
    for (std::size_t j = 0; j < columns; ++j) {
      const long double mean = static_cast<long double>(offset) + static_cast<long double>(j) / 7;
      high[j] = static_cast<T>(mean);
      low[j] = static_cast<T>(mean - static_cast<long double>(high[j]));
    }
    padded<T> out(rows, columns, 2, shift, 0, 1);
    std::fill(out.values.begin(), out.values.end(), std::numeric_limits<T>::quiet_NaN());
    std::vector<long double> expected(rows * columns);
    std::vector<double> allowed(rows * columns);
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j)
        allowed[i * columns + j] =
            bound(pass::subtract, std::abs(static_cast<double>(x.data()[i * x.ld + j]) - static_cast<double>(high[j])) +
                                      std::abs(static_cast<double>(low[j])));
    arm.run.subtract(rows, columns, x.data(), x.ld, high.data(), low.data(), out.data(), out.ld);
    centre::reference_subtract<T>(rows, columns, x.data(), x.ld, high.data(), low.data(), expected.data(), columns);
    return elements(rows, columns, out.data(), out.ld, expected, allowed);
  }

  comparison squares(padded<T>& x) const {
    const double ours = arm.run.squares(rows, columns, x.data(), x.ld);
    const long double expected = centre::reference_squares<T>(rows, columns, x.data(), x.ld);
    comparison result;
    result.add(static_cast<double>(std::abs(static_cast<long double>(ours) - expected)),
               bound(pass::squares, static_cast<double>(expected)));
    return result;
  }

  comparison add(padded<T>& x) const {
    padded<double> sum(rows, columns, 1, shift, -offset, 9);
    std::vector<long double> expected;
    std::vector<double> allowed;
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j) {
        const double before = sum.data()[i * sum.ld + j];
        expected.push_back(static_cast<long double>(before));
        allowed.push_back(bound(pass::add, std::abs(before) + std::abs(static_cast<double>(x.data()[i * x.ld + j]))));
      }
    arm.run.add(rows, columns, x.data(), x.ld, sum.data(), sum.ld);
    centre::reference_add<T>(rows, columns, x.data(), x.ld, expected.data(), columns);
    return elements(rows, columns, sum.data(), sum.ld, expected, allowed);
  }
};

template <Real T>
void check(const centre::centre_arm<T>& arm, std::size_t rows, std::size_t columns, std::size_t shift, double offset) {
  padded<T> x(rows, columns, 3, shift, offset, rows * 100 + columns);
  const subject<T> one{arm, rows, columns, shift, offset};
  for (const pass which : centre::every_pass) {
    if (!arm.accepts({rows, columns, which})) continue;
    comparison result;
    switch (which) {
      case pass::column_sums: result = one.column_sums(x); break;
      case pass::subtract: result = one.subtract(x); break;
      case pass::squares: result = one.squares(x); break;
      case pass::add: result = one.add(x); break;
    }
    CAPTURE(arm.name, name_of(arm.type), name_of(which), name_of(best_isa()), rows, columns, shift, offset);
    INFO(result.message());
    CHECK(result.ok);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("centre: every arm keeps its promise", "[centre]", float, double) {
  for (const isa level : tests::machine_sets()) {
    const tests::on_isa guard(level);
    for (const auto& arm : centre::arms<TestType>())
      for (const std::size_t columns :
           {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{8}, std::size_t{9},
            std::size_t{15}, std::size_t{16}, std::size_t{17}, std::size_t{31}, std::size_t{33}, std::size_t{67}})
        for (const std::size_t rows :
             {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{13}, std::size_t{64}})
          for (const double offset : {0.0, 1e6}) check(arm, rows, columns, (rows + columns) % 4, offset);
  }
}

TEMPLATE_TEST_CASE("centre: long columns around an offset of a million spreads", "[centre]", float, double) {
  for (const isa level : tests::machine_sets()) {
    const tests::on_isa guard(level);
    for (const auto& arm : centre::arms<TestType>()) check(arm, 4999, 37, 1, 1e6);
  }
}
