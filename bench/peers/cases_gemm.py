"""Our product with a packed weight against oneDNN's with its weights in its own layout: the products of MiniLM's layers at 32 x 64
tokens, and 2048 cubed. Ours takes f32 and rounds it inside; oneDNN is given bf16 and int8 as they are.
"""
from __future__ import annotations

from case import Case, Contest, Ratio, Setting, check_2x, dataset, peer
from fair import Arm

SHAPES = {"": (2048, 1536, 384), "-2048": (2048, 2048, 2048), "-down": (2048, 384, 1536), "-qkv": (2048, 1152, 384)}
TARGET = 0.85


def product(precision: str, shape: tuple):
    def build(setting: Setting) -> Contest:
        np, library = peer("numpy"), setting.library()
        m, n, k = shape
        generator = np.random.default_rng(1)
        # Quarters between -3 and 3: exact in bf16 and, four times them, in int8.
        given = (generator.integers(-12, 13, m * k + n * k) / 4).astype(np.float32)
        a, w = given[:m * k].reshape(m, k).astype(np.float64), given[m * k:].reshape(n, k).astype(np.float64)
        exact, results, arms = a @ w.T, {}, []
        for engine, name in (("own", f"hocket packed {precision}"), ("onednn", f"oneDNN {precision}")):
            prepared = library.packed_gemm(engine, precision, m, n, k, setting.threads)
            out = np.zeros((m, n), np.float32)
            run = prepared.call(given, out)
            run()
            results[engine] = out.copy()
            arms.append(Arm(name, run, library.version() if engine == "own" else library.onednn_version(), dtype=precision,
                            threads=setting.threads))
        epsilon = {"f32": 2.0**-23, "bf16": 2.0**-8, "int8": 2.0**-6}[precision]
        checks = [check_2x("product", arms[1].name, arms[1].version, results["own"], results["onednn"], exact, epsilon)]
        ratios = [Ratio(f"oneDNN / our packed product, {precision}, {m} x {n} x {k}", [arms[1].name], [arms[0].name], "higher", TARGET)]
        return Contest(arms, ratios, work=2.0 * m * n * k, work_unit="operations", checks=checks,
                       config={"m": m, "n": n, "k": k, "precision": precision},
                       data=[dataset(f"quarters, {m} x {k} and {n} x {k}", "seed 1", given, True)],
                       libraries={"onednn": library.onednn_version()})
    return build


CASES = [
    Case("gemm-own-vs-onednn" + ("" if precision == "f32" else f"-{precision}") + suffix,
         f"oneDNN / our packed product, {precision}, {' x '.join(map(str, shape))}, two threads; target >= {TARGET}",
         product(precision, shape), threads=2, needs=("oneDNN",))
    for precision in ("f32", "bf16", "int8") for suffix, shape in SHAPES.items()
]
