"""How often is looked for saves."""

from fastapi_hmr.pace import EAGER_S, Pace


def test_a_busy_server_is_disturbed_less_and_the_next_save_of_several_is_found_sooner() -> None:
    """By the share of a core that was used since the last look, and by when something was found."""
    now, used = 0.0, 0.0
    pace = Pace(idle_ms=10, eager_ms=5, busy_ms=25, clock=lambda: now, used=lambda: used)

    def steps(*shares: float) -> list[int]:
        nonlocal now, used
        found = []
        for share in shares:
            now, used = now + 0.2, used + 0.2 * share
            found.append(pace.step_ms())
        return found

    assert steps(0.0, 0.02, 0.9, 1.0, 0.1, 0.0) == [10, 10, 25, 25, 10, 10]
    pace.news()
    assert steps(0.0, 0.9, 0.0) == [5, 25, 5]
    now += EAGER_S
    assert steps(0.0) == [10]
