"""The kernels of csrc/cuda in the PTX that the compiler writes, interpreted: right results, and nothing is refused."""

from __future__ import annotations

import numpy as np
import pytest
from cuda_on_cpu import nvcc
from cuda_on_cpu.ptx.counts import Counts
from cuda_on_cpu.ptx.kernels import compiled
from cuda_on_cpu.ptx.machine import Argument, launch
from cuda_on_cpu.ptx.memory import Buffer

pytestmark = pytest.mark.skipif(nvcc.toolkit() is None, reason="there is no CUDA toolkit to compile with")
CUDA = nvcc.SOURCES / "cuda"
WORDS = {np.float16: "unsigned short", np.float32: "unsigned int", np.float64: "unsigned long"}
BOXES = np.array([[0, 1, 2, 4, 7], [1, 0, 0, 3, 5], [1, 3, 4, 6, 9], [0, 3, 0, 6, 5]])
WINDOWS = np.array([[-2, 1], [0, 0], [2, -3], [40, 40]])


def grid(array: np.ndarray, last: bool) -> Argument:
    """Return how [N, C, H, W] lies in memory, as geometry.h has it."""
    _, channels, height, width = array.shape
    sizes = (1, height, width, channels) if last else (channels, height, width, 1)
    return tuple(map(np.int64, sizes))


def laid_out(name: str, array: np.ndarray, last: bool) -> Buffer:
    return Buffer.of(name, array.transpose(0, 2, 3, 1) if last else array)


def assembled(base: np.ndarray, patches: np.ndarray, windows: np.ndarray, size: tuple[int, int], pad: float):
    """Return what windows show of images with patches in their boxes: [P, C, *size]."""
    shown = np.full((len(BOXES), base.shape[1], *size), pad, base.dtype)
    for number, (image, y0, x0, y1, x1) in enumerate(BOXES):
        whole = base[image].copy()
        whole[:, y0:y1, x0:x1] = patches[number]
        for y, x in np.ndindex(size):
            row, column = windows[number] + (y, x)
            if 0 <= row < base.shape[2] and 0 <= column < base.shape[3]:
                shown[number, :, y, x] = whole[:, row, column]
    return shown


def steps(array: np.ndarray, last: bool) -> tuple[int, int, int]:
    """Return how many values an image, a plane and a row of [N, C, H, W] take."""
    _, channels, height, width = array.shape
    return channels * height * width, 0 if last else height * width, width * (channels if last else 1)


def divisor(number: int) -> Argument:
    """Return what divisor.h multiplies by instead."""
    shift = (number - 1).bit_length()
    factor = -(-(1 << (31 + shift)) // number)
    return tuple(map(np.uint32, (number, factor, shift)))


def contents(words: Buffer, *fields: int, in_place: bool = False) -> Argument:
    return (words, *map(np.int64, fields), np.bool_(in_place))


def run_assemble(
    base: np.ndarray, content: Argument, windows: Argument, size: tuple[int, int], last: bool
) -> tuple[np.ndarray, Counts]:
    """Return what the kernel makes of its operands, in [P, C, *size], and its counts."""
    kind, channels = base.dtype.type, base.shape[1]
    shown = np.zeros((len(BOXES), channels, *size), kind)
    out = Buffer.empty("out", laid_out("", shown, last).array.shape, kind)
    places = (Buffer.of("boxes", BOXES), windows, np.int64(len(BOXES)))
    work = (laid_out("base", base, last), grid(base, last), content, *places, grid(shown, last), out)
    run = 16 // base.itemsize
    unit = channels if last else 1
    length = run if size[1] * unit % run == 0 else 1
    kernel = compiled(CUDA / "assemble_kernel.cu")[f"assemble_kernel<{WORDS[kind]}, {length}, int>"]
    pad = np.array(-1.0, kind).view(f"u{base.itemsize}")[()]
    divisors = tuple(map(divisor, (size[1] * unit // length, size[0], unit)))
    counts = launch(kernel, (2, 3), (256,), [work, pad, divisors])
    assert out.written.all()
    return (out.array.transpose(0, 3, 1, 2) if last else out.array), counts


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels last"])
@pytest.mark.parametrize("size", [(5, 7), (4, 8)], ids=["value by value", "16 bytes at a time"])
@pytest.mark.parametrize("kind", WORDS)
def test_assemble(kind, size, last) -> None:
    random = np.random.default_rng(0)
    base, patches = (random.random(shape).astype(kind) for shape in ((2, 3, 6, 9), (4, 3, 3, 5)))
    image, plane, row = steps(patches, last)
    content = contents(laid_out("patches", patches, last), image, 0, plane, row, 0)
    found, _ = run_assemble(base, content, Buffer.of("windows", WINDOWS), size, last)
    np.testing.assert_array_equal(found, assembled(base, patches, WINDOWS, size, -1.0))


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels last"])
@pytest.mark.parametrize("colour", [True, False], ids=["a colour", "a second image"])
def test_occlude(colour, last) -> None:
    base = np.random.default_rng(0).random((2, 3, 6, 9), np.float32)
    second = np.broadcast_to(np.arange(3, dtype=np.float32)[:, None, None], base.shape) if colour else -base
    patches = np.stack([second[image, :, y0:y1, x0:x1] for image, y0, x0, y1, x1 in BOXES])
    image, plane, row = steps(base, last)
    if colour:
        unit = 3 if last else 1
        content = contents(Buffer.of("colour", np.arange(3, dtype=np.float32)), 0, 0, 0 if last else 1, 0, unit)
    else:
        content = contents(laid_out("second", second, last), 0, image, plane, row, 0, in_place=True)
    found, _ = run_assemble(base, content, np.uint64(0), (6, 9), last)
    np.testing.assert_array_equal(found, assembled(base, patches, np.zeros((4, 2), int), (6, 9), -1.0))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_occlusion_map(kind) -> None:
    random, size = np.random.default_rng(0), (2, 34, 37)
    boxes = np.array([[0, 1, 2, 34, 7], [0, 30, 30, 33, 37], [1, 0, 0, 32, 32], [1, 31, 31, 34, 33], [1, 2, 3, 4, 5]])
    scores = random.standard_normal(len(boxes)).astype(kind)
    totals, covering = np.zeros(size), np.zeros(size)
    for score, (image, y0, x0, y1, x1) in zip(scores, boxes, strict=True):
        totals[image, y0:y1, x0:x1] += score
        covering[image, y0:y1, x0:x1] += 1
    out, extents = Buffer.empty("out", size, kind), Buffer.of("extents", np.zeros((size[0], 2), np.int64))
    cells = Buffer.of("cells", np.zeros((*size, 2), np.int64))
    numbers = tuple(map(np.int64, (len(boxes), *size)))
    work = (Buffer.of("scores", scores), np.int64(1), Buffer.of("boxes", boxes), *numbers, out)
    kernels = compiled(CUDA / "occlusion_map_kernel.cu")
    name = "float" if kind is np.float32 else "double"
    launch(kernels[f"extent_kernel<{name}>"], (2,), (128,), [work, extents])
    launch(kernels[f"scatter_kernel<{name}>"], (2,), (128,), [work, extents, cells])
    launch(kernels[f"box_mean_kernel<{name}>"], (1, 3), (128,), [work, extents, cells])
    np.testing.assert_array_equal(extents.array[:, 1], [2, 3])
    np.testing.assert_allclose(out.array, totals / np.maximum(covering, 1), atol=1e-15 if name == "double" else 1e-7)


def test_assemble_stores_whole_sectors() -> None:
    base, patches = np.ones((2, 8, 6, 9), np.float32), np.zeros((4, 8, 3, 5), np.float32)
    image, plane, row = steps(patches, last=True)
    content = contents(laid_out("patches", patches, last=True), image, 0, plane, row, 0)
    _, counts = run_assemble(base, content, Buffer.of("windows", WINDOWS), (8, 16), True)
    stored = counts.traffic["global store"]
    assert stored.bytes == 4 * 8 * 8 * 16 * 4
    assert (stored.sectors * 32, stored.requests * 512) == (stored.bytes, stored.bytes)
