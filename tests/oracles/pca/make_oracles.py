#!/usr/bin/env python3
"""scikit-learn's PCA on small seeded matrices, in f32 as users call it and in f64 as the reference.

    python3 tests/oracles/pca/make_oracles.py     # needs numpy and scikit-learn >= 1.5; writes pca.txt beside itself

Text, one item per line: a case line "case NAME SOLVER K WHITEN BATCH N D VERSION", then named arrays "NAME COUNT v v v ...".
The input x is f32 in every case, so both precisions see the same numbers; *32 arrays are the peer's own f32 answers.
"""
import pathlib

import numpy as np
import sklearn
from sklearn.decomposition import PCA, IncrementalPCA

CASES = [
    ("tall", "full", 5, False, 0, 83, 12, 0.0),
    ("tall-covariance", "covariance_eigh", 5, False, 0, 83, 12, 0.0),
    ("tall-all", "full", 12, False, 0, 40, 12, 2.0),
    ("whitened", "full", 4, True, 0, 61, 9, 1.0),
    ("whitened-covariance", "covariance_eigh", 4, True, 0, 61, 9, 1.0),
    ("wide", "full", 6, False, 0, 15, 37, 0.5),
    ("square-one", "full", 1, False, 0, 20, 20, 0.0),
    ("incremental", "incremental", 4, False, 25, 100, 11, 1.0),
    ("incremental-whitened", "incremental", 3, True, 30, 90, 8, 0.0),
]


def data(n, d, offset, seed):
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.standard_normal((d, d)))
    spread = 1.0 / (1 + np.arange(d)) ** 0.8
    return ((rng.standard_normal((n, d)) * spread) @ rotation + offset).astype(np.float32)


def fitted(x, solver, k, whiten, batch):
    if solver == "incremental":
        return IncrementalPCA(k, whiten=whiten, batch_size=batch).fit(x)
    return PCA(k, svd_solver=solver, whiten=whiten).fit(x)


def main():
    lines = []
    for seed, (name, solver, k, whiten, batch, n, d, offset) in enumerate(CASES):
        x = data(n, d, offset, seed)
        lines.append(f"case {name} {solver} {k} {int(whiten)} {batch} {n} {d} {sklearn.__version__}")
        arrays = {"x": x}
        for suffix, values in (("64", x.astype(np.float64)), ("32", x)):
            model = fitted(values, solver, k, whiten, batch)
            arrays["mean" + suffix] = model.mean_
            arrays["components" + suffix] = model.components_
            arrays["variance" + suffix] = model.explained_variance_
            arrays["ratio" + suffix] = model.explained_variance_ratio_
            arrays["singular" + suffix] = model.singular_values_
            arrays["noise" + suffix] = np.array([model.noise_variance_])
            arrays["scores" + suffix] = model.transform(values)
        for key, array in arrays.items():
            flat = np.asarray(array).ravel()
            digits = 9 if flat.dtype == np.float32 else 17
            lines.append(f"{key} {flat.size} " + " ".join(f"{v:.{digits}g}" for v in flat))
    (pathlib.Path(__file__).parent / "pca.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
