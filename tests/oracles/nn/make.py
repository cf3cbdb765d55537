"""scikit-learn's optimum of multinomial logistic regression: python tests/oracles/nn/make.py (scikit-learn 1.7 or later).

Real data: the iris measurements and the wine analyses that scikit-learn carries. Each oracle holds the rows, the labels
and scikit-learn's probabilities at (almost) the exact optimum: newton-cholesky, tol 1e-12, on standardised rows. The
objective is the one of include/hocket/nn/logistic_regression.hpp with l2 = 1 / C.
"""
import pathlib

import numpy as np
import sklearn
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

FOLDER = pathlib.Path(__file__).parent
CASES = [
    # name, data, rows kept (every n-th), C, standardise, class weights
    ("iris_c1", load_iris(), 1, 1.0, True, None),
    ("iris_raw_c10_balanced", load_iris(), 3, 10.0, False, "balanced"),
    ("wine_c001", load_wine(), 1, 0.01, True, None),
    ("wine_c100_balanced", load_wine(), 1, 100.0, True, "balanced"),
    ("cancer_two_classes_c2", load_breast_cancer(), 3, 2.0, True, None),
]
lines = [f"# scikit-learn {sklearn.__version__}", "name\tC\tstandardize\tclass_weight\tclasses"]
for name, data, step, c, standardise, weights in CASES:
    # Unequal classes: the last class loses every second row.
    keep = np.arange(len(data.target))[::step]
    keep = keep[(data.target[keep] != data.target.max()) | (np.arange(len(keep)) % 2 == 0)]
    x, y = data.data[keep].astype(np.float64), data.target[keep]
    z = StandardScaler().fit_transform(x) if standardise else x
    model = LogisticRegression(C=c, solver="newton-cholesky", tol=1e-12, max_iter=1000, class_weight=weights).fit(z, y)
    np.save(FOLDER / f"{name}_x.npy", x)
    np.save(FOLDER / f"{name}_y.npy", y.astype(np.float64))
    np.save(FOLDER / f"{name}_p.npy", model.predict_proba(z))
    lines.append(f"{name}\t{c}\t{str(standardise).lower()}\t{weights or 'none'}\t{len(model.classes_)}")
(FOLDER / "cases.tsv").write_text("\n".join(lines) + "\n")
