"""The simulated queue of a drafter that is asked for too much."""

from benchmarks.overload import Overload, overload


def simulated(per_s: float, left_out: bool) -> Overload:
    return overload(per_s, 18.0, 4.0, 3_000.0, 20.0, left_out, seed=1)


def test_under_overload_the_model_finishes_nearly_what_it_can_only_if_what_is_too_late_is_left_out() -> None:
    at_most = 23_000 / 18
    assert simulated(200, left_out=False).finished < 0.2 * at_most
    assert simulated(200, left_out=True).finished > 0.85 * at_most


def test_where_there_is_time_for_all_all_are_finished_either_way() -> None:
    for left_out in (False, True):
        assert simulated(20, left_out).finished == 400
