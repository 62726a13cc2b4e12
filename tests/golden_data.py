"""Makes tests/golden_data.txt: npy and npz files as NumPy and Python's zipfile write them, for tests/test_data.c to read.

Needs numpy. The file is in the repository, so this only needs to run when a case is added. Its lines are

    file NAME KIND HEX          the bytes; KIND: npy or npz; same: an npy that nn.h writes to the same bytes;
                            bad: refused; either: refused, or read as it is
    array KEY DTYPE SHAPE K     what is in it, in the file's order; SHAPE: 2,3 or - for no dimension

The values are not in it: both sides make them from one formula (see `formula`).

    python3 tests/golden_data.py            writes tests/golden_data.txt
    python3 tests/golden_data.py --check F  says what NumPy finds in files that nn.h wrote: F.npy ..., one a line
"""
import io
import os
import sys
import zipfile

import numpy as np
from numpy.lib import format as npy

HERE = os.path.dirname(os.path.abspath(__file__))
DTYPES = {"f32": "<f4", "f64": "<f8", "f16": "<f2", "i8": "|i1", "u8": "|u1", "i32": "<i4", "i64": "<i8", "bool": "|b1"}
lines = []


def formula(dtype, shape, k):
    """Element i, counted row by row: n = (37 i + 11 k + 5) mod 101, and of it what the dtype can hold exactly."""
    i = np.arange(int(np.prod(shape, dtype=np.int64)), dtype=np.int64)
    n = (37 * i + 11 * k + 5) % 101
    value = {
        "f32": lambda: (n - 50) / 3.0,
        "f64": lambda: (n - 50) / 3.0,
        "f16": lambda: (n - 50) / 8.0,
        "i8": lambda: n - 50,
        "u8": lambda: 2 * n,
        "i32": lambda: (n - 50) * 10000000,
        "i64": lambda: (n - 50) * 2**40 + n,
        "bool": lambda: n % 2,
    }[dtype]()
    return value.astype(DTYPES[dtype]).reshape(shape)


def write_npy(array, version=None):
    f = io.BytesIO()
    npy.write_array(f, array, version=version)
    return f.getvalue()


def file(name, kind, data, arrays=()):
    lines.append("file %s %s %s" % (name, kind, data.hex()))
    for key, dtype, shape, k in arrays:
        lines.append("array %s %s %s %d" % (key, "u8" if dtype == "bool" else dtype, ",".join(map(str, shape)) or "-", k))


def with_header(text, data, version=(1, 0)):
    """An npy file whose header is this text, padded as NumPy pads it."""
    text = text.encode("utf-8") if version == (3, 0) else text.encode("latin-1")
    lead = 10 if version == (1, 0) else 12
    text += b" " * (-(lead + len(text) + 1) % 64) + b"\n"
    return b"\x93NUMPY" + bytes(version) + len(text).to_bytes(lead - 8, "little") + text + data


# ---- npy: every dtype, order, version and rank -----------------------------------------------------------

def all_npy():
    for k, dtype in enumerate(DTYPES):
        same = "npy" if dtype == "bool" else "same"
        for shape in [(), (7,), (3, 4)]:
            file("%s_%dd" % (dtype, len(shape)), same, write_npy(formula(dtype, shape, k)), [("-", dtype, shape, k)])
        file("%s_fortran" % dtype, "npy", write_npy(np.asfortranarray(formula(dtype, (3, 4), k))), [("-", dtype, (3, 4), k)])
    for rank, shape in [(3, (2, 3, 4)), (4, (2, 1, 3, 2)), (5, (1, 2, 1, 3, 2)), (6, (1, 2, 1, 2, 3, 1))]:
        file("rank_%d" % rank, "same", write_npy(formula("f32", shape, rank)), [("-", "f32", shape, rank)])
        file("rank_%d_fortran" % rank, "npy", write_npy(np.asfortranarray(formula("f32", shape, rank))), [("-", "f32", shape, rank)])
    for name, shape in [("empty_1d", (0,)), ("empty_rows", (0, 3)), ("empty_columns", (3, 0)), ("empty_middle", (2, 0, 3))]:
        file(name, "same", write_npy(formula("f32", shape, 0)), [("-", "f32", shape, 0)])
    for version in [(2, 0), (3, 0)]:
        for order in "CF":
            a = np.asarray(formula("f32", (3, 5), 1), order=order)
            file("version_%d_%s" % (version[0], order), "npy", write_npy(a, version), [("-", "f32", (3, 5), 1)])
    # the header is a Python literal: other spacing, order and quotes say the same
    a = formula("i32", (2, 3), 4).tobytes()
    for name, text in [
        ("order_of_keys", "{'shape': (2, 3), 'fortran_order': False, 'descr': '<i4'}"),
        ("no_spaces", "{'descr':'<i4','fortran_order':False,'shape':(2,3)}"),
        ("many_spaces", "  { 'descr' :  '<i4' , 'fortran_order' : False , 'shape' : ( 2 , 3 , ) , }  "),
        ("double_quotes", '{"descr": "<i4", "fortran_order": False, "shape": (2, 3), }'),
    ]:
        file(name, "npy", with_header(text, a), [("-", "i32", (2, 3), 4)])
    # unpadded, as old versions of NumPy and other programs write it
    text = b"{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3)}"
    file("unaligned", "npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + a, [("-", "i32", (2, 3), 4)])
    for descr in ["=i4", "|i4"]:
        text = "{'descr': '%s', 'fortran_order': False, 'shape': (2, 3), }" % descr
        file("descr_%s" % ("native" if descr[0] == "=" else "any"), "either", with_header(text, a), [("-", "i32", (2, 3), 4)])


def bad_npy():
    for name, a in [
        ("int16", np.arange(6, dtype="<i2")), ("uint16", np.arange(6, dtype="<u2")), ("uint32", np.arange(6, dtype="<u4")),
        ("uint64", np.arange(6, dtype="<u8")), ("complex", np.arange(6, dtype="<c8")), ("text", np.array(["a", "bc"])),
        ("bytes", np.array([b"a", b"bc"])), ("dates", np.array(["2020-01-01"], dtype="M8[D]")), ("void", np.zeros(3, dtype="V4")),
        ("big_f4", np.arange(6, dtype=">f4")), ("big_i8", np.arange(6, dtype=">i8")), ("long_double", np.arange(6, dtype=np.longdouble)),
        ("records", np.zeros(3, dtype=[("x", "<f4"), ("y", "<i4")])), ("rank_7", np.zeros((1, 1, 1, 1, 1, 1, 2), dtype="<f4")),
    ]:
        file("bad_" + name, "bad", write_npy(a))
    f = io.BytesIO()
    npy.write_array(f, np.array([1, "x"], dtype=object), allow_pickle=True)
    file("bad_objects", "bad", f.getvalue())
    data = formula("i32", (2, 3), 4).tobytes()
    for name, text in [
        ("nothing", ""), ("no_braces", "'descr': '<i4', 'fortran_order': False, 'shape': (2, 3)"), ("empty_dict", "{}"),
        ("no_descr", "{'fortran_order': False, 'shape': (2, 3), }"), ("no_order", "{'descr': '<i4', 'shape': (2, 3), }"),
        ("no_shape", "{'descr': '<i4', 'fortran_order': False, }"), ("cut_dict", "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3),"),
        ("cut_shape", "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3"), ("list_shape", "{'descr': '<i4', 'fortran_order': False, 'shape': [2, 3], }"),
        ("text_shape", "{'descr': '<i4', 'fortran_order': False, 'shape': '2, 3', }"), ("real_shape", "{'descr': '<i4', 'fortran_order': False, 'shape': (2.0, 3), }"),
        ("negative", "{'descr': '<i4', 'fortran_order': False, 'shape': (-2, -3), }"), ("one_negative", "{'descr': '<i4', 'fortran_order': False, 'shape': (-1, 6), }"),
        ("number_shape", "{'descr': '<i4', 'fortran_order': False, 'shape': 6, }"), ("not_a_tuple", "{'descr': '<i4', 'fortran_order': False, 'shape': (6), }"),
        ("order_word", "{'descr': '<i4', 'fortran_order': Maybe, 'shape': (2, 3), }"), ("order_cut", "{'descr': '<i4', 'fortran_order': Fals"),
        ("descr_none", "{'descr': None, 'fortran_order': False, 'shape': (2, 3), }"), ("descr_empty", "{'descr': '', 'fortran_order': False, 'shape': (2, 3), }"),
        ("descr_long", "{'descr': '<i4i4', 'fortran_order': False, 'shape': (2, 3), }"), ("descr_wide", "{'descr': '<i44', 'fortran_order': False, 'shape': (2, 3), }"),
        ("descr_open", "{'descr': '<i4, 'fortran_order': False, 'shape': (2, 3), }"), ("descr_letter", "{'descr': '<q8', 'fortran_order': False, 'shape': (2, 3), }"),
        ("larger", "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 4), }"),
        ("huge", "{'descr': '<i4', 'fortran_order': False, 'shape': (9223372036854775807, 9223372036854775807), }"),
        ("wraps_32", "{'descr': '<i4', 'fortran_order': False, 'shape': (2147483648, 2147483648), }"),
        ("wraps_64", "{'descr': '<i4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }"),
        ("wraps_to_24", "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 9223372036854775811), }"),
        ("wraps_digits", "{'descr': '<i4', 'fortran_order': False, 'shape': (18446744073709551618, 3), }"),
        ("many_digits", "{'descr': '<i4', 'fortran_order': False, 'shape': (%s, 3), }" % ("9" * 400)),
        ("zero_times_huge", "{'descr': '<i4', 'fortran_order': False, 'shape': (0, 9223372036854775807, 9223372036854775807), }"),
        ("after", "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), } x"),
    ]:
        file("bad_" + name, "bad", with_header(text, data))
    file("bytes_after", "either", write_npy(formula("i32", (2, 3), 4)) + b"more", [("-", "i32", (2, 3), 4)])
    good = write_npy(formula("i32", (2, 3), 4))
    file("bad_version_0", "bad", good[:6] + b"\0\0" + good[8:])
    file("bad_version_4", "bad", good[:6] + b"\4\0" + good[8:])
    file("bad_header_size_0", "bad", good[:8] + b"\0\0" + good[10:])
    file("bad_header_size_all", "bad", good[:8] + b"\xff\xff" + good[10:])
    file("bad_header_size_huge", "bad", good[:6] + b"\2\0\xff\xff\xff\xff" + good[10:])
    file("bad_magic", "bad", b"\x93NUMPI" + good[6:])


# ---- npz ---------------------------------------------------------------------------------------------------

class Stream(io.RawIOBase):
    """A file that cannot go back: the sizes then follow the data."""

    def __init__(self):
        super().__init__()
        self.data = b""

    def writable(self):
        return True

    def write(self, b):
        self.data += bytes(b)
        return len(b)


def savez(**arrays):
    f = io.BytesIO()
    np.savez(f, **arrays)
    return f.getvalue()


def zipped(entries, method=zipfile.ZIP_STORED, comment=b"", to=None):
    f = to or io.BytesIO()
    with zipfile.ZipFile(f, "w", method) as z:
        for name, data in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            z.writestr(info, data)
        z.comment = comment
    return f.data if to else f.getvalue()


def all_npz():
    w, b = ("weight", "f32", (3, 4), 1), ("bias", "f64", (4,), 2)
    arrays = {"weight": formula("f32", (3, 4), 1), "bias": formula("f64", (4,), 2)}
    file("two", "npz", savez(**arrays), [w, b])
    f = io.BytesIO()
    np.savez(f, formula("i64", (2, 2), 3), formula("u8", (), 4))
    file("positional", "npz", f.getvalue(), [("arr_0", "i64", (2, 2), 3), ("arr_1", "u8", (), 4)])
    file("every_dtype", "npz", savez(**{"x_" + d: formula(d, (2, 3), k) for k, d in enumerate(DTYPES)}),
         [("x_" + d, d, (2, 3), k) for k, d in enumerate(DTYPES)])
    file("fortran_and_empty", "npz", savez(a=np.asfortranarray(formula("f32", (4, 3), 5)), b=formula("i8", (0, 2), 0)),
         [("a", "f32", (4, 3), 5), ("b", "i8", (0, 2), 0)])
    file("names", "npz", savez(**{"h.0.weight": formula("f32", (2,), 1), "a/b": formula("f32", (3,), 2), "n\u00e4me": formula("f32", (4,), 3)}),
         [("h.0.weight", "f32", (2,), 1), ("a/b", "f32", (3,), 2), ("n\u00e4me", "f32", (4,), 3)])
    plain = [(k + ".npy", write_npy(a)) for k, a in arrays.items()]
    file("plain_sizes", "npz", zipped(plain), [w, b])
    file("commented", "npz", zipped(plain, comment=b"made by hand"), [w, b])
    file("odd_comment", "either", zipped(plain, comment=b"PK\5\6 a comment that looks like an end"), [w, b])
    file("streamed", "npz", zipped(plain, to=Stream()), [w, b])
    file("none", "npz", zipped([]))
    f = io.BytesIO()
    np.savez_compressed(f, **arrays)
    file("bad_compressed", "bad", f.getvalue())
    file("bad_deflated_stream", "bad", zipped(plain, zipfile.ZIP_DEFLATED, to=Stream()))
    file("bad_twice", "bad", zipped([("a.npy", plain[0][1]), ("b.npy", plain[1][1])]).replace(b"b.npy", b"a.npy"))
    file("bad_entry", "bad", zipped([("a.npy", b"not an array")]))
    locked = bytearray(zipped(plain))
    for at in [6, locked.index(b"PK\1\2") + 8]:
        locked[at] |= 1
    file("bad_encrypted", "bad", bytes(locked))


def check(prefix):
    for name in sorted(os.listdir(os.path.dirname(prefix) or ".")):
        path = os.path.join(os.path.dirname(prefix), name)
        if not path.startswith(prefix) or not name.endswith((".npy", ".npz")):
            continue
        found = np.load(path)
        for key in found.files if name.endswith(".npz") else ["-"]:
            a = found[key] if name.endswith(".npz") else found
            print(name, key, a.dtype.str, a.shape, a.ravel()[:5])
        if name.endswith(".npz"):
            with zipfile.ZipFile(path) as z:
                print(name, "zip test:", z.testzip())


if len(sys.argv) > 2 and sys.argv[1] == "--check":
    check(sys.argv[2])
else:
    all_npy()
    bad_npy()
    all_npz()
    with open(os.path.join(HERE, "golden_data.txt"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
