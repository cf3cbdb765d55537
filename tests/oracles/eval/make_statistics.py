"""Values of scipy and scikit-learn that tests/eval compares ours with.

    python tests/oracles/eval/make_statistics.py > tests/oracles/eval/statistics.json

The bootstrap intervals are random in scipy too: they are stored with the spread of their ends over repetitions, from which
the test derives what to allow.
"""
import json
import sys

import numpy as np
import scipy
import sklearn
from scipy import stats
from sklearn import metrics

random = np.random.default_rng(20)
out = {"made_with": {"scipy": scipy.__version__, "scikit-learn": sklearn.__version__, "numpy": np.__version__}}

out["wilson"] = []
for k, n in [(0, 1), (1, 1), (0, 30), (30, 30), (17, 20), (850, 1000), (3, 100000)]:
    for level in (0.9, 0.95):
        ci = stats.binomtest(k, n).proportion_ci(level, method="wilson")
        out["wilson"].append({"k": k, "n": n, "level": level, "low": ci.low, "high": ci.high})

out["normal_quantile"] = [[p, stats.norm.ppf(p)] for p in (1e-12, 1e-5, 0.025, 0.3, 0.5, 0.8, 0.975, 0.999)]
out["student_cdf"] = [[t, df, stats.t.cdf(t, df)] for t in (-40.0, -3.0, -0.5, 0.0, 0.2, 2.0, 9.0) for df in (1, 2, 4, 29, 1000)]
out["student_quantile"] = [[p, df, stats.t.ppf(p, df)] for p in (0.001, 0.025, 0.2, 0.8, 0.975) for df in (1, 2, 4, 29, 1000)]
out["mcnemar"] = [[b, c, stats.binomtest(b, b + c).pvalue if b + c else 1.0]
                  for b, c in [(0, 0), (0, 1), (5, 5), (1, 9), (12, 30), (300, 260), (1500, 1400)]]

samples = [random.normal(0.3, 1, n).tolist() for n in (5, 8, 12)] + [random.exponential(1, 10).tolist()]
out["samples"] = []
for x in samples:
    a = np.array(x)
    low, high = stats.t.interval(0.95, len(a) - 1, a.mean(), stats.sem(a))
    flip = stats.permutation_test((a,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided").pvalue
    tost = {str(m): max(stats.ttest_1samp(a, m, alternative="less").pvalue, stats.ttest_1samp(a, -m, alternative="greater").pvalue)
            for m in (0.2, 0.5, 2.0)}
    entry = {"x": x, "t_interval": [low, high], "sign_flip": flip, "tost": tost, "bootstrap": {}}
    for kind, method in (("percentile", "percentile"), ("bca", "BCa")):
        ends = np.array([stats.bootstrap((a,), np.mean, method=method, n_resamples=2000, rng=np.random.default_rng(seed)
                                         ).confidence_interval for seed in range(60)])
        entry["bootstrap"][kind] = {"mean": ends.mean(0).tolist(), "sd": ends.std(0, ddof=1).tolist()}
    out["samples"].append(entry)

# Holm by its definition: the largest of (m - i) p_(i) so far.
p = [0.01, 0.04, 0.03, 0.005, 0.9, 0.03]
order = np.argsort(p, kind="stable")
scaled = np.minimum(1, np.maximum.accumulate([(len(p) - i) * p[j] for i, j in enumerate(order)]))
holm = np.empty(len(p))
holm[order] = scaled
out["holm"] = {"p": p, "adjusted": holm.tolist()}

out["classification"] = []
for classes, n in [(2, 7), (5, 60), (10, 40)]:
    truth = random.integers(0, classes, n)
    predicted = np.where(random.random(n) < 0.6, truth, random.integers(0, classes, n))
    truth[truth == 1] = 0  # class 1 occurs among the predictions only, if at all
    present = sorted(set(truth))
    out["classification"].append({
        "classes": classes, "truth": truth.tolist(), "predicted": predicted.tolist(),
        "accuracy": metrics.accuracy_score(truth, predicted),
        "balanced_accuracy": metrics.recall_score(truth, predicted, labels=present, average="macro"),
        "macro_f1": metrics.f1_score(truth, predicted, average="macro", zero_division=0)})

original = random.normal(0, 1, (7, 3))
reconstructed = original + random.normal(0, 0.3, (7, 3))
out["reconstruction"] = {
    "original": original.ravel().tolist(), "reconstructed": reconstructed.ravel().tolist(), "rows": 7, "columns": 3,
    "mean_squared_error": metrics.mean_squared_error(original, reconstructed),
    "unexplained_variance": 1 - metrics.r2_score(original.ravel() - np.tile(original.mean(0), 7),
                                                 reconstructed.ravel() - np.tile(original.mean(0), 7))}
json.dump(out, sys.stdout, indent=1, sort_keys=True)
print()
