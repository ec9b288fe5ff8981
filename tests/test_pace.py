"""How often is looked for saves."""

from fastapi_hmr.pace import Pace


def test_a_busy_server_is_disturbed_less_and_an_idle_one_hears_sooner() -> None:
    """By the share of a core that was used since the last look."""
    now, used = 0.0, 0.0
    pace = Pace(5, 25, clock=lambda: now, used=lambda: used)
    steps = []
    for share in (0.0, 0.02, 0.9, 1.0, 0.1, 0.0):
        now, used = now + 0.2, used + 0.2 * share
        steps.append(pace.step_ms())
    assert steps == [5, 5, 25, 25, 5, 5]
