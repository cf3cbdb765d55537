// How many components a task needs and which solver finds them: README.md in this folder states the question.
#include <hocket/eval/metrics.hpp>
#include <hocket/linalg/pca.hpp>
#include <hocket/measure/sampler.hpp>

#include "experiments/audio_features/features.hpp"
#include "experiments/pca_rank/files.hpp"
#include "experiments/support/classification.hpp"
#include "experiments/support/data_sets.hpp"
#include "experiments/support/driver.hpp"
#include "experiments/support/pca_fit.hpp"
#include "experiments/support/pca_parity.hpp"
#include "experiments/support/pca_transform.hpp"

namespace {

using namespace hocket;
using namespace hocket::experiments;

constexpr std::size_t folds = 5;
constexpr std::size_t inner_folds = 1;
constexpr std::array<std::string_view, 5> solvers = {"full", "covariance", "gram", "randomized", "incremental"};

struct task {
  std::string set;
  std::size_t features;  ///< D
  std::vector<std::size_t> ranks;
  std::vector<std::size_t> timed_ranks;
  bool wide = false;  ///< fewer rows than features: the Gram matrix is the smaller problem
  bool audio = false;
};

std::vector<task> tasks_of(const run_options& options) {
  std::vector<task> tasks = {{"embedded_digits", 64, {2, 4, 8, 16, 32, 64}, {4, 16, 64}},
                             {"embedded_sounds", 256, {4, 16, 32}, {4, 16}, true, true}};
  if (options.quick) {
    tasks[0].ranks = {2, 8, 32};
    tasks[1].ranks = {4, 16};
    tasks[0].timed_ranks = tasks[1].timed_ranks = {16};
    return tasks;
  }
  tasks.push_back({"digits_opencv", 400, {2, 8, 32, 128}, {8, 32}});
  tasks.push_back({"drum_kits", 256, {2, 8, 32, 64}, {8, 32}, false, true});
  return tasks;
}

/// The Gram matrix has as many rows as the data: only for wide data is it a sensible choice.
bool takes_part(const task& t, std::string_view solver) { return solver != "gram" || t.wide; }

/// CUDA has two of the solvers; linalg/cuda_pca.cuh.
bool is_on(backend where, std::string_view solver) {
  return where == backend::cpu || solver == "covariance" || solver == "randomized";
}

nn::logistic_options classifier() {
  nn::logistic_options options;
  options.tolerance = 1e-5;
  return options;
}

linalg::pca_options pca(std::string_view solver, std::size_t rank) {
  linalg::pca_options options;
  set_option(options, "solver", solver);
  options.k = text(rank);
  return options;
}

std::vector<case_spec> cases_of(const run_options& options) {
  std::vector<case_spec> cases;
  for (const task& t : tasks_of(options)) {
    const data_set set = open_data_set(options, t.set);
    for (const std::string_view solver : solvers) {
      if (!takes_part(t, solver)) continue;
      for (const std::size_t rank : t.ranks)
        for (const std::int64_t seed : options.seeds(options.quick ? 3 : 5)) {
          case_spec c;
          c.name = text(t.set, "/", solver, "/k=", rank, "/seed=", seed);
          c.method = solver;
          c.seed = seed;
          c.options.set("dataset", t.set).set("k", rank).set("folds", folds).set("inner_folds", inner_folds);
          c.options.set_all(pca(solver, rank), "pca").set_all(classifier(), "classifier");
          c.protocol = cross_validation_protocol(
              set, text(set.title, t.audio ? ": pooled mel bands" : "", ", 5 folds"), text("pca_rank/", t.set), folds,
              {"The PCA and the classifier are fitted on training folds only; features are standardised first. The "
               "strength of the "
               "penalty is chosen on one validation fold, the next one in turn.",
               "Peak memory is that of the case's process: data, folds, PCA and classifier."});
          c.data = {set.use};
          c.cost_s = t.set == "digits_opencv" ? 3 : 0.5;
          c.timeout_s = 1800;
          cases.push_back(std::move(c));
        }
    }
    case_spec timing;
    timing.name = text(t.set, "/all");
    timing.method = "all";
    timing.kind = measure::record_kind::throughput;
    timing.options.set("dataset", t.set).set("threads", options.threads);
    std::string ranks;
    for (const std::size_t rank : t.timed_ranks) ranks += text(ranks.empty() ? "" : ",", rank);
    timing.options.set("ranks", ranks);
    timing.data = {set.use};
    timing.cost_s = 30;
    timing.timeout_s = 1800;
    cases.push_back(std::move(timing));
  }
  case_spec parity;
  parity.name = "scikit-learn/parity";
  parity.method = "all";
  parity.kind = measure::record_kind::parity;
  parity.options.set("oracle", "tests/oracles/pca/pca.txt");
  parity.cost_s = 5;
  cases.push_back(std::move(parity));
  return cases;
}

struct loaded {
  classification_data data;
  std::vector<std::string> ids, classes;
};

loaded load(case_run& run) {
  const std::string& name = run.spec().options.string("dataset");
  const data_set set = open_data_set(run.options(), name);
  expects(set.present(), errc::bad_file, set.use.missing);
  loaded all;
  if (set.files.size() == 1) {  // a table of images: every row is its own unit
    labelled_rows table = read_labelled_csv(set.files[0].path);
    all.data = {std::move(table.values), table.features, table.classes, std::move(table.labels), {}};
    for (std::size_t i = 0; i < table.rows; ++i) {
      all.data.units.push_back(static_cast<std::uint32_t>(i));
      all.ids.push_back(text(i));
    }
    for (std::size_t k = 0; k < table.classes; ++k) all.classes.push_back(text(k));
    return all;
  }
  audio_features::feature_table table = audio_features::cached_features(run, set);
  const auto mel = std::find_if(audio_features::arm_table.begin(), audio_features::arm_table.end(),
                                [](const auto& a) { return a.name == "mel"; });
  const auto at = static_cast<std::size_t>(mel - audio_features::arm_table.begin());
  all.data = {std::move(table.values.at(at)), table.sizes.at(at), set.classes.size(), std::move(table.labels),
              std::move(table.units)};
  all.ids = std::move(table.ids);
  all.classes = set.classes;
  return all;
}

/// Share of the test rows' variance that `options` leaves out, over all outer folds.
double reconstruction_error(const classification_data& data, std::uint64_t seed, const linalg::pca_options& options,
                            backend where) {
  const auto fold_of = assign_folds(data, folds, seed);
  double weighted = 0;
  for (std::size_t test = 0; test < folds; ++test) {
    const auto train = experiments::detail::take(data, fold_of, [&](std::size_t f) { return f != test; });
    const auto judged = experiments::detail::take(data, fold_of, [&](std::size_t f) { return f == test; });
    const standardizer scale(train.values());
    const std::vector<double> x = scale(train.values()), y = scale(judged.values());
    const auto model = pca_fit_on<double>(where, view<const double, 2>(x.data(), train.values().extents()), options);
    std::vector<double> scores(judged.rows.size() * model.n_components), back(y.size());
    const view<const double, 2> rows(y.data(), judged.values().extents());
    const view<double, 2> score_rows(scores.data(), {judged.rows.size(), model.n_components});
    linalg::pca_transform<double>(model, rows, score_rows);
    linalg::pca_inverse_transform<double>(model, score_rows, view<double, 2>(back.data(), rows.extents()));
    weighted += eval::unexplained_variance(rows, view<const double, 2>(back.data(), rows.extents())) *
                static_cast<double>(judged.rows.size());
  }
  return weighted / static_cast<double>(data.rows());
}

void run_quality(case_run& run) {
  const loaded all = load(run);
  const auto seed = static_cast<std::uint64_t>(run.spec().seed.value_or(0));
  const linalg::pca_options options = pca(run.spec().method, run.spec().options.size("k"));
  const nested_result result =
      nested_cross_validation(run.options().device(), all.data, folds, inner_folds, seed, classifier(),
                              pca_after_standardizing(options, run.options().backend));
  record_classification(run.record(), all.data, all.ids, all.classes, result.predicted);
  const auto& definition = eval::reconstruction_metrics[1];
  measure::metric row;
  row.name = definition.name;
  row.variant = text(definition.variant, ", standardised test rows, mean over folds");
  row.unit = definition.unit;
  row.better = definition.better;
  row.value = reconstruction_error(all.data, seed, options, run.options().backend);
  row.n = static_cast<std::int64_t>(all.data.rows());
  run.record().metrics.push_back(std::move(row));
}

/// What a rank-k reconstruction of x leaves out.
double left_out(const view<const float, 2>& x, const linalg::pca_model<float>& model) {
  std::vector<float> scores(x.extent(0) * model.n_components), back(x.size());
  linalg::pca_transform<float>(model, x, make_view(scores, x.extent(0), model.n_components));
  linalg::pca_inverse_transform<float>(model, make_view(std::as_const(scores), x.extent(0), model.n_components),
                                       view<float, 2>(back.data(), x.extents()));
  const std::vector<double> wide(x.data(), x.data() + x.size()), approximated(back.begin(), back.end());
  return eval::unexplained_variance(view<const double, 2>(wide.data(), x.extents()),
                                    view<const double, 2>(approximated.data(), x.extents()));
}

void run_throughput(case_run& run) {
  const loaded all = load(run);
  const standardizer scale(view<const double, 2>(all.data.x.data(), {all.data.rows(), all.data.features}));
  const std::vector<double> wide =
      scale(view<const double, 2>(all.data.x.data(), {all.data.rows(), all.data.features}));
  const std::vector<float> values(wide.begin(), wide.end());
  const view<const float, 2> x(values.data(), {all.data.rows(), all.data.features});
  const auto tasks = tasks_of(run.options());
  const auto t = std::find_if(tasks.begin(), tasks.end(),
                              [&](const task& one) { return one.set == run.spec().options.string("dataset"); });
  const backend where = run.options().backend;
  const int threads = where == backend::cpu ? run.options().threads : 1;
  std::vector<measure::timed_arm> arms;
  for (const std::string_view solver : solvers) {
    if (!takes_part(*t, solver) || !is_on(where, solver)) continue;
    for (const std::size_t rank : t->timed_ranks) {
      const linalg::pca_options options = pca(solver, rank);
      measure::timed_arm timed;
      timed.name = text(solver, "/k=", rank);
      timed.threads = threads;
      timed.run = [x, options, where, threads] { pca_fit_on<float>(where, x, options, threads); };
      timed.check = [x, options, where, threads, rank, solver]() -> std::string {
        const double best = left_out(x, linalg::pca_fit<float>(x, pca("full", rank)));
        const double ours = left_out(x, pca_fit_on<float>(where, x, options, threads));
        // Incremental cuts to k components after every batch, so it may lose a little; the others may not.
        const double excess = solver == "incremental" ? 0.1 : 1e-4;
        const double rounding = static_cast<double>(std::numeric_limits<float>::epsilon());
        if (ours <= best * (1 + excess) + rounding) return {};
        return text("it leaves out ", ours, " of the variance, the full solver ", best);
      };
      timed.work = static_cast<double>(x.extent(0));
      timed.work_unit = "rows";
      arms.push_back(std::move(timed));
    }
  }
  measure::sampling_options sampling;
  sampling.sample_ns = 1e6;
  run.record().timings = measure::timed_arms(std::move(arms), sampling).timings();
}

std::vector<resolution> resolution_of(const run_options& options) {
  std::vector<resolution> lines;
  for (const task& t : tasks_of(options)) {
    const data_set set = open_data_set(options, t.set);
    if (!set.present() || set.files.size() != 1) continue;
    const std::size_t rows = read_labelled_csv(set.files[0].path).rows;
    lines.push_back(accuracy_resolution(set, folds, rows, rows));
  }
  return lines;
}

}  // namespace

int main(int argc, char** argv) {
  experiment e;
  e.name = "pca_rank";
  e.question = "How many principal components does a task need, and which solver finds them at what cost?";
  e.axes = {{"dataset", "embedded_digits, embedded_sounds, digits_opencv, drum_kits"},
            {"method", "full, covariance, gram (wide data only), randomized, incremental"},
            {"k", "2 .. 128"}};
  e.cases = cases_of;
  e.run = [](case_run& run) {
    switch (run.spec().kind) {
      case measure::record_kind::throughput: return run_throughput(run);
      case measure::record_kind::parity:
        expects(run.options().backend == backend::cpu, errc::not_built,
                "the parity rows are those of the CPU's solvers");
        run.record().parity =
            parity::pca_parity_rows(std::string(HOCKET_SOURCE_DIR) + "/" + run.spec().options.string("oracle"));
        return;
      default: return run_quality(run);
    }
  };
  e.resolution_of = resolution_of;
  e.verbs = {pca_rank::fit_verb(), pca_rank::transform_verb()};
  return main_of(argc, argv, e);
}
