"""The garbage collector while modules are imported, each case in a process of its own."""

import subprocess
import sys

import pytest

BEGIN = "import gc; from fastapi_hmr import collector; gc.set_threshold(700, 10, 10)\n"
CASES = {
    "a start collects hardly, and then as ever": """
collector.put_off()
assert gc.get_threshold()[0] == collector.RARELY
collector.take_up()
assert gc.get_threshold() == (700, 10, 10)
collector.take_up()
assert gc.get_threshold() == (700, 10, 10)
""",
    "modules that run within a start leave it to its end": """
collector.put_off()
with collector.paused():
    pass
assert gc.get_threshold()[0] == collector.RARELY
collector.take_up()
assert gc.get_threshold() == (700, 10, 10)
""",
    "what a start made is old: the next collection does not look at it": """
collector.put_off()
made = [[] for _ in range(5000)]
collector.take_up()
old = set(map(id, gc.get_objects(generation=2)))
assert all(id(each) in old for each in made)
assert gc.get_freeze_count() == 0
""",
    "what the app chooses stays": """
with collector.paused():
    gc.set_threshold(50, 5, 5)
assert gc.get_threshold() == (50, 5, 5)
""",
    "what is off stays off": """
gc.set_threshold(0)
with collector.paused():
    pass
assert gc.get_threshold()[0] == 0
""",
    "modules that ran under a loop leave it until their first request is answered": """
import asyncio
async def main():
    with collector.paused():
        pass
    assert gc.get_threshold()[0] == collector.RARELY
    while gc.get_threshold()[0] == collector.RARELY:
        await asyncio.sleep(0.01)
    assert gc.get_threshold() == (700, 10, 10)
asyncio.run(main())
""",
    "modules that run soon after others do not put it off for ever": """
import asyncio
async def main():
    gc.collect()
    for _ in range(3):
        with collector.paused():
            made = [[] for _ in range(5000)]
    young = set(map(id, gc.get_objects(generation=0)))
    assert sum(id(each) in young for each in made) == 5000
    with collector.paused():
        young = set(map(id, gc.get_objects(generation=0)))
        assert not any(id(each) in young for each in made)
    await asyncio.sleep(0.3)
    assert gc.get_threshold() == (700, 10, 10)
asyncio.run(main())
""",
    "what the app froze stays frozen": """
collector.put_off()
frozen = [[] for _ in range(100)]
gc.freeze()
collector.take_up()
collected = set(map(id, gc.get_objects()))
assert not any(id(each) in collected for each in frozen)
""",
}


@pytest.mark.parametrize("name", CASES)
def test_collector_promises_hold(name: str) -> None:
    """What the name says."""
    done = subprocess.run([sys.executable, "-c", BEGIN + CASES[name]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
