"""The model of docs/cuda-model.md: occupancy as NVIDIA's own header counts it, rooflines, the page's honesty."""
import os
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from bench import cuda_model  # noqa: E402
from tests.nvcc import kernels  # noqa: E402

HEADER = Path(os.environ.get("CUDA_PATH") or "/usr/local/cuda") / "include" / "cuda_occupancy.h"
# Reads "major minor threads blocks-limit registers shared reserved | threads regs shared" lines, prints resident blocks.
PROGRAM = r"""
#include <cstdio>
#include <cstring>
#include <cuda_occupancy.h>
int main() {
  int major, minor, sm_threads, sm_regs, sm_shared, reserved, threads, regs, shared;
  while (std::scanf("%d %d %d %d %d %d %d %d %d", &major, &minor, &sm_threads, &sm_regs, &sm_shared, &reserved, &threads, &regs, &shared) == 9) {
    cudaOccDeviceProp p{};
    p.computeMajor = major; p.computeMinor = minor; p.maxThreadsPerBlock = 1024; p.maxThreadsPerMultiprocessor = sm_threads;
    p.regsPerBlock = 65536; p.regsPerMultiprocessor = sm_regs; p.warpSize = 32; p.sharedMemPerBlock = 49152;
    p.sharedMemPerMultiprocessor = sm_shared; p.numSms = 1; p.sharedMemPerBlockOptin = sm_shared - reserved; p.reservedSharedMemPerBlock = reserved;
    cudaOccFuncAttributes a{};
    a.maxThreadsPerBlock = 1024; a.numRegs = regs; a.sharedSizeBytes = shared; a.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
    a.maxDynamicSharedSizeBytes = sm_shared; a.partitionedGCConfig = PARTITIONED_GC_OFF;
    cudaOccDeviceState s{};
    s.carveoutConfig = 100;
    cudaOccResult r{};
    const cudaOccError e = cudaOccMaxActiveBlocksPerMultiprocessor(&r, &p, &a, &s, threads, 0);
    std::printf("%d\n", e == CUDA_OCC_SUCCESS ? r.activeBlocksPerMultiprocessor : -1);
  }
}
"""
CAPABILITY = {"T4": (7, 5), "RTX 4090": (8, 9), "H100 SXM": (9, 0)}


class Occupancy(unittest.TestCase):
    def test_known_cases(self):
        turing, ada, hopper = cuda_model.CARDS
        self.assertEqual(cuda_model.resident_blocks(hopper, 128, 32, 0), 16)      # all 2048 threads
        self.assertEqual(cuda_model.resident_blocks(hopper, 128, 255, 0), 2)      # 8160 registers a warp: 8 warps
        self.assertEqual(cuda_model.resident_blocks(ada, 32, 16, 0), 24)          # the limit of blocks
        self.assertEqual(cuda_model.resident_blocks(turing, 128, 32, 40000), 1)   # shared memory
        self.assertEqual(cuda_model.resident_blocks(turing, 128, 32, 70000), 0)
        self.assertEqual(cuda_model.occupancy(hopper, 256, 32, 0), 1.0)

    @unittest.skipUnless(HEADER.is_file(), "cuda_occupancy.h is not here")
    def test_as_nvidias_header_counts(self):
        draw, asked, ours = random.Random(4), [], []
        for card in cuda_model.CARDS:
            for _ in range(200):
                threads, registers = 32 * draw.randint(1, 32), draw.randint(16, 64)
                if threads <= 256:
                    registers = draw.randint(16, 255)
                shared = draw.choice([0, draw.randint(1, 49152)])
                asked.append(" ".join(map(str, (*CAPABILITY[card.name], card.threads, card.registers, card.shared, card.reserved_shared, threads,
                                                registers, shared))))
                ours.append(cuda_model.resident_blocks(card, threads, registers, shared))
        with tempfile.TemporaryDirectory() as folder:
            source, program = Path(folder) / "o.cpp", Path(folder) / "o"
            source.write_text(PROGRAM, encoding="utf-8")
            subprocess.run([kernels.host_compiler(), "-w", "-I", str(HEADER.parent), "-o", str(program), str(source)], check=True)
            theirs = subprocess.run([str(program)], input="\n".join(asked), stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        self.assertEqual([f"{one} -> {blocks}" for one, blocks in zip(asked, theirs)], [f"{one} -> {blocks}" for one, blocks in zip(asked, ours)])


class Roofline(unittest.TestCase):
    def test_what_bounds(self):
        turing, _, hopper = cuda_model.CARDS
        product = {"operation": "gemm", "variant": "mma_nn", "dtype": "f16"}
        self.assertEqual(cuda_model.roofline(hopper, product, 989.4e12, 1.0), (1.0, "arithmetic"))
        self.assertEqual(cuda_model.roofline(hopper, product, 1.0, 3352e9), (1.0, "memory"))
        self.assertEqual(cuda_model.roofline(turing, product, 8.1e12, 1.0)[0], 1.0)  # its code there is the f32 twin
        self.assertEqual(cuda_model.unit_of({**product, "variant": "tiled_nn"}), "f32")

    def test_the_page_says_that_it_is_a_model(self):
        text = cuda_model.PAGE.read_text(encoding="utf-8")
        self.assertIn("a model, not a measurement", text)
        self.assertIn("**Nothing here was timed.**", text)


if __name__ == "__main__":
    unittest.main()
