"""Our own real transform against FFTW at the lengths that front ends use."""
from __future__ import annotations

from case import Case, Contest, Ratio, Setting, check_2x, dataset, peer
from fair import Arm

BATCH = 32  # rows: input and output stay in the second-level cache
SEED = 1


def fft(n: int):
    def build(setting: Setting) -> Contest:
        np, library = peer("numpy"), setting.library()
        rows = np.random.default_rng(SEED).standard_normal((BATCH, n)).astype(np.float32)
        reference = np.fft.rfft(rows.astype(np.float64))
        arms, outs = [], {}
        for engine, name in (("own", "hocket FFT"), ("fftw-rows", "FFTW, row by row"), ("fftw", "FFTW, one plan for all rows")):
            out = np.zeros((BATCH, n // 2 + 1), np.complex64)
            run = library.fft(engine, n, BATCH).call(rows, out)
            run()
            outs[name] = out
            arms.append(Arm(name, run, library.version() if engine == "own" else library.fftw_version()))
        row = outs["FFTW, row by row"]
        checks = [check_2x(f"{name}, n = {n}", "FFTW", library.fftw_version(), outs[name], row, reference)
                  for name in ("hocket FFT", "FFTW, one plan for all rows")]
        ratios = [Ratio(f"hocket FFT / FFTW, n = {n}", ["hocket FFT"], [a.name for a in arms[1:]], "lower", 1.3)]
        return Contest(arms, ratios, work=BATCH, work_unit="transforms", checks=checks,
                       config={"n": n, "batch": BATCH, "fftw": "FFTW_MEASURE, the faster of two ways to call it"},
                       data=[dataset(f"normal noise, {BATCH} x {n}", f"seed {SEED}", rows, synthetic=True)])
    return build


CASES = [Case(f"fft-fftw-{n}", f"our real FFT / FFTW, length {n}, f32, batch of {BATCH}; target <= 1.3", fft(n),
              needs=("numpy",)) for n in (512, 1024, 2048, 400, 1000)]
