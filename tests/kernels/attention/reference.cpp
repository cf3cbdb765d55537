// The reference's gradients against finite differences of its own forward pass, and its masks written out by hand.
#include "catch.hpp"
#include "kernels/attention/problem.hpp"

using namespace attention_test;

namespace {

long double loss(const problem<double>& p) {
  std::vector<long double> out(p.q.size);
  attention::reference::forward<double>(p.s, p.inputs(), p.q.over(out.data()), nullptr);
  long double sum = 0;
  p.q.each(false, [&](std::size_t i) { sum += out[i] * static_cast<long double>(p.dout[i]); });
  return sum;
}

}  // namespace

TEST_CASE("the reference's gradients agree with finite differences", "[attention]") {
  const std::vector<trial> trials = {
      {1, 1, 1, 2, 3, 2, 0},
      {2, 4, 2, 3, 4, 3, 2, true, 0, lengths::keys, false, true, 1, true},
      {2, 2, 1, 5, 5, 2, 1, true, 2, lengths::packed, true},
      {3, 1, 1, 4, 6, 2, 0, false, 2, lengths::both, false, false, 2},
      {2, 4, 2, 3, 10, 2, 9, true, 0, lengths::keys, true, true, 0, true, 0, false, 0.4}};
  for (const trial& t : trials) {
    problem<double> p(t);
    const auto e = p.expected();
    const auto check = [&](const place& where, std::vector<double>& x, const std::vector<long double>& gradient) {
      where.each(false, [&](std::size_t i) {
        const double before = x[i], step = 0x1p-16;
        x[i] = before + step;
        const long double up = loss(p);
        x[i] = before - step;
        const long double down = loss(p);
        x[i] = before;
        const double difference = static_cast<double>((up - down) / (2 * static_cast<long double>(step)));
        // Third derivatives of this loss are sums of products of values of order 1: step^2 each, with room for 100.
        INFO(t.text() << ": " << difference << " against " << static_cast<double>(gradient[i]));
        CHECK(std::abs(difference - static_cast<double>(gradient[i])) <= 100 * step * step);
      });
    };
    check(p.q, p.q_data, e.dq);
    check(p.kv, p.k, e.dk);
    check(p.kv, p.v, e.dv);
    check(p.prefix, p.prefix_k, e.dprefix_k);
    check(p.prefix, p.prefix_v, e.dprefix_v);
  }
}

TEST_CASE("masks of attention are those that shape.hpp states", "[attention]") {
  const auto seen_by = [](attention::shape s, std::size_t i, const attention::ragged& r = {}) {
    const std::vector<float> x(64);
    attention::inputs<float> in;
    in.q = in.k = in.v = in.prefix_k = in.prefix_v = attention::heads_outside(x.data(), 1, 8, 1);
    in.lengths = r;
    std::string out;
    for (const auto& key : attention::reference::visible(s, in, 0, 0, i))
      out += text(key.prefix ? "p" : "", key.index, " ");
    return out;
  };
  attention::shape s{1, 1, 1, 4, 4, 1, 0};
  CHECK(seen_by(s, 0) == "0 1 2 3 ");
  s.window = 2;
  CHECK(seen_by(s, 2) == "1 2 3 ");
  s.causal = true;
  CHECK(seen_by(s, 2) == "1 2 ");
  s.prefix = 2;
  CHECK(seen_by(s, 0) == "p0 p1 0 ");
  s = {1, 1, 1, 2, 5, 1, 0, true};  // two queries at the end of five keys
  CHECK(seen_by(s, 0) == "0 1 2 3 ");
  CHECK(seen_by(s, 1) == "0 1 2 3 4 ");
  s = {1, 1, 1, 5, 2, 1, 0, true};  // more queries than keys: the first see nothing
  CHECK(seen_by(s, 2) == "");
  CHECK(seen_by(s, 3) == "0 ");
  const std::uint32_t three = 3, two = 2;
  s = {1, 1, 1, 4, 4, 1, 0, true};
  CHECK(seen_by(s, 1, {nullptr, &three, nullptr, nullptr}) == "0 1 ");  // padding keys does not move the diagonal
  CHECK(seen_by(s, 3, {nullptr, &three, nullptr, nullptr}) == "0 1 2 ");
  CHECK(seen_by(s, 0, {&two, &three, nullptr, nullptr}) == "0 1 ");
  CHECK(seen_by(s, 2, {&two, &three, nullptr, nullptr}) == "");
}
