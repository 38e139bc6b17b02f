"""Figures say where they are from."""

from benchmarks.machine import machine


def test_figures_say_what_machine_they_are_from() -> None:
    assert {"cpu", "cores", "memory_gib", "python"} <= machine().keys()
