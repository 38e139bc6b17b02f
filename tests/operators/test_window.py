"""The window is a set of panes, kept as one integer."""

from hypothesis import given
from hypothesis import strategies as st

from operators.window import PANE_MS, RECENT_PANES, WINDOW_PANES, Window, boundary_ms, pane_of, phase_ms

panes = st.lists(st.integers(500, 3000), max_size=60)


@given(panes, st.integers(0, 1000))
def test_counts_are_those_of_the_set_of_panes(active: list[int], ahead: int) -> None:
    window = Window(500)
    for pane in active:
        window = window.mark(pane)
    as_of = 501 + ahead
    recent = {p for p in active if as_of - RECENT_PANES < p <= as_of}
    prior = {p for p in active if as_of - WINDOW_PANES < p <= as_of - RECENT_PANES}
    assert window.counts(as_of) == (len(recent), len(prior))


@given(panes, st.integers(500, 2500))
def test_evaluating_on_forgets_nothing_that_a_later_evaluation_sees(active: list[int], done: int) -> None:
    window = Window(500)
    for pane in active:
        window = window.mark(pane)
    later = window.at(done)
    assert [later.counts(done + 1 + k) for k in (0, 1, 167, 719)] == [
        window.counts(done + 1 + k) for k in (0, 1, 167, 719)
    ]


def test_marking_twice_or_out_of_sight_gives_the_same_window() -> None:
    window = Window(1000).mark(1001)
    assert window.mark(1001) is window
    assert window.mark(1000 - WINDOW_PANES) is window


@given(st.text(min_size=1), st.integers(0, 4_000_000_000_000))
def test_a_pane_ends_at_its_boundary(key: str, ts_ms: int) -> None:
    phase = phase_ms(key)
    pane = pane_of(ts_ms, phase)
    assert boundary_ms(pane, phase) - PANE_MS <= ts_ms < boundary_ms(pane, phase)
    assert 0 <= phase < PANE_MS
