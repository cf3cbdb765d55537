"""Our side of a comparison: libhocket_capi.so through ctypes. Inputs and outputs are C-contiguous float32 arrays."""
from __future__ import annotations

import ctypes
import json
from pathlib import Path

_SIZE, _HANDLE, _TEXT, _INT = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_FUNCTIONS = {
    "hocket_version": (_TEXT, []),
    "hocket_last_error": (_TEXT, []),
    "hocket_context": (_TEXT, []),
    "hocket_canary_ns": (ctypes.c_double, [_INT, _INT]),
    "hocket_rows": (_SIZE, [_HANDLE]),
    "hocket_columns": (_SIZE, [_HANDLE]),
    "hocket_run": (_INT, [_HANDLE, _HANDLE, _HANDLE]),
    "hocket_free": (None, [_HANDLE]),
    "hocket_fftw_version": (_TEXT, []),
    "hocket_fftw_limit": (_HANDLE, [_SIZE, _SIZE, _SIZE, _INT]),
    "hocket_fft": (_HANDLE, [_TEXT, _SIZE, _SIZE]),
    "hocket_audio": (_HANDLE, [_TEXT, _TEXT, _TEXT, ctypes.c_double, _SIZE, _SIZE, _INT]),
    "hocket_audio_reference": (_HANDLE, [_TEXT, _TEXT, ctypes.c_double, _SIZE]),
    "hocket_audio_promise": (ctypes.c_double, [_TEXT, _TEXT, ctypes.c_double, _SIZE]),
    "hocket_pca": (_HANDLE, [_TEXT, _SIZE, _SIZE, _SIZE, _INT]),
    "hocket_attention": (_HANDLE, [_TEXT, _SIZE, _SIZE, _SIZE, _SIZE, _INT, _INT]),
    "hocket_packed_gemm": (_HANDLE, [_TEXT, _TEXT, _SIZE, _SIZE, _SIZE, _INT]),
    "hocket_onednn_version": (_TEXT, []),
    "hocket_embedding": (_HANDLE, [_TEXT, _TEXT, _SIZE, _SIZE, _SIZE, _INT]),
    "hocket_training": (_HANDLE, [_TEXT, _TEXT, _TEXT, _INT, _SIZE, _SIZE, _INT]),
}


class NotBuilt(Exception):
    """The library has no such part: an optional library was missing when it was built."""


class Library:
    def __init__(self, path: Path):
        self.path = Path(path)
        self._c = ctypes.CDLL(str(path))
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(self._c, name, None)
            if function is None:
                raise NotBuilt(f"{path} has no {name}: build it again")
            function.restype, function.argtypes = result, arguments

    def version(self) -> str:
        return self._c.hocket_version().decode()

    def fftw_version(self) -> str:
        return self._c.hocket_fftw_version().decode()

    def context(self) -> dict:
        """{"provenance": ..., "machine": ...} as measure/ captures them."""
        return json.loads(self._c.hocket_context().decode())

    def canary(self, cpus) -> float:
        """Seconds; the median of three short ones, so that a single interrupt does not cost a round."""
        return sorted(self._c.hocket_canary_ns(cpus[0], cpus[-1]) for _ in range(3))[1] * 1e-9

    def _make(self, handle) -> "Prepared":
        if not handle:
            raise NotBuilt(self._c.hocket_last_error().decode())
        return Prepared(self._c, handle)

    def fftw_limit(self, n_fft: int, frames: int, together: int, threads: int) -> "Prepared":
        return self._make(self._c.hocket_fftw_limit(n_fft, frames, together, threads))

    def fft(self, engine: str, n: int, batch: int) -> "Prepared":
        """Real to complex, batch rows of n samples to batch rows of n // 2 + 1 bins."""
        return self._make(self._c.hocket_fft(engine.encode(), n, batch))

    def audio(self, preset: str, feature: str, engine: str, rate: float, samples: int, clips: int = 1,
              threads: int = 1) -> "Prepared":
        """(clips, samples) to (clips, rows, frames)."""
        return self._make(self._c.hocket_audio(preset.encode(), feature.encode(), engine.encode(), rate, samples, clips,
                                               threads))

    def audio_reference(self, preset: str, feature: str, rate: float, samples: int) -> "Prepared":
        """The same by plain sums in double; the output is rounded to float32."""
        return self._make(self._c.hocket_audio_reference(preset.encode(), feature.encode(), rate, samples))

    def audio_promise(self, preset: str, engine: str, rate: float, samples: int) -> float:
        """Units of epsilon that the chain promises (kernels/mfcc/arms.hpp)."""
        return self._c.hocket_audio_promise(preset.encode(), engine.encode(), rate, samples)

    def pca(self, solver: str, rows: int, columns: int, k: int, threads: int) -> "Prepared":
        """(rows, columns) to k components of `columns` values, sorted by variance."""
        return self._make(self._c.hocket_pca(solver.encode(), rows, columns, k, threads))

    def attention(self, dtype: str, batch: int, heads: int, length: int, width: int, backward: bool,
                  threads: int) -> "Prepared":
        """q, k, v, dout (4, batch, heads, length, width) to out, or to out, dq, dk, dv."""
        return self._make(self._c.hocket_attention(dtype.encode(), batch, heads, length, width, int(backward), threads))

    def onednn_version(self) -> str:
        return self._c.hocket_onednn_version().decode()

    def packed_gemm(self, engine: str, precision: str, m: int, n: int, k: int, threads: int) -> "Prepared":
        """A (m, k) and W (n, k), one after the other, to A W' (m, n)."""
        return self._make(self._c.hocket_packed_gemm(engine.encode(), precision.encode(), m, n, k, threads))

    def embedding(self, folder, precision: str, items: int, tokens: int, longest: int, threads: int) -> "Prepared":
        """(items + tokens) lengths and ids to (items, D) of length 1."""
        return self._make(self._c.hocket_embedding(str(folder).encode(), precision.encode(), items, tokens, longest, threads))

    def training(self, folder, method: str, precision: str, dropout: bool, items: int, length: int, threads: int) -> "Prepared":
        """ids, labels and the head to a loss; from the second run on each run is a step of training."""
        return self._make(self._c.hocket_training(str(folder).encode(), method.encode(), precision.encode(), int(dropout), items,
                                                  length, threads))


class Prepared:
    """A computation whose plans, tables and workspaces exist; run(input, output) computes and nothing else."""

    def __init__(self, library, handle):
        self._c, self._handle = library, handle
        self.rows, self.columns = library.hocket_rows(handle), library.hocket_columns(handle)

    def call(self, source=None, target=None):
        """A function without arguments that runs on these arrays; they stay referenced."""
        run, handle = self._c.hocket_run, self._handle
        keep = (source, target, self)
        first = source.ctypes.data if source is not None else None
        second = target.ctypes.data if target is not None else None

        def invoke(_keep=keep):
            if run(handle, first, second):
                raise RuntimeError(self._c.hocket_last_error().decode())

        return invoke

    def __del__(self):
        self._c.hocket_free(self._handle)
