"""Which pixels change behind a kernel, against looking at every tap."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from sam_toolkit.incremental.geometry import Kernel, Stretch

KERNELS = st.builds(Kernel, *(st.integers(low, high) for low, high in ((1, 5), (1, 4), (0, 3), (0, 3), (1, 3))))


@given(kernel=KERNELS, full=st.integers(1, 24), data=st.data())
def test_what_changes_is_what_some_tap_reads(kernel: Kernel, full: int, data: st.DataObject) -> None:
    count = (full + kernel.before + kernel.after - kernel.reach - 1) // kernel.stride + 1
    assume(count >= 1)
    first = data.draw(st.integers(0, full - 1))
    stop = data.draw(st.integers(first + 1, full))
    taps = np.arange(kernel.size) * kernel.dilation - kernel.before
    changed = [out for out in range(count) if any(first <= out * kernel.stride + tap < stop for tap in taps)]
    found = Stretch(np.array([first]), np.array([stop]), full).through(kernel, count)
    inside = range(int(found.first[0]), int(found.stop[0]))
    assert set(changed) <= set(inside) <= set(range(count))
    if kernel.dilation == 1 and changed:
        assert changed == list(inside)


def test_stretches_of_a_batch_have_the_length_of_the_longest_and_fit() -> None:
    stretch = Stretch(np.array([0, 3, 8]), np.array([2, 7, 10]), 10)
    assert stretch.length == 4
    assert stretch.starts.tolist() == [0, 3, 6]
    assert stretch.joined(Stretch(np.array([1, 1, 9]), np.array([3, 5, 10]), 10)).first.tolist() == [0, 1, 8]


def test_a_padded_kernel_reads_from_further_outside() -> None:
    kernel = Kernel(3, 2, 0, 0, 2).padded(1, 2)
    assert (kernel.before, kernel.after, kernel.reach, kernel.context(3)) == (1, 2, 4, 9)
