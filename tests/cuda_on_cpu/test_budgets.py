"""What the compiler makes of the kernels stays within csrc/cuda/budgets.json, and the documentation says the same."""

from __future__ import annotations

import pytest
from cuda_on_cpu import nvcc
from cuda_on_cpu.compiled import budgets, paths, resources, roofline, sass, tables
from cuda_on_cpu.compiled.budgets import ARCHS, Budget, Subject
from cuda_on_cpu.compiled.occupancy import occupancy
from cuda_on_cpu.compiled.resources import Resources

BUDGETS = budgets.read()
LOG = """
ptxas info    : Compiling entry function '_Z1av' for 'sm_80'
ptxas info    : Function properties for _Z1av
    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 54 registers, used 1 barriers, 17600 bytes smem, 400 bytes cmem[0]
ptxas info    : Compiling entry function '_Z1bv' for 'sm_80'
ptxas info    : Used 10 registers, used 0 barriers
"""
LISTING = """
	.section	.text._Z1av,"ax",@progbits
        /*0000*/                   LDC R1, c[0x0][0x28] ;
.L_x_0:
        /*0010*/                   MOV R3, 0x0 ;
.L_x_1:
        /*0020*/                   LDG.E.128.CONSTANT R4, desc[UR4][R2.64] ;
        /*0030*/                   LDG.E.U16 R8, desc[UR4][R2.64+0x10] ;
        /*0040*/                   DFMA R4, R4, R6, R4 ;
        /*0050*/                   STG.E R4, desc[UR4][R2.64] ;
        /*0060*/               @P0 BRA `(.L_x_1) ;
        /*0070*/              @!P1 BRA `(.L_x_0) ;
        /*0080*/                   EXIT ;
.L_x_2:
        /*0090*/                   BRA `(.L_x_2);
        /*00a0*/                   NOP;
	.section	.text._Z1bv,"ax",@progbits
        /*0000*/                   EXIT ;
"""
SUBJECT = Subject("a", "a.cu", 128, "element", "STG", 1, 8)


@pytest.fixture
def toolkit() -> None:
    """Skip a test where what it needs is missing, or is another version than the budgets are from."""
    if nvcc.toolkit() is None:
        pytest.skip("there is no CUDA toolkit to compile with")
    if nvcc.version() != budgets.compiler():
        pytest.skip(f"the budgets are from CUDA {budgets.compiler()}, and here is {nvcc.version()}")


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("budget", BUDGETS, ids=lambda budget: budget.subject.name)
def test_a_kernel_stays_within_its_budget(toolkit, budget, arch) -> None:
    sentences = budgets.passed(budget, arch, budgets.measure(budget.subject, arch))
    assert not sentences, "\n".join(sentences)


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("budget", [one for one in BUDGETS if one.subject.vectors], ids=lambda one: one.subject.name)
def test_a_kernel_has_the_vector_accesses_that_it_means_to_have(toolkit, budget, arch) -> None:
    if nvcc.disassembler() is None:
        pytest.skip("there is no nvdisasm, neither in the CUDA toolkit nor in triton")
    assert not budgets.missing_vectors(budget.subject, arch)


def test_every_file_of_kernels_has_a_budget() -> None:
    files = {path.name for path in budgets.FILE.parent.glob("*.cu")}
    assert files == {budget.subject.source for budget in BUDGETS}


def test_every_kernel_has_a_budget_for_some_type(toolkit) -> None:
    sources = sorted({budget.subject.path for budget in BUDGETS})
    compiled = {name for source in sources for name in budgets.kernel_names(source, "sm_80")}
    known = {budget.subject.name for budget in BUDGETS}
    assert known <= compiled
    assert {name.partition("<")[0] for name in compiled} == {name.partition("<")[0] for name in known}


def test_the_tables_in_the_documentation_are_current() -> None:
    assert tables.PAGE.read_text(encoding="utf-8") == tables.current(), f"`{budgets.REWRITE}` writes them anew"


def test_a_budget_that_is_passed_is_named_with_all_that_one_must_know() -> None:
    budget = Budget(SUBJECT, {"sm_80": {"registers": 40, "spill_bytes": 0, "occupancy": 0.5}})
    assert budgets.passed(budget, "sm_80", {"registers": 41, "spill_bytes": 0, "occupancy": 0.5}) == [
        "a on sm_80: registers is 41, its budget 40; if that is meant to be, "
        "`python benchmarks/budgets.py` writes budgets.json anew"
    ]
    assert budgets.passed(budget, "sm_80", {"occupancy": 0.25})
    assert not budgets.passed(budget, "sm_80", {"registers": 39, "spill_bytes": 0, "occupancy": 0.75})


def test_budgets_are_read_as_they_were_written(tmp_path) -> None:
    file = tmp_path / "budgets.json"
    written = [Budget(SUBJECT, {"sm_80": {"registers": 40, "occupancy": 0.5}})]
    budgets.write(written, "13.0", file)
    assert budgets.read(file) == written
    assert budgets.compiler(file) == "13.0"


def test_the_compiler_s_words_are_read() -> None:
    found = resources.kernels(LOG)
    assert found["_Z1av"] == Resources(54, 16, 8, 17600, 1)
    assert found["_Z1bv"] == Resources(10, 0, 0, 0, 0)


def test_the_main_loop_is_the_smallest_with_the_marker() -> None:
    code = sass.kernels(LISTING)["_Z1av"]
    assert [(loop.first, loop.last) for loop in code.loops()] == [(1, 7), (2, 6)]
    loop = code.main_loop("STG")
    assert loop is not None
    lines = code.part(loop)
    assert [line.opcode for line in lines] == ["LDG", "LDG", "DFMA", "STG", "BRA"]
    assert (sass.count(lines, "LDG.128"), sum(map(sass.loaded, lines))) == (1, 18)
    assert code.main_loop("ATOM") is None


@pytest.mark.parametrize(
    ("body", "least"),
    [
        (["STG.E [R2], R4", "@P0 BRA `(.L_x_0)"], 2),
        (["@P1 BRA `(.L_x_1)", "MOV R1, R2", "MOV R1, R2", ".L_x_1:", "STG.E [R2], R4", "@P0 BRA `(.L_x_0)"], 3),
        (["@P1 BRA `(.L_x_1)", "MOV R1, R2", "STG.E [R2], R4", ".L_x_1:", "@P0 BRA `(.L_x_0)"], 4),
        (["STG.E [R2], R4", "MOV R1, R2", "STG.E [R2+4], R4", "BRA.U UP0, `(.L_x_0)"], 2),
        (["BRA `(.L_x_1)", "MOV R1, R2", ".L_x_1:", "STG.E [R2], R4", "@P0 BRA `(.L_x_0)"], 3),
    ],
    ids=["straight", "a branch that may be left out", "a branch with the output", "two outputs", "a jump"],
)
def test_the_least_instructions_for_an_output_are_those_of_the_shortest_way(body, least) -> None:
    lines = [".L_x_0:", *body, "EXIT"]
    text = "\n".join(line if line.endswith(":") else f"        /*0000*/    {line} ;" for line in lines)
    code = sass.kernels(f'\t.section\t.text.a,"ax"\n{text}\n')["a"]
    loop = code.main_loop("STG")
    assert loop is not None
    assert paths.least(code, loop, "STG", lambda line: 1) == least


@pytest.mark.parametrize(
    ("arch", "threads", "used", "expected"),
    [
        ("sm_90", 256, Resources(32, 0, 0, 0, 0), 1.0),
        ("sm_90", 128, Resources(168, 0, 0, 0, 0), 12 / 64),
        ("sm_90", 128, Resources(255, 0, 0, 0, 0), 8 / 64),
        ("sm_120", 256, Resources(32, 0, 0, 17600, 1), 40 / 48),
        ("sm_80", 256, Resources(32, 0, 0, 48 * 1024, 1), 24 / 64),
    ],
)
def test_occupancy_is_that_of_nvidia_s_calculator(toolkit, arch, threads, used, expected) -> None:
    assert occupancy(arch, threads, used) == pytest.approx(expected)


def test_the_bound_is_what_runs_out_first() -> None:
    gpu = roofline.GPUS[0]
    takes = {"least_instructions": 128.0, "fp32": 0.0, "fp64": 1.0, "load_bytes": 4.0}
    clocks = 108 * 1.41e9
    slow = roofline.bound(Budget(SUBJECT, {"sm_80": takes}), gpu)
    assert (slow.limit, slow.rate) == ("instructions", pytest.approx(clocks))
    fast = roofline.bound(Budget(SUBJECT, {"sm_80": {**takes, "least_instructions": 0.5, "fp64": 0.0}}), gpu)
    assert (fast.limit, fast.rate) == ("memory", pytest.approx(2039e9 / 8))
