#!/usr/bin/env python3
"""Times torch's scaled dot-product attention on the GPU, held to its FlashAttention-2 kernel:

  flash_peer.py BATCH HEADS ROWS WIDTH     f16, no mask; prints {"samples_ns": [...], "version": ...}

Twelve runs, each between two events after the second-level cache was overwritten, as hocket_bench times its own.
Exit 5, with the reason, where torch, its CUDA build or a device is missing."""
import json
import sys


def main(arguments):
    batch, heads, rows, width = map(int, arguments)
    try:
        import torch
        from torch.nn.attention import SDPBackend, sdpa_kernel
    except ImportError as missing:
        print(f"torch is not installed: {missing}", file=sys.stderr)
        return 5
    if not torch.cuda.is_available():
        print("torch finds no CUDA device", file=sys.stderr)
        return 5
    q, k, v = (torch.randn(batch, heads, rows, width, device="cuda", dtype=torch.float16) for _ in range(3))
    flush = torch.empty(2 * torch.cuda.get_device_properties(0).L2_cache_size, dtype=torch.uint8, device="cuda")
    samples = []
    with torch.inference_mode(), sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        for turn in range(14):
            start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            flush.zero_()
            start.record()
            torch.nn.functional.scaled_dot_product_attention(q, k, v)
            stop.record()
            stop.synchronize()
            if turn >= 2:  # the first two load code
                samples.append(start.elapsed_time(stop) * 1e6)
    print(json.dumps({"samples_ns": samples, "version": "torch " + torch.__version__}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
