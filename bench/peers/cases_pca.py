"""PCA against the fastest solver setting of scikit-learn and torch that is as exact.

A fitted basis V (k x d) is judged by its excess residual: ||Xc - Xc V'V||^2 / (the least value that k components allow) - 1,
with Xc the centred matrix, in double, V made orthonormal first. The optimum comes once from the eigenvalues of the f64
covariance or Gram matrix. Settings whose excess is above 1e-4 are out, whatever their speed; of the others the fastest few
are timed interleaved with ours, and the ratio is against the fastest of them.
"""
from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from case import Case, Contest, NotRun, Ratio, Setting, check_bound, dataset, peer
from fair import Arm

ALLOWED_EXCESS = 1e-4
DECAY = 1.0          # singular values i^-DECAY
SEED = 1
TARGET = 1.2
CLOSE = 2.5          # families within this multiple of the fastest are timed interleaved ...
FEW = 4              # ... but no more than this many
HOPELESS = 5.0       # a setting whose arithmetic alone takes this multiple of the fastest so far is not tried
CONTEXT_FRAMES = 8   # log-mel frames joined into one row of real features


# --- matrices -----------------------------------------------------------------------------------------------------------

def mixed(np, fft, values, axis: int, generator):
    """An orthonormal transform along `axis`: random signs, cosine transform, permutation, signs, cosine transform."""
    n = values.shape[axis]
    shape = [1, 1]
    shape[axis] = n
    for _ in range(2):
        values = fft.dct(values * generator.choice([-1.0, 1.0], n).reshape(shape), axis=axis, norm="ortho")
        values = np.take(values, generator.permutation(n), axis=axis)
    return values


def power_law(rows: int, columns: int):
    """f32 (rows, columns) with singular values i^-DECAY, i = 1 .. min(rows, columns), and random-like singular vectors, on
    top of a mean that is not zero."""
    np, fft = peer("numpy"), peer("scipy.fft")
    generator = np.random.default_rng(SEED)
    x = np.zeros((rows, columns))
    i = np.arange(min(rows, columns))
    x[i, i] = (i + 1.0)**-DECAY
    x = mixed(np, fft, mixed(np, fft, x, 1, generator), 0, generator)
    x *= np.sqrt(rows)
    return np.ascontiguousarray(x + x.std() * generator.standard_normal(columns), dtype=np.float32)


def real_features(library):
    """f32 (rows, 1024): log-mel frames of the repository's recordings, eight following frames to a row."""
    np, soundfile = peer("numpy"), peer("soundfile")
    folder = Path(__file__).resolve().parents[2] / "experiments" / "data" / "embedded" / "sounds"
    rows = []
    for path in sorted(folder.glob("*.flac")):
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        clip = np.ascontiguousarray(samples.mean(axis=1), dtype=np.float32)[None]
        prepared = library.audio("librosa-0.11", "logmel", "own", float(rate), clip.shape[1], 1, 1)
        out = np.zeros((1, prepared.rows, prepared.columns), np.float32)
        prepared.call(clip, out)()
        frames = out[0].T
        rows += [frames[f:f + CONTEXT_FRAMES].ravel() for f in range(len(frames) - CONTEXT_FRAMES + 1)]
    return np.ascontiguousarray(rows, dtype=np.float32)


# --- quality ------------------------------------------------------------------------------------------------------------

class Judge:
    """Excess residuals of one matrix; the optimum is kept in the cache folder."""

    def __init__(self, x, k: int, cache: Path):
        np = peer("numpy")
        self.np, self.k = np, k
        self.centred = x.astype(np.float64)
        self.centred -= self.centred.mean(axis=0)
        self.total = float(np.sum(self.centred**2))
        self.digest = hashlib.sha256(x.tobytes() + str(k).encode()).hexdigest()
        kept = cache / f"optimum-{self.digest[:16]}.json"
        if kept.exists():
            self.optimum = json.loads(kept.read_text())["residual"]
        else:
            n, d = x.shape
            gram = self.centred.T @ self.centred if d <= n else self.centred @ self.centred.T
            values = peer("scipy.linalg").eigh(gram, eigvals_only=True)
            self.optimum = float(np.sum(values[:-k]))
            kept.write_text(json.dumps({"residual": self.optimum, "shape": [n, d], "k": k}))

    def excess(self, components) -> float:
        """components: (k, d), any scale."""
        basis, _ = self.np.linalg.qr(self.np.asarray(components, dtype=self.np.float64).T)
        left = self.total - float(self.np.sum((self.centred @ basis)**2))
        return left / self.optimum - 1


# --- peers --------------------------------------------------------------------------------------------------------------

@dataclass
class Choice:
    """One setting of a peer. `family`: settings that differ in their number of power iterations only."""
    label: str
    family: str
    version: str
    flops: float     # a floor of its arithmetic
    call: Callable   # () -> components (k, d)


def sklearn_choices(x, k: int, libraries: dict) -> list:
    sklearn, decomposition = peer("sklearn"), peer("sklearn.decomposition")
    libraries["scikit-learn"] = version = sklearn.__version__
    n, d = x.shape
    small, large = min(n, d), max(n, d)

    def choice(label, family, flops, **options):
        return Choice(f"scikit-learn {label}", f"scikit-learn {family}", version, flops,
                      lambda: decomposition.PCA(n_components=k, **options).fit(x).components_)

    out = [choice(f"randomized, n_iter={i}, {normaliser}", f"randomized {normaliser}", 4 * n * d * (k + 10) * (1 + i),
                  svd_solver="randomized", iterated_power=i, random_state=0, power_iteration_normalizer=normaliser)
           for normaliser in ("LU", "QR", "none") for i in range(8)]
    out.append(choice("arpack", "arpack", 4 * n * d * k, svd_solver="arpack", random_state=0))
    out.append(choice("covariance_eigh", "covariance_eigh", n * d * d + 4 / 3 * d**3, svd_solver="covariance_eigh"))
    out.append(choice("full", "full", 2 * large * small**2 + 2 * small**3, svd_solver="full"))
    return out


def torch_choices(x, k: int, threads: int, libraries: dict) -> list:
    torch = peer("torch")
    torch.set_num_threads(threads)
    torch.inference_mode(True).__enter__()
    libraries["torch"] = torch.__version__
    tensor = torch.from_numpy(x)

    def choice(q, i):
        def call():
            torch.manual_seed(0)
            return torch.pca_lowrank(tensor, q=q, center=True, niter=i)[2][:, :k].T
        return Choice(f"torch.pca_lowrank, q={q}, niter={i}", f"torch.pca_lowrank q={q}", torch.__version__,
                      4 * x.size * q * (1 + i), call)

    return [choice(q, i) for q in (k, k + 10, 2 * k) for i in range(9)]


def gemm_rate(np) -> float:
    """f32 operations per second of the peers' own matrix product, for predictions."""
    a = np.ones((1500, 1500), np.float32)
    best = 0.0
    for _ in range(4):
        begin = time.perf_counter()
        a @ a
        best = max(best, 2 * 1500**3 / (time.perf_counter() - begin))
    return best


def qualify(setting: Setting, judge: Judge, choices: list) -> list:
    """(choice, excess) of the first member of every family that is exact enough; more iterations would be slower. What was
    found is kept in the cache folder, because trying the settings takes far longer than the comparison."""
    identity = hashlib.sha256(json.dumps([judge.digest, setting.threads, [(c.label, c.version) for c in choices]]).encode())
    kept = setting.cache / f"settings-{identity.hexdigest()[:16]}.json"
    known = json.loads(kept.read_text()) if kept.exists() else {}
    rate, fastest, settled, good = gemm_rate(judge.np), float("inf"), set(), []
    for choice in sorted(choices, key=lambda c: c.flops):
        if choice.family in settled:
            continue
        if choice.label not in known:
            if choice.flops / rate > HOPELESS * fastest:
                setting.log(f"{choice.label}: not tried, its arithmetic alone takes {choice.flops / rate:.2f} s")
                continue
            begin = time.perf_counter()
            try:
                known[choice.label] = judge.excess(choice.call())
            except ValueError as broken:  # power iterations without normalisation overflow
                setting.log(f"{choice.label}: {broken}")
                known[choice.label] = float("inf")
            seconds = time.perf_counter() - begin
            setting.log(f"{choice.label}: {seconds:.3f} s, excess {known[choice.label]:.2e}")
            if known[choice.label] <= ALLOWED_EXCESS:
                fastest = min(fastest, seconds)
            kept.write_text(json.dumps(known))
        if known[choice.label] <= ALLOWED_EXCESS:
            settled.add(choice.family)
            good.append((choice, known[choice.label]))
    return good


def fastest_few(good: list) -> list:
    """The qualified choices that are worth interleaving with ours: the rest is far behind already."""
    timed = []
    for choice, _ in good:
        seconds, spent = float("inf"), 0.0
        for _ in range(3):
            begin = time.perf_counter()
            choice.call()
            seconds = min(seconds, time.perf_counter() - begin)
            spent += seconds
            if timed and seconds > 2 * CLOSE * timed[0][0] or spent > 3.0:
                break
        timed.append((seconds, choice.label, choice))
        timed.sort(key=lambda entry: entry[:2])
    return [choice for seconds, _, choice in timed if seconds <= CLOSE * timed[0][0]][:FEW]


def contest(k: int, make, describe):
    def build(setting: Setting) -> Contest:
        np, library = peer("numpy"), setting.library()
        x = make(library)
        n, d = x.shape
        prepared = library.pca("auto", n, d, k, setting.threads)
        judge = Judge(x, k, setting.cache)
        components = np.zeros((k, d), np.float32)
        run = prepared.call(x, components)
        run()
        ours = Arm("hocket PCA", run, library.version(), threads=setting.threads)
        checks = [check_bound("excess residual of hocket PCA", "optimum in double", np.__version__,
                              judge.excess(components), ALLOWED_EXCESS)]
        choices, missing, libraries = [], [], {"numpy": np.__version__}
        for name, make_choices in (("scikit-learn", lambda: sklearn_choices(x, k, libraries)),
                                   ("torch.pca_lowrank", lambda: torch_choices(x, k, setting.threads, libraries))):
            try:
                choices += make_choices()
            except NotRun as reason:
                missing.append((name, str(reason)))
        good = qualify(setting, judge, choices)
        if not good:
            raise NotRun("no peer setting reaches an excess residual of 1e-4" if choices else missing[0][1])
        arms, excess_of = [], {choice.label: excess for choice, excess in good}
        for choice in fastest_few(good):
            checks.append(check_bound(f"excess residual of {choice.label}", "optimum in double", choice.version,
                                      excess_of[choice.label], ALLOWED_EXCESS))
            arms.append(Arm(choice.label, choice.call, choice.version, threads=setting.threads))
        ratios = [Ratio("fastest equally exact peer / hocket PCA", [a.name for a in arms], [ours.name], "higher", TARGET)]
        return Contest([ours, *arms], ratios, work=n, work_unit="rows", checks=checks, not_run=missing,
                       config={"n": n, "d": d, "k": k, "allowed_excess": str(ALLOWED_EXCESS),
                               "peer settings": "tried " + ", ".join(sorted({c.family for c in choices}))},
                       data=[describe(x)], libraries=libraries)
    return build


def synthetic_case(rows: int, columns: int, k: int) -> Case:
    name = f"pca-{rows}x{columns}-k{k}"
    return Case(name, f"fastest equally exact peer / our PCA, power-law spectrum, two threads; target >= {TARGET}",
                contest(k, lambda library: power_law(rows, columns),
                        lambda x: dataset(f"singular values i^-{DECAY:g}, {rows} x {columns}", f"seed {SEED}", x, True)),
                threads=2, rounds=12, needs=("sklearn", "torch", "scipy"))


CASES = [
    synthetic_case(20000, 512, 32),
    synthetic_case(2000, 2048, 64),
    synthetic_case(5000, 5000, 50),
    Case("pca-features", f"fastest equally exact peer / our PCA, log-mel frames of recordings; target >= {TARGET}",
         contest(32, real_features,
                 lambda x: dataset(f"log-mel of the embedded sounds, {x.shape[0]} x {x.shape[1]}", "embedded", x, False,
                                   True, "CC0-1.0")),
         threads=2, rounds=12, needs=("sklearn", "torch", "scipy", "soundfile")),
]
