"""Writes the files of this folder with the safetensors library: python tests/oracles/safetensors/make.py, in the environment
of bench/peers. Element i of a tensor is i - 2 (booleans: i odd, unsigned: i), so the tests need no second copy.

good_*.safetensors     by the library
verdicts.tsv           headers that are wrong or odd, and whether the library opens them; the data that belong to them are
                       as many zeros as the second column says
"""
import pathlib
import struct

import safetensors
import torch
from safetensors.torch import save

FOLDER = pathlib.Path(__file__).parent
TYPES = dict(f64=torch.float64, f32=torch.float32, f16=torch.float16, bf16=torch.bfloat16, i64=torch.int64, i32=torch.int32,
             i16=torch.int16, i8=torch.int8, u8=torch.uint8, bool=torch.bool)


def values(shape, dtype):
    count = 1
    for extent in shape:
        count *= extent
    i = torch.arange(count).reshape(shape)
    return (i % 2 == 1) if dtype == torch.bool else (i if dtype == torch.uint8 else i - 2).to(dtype)


def good():
    everything = {}
    for name, dtype in TYPES.items():
        everything.update({f"{name}.vector": values((5,), dtype), f"{name}.scalar": values((), dtype), f"{name}.matrix": values((3, 7), dtype)})
    yield "all_types", save(everything, {"format": "pt"})
    yield "no_metadata", save({"weight": values((2, 3), torch.float32)})
    yield "empty", save({})
    yield "empty_tensors", save({"b": values((0,), torch.float32), "a": values((4, 0, 3), torch.float32), "c": values((2,), torch.float32)})
    yield "names", save({'a "quoted"\\\n\t\x01name/é/日本/😀': values((1,), torch.float32), "": values((2,), torch.int8), "plain": values((2, 2, 2, 2, 2), torch.int16)},
                        {"key \"é\"\n": "value\\\u0001😀"})


HEADERS = {  # name: (header, bytes of data)
    "one": ('{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 8),
    "padded": ('{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}     ', 8),
    "newline_at_the_end": ('{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}\n', 8),
    "space_before": (' {"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 8),
    "misaligned": ('{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}} ', 8),
    "too_short": ('{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 7),
    "too_long": ('{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 9),
    "hole_before": ('{"x":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}', 12),
    "hole": ('{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"y":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}}', 5),
    "overlap": ('{"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"y":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}', 6),
    "same_bytes": ('{"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"y":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}', 4),
    "backwards": ('{"x":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}}', 2),
    "unordered": ('{"y":{"dtype":"U8","shape":[2],"data_offsets":[2,4]},"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}', 4),
    "shape_and_bytes": ('{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}', 8),
    "wrong_width": ('{"x":{"dtype":"F64","shape":[2],"data_offsets":[0,8]}}', 8),
    "unknown_dtype": ('{"x":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}}', 8),
    "dtype_in_small_letters": ('{"x":{"dtype":"f32","shape":[2],"data_offsets":[0,8]}}', 8),
    "dtype_is_a_number": ('{"x":{"dtype":32,"shape":[2],"data_offsets":[0,8]}}', 8),
    "overflow": ('{"x":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}', 0),
    "overflow_by_width": ('{"x":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}}', 0),
    "overflow_and_zero": ('{"x":{"dtype":"U8","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}}', 0),
    "zero_and_overflow": ('{"x":{"dtype":"U8","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}}', 0),
    "extent_past_64_bits": ('{"x":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,0]}}', 0),
    "negative_extent": ('{"x":{"dtype":"U8","shape":[-1],"data_offsets":[0,0]}}', 0),
    "fractional_extent": ('{"x":{"dtype":"U8","shape":[2.0],"data_offsets":[0,2]}}', 2),
    "exponent": ('{"x":{"dtype":"U8","shape":[2e0],"data_offsets":[0,2]}}', 2),
    "negative_offset": ('{"x":{"dtype":"U8","shape":[2],"data_offsets":[-2,0]}}', 2),
    "huge_offset": ('{"x":{"dtype":"U8","shape":[2],"data_offsets":[18446744073709551614,18446744073709551615]}}', 2),
    "one_offset": ('{"x":{"dtype":"U8","shape":[2],"data_offsets":[0]}}', 2),
    "three_offsets": ('{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2,4]}}', 2),
    "no_offsets": ('{"x":{"dtype":"U8","shape":[2]}}', 2),
    "no_shape": ('{"x":{"dtype":"U8","data_offsets":[0,2]}}', 2),
    "no_dtype": ('{"x":{"shape":[2],"data_offsets":[0,2]}}', 2),
    "further_member": ('{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"unit":"m"}}', 2),
    "tensor_is_an_array": ('{"x":["U8",[2],[0,2]]}', 2),
    "tensor_twice": ('{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}', 2),
    "member_twice": ('{"x":{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}}', 2),
    "metadata_is_a_number": ('{"__metadata__":{"a":1}}', 0),
    "metadata_is_an_array": ('{"__metadata__":[]}', 0),
    "metadata_is_null": ('{"__metadata__":null}', 0),
    "metadata_only": ('{"__metadata__":{"a":"b"}}', 0),
    "not_json": ('{"x":', 0),
    "an_array": ("[]", 0),
    "after_the_end": ('{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}}', 2),
    "comma_at_the_end": ('{"x":{"dtype":"U8","shape":[2,],"data_offsets":[0,2]}}', 2),
    "zeros_in_front": ('{"x":{"dtype":"U8","shape":[02],"data_offsets":[0,2]}}', 2),
    "half_a_surrogate": ('{"\\ud800":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}', 2),
    "surrogates": ('{"\\ud83d\\ude00":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}', 2),
    "control_character": ('{"a\x01b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}', 2),
    "depth": ('{"x":' + "[" * 300 + "]" * 300 + "}", 0),
    "empty_object": ("{}", 0),
    "empty_header": ("", 0),
    "three_empty": ('{"c":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
                    '"a":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}', 4),
    "empty_inside": ('{"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}}', 4),
    "empty_beyond": ('{"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[0],"data_offsets":[9,9]}}', 4),
}


def opens(data):
    try:
        safetensors.deserialize(data)
        return True
    except Exception:
        return False


def main():
    print(f"safetensors {safetensors.__version__}, torch {torch.__version__}")
    for name, data in good():
        (FOLDER / f"good_{name}.safetensors").write_bytes(data)
    with open(FOLDER / "verdicts.tsv", "w", encoding="utf-8", newline="\n") as out:
        out.write("name\tdata\tlibrary\theader\n")
        for name, (header, size) in HEADERS.items():
            data = header.encode()
            verdict = "opens" if opens(struct.pack("<Q", len(data)) + data + bytes(size)) else "refuses"
            out.write(f"{name}\t{size}\t{verdict}\t{data.hex()}\n")


if __name__ == "__main__":
    main()
