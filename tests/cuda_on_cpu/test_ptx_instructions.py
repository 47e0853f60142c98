"""Single instructions of PTX, by what NVIDIA's manual of the instruction set says of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from cuda_on_cpu.ptx.arithmetic import KINDS
from cuda_on_cpu.ptx.machine import launch
from cuda_on_cpu.ptx.memory import Buffer, KernelError
from cuda_on_cpu.ptx.program import UnsupportedError, parse

KERNEL = """
.version 9.0
.target sm_80
.entry one(.param .u64 one_param_0)
{{
    .reg .pred %p<4>;
    .reg .b16 %h<9>;
    .reg .b32 %r<9>;
    .reg .b64 %d<9>;
    ld.param.u64 %d0, [one_param_0];
    {body}
    ret;
}}
"""
STORE = {1: "st.global.u8 [%d0], %h1;", 2: "st.global.u16 [%d0], %h1;", 4: "st.global.b32 [%d0], %r1;"}
RESULTS = [
    ("add.s32 %r1, 2147483647, 1", "s32", -(2**31)),
    ("sub.u32 %r1, 1, 2", "u32", 2**32 - 1),
    ("mul.lo.s32 %r1, 65536, 65537", "s32", 65536),
    ("mul.hi.u32 %r1, 4294967295, 4294967295", "u32", 4294967294),
    ("mul.hi.s64 %d1, -4294967296, 4294967296", "s64", -1),
    ("mul.wide.s32 %d1, -3, 2147483647", "s64", -6442450941),
    ("mul.wide.u32 %d1, 4294967295, 2", "u64", 8589934590),
    ("mad.lo.s64 %d1, 3, -4, 5", "s64", -7),
    ("mad.wide.s32 %d1, 65536, 65536, 1", "s64", 2**32 + 1),
    ("div.s32 %r1, -7, 2", "s32", -3),
    ("div.s64 %d1, 7, -2", "s64", -3),
    ("rem.s32 %r1, -7, 2", "s32", -1),
    ("rem.u64 %d1, 7, 4", "u64", 3),
    ("shl.b32 %r1, 1, 31", "u32", 2**31),
    ("shl.b32 %r1, 1, 32", "u32", 0),
    ("shr.u32 %r1, 4294967295, 33", "u32", 0),
    ("shr.s32 %r1, -8, 1", "s32", -4),
    ("shr.s32 %r1, -8, 40", "s32", -1),
    ("shf.l.wrap.b32 %r1, 0x80000001, 0x00000002, 4", "u32", 0x28),
    ("shf.r.wrap.b32 %r1, 0x80000001, 0x00000002, 4", "u32", 0x28000000),
    ("not.b32 %r1, 0", "u32", 2**32 - 1),
    ("min.s32 %r1, -1, 1", "s32", -1),
    ("max.u32 %r1, 4294967295, 1", "u32", 2**32 - 1),
    ("abs.s32 %r1, -5", "s32", 5),
    ("clz.b32 %r1, 0x00800000", "u32", 8),
    ("clz.b64 %r1, 0", "u32", 64),
    ("popc.b32 %r1, 0xff00ff01", "u32", 17),
    ("bfe.u32 %r1, 0x12345678, 8, 12", "u32", 0x456),
    ("prmt.b32 %r1, 0x33221100, 0x77665544, 0x0123", "u32", 0x00112233),
    ("prmt.b32 %r1, 0x33221180, 0x77665544, 0x8074", "u32", 0xFF807744),
    ("cvt.s64.s32 %d1, -2", "s64", -2),
    ("cvt.u64.u32 %d1, -2", "u64", 2**32 - 2),
    ("cvt.u32.u64 %r1, 0x1234567890", "u32", 0x34567890),
    ("cvt.s32.s8 %r1, 0xff", "s32", -1),
    ("cvt.rn.f32.s32 %r1, 16777217", "f32", 16777216.0),
    ("cvt.rzi.s32.f32 %r1, 0fC0366666", "s32", -2),  # -2.85
    ("cvt.rni.s32.f32 %r1, 0f40200000", "s32", 2),  # 2.5
    ("cvt.rzi.s32.f32 %r1, 0f7FC00000", "s32", 0),  # NaN
    ("cvt.rzi.s32.f32 %r1, 0f7F000000", "s32", 2**31 - 1),
    ("cvt.rn.f32.f64 %r1, 0d3FF0000000000001", "f32", 1.0),
    ("cvt.f64.f32 %d1, 0f3DCCCCCD", "f64", float(np.float32(0.1))),
    ("cvt.rn.f16.f32 %h1, 0f3F800001", "f16", 1.0),
    ("cvt.rn.bf16.f32 %h1, 0f3F808000", "u16", 0x3F80),  # half way: to even
    ("cvt.rn.bf16.f32 %h1, 0f3F818000", "u16", 0x3F82),
    ("cvt.f32.bf16 %r1, 0x3F81", "f32", 1.0078125),
    ("fma.rn.f32 %r1, 0f3F800001, 0f3F800001, 0fBF800002", "f32", 2.0**-46),  # rounded once
    ("fma.rn.f64 %d1, 0d3FF0000000000001, 0d3FF0000000000001, 0dBFF0000000000002", "f64", 2.0**-104),
    ("div.rn.f64 %d1, 0d3FF0000000000000, 0d4008000000000000", "f64", 1 / 3),
    ("div.rn.f32 %r1, 0f3F800000, 0f00000000", "f32", math.inf),
    ("rcp.rn.f64 %d1, 0d4000000000000000", "f64", 0.5),
    ("sqrt.rn.f32 %r1, 0f40800000", "f32", 2.0),
    ("neg.f64 %d1, 0d3FF0000000000000", "f64", -1.0),
    ("abs.f32 %r1, 0fBF800000", "f32", 1.0),
    ("max.f32 %r1, 0f7FC00000, 0f3F800000", "f32", 1.0),  # a number wins over NaN
    ("copysign.f32 %r1, 0fBF800000, 0f40000000", "f32", -2.0),
    ("selp.b32 %r1, 5, 6, %p0", "u32", 5),
    ("mov.b64 %d1, {%r7, %r8}", "u64", (8 << 32) + 7),
]
COMPARISONS = [
    ("setp.lt.s32 %p1, -1, 1", True),
    ("setp.lt.u32 %p1, -1, 1", False),
    ("setp.ge.s64 %p1, 4, 4", True),
    ("setp.ne.f32 %p1, 0f7FC00000, 0f3F800000", False),
    ("setp.neu.f32 %p1, 0f7FC00000, 0f3F800000", True),
    ("setp.gtu.f64 %p1, 0d3FF0000000000000, 0d4000000000000000", False),
    ("setp.num.f32 %p1, 0f3F800000, 0f3F800000", True),
    ("setp.nan.f32 %p1, 0f3F800000, 0f7FC00000", True),
    ("setp.eq.and.s32 %p1, 1, 1, %p2", False),
    ("setp.eq.or.s32 %p1, 1, 2, %p0", True),
]


def run(*statements: str, threads: int = 1, kind: str = "u64", blocks: int = 1) -> np.ndarray:
    """Return what statements write to [%d0]; they find %p0 true, %p2 false, and 7 and 8 in %r7 and %r8."""
    begin = ["setp.eq.s32 %p0, 0, 0", "setp.ne.s32 %p2, 0, 0", "mov.u32 %r7, 7", "mov.u32 %r8, 8"]
    body = "\n    ".join(f"{one};" if not one.endswith((":", ";")) else one for one in (*begin, *statements))
    out = Buffer.empty("out", (blocks * threads,), KINDS[kind])
    launch(parse(KERNEL.format(body=body))["one"], (blocks,), (threads,), [out])
    return out.array


@pytest.mark.parametrize(("statement", "kind", "expected"), RESULTS)
def test_an_instruction_computes_what_the_manual_says(statement, kind, expected) -> None:
    store = STORE.get(KINDS[kind].itemsize, "st.global.b64 [%d0], %d1;")
    assert run(statement, store, kind=kind)[0] == expected


@pytest.mark.parametrize(("statement", "expected"), COMPARISONS)
def test_a_comparison_says_what_the_manual_says(statement, expected) -> None:
    assert run(statement, "selp.u32 %r1, 1, 0, %p1", STORE[4], kind="u32")[0] == expected


@pytest.mark.parametrize(
    ("mode", "offset", "expected"),
    [
        ("down", 16, [*range(16, 32), *range(16, 32)]),
        ("up", 1, [0, *range(31)]),
        ("bfly", 1, [lane ^ 1 for lane in range(32)]),
        ("idx", 5, [5] * 32),
    ],
)
def test_a_shuffle_gives_the_lane_that_the_manual_says(mode, offset, expected) -> None:
    limits = 0 if mode == "up" else 31
    found = run(
        "mov.u32 %r1, %tid.x",
        f"shfl.sync.{mode}.b32 %r2|%p1, %r1, {offset}, {limits}, 0xffffffff",
        "mul.wide.u32 %d1, %r1, 4",
        "add.s64 %d2, %d0, %d1",
        "st.global.u32 [%d2], %r2",
        threads=32,
        kind="u32",
    )
    assert found.tolist() == expected


def test_a_vote_counts_the_lanes_of_each_warp_by_itself() -> None:
    found = run(
        "mov.u32 %r1, %tid.x",
        "setp.lt.u32 %p1, %r1, 40",
        "vote.sync.ballot.b32 %r2, %p1, 0xffffffff",
        "mul.wide.u32 %d1, %r1, 4",
        "add.s64 %d2, %d0, %d1",
        "st.global.u32 [%d2], %r2",
        threads=64,
        kind="u32",
    )
    assert found.tolist() == [0xFFFFFFFF] * 32 + [0xFF] * 32


@pytest.mark.parametrize("statement", ["red.global.add.u32 [%d0], 3", "atom.global.add.u32 %r2, [%d0], 3"])
def test_atomic_additions_of_all_blocks_come_together(statement) -> None:
    out = Buffer.of("out", np.array([1], np.uint32))
    launch(parse(KERNEL.format(body=f"{statement};"))["one"], (5,), (40,), [out])
    assert out.array[0] == 1 + 3 * 5 * 40


def test_a_plain_access_beside_an_atomic_one_is_a_race() -> None:
    body = "red.global.add.u32 [%d0], 3; ld.global.u32 %r1, [%d0];"
    with pytest.raises(KernelError, match="a race: read with no barrier after another's atomic write"):
        launch(parse(KERNEL.format(body=body))["one"], (1,), (2,), [Buffer.of("out", np.zeros(1, np.uint32))])


def test_a_barrier_of_a_warp_orders_its_lanes_and_no_others() -> None:
    kernel = """
.entry neighbours(.param .u32 neighbours_param_0)
{
    .reg .b32 %r<9>;
    .shared .align 4 .b8 words[512];
    mov.u32 %r1, %tid.x;
    shl.b32 %r2, %r1, 2;
    mov.u32 %r3, words;
    add.u32 %r4, %r3, %r2;
    st.shared.u32 [%r4], %r1;
    bar.warp.sync 0xffffffff;
    xor.b32 %r5, %r4, {other};
    ld.shared.u32 %r6, [%r5];
    bar.warp.sync 0xffffffff;
    st.shared.u32 [%r4], %r6;
    ret;
}
"""
    launch(parse(kernel.replace("{other}", "4"))["neighbours"], (1,), (64,), [np.uint32(0)])
    with pytest.raises(KernelError, match="a race: read with no barrier after another's write"):
        launch(parse(kernel.replace("{other}", "128"))["neighbours"], (1,), (64,), [np.uint32(0)])


def test_threads_that_branch_meet_again_and_loops_end_one_by_one() -> None:
    found = run(
        "mov.u32 %r1, %tid.x",
        "mov.u32 %r2, 0",
        "mov.u32 %r3, 0",
        "$again:",
        "setp.gt.u32 %p1, %r3, %r1",
        "@%p1 bra $done",
        "add.u32 %r2, %r2, %r3",
        "add.u32 %r3, %r3, 1",
        "bra.uni $again",
        "$done:",
        "mul.wide.u32 %d1, %r1, 4",
        "add.s64 %d2, %d0, %d1",
        "@!%p2 st.global.u32 [%d2], %r2",
        threads=40,
        kind="u32",
    )
    assert found.tolist() == [sum(range(n + 1)) for n in range(40)]


def test_shared_words_in_one_bank_take_a_round_each() -> None:
    kernel = """
.entry banks(.param .u32 banks_param_0)
{
    .reg .b32 %r<9>;
    .shared .align 4 .b8 words[4096];
    ld.param.u32 %r1, [banks_param_0];
    mov.u32 %r2, %tid.x;
    mul.lo.u32 %r3, %r2, %r1;
    mov.u32 %r4, words;
    add.u32 %r5, %r4, %r3;
    st.shared.u32 [%r5], %r2;
    ret;
}
"""
    stored = {
        stride: launch(parse(kernel)["banks"], (1,), (32,), [np.uint32(4 * stride)]).traffic["shared store"].wavefronts
        for stride in (1, 2, 3, 32)
    }
    assert stored == {1: 1, 2: 2, 3: 1, 32: 32}


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("sin.approx.f32 %r1, %r7", r"instruction that the interpreter does not know: sin in `sin\.approx\.f32"),
        ("add.sat.s32 %r1, 1, 2", r"modifier that the interpreter does not know: \.sat"),
        ("add.s32 %r1, %r5, 2", "an operand that holds nothing, .*: %r5"),
        ("bar.sync 0, 64", "a barrier that the interpreter does not know"),
        ("call.uni (%r1), f, (%r2)", "does not know: call"),
    ],
)
def test_what_the_interpreter_does_not_know_is_named(statement, said) -> None:
    with pytest.raises(UnsupportedError, match=said):
        run(statement)


def test_a_block_larger_than_the_launch_bounds_is_refused() -> None:
    kernel = ".entry one(.param .u32 one_param_0)\n.maxntid 64, 2, 1\n{\n    ret;\n}\n"
    with pytest.raises(KernelError, match="1 to 128 threads in a block; got 256"):
        launch(parse(kernel)["one"], (1,), (256,), [np.uint32(0)])


def test_an_argument_of_another_size_is_refused() -> None:
    kernel = ".entry one(.param .u64 one_param_0)\n{\n    ret;\n}\n"
    with pytest.raises(KernelError, match="parameter_0 has 8 bytes; the argument has 4"):
        launch(parse(kernel)["one"], (1,), (32,), [np.uint32(0)])
