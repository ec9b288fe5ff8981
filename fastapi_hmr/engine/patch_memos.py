"""Recognises caches made by hand, which a patch can't clear: a dictionary that a function fills with results.

State that requests made stays under a patch, on purpose. Kept results of a function are not state but stale once its body
changes: `if key not in known: known[key] = compute(key)`. A function counts as such a cache if it stores into something
that outlives the call and asks, in any way, what is there already; it matters if it has been called, and is the changed
function, wraps it, or reaches it by the names that it uses.
"""

import dis
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType

from fastapi_hmr.engine.scopes import nested, scopes_in

_ASKING = frozenset(
    dis.opmap[name]
    for name in (
        "CONTAINS_OP",
        "IS_OP",
        "POP_JUMP_IF_NONE",
        "POP_JUMP_IF_NOT_NONE",
        "POP_JUMP_IF_TRUE",
        "POP_JUMP_IF_FALSE",
    )
)
_ASKING_NAMES = frozenset({"KeyError", "AttributeError", "LookupError", "get", "hasattr", "getattr", "__missing__"})
_MAKING = frozenset({"MAKE_FUNCTION", "SET_FUNCTION_ATTRIBUTE", "BUILD_TUPLE", "EXTENDED_ARG", "CACHE"})
_LASTING_STORES = frozenset(dis.opmap[name] for name in ("STORE_GLOBAL", "STORE_ATTR", "STORE_DEREF"))
_LASTING_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_ATTR", "LOAD_DEREF"})
_INTRINSICS = frozenset((dis.opmap["CALL_INTRINSIC_1"], dis.opmap["CALL_INTRINSIC_2"]))
_STORE_ITEM = dis.opmap["STORE_SUBSCR"]


def cache_of(changed: CodeType, functions: Iterable[FunctionType], called: Iterable[CodeType]) -> str | None:
    """Return the name of a function that may keep results of the changed one, among those that were called.

    `functions` are those in reach of the module's names: decorators' wrappers are told by what they close over.
    """
    known = list(called)
    suspects = [changed] if any(code is changed for code in known) else []
    suspects += reaching(changed.co_name, known)
    identities = set(map(id, known))
    suspects += [wrapper.__code__ for wrapper in _wrappers(changed, functions) if id(wrapper.__code__) in identities]
    return next((code.co_qualname for code in suspects if keeps_results(code)), None)


def evaluated(changed: CodeType, called: Iterable[CodeType], module: CodeType) -> str | None:
    """Return the name of a `type` alias, or of a type parameter with a bound, that is or reaches the changed code.

    Python runs their expressions when somebody first asks, and keeps the result for good.
    """
    kept = set(map(id, _evaluated_once(module)))
    suspects = (changed, *reaching(changed.co_name, list(called))) if kept else ()
    return next((code.co_qualname for code in suspects if id(code) in kept), None)


def _evaluated_once(module: CodeType) -> Iterator[CodeType]:
    """Yield the code of lazy expressions: made a function, and given to an intrinsic and not to a name or a call."""
    for scope in (module, *scopes_in(module)):
        made: CodeType | None = None
        if not nested(scope) or _INTRINSICS.isdisjoint(scope.co_code[::2]):
            continue
        for one in dis.get_instructions(scope):
            if one.opname == "LOAD_CONST":
                made = one.argval if isinstance(one.argval, CodeType) else None
            elif one.opname in {"CALL_INTRINSIC_1", "CALL_INTRINSIC_2"}:
                if made is not None:
                    yield made
            elif one.opname not in _MAKING:
                made = None


def keeps_results(code: CodeType) -> bool:
    """True if a function looks for something in what outlives its calls, and stores there."""
    operations = frozenset(code.co_code[::2])
    if operations.isdisjoint(_ASKING) and _ASKING_NAMES.isdisjoint(code.co_names):
        return "setdefault" in code.co_names
    if "setdefault" in code.co_names:
        return True
    if _STORE_ITEM not in operations and operations.isdisjoint(_LASTING_STORES):
        return False
    instructions = [one for one in dis.get_instructions(code) if one.opname not in {"CACHE", "EXTENDED_ARG"}]
    loaded = {one.argval for one in instructions if one.opname in _LASTING_LOADS}
    for i, instruction in enumerate(instructions):
        if instruction.opcode in _LASTING_STORES and instruction.argval in loaded:
            return True
        if instruction.opcode == _STORE_ITEM and _container(instructions, i) in _LASTING_LOADS:
            return True
    return False


def _container(instructions: list[dis.Instruction], store: int) -> str:
    """The operation that gave the container of an item that is stored: what stands before the key."""
    height = 0
    for i in range(store - 1, 0, -1):
        height += dis.stack_effect(instructions[i].opcode, instructions[i].arg, jump=False)
        if height == 1:
            return instructions[i - 1].opname
        if height > 1:
            break
    return ""


def reaching(name: str, known: list[CodeType]) -> Iterator[CodeType]:
    """Yield the functions that use a name, and those that use theirs, and so on."""
    names = {name}
    rest = known
    while True:
        found = [code for code in rest if not names.isdisjoint(code.co_names)]
        if not found:
            return
        yield from found
        taken = set(map(id, found))
        rest = [code for code in rest if id(code) not in taken]
        names = {part for code in found for part in code.co_qualname.split(".") if part[0] != "<"}


def _wrappers(changed: CodeType, functions: Iterable[FunctionType]) -> Iterator[FunctionType]:
    for function in functions:
        for cell in function.__closure__ or ():
            try:
                value = cell.cell_contents
            except ValueError:
                continue  # not assigned yet
            if isinstance(value, FunctionType) and value.__code__ is changed:
                yield function
