#!/usr/bin/env python3
"""layering.py catches each kind of violation: a small tree that is right, and one wrong line at a time."""
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import layering  # noqa: E402

RIGHT = {
    "include/hocket/hocket.hpp": "#include <hocket/core/view.hpp>\n#include <hocket/audio/mfcc.hpp>\n",
    "include/hocket/core/view.hpp": "#include <vector>\n",
    "include/hocket/audio/mfcc.hpp": "#include <hocket/core/view.hpp>\n#include <hocket/kernels/fft/cpu.hpp>\n",
    "include/hocket/audio/by_sndfile.hpp": "#include <sndfile.h>\n",
    "kernels/fft/cpu.hpp": "#include <hocket/core/view.hpp>\n",
    "kernels/fft/arms.hpp": "#include <hocket/kernels/fft/cpu.hpp>\n#include <hocket/kernels/fft/vendor_fftw.hpp>\n",
    "kernels/fft/vendor_fftw.hpp": "#include <fftw3.h>\n",
    "include/hocket/hocket.cuh": "#include <hocket/hocket.hpp>\n#include <hocket/audio/cuda_mfcc.cuh>\n",
    "include/hocket/audio/cuda_mfcc.cuh": "#include <hocket/kernels/fft/cuda_launch.cuh>\n",
    "kernels/fft/cuda_launch.cuh": "#include <hocket/core/view.hpp>\n",
    "experiments/e/main.cpp": "#include <hocket/hocket.hpp>\n",
    "tests/t.cpp": "#include <hocket/kernels/fft/arms.hpp>\n",
}
WRONG = [  # (file, line added to it, part of the message)
    ("include/hocket/core/view.hpp", "#include <hocket/audio/mfcc.hpp>", "core may not include hocket/audio/mfcc.hpp"),
    ("include/hocket/core/view.hpp", '#include "bench/fft.hpp"', "core may not include bench/fft.hpp"),
    ("kernels/fft/cpu.hpp", "#include <hocket/audio/mfcc.hpp>", "kernels may not include hocket/audio"),
    ("kernels/fft/cpu.hpp", "#include <hocket/kernels/fft/arms.hpp>", "only tests and bench include arms.hpp"),
    ("kernels/fft/cpu.hpp", "#include <cuda_runtime.h>", "must compile without nvcc"),
    ("kernels/fft/cpu.hpp", "#include <hocket/kernels/fft/cuda.cuh>", "must compile without nvcc"),
    ("include/hocket/audio/mfcc.hpp", "#include <hocket/kernels/fft/vendor_fftw.hpp>", "the umbrella reaches"),
    ("include/hocket/audio/dct.hpp", "#include <vector>", "not in hocket.hpp"),
    ("include/hocket/audio/cuda_dct.cuh", "#include <vector>", "cuda_dct.cuh: not in hocket.cuh"),
    ("kernels/dct/cuda_launch.cuh", "#include <vector>", "cuda_launch.cuh: not in hocket.cuh"),
    ("include/hocket/hocket.cuh", '#include "bench/cuda/fft.cuh"', "hocket.cuh may not include bench"),
    ("include/hocket/newroom/a.hpp", "#include <vector>", "room newroom is not in the table"),
    ("experiments/e/main.cpp", "#include <hocket/kernels/fft/arms.hpp>", "only tests and bench include arms.hpp"),
    ("experiments/e/main.cpp", '#include "bench/fft.hpp"', "experiments may not include"),
    ("kernels/fft/cpu.hpp", "\n" * 801, "lines; past 800"),
    ("README.md", "see /root/notes", "names a place outside"),
]


class Layering(unittest.TestCase):
    def check(self, changes=()):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in {**RIGHT}.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            for name, line in changes:
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text((path.read_text() if path.exists() else "") + line + "\n")
            return layering.check(Path(folder).resolve())

    def test_right_tree(self):
        self.assertEqual(self.check(), [])

    def test_each_violation(self):
        for name, line, message in WRONG:
            with self.subTest(message):
                found = self.check([(name, line)])
                self.assertTrue(any(message in violation for violation in found), f"{line!r} in {name} gave {found}")

    def test_cuda_inside_its_guard(self):
        self.assertEqual(self.check([("kernels/fft/cpu.hpp", "#if defined(__CUDACC__)\n#include <cuda_fp16.h>\n#endif")]), [])


if __name__ == "__main__":
    unittest.main()
