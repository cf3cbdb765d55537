// Gradients of a tape against finite differences of its own forward pass, in f64, and what else must hold for any
// operation: the same bits for two threads, for fewer trainable parameters, and when recomputed from a checkpoint.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/nn/ops/arrange.hpp>

#include "catch.hpp"
#include "nn/slopes.hpp"

namespace nn_test {

using namespace hocket;

/// Parameters by name, and what a batch needs once the tape is compiled.
struct world {
  nn::parameter_set<double> parameters;
  std::vector<std::function<void(nn::tape<double>&)>> batch;

  /// Normal values that do not depend on when they are asked for.
  nn::value parameter(nn::tape<double>& t, const std::string& name, std::size_t rows, std::size_t columns,
                      double centre = 0) {
    nn::parameter<double>* p = parameters.find(name);
    if (!p) {
      p = &parameters.add(name, rows, columns);
      const philox random(11, std::hash<std::string>{}(name));
      for (std::size_t i = 0; i < p->size(); ++i) p->writable().data()[i] = centre + random.normal_at(i);
    }
    return t.parameter(*p);
  }
  nn::value input(nn::tape<double>& t, const std::string& name, nn::extent rows, std::size_t columns) {
    const nn::value v = t.input(name, rows, columns);
    batch.push_back([=, this](nn::tape<double>& to) {
      const std::size_t n = live(rows);
      std::vector<double> x(n * columns);
      const philox random(12, std::hash<std::string>{}(name));
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = random.normal_at(i);
      to.set(v, {x.data(), {n, columns}});
    });
    return v;
  }
  nn::dimension rows(nn::tape<double>& t, const std::string& name, std::size_t now, std::size_t most) {
    const nn::dimension d = t.dimension_of(name, most);
    sizes.resize(d.index + 1, 1);
    sizes[d.index] = now;
    batch.insert(batch.begin(), [=](nn::tape<double>& to) { to.set(d, now); });
    return d;
  }
  nn::index_input indices(nn::tape<double>& t, const std::string& name, nn::extent rows, std::size_t bound) {
    const nn::index_input i = t.indices(name, rows, bound);
    batch.push_back([=, this](nn::tape<double>& to) {
      philox random(13, std::hash<std::string>{}(name));
      std::vector<std::uint32_t> x(live(rows));
      for (auto& each : x) each = static_cast<std::uint32_t>(random.next_below(bound));
      to.set(i, x);
    });
    return i;
  }
  std::size_t live(const nn::extent& e) const { return (e.dimension ? sizes[e.dimension] : 1) * e.factor; }
  std::vector<std::size_t> sizes{1};
};

/// Makes the value under test; must record the same operations whenever it is called.
using recipe = std::function<nn::value(nn::tape<double>&, world&)>;

struct outcome {
  double loss;
  std::vector<std::vector<double>> gradients;  ///< of every parameter, empty if frozen
};

/// The weighed sum of the recipe's output, compiled, with its batch.
struct compiled {
  compiled(const recipe& make, world& w, const cpu& device, bool checkpoint) : t(device, 5) {
    w.batch.clear();
    w.sizes = {1};
    const nn::value out = checkpoint ? t.checkpointed([&] { return make(t, w); }) : make(t, w);
    const bool single = t.rows(out) == nn::extent(1) && t.columns(out) == 1;
    loss = single ? out
                  : nn::sum(t, nn::multiply(t, out, w.input(t, "weights of the output", t.rows(out), t.columns(out))));
    t.compile(loss);
    for (const auto& set : w.batch) set(t);
  }
  double forward() {
    t.forward();
    return t.scalar(loss);
  }
  nn::tape<double> t;
  nn::value loss;
};

inline void clear_gradients(world& w) {
  for (auto& p : w.parameters)
    if (p.trainable()) std::fill_n(p.gradient().data(), p.size(), 0.0);
}

inline outcome run(const recipe& make, world& w, const cpu& device = {}, bool checkpoint = false) {
  compiled c(make, w, device, checkpoint);
  clear_gradients(w);
  outcome result{c.forward(), {}};
  c.t.backward();
  for (auto& p : w.parameters) {
    auto& g = result.gradients.emplace_back();
    if (p.trainable()) g.assign(p.gradient().data(), p.gradient().data() + p.size());
  }
  return result;
}

inline bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
}

/// Checks all that the head of this file promises. `most` entries of every parameter are differentiated.
inline void check_gradients(const std::string& what, const recipe& make, std::size_t most = 48) {
  INFO(what);
  world w;
  const outcome all = run(make, w);
  REQUIRE(w.parameters.size() > 0);
  {
    compiled c(make, w, {}, false);
    const auto loss = [&] {
      c.t.seek(0);
      return c.forward();
    };
    std::size_t index = 0;
    for (auto& p : w.parameters) {
      const auto& gradient = all.gradients[index++];
      comparison result;
      const std::size_t stride = std::max<std::size_t>(1, p.size() / most);
      for (std::size_t i = 0; i < p.size(); i += stride)
        result.add(std::abs(slope_of(p.writable().data()[i], loss) - gradient[i]),
                   allowed_slope(gradient[i], all.loss));
      INFO(p.name() << " " << result.message());
      CHECK(result);
    }
  }
  const outcome threads = run(make, w, cpu{2}), again = run(make, w, {}, true);
  for (std::size_t i = 0; i < all.gradients.size(); ++i) {
    CHECK(same_bits(all.gradients[i], threads.gradients[i]));
    CHECK(same_bits(all.gradients[i], again.gradients[i]));
  }
  // A parameter alone has the gradient that it has among others.
  for (std::size_t alone = 0; alone < w.parameters.size(); ++alone) {
    std::size_t index = 0;
    for (auto& p : w.parameters) p.train(index++ == alone);
    const outcome one = run(make, w);
    INFO("alone: " << alone);
    CHECK(one.loss == all.loss);
    CHECK(same_bits(one.gradients[alone], all.gradients[alone]));
  }
}

}  // namespace nn_test
