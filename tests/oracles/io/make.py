"""Writes the small .npy files of this folder with numpy itself: python tests/oracles/io/make.py (numpy 2.x).

Every array holds value(i) = 0.5 * i - 3 (and -0.25 * i as imaginary part) in C order, so the tests need no second copy.
"""
import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).parent


def values(shape, dtype):
    i = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    data = 0.5 * i - 3
    return (data - 0.25j * i).astype(dtype) if np.dtype(dtype).kind == "c" else data.astype(dtype)


def save(name, array, version=None):
    with open(FOLDER / f"{name}.npy", "wb") as file:
        np.lib.format.write_array(file, array, version=version)


save("f4_2d", values((3, 5), "<f4"))
save("f8_1d", values((7,), "<f8"))
save("f8_3d", values((2, 3, 4), "<f8"))
save("f8_2d_fortran", np.asfortranarray(values((3, 5), "<f8")))
save("f4_3d_fortran", np.asfortranarray(values((2, 3, 4), "<f4")))
save("f8_2d_big_endian", values((3, 5), ">f8"))
save("c8_2d", values((3, 5), "<c8"))
save("c16_2d_big_endian", values((3, 5), ">c16"))
save("f4_2d_version_2", values((3, 5), "<f4"), version=(2, 0))
save("f4_2d_version_3", values((3, 5), "<f4"), version=(3, 0))
save("f8_empty", values((0, 5), "<f8"))
save("i8_refused", np.arange(6, dtype="<i8").reshape(2, 3))
save("f8_4d_refused", values((1, 2, 1, 2), "<f8"))
