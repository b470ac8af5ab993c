from tests.perf.upgrade import upgrade_s


def test_the_measured_upgrade_replaces_every_instance() -> None:
    """It says so itself; a number of anything less would be worth nothing."""
    assert upgrade_s(40) > 0
