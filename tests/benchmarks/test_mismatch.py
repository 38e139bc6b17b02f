"""The check of the arms' sizes: it sees what is lost, and seldom what is not."""

from benchmarks.mismatch import power


def test_a_loss_is_noticed_and_looking_often_raises_few_false_alarms() -> None:
    right = {one.check: one.noticed for one in power((0.5, 0.5), 0.0, 5_000, 200, seed=1)}
    assert right["holdfast"] <= 0.05 and right["chi-square"] > 0.1, "which is why it is not used"
    lossy = {one.check: one.noticed for one in power((0.25,) * 4, 0.15, 5_000, 60, seed=1)}
    assert lossy["holdfast"] > 0.8


def test_a_small_arm_hides_its_losses_from_every_check_that_may_be_looked_at_daily() -> None:
    small = {one.check: one.noticed for one in power((0.9, 0.1), 0.05, 5_000, 60, seed=1)}
    assert max(small["holdfast"], small["Dirichlet"]) < 0.3
