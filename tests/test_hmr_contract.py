"""The ledger of hmr's private names (fastapi_hmr/engine/hmr.py): one test per entry, failing when hmr changes."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from reactivity.hmr import core, fs, hooks, utils
from reactivity.hmr._common import HMR_CONTEXT
from reactivity.primitives import BaseComputation, Derived

from fastapi_hmr.engine import hmr

MANGLED = ("namespace", "namespace_proxy", "hooks", "file", "is_initialized")


@pytest.fixture
def plain(tmp_path: Path) -> Any:
    """A module object of hmr's own."""
    return core.ReactiveModule(tmp_path / "plain.py", {"x": 1}, "plain")


@pytest.fixture
def ours(tmp_path: Path) -> hmr.Module:
    """A module object of ours."""
    module = hmr.Module("ours", hmr.SourceFile(tmp_path / "ours.py"))
    module.__file__ = str(tmp_path / "ours.py")
    return module


def test_ledger_has_a_test_for_each_entry() -> None:
    """Entries and tests have the same numbers."""
    entries = {int(number) for number in re.findall(r"^ ?(\d+)\. ", hmr.__doc__ or "", re.MULTILINE)}
    tests = {int(name.split("_")[2]) for name in globals() if re.fullmatch(r"test_entry_\d+_\w+", name)}
    assert entries == tests == set(range(1, len(entries) + 1))


def test_entry_1_reactive_module_is_made_from_file_namespace_name(plain: Any) -> None:
    """A ReactiveModule takes its file, its namespace and its name, and is a module."""
    assert isinstance(plain, ModuleType)
    assert plain.x == 1
    assert plain.__name__ == "plain"


def test_entry_2_private_attributes_have_the_known_names(plain: Any, ours: hmr.Module) -> None:
    """hmr sets these attributes and no others; ours lie in slots, not among the user's globals."""
    found = {name for name in object.__getattribute__(plain, "__dict__") if name.startswith(hmr.PRIVATE)}
    assert {hmr.PRIVATE + name for name in MANGLED} <= found
    assert found <= set(hmr.Module.__slots__) | {hmr.PRIVATE + "load"}
    assert not [name for name in vars(ours) if name.startswith("_ReactiveModule")]


def test_entry_3_load_computation_is_a_class_attribute(plain: Any) -> None:
    """hmr finds a module's load computation under this name of the class, which ours replaces."""
    assert hmr.PRIVATE + "load" in vars(core.ReactiveModule)
    assert isinstance(getattr(plain, hmr.PRIVATE + "load"), Derived)


def test_entry_4_hmr_reads_these_properties_and_users_may_use_the_names(ours: hmr.Module) -> None:
    """hmr's `load()` and `on_dispose()` reach our objects; a user's globals of the same names are the user's."""
    called = []
    assert utils.load(ours) is None
    hooks.on_dispose(lambda: called.append(1), str(hmr.namespace(ours)["__file__"]))
    with pytest.raises(AttributeError):
        _ = ours.load
    hmr.namespace(ours).update(load="mine", file="mine", register_dispose_callback="mine")
    assert [getattr(ours, name) for name in ("load", "file", "register_dispose_callback")] == ["mine"] * 3
    hmr.dispose(ours)
    assert called == [1]


def test_entry_5_instances_are_found_by_path_and_hidden_on_the_object(ours: hmr.Module) -> None:
    """hmr enters each module by its file; as an attribute of the object the name is the user's."""
    instances = vars(core.ReactiveModule)["instances"]
    assert instances[Path(hmr.namespace(ours)["__file__"]).resolve()] is ours
    assert not hasattr(ours, "instances")


def test_entry_6_proxy_makes_a_signal_for_each_name(plain: Any) -> None:
    """A missing name has a signal too, so that its appearance can be told."""
    proxy = getattr(plain, hmr.PRIVATE + "namespace_proxy")
    assert isinstance(proxy._keys["x"], core.Name)
    assert isinstance(proxy._keys["missing"], core.Name)
    assert proxy._data is proxy.raw


def test_entry_6_proxy_of_ours_is_of_the_real_namespace(ours: hmr.Module) -> None:
    """What hmr's code reads through the proxy is what the module has; the proxy's module knows its load and no more."""
    proxy = object.__getattribute__(ours, hmr.PRIVATE + "namespace_proxy")
    assert proxy.raw is proxy._data is vars(ours)
    assert proxy.module.load is hmr.load_of(ours)
    assert hmr.load_of(ours) in proxy._keys["x"].dependencies
    assert vars(core.ReactiveModule)["instances"][Path(str(ours.__file__))] is ours


def test_entry_7_track_subscribes_the_running_computation(ours: hmr.Module, tmp_path: Path) -> None:
    """A read while a load runs is an edge: the reader can be found from the module that it read."""
    reader = hmr.Module("reader", hmr.SourceFile(tmp_path / "reader.py"))
    with hmr.running(reader):
        hmr.track(ours, "x")
    assert list(hmr.readers(ours)) == ["reader"]
    assert list(hmr.read_by(reader)) == ["ours"]
    load = hmr.load_of(reader)
    signal: Any = object.__getattribute__(ours, hmr.PRIVATE + "namespace_proxy")._keys["y"]
    with hmr.extending(reader):
        signal.track()
    assert load in signal.subscribers, "hmr's own way leads to the same edge"
    assert signal in load.dependencies


def test_entry_8_dispose_cuts_the_edges(ours: hmr.Module, tmp_path: Path) -> None:
    """A disposed computation is nobody's reader; and hmr warns of computations that read nothing, but for ours."""
    reader = hmr.Module("reader", hmr.SourceFile(tmp_path / "reader.py"))
    with hmr.running(reader):
        hmr.track(ours, "x")
    hmr.dispose(reader)
    assert list(hmr.readers(ours)) == []
    assert getattr(BaseComputation, "reactivity_loss_strategy", "warn") == "warn"  # 0.7.3 does not warn yet
    assert hmr.load_of(reader).reactivity_loss_strategy == "ignore"


def test_entry_9_derived_is_dirty_until_it_ran(ours: hmr.Module) -> None:
    """A load computation starts dirty, takes a function and a context, and is clean once entered by us."""
    assert Derived(lambda: None, context=HMR_CONTEXT).dirty
    with hmr.running(ours):
        pass
    assert not hmr.load_of(ours).dirty


def test_entry_10_forked_context_has_computations_of_its_own(ours: hmr.Module) -> None:
    """Inside, the running computation is ours; in the context that others see, there is none."""
    token = hmr.isolate()
    assert token is not None
    try:
        with hmr.running(ours):
            assert HMR_CONTEXT.leaf.current_computations == [hmr.load_of(ours)]
            assert HMR_CONTEXT.current_computations == []
            assert hmr.isolate() is None
    finally:
        hmr.rejoin(token)
    assert HMR_CONTEXT.leaf is HMR_CONTEXT


def test_entry_11_files_belong_to_the_module_under_way(ours: hmr.Module, tmp_path: Path) -> None:
    """A file that is read while a module loads is known to belong to it; one that is read by nobody is nobody's."""
    read, other = tmp_path / "read.txt", tmp_path / "other.txt"
    hmr.read_file(other)
    assert other not in fs.fs_signals
    with hmr.running(ours):
        hmr.read_file(read)
    assert hmr.files_read(ours) == [read]


def test_tracking_is_off_while_nothing_is_imported(ours: hmr.Module) -> None:
    """Reading an attribute of a module is a plain read of its namespace, without a Python function between."""
    hmr.namespace(ours)["x"] = 1
    assert vars(hmr.Module)["__getattribute__"] is vars(object)["__getattribute__"]
    calls: list[str] = []
    sys.setprofile(lambda frame, event, arg: calls.append(event))
    try:
        _ = ours.x
    finally:
        sys.setprofile(None)
    assert "call" not in calls
