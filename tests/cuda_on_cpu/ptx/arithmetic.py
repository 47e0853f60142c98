"""What PTX's arithmetic instructions compute, on one array element for each thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from cuda_on_cpu.ptx.program import Instruction, UnsupportedError
from numpy.typing import NDArray

Values = NDArray[Any]
_WHOLE: dict[str, np.dtype[Any]] = {
    f"{sign}{8 * size}": np.dtype(f"{code}{size}") for size in (1, 2, 4, 8) for sign, code in ("uu", "bu", "si")
}
_FLOATS: dict[str, np.dtype[Any]] = {
    "f16": np.dtype("f2"),
    "f32": np.dtype("f4"),
    "f64": np.dtype("f8"),
    "bf16": np.dtype("u2"),
}
KINDS: dict[str, np.dtype[Any]] = _WHOLE | _FLOATS | {"pred": np.dtype("?")}
_COMPARE: dict[str, Callable[..., Any]] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "lo": np.less,
    "ls": np.less_equal,
    "hi": np.greater,
    "hs": np.greater_equal,
}
_COMBINE: dict[str, Callable[..., Any]] = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}
_ROUND = frozenset({"rn", "ftz", "approx", "full"})  # computed exactly and then rounded to the nearest, whichever
_INTEGER = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}


@dataclass(frozen=True)
class Operation:
    """A function of modifiers and values, and the modifiers that it knows."""

    compute: Callable[..., Values]
    modifiers: frozenset[str] = frozenset()


def compute(one: Instruction, values: list[Values]) -> Values:
    """Return the result of an arithmetic instruction, in its destination's type."""
    with np.errstate(all="ignore"):  # as on a GPU, where nothing traps
        return OPERATIONS[one.opcode].compute(one, *values)


def signature(one: Instruction) -> tuple[str, tuple[str, ...]]:
    """Return the types of an instruction's destination and of its sources; raises for one that is not known."""
    operation = OPERATIONS.get(one.opcode)
    if operation is None:
        raise UnsupportedError(f"an instruction that the interpreter does not know: {one.opcode} in {one}")
    unknown = sorted(set(one.modifiers) - operation.modifiers)
    if unknown or not one.kinds:
        raise UnsupportedError(f"a modifier that the interpreter does not know: .{', .'.join(unknown)} in {one}")
    kind, count = one.kinds[-1], len(one.operands) - 1
    special = {
        "cvt": (one.kinds[0], (kind,)),
        "setp": ("pred", (kind, kind, "pred")[:count]),
        "selp": (kind, (kind, kind, "pred")),
        "shl": (kind, (kind, "u32")),
        "shr": (kind, (kind, "u32")),
        "popc": ("u32", (kind,)),
        "clz": ("u32", (kind,)),
        "bfe": (kind, (kind, "u32", "u32")),
    }
    if one.opcode in special:
        return special[one.opcode]
    if "wide" in one.modifiers:
        wide = f"{kind[0]}{2 * int(kind[1:])}"
        return wide, (kind, kind, wide)[:count]
    return kind, (kind,) * count


def _multiply(one: Instruction, a: Values, b: Values) -> Values:
    if "wide" in one.modifiers:
        wide = KINDS[signature(one)[0]]
        product: Values = a.astype(wide) * b.astype(wide)
        return product
    if "hi" not in one.modifiers:
        return np.asarray(a * b)
    bits = a.dtype.itemsize * 8
    high = (a.astype(object) * b.astype(object)) >> bits  # Python's numbers: no type holds 128 bits
    return np.array([int(value) for value in high], dtype=a.dtype)


def _multiply_add(one: Instruction, a: Values, b: Values, c: Values) -> Values:
    return np.asarray(_multiply(one, a, b) + c)


def _fused(one: Instruction, a: Values, b: Values, c: Values) -> Values:
    """Return a * b + c rounded once, but for sums that a type of twice the digits rounds to half way between two."""
    if a.dtype.itemsize < 8:
        return np.asarray((a.astype(np.float64) * b + c).astype(a.dtype))
    product, total = a * b, a * b + c
    rest = _product_error(a, b, product) + _sum_error(product, c, total)
    return np.asarray(np.where(np.isfinite(rest), total + rest, total))


def _sum_error(a: Values, b: Values, total: Values) -> Values:
    """Return a + b - total without a rounding (Knuth)."""
    part = total - a
    return np.asarray((a - (total - part)) + (b - part))


def _product_error(a: Values, b: Values, product: Values) -> Values:
    """Return a * b - product without a rounding, from halves of 26 digits (Dekker)."""
    (high_a, low_a), (high_b, low_b) = _halves(a), _halves(b)
    return np.asarray(((high_a * high_b - product) + high_a * low_b + low_a * high_b) + low_a * low_b)


def _halves(a: Values) -> tuple[Values, Values]:
    large = a * (2.0**27 + 1)
    high = large - (large - a)
    return high, a - high


def _divide(one: Instruction, a: Values, b: Values) -> Values:
    """Divide; whole numbers towards zero, and by zero to all ones, as GPUs do."""
    if a.dtype.kind == "f":
        return np.asarray(a / b)
    safe = np.where(b == 0, 1, b).astype(b.dtype)
    quotient = a // safe
    if a.dtype.kind == "i":
        quotient = quotient + ((a % safe != 0) & ((a < 0) != (safe < 0)))
    return np.where(b == 0, ~np.zeros_like(a), quotient).astype(a.dtype)


def _remainder(one: Instruction, a: Values, b: Values) -> Values:
    rest = a - _divide(one, a, b) * b
    return np.where(b == 0, a, rest).astype(a.dtype)


def _shift(one: Instruction, a: Values, by: Values) -> Values:
    """Shift; by as many places as there are, or more, all bits go."""
    bits = a.dtype.itemsize * 8
    last = np.minimum(by, bits - 1).astype(a.dtype)
    if one.opcode == "shl":
        return np.where(by >= bits, 0, a << last).astype(a.dtype)
    return np.where((by >= bits) & (a.dtype.kind == "u"), 0, a >> last).astype(a.dtype)


def _funnel(one: Instruction, low: Values, high: Values, by: Values) -> Values:
    both = (high.astype(np.uint64) << np.uint64(32)) | low
    by = by & 31 if "wrap" in one.modifiers else np.minimum(by, 32)
    shifted = both >> by if "r" in one.modifiers else (both << by) >> np.uint64(32)
    return shifted.astype(np.uint32)


def _compare(one: Instruction, a: Values, b: Values, with_: Values | None = None) -> Values:
    """Compare; with a NaN only `ne` of the ordered ones is wrong, and every `..u` holds."""
    names = [name for name in one.modifiers if name not in _COMBINE and name != "ftz"]
    name = names[0]
    if name in {"num", "nan"}:
        result = (np.isnan(a) | np.isnan(b)) == (name == "nan")
    else:
        unordered = name.endswith("u") and name[:-1] in _COMPARE
        result = _COMPARE[name.removesuffix("u") if unordered else name](a, b)
        if a.dtype.kind == "f":
            missing = np.isnan(a) | np.isnan(b)
            result = np.where(missing, unordered, result)
    combine = next((_COMBINE[name] for name in one.modifiers if name in _COMBINE), None)
    return np.asarray(result if combine is None else combine(result, with_))


def _convert(one: Instruction, a: Values) -> Values:
    to, rounding = one.kinds[0], next((_INTEGER[name] for name in one.modifiers if name in _INTEGER), None)
    if to == "bf16":
        return _brain(a.astype(np.float32))
    if one.kinds[1] == "bf16":
        a = (a.astype(np.uint32) << np.uint32(16)).view(np.float32)
    kind = KINDS[to]
    if a.dtype.kind == "f" and kind.kind in "iu":  # what does not fit is clamped, and NaN is 0
        limits = np.iinfo(kind)
        whole = np.nan_to_num((rounding or np.trunc)(a.astype(np.longdouble)), nan=0.0)
        return np.asarray(np.clip(whole, limits.min, limits.max).astype(kind))
    return np.asarray((rounding(a) if rounding else a).astype(kind))


def _brain(a: Values) -> Values:
    """Round float32 to bfloat16, ties to even."""
    bits = a.view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return np.asarray(np.where(np.isnan(a), 0x7FFF, rounded).astype(np.uint16))


def _bit_field(one: Instruction, a: Values, start: Values, length: Values) -> Values:
    if a.dtype != np.uint32:
        raise UnsupportedError(f"the interpreter extracts fields of u32 only: {one}")
    field = a.astype(np.uint64) >> np.minimum(start & 255, 32)
    mask = (np.uint64(1) << np.minimum(length & 255, 32)) - np.uint64(1)
    return np.asarray((field & mask).astype(np.uint32))


def _count_bits(one: Instruction, a: Values) -> Values:
    bits = np.unpackbits(a.view(np.uint8).reshape(len(a), -1), axis=1)
    return np.asarray(bits.sum(axis=1).astype(np.uint32))


def _leading_zeros(one: Instruction, a: Values) -> Values:
    bits = a.dtype.itemsize * 8
    return np.array([bits - int(value).bit_length() for value in a], np.uint32)


def _permute(one: Instruction, a: Values, b: Values, selector: Values) -> Values:
    """Pick each byte of the result from the eight of both, with its sign in all bits where the selector says so."""
    both = (b.astype(np.uint64) << np.uint64(32)) | a
    result = np.zeros_like(a)
    for byte in range(4):
        pick = (selector >> np.uint32(4 * byte)) & np.uint32(15)
        value = (both >> (np.uint64(8) * (pick & np.uint32(7)))) & np.uint64(255)
        sign = np.where(value > 127, np.uint64(255), np.uint64(0))
        result |= (np.where(pick > 7, sign, value) << np.uint64(8 * byte)).astype(np.uint32)
    return result


def _logic(function: Callable[..., Any]) -> Operation:
    return Operation(lambda one, *values: np.asarray(function(*values)))


def _float(function: Callable[..., Any], *more: str) -> Operation:
    return Operation(lambda one, *values: np.asarray(function(*values)), _ROUND | set(more))


_HALVES = frozenset({"lo", "hi", "wide"})
_RELATIONS = frozenset({*_COMPARE, *_COMBINE, *(f"{name}u" for name in _COMPARE), "num", "nan", "ftz"})
OPERATIONS = {
    "abs": _float(np.abs),
    "add": _float(np.add),
    "and": _logic(np.bitwise_and),
    "bfe": Operation(_bit_field),
    "clz": Operation(_leading_zeros),
    "copysign": _float(lambda a, b: np.copysign(b, a)),
    "cvt": Operation(_convert, _ROUND | set(_INTEGER)),
    "cvta": Operation(lambda one, a: a, frozenset({"to", "global", "local"})),
    "div": Operation(_divide, _ROUND),
    "ex2": _float(np.exp2),
    "fma": Operation(_fused, _ROUND),
    "lg2": _float(np.log2),
    "mad": Operation(_multiply_add, _HALVES),
    "max": _float(np.fmax),
    "min": _float(np.fmin),
    "mul": Operation(_multiply, _ROUND | _HALVES),
    "neg": _float(np.negative),
    "not": _logic(np.invert),
    "or": _logic(np.bitwise_or),
    "popc": Operation(_count_bits),
    "prmt": Operation(_permute),
    "rcp": _float(lambda a: a.dtype.type(1) / a),
    "rem": Operation(_remainder),
    "rsqrt": _float(lambda a: a.dtype.type(1) / np.sqrt(a)),
    "selp": Operation(lambda one, a, b, which: np.asarray(np.where(which, a, b))),
    "setp": Operation(_compare, _RELATIONS),
    "shf": Operation(_funnel, frozenset({"l", "r", "wrap", "clamp"})),
    "shl": Operation(_shift),
    "shr": Operation(_shift),
    "sqrt": _float(np.sqrt),
    "sub": _float(np.subtract),
    "xor": _logic(np.bitwise_xor),
}
