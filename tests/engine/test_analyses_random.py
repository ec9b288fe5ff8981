"""Endpoints of drawn signatures: refused or not, documented or not, as FastAPI alone would do it."""

import random
from typing import Any

from fastapi.routing import APIRoute

from fastapi_hmr.engine.analyses import LATER
from fastapi_hmr.engine.routes import Routes
from tests.engine.test_analyses import endpoint, facts, made

PIECES = {
    "annotation": [
        "int",
        "str",
        "Thing",
        "list[int]",
        "list[Thing]",
        "int | None",
        "Alien",
        "WHEN",
        "Any",
        "Request",
        "Choice",
        "dict[str, Thing]",
    ],
    "marker": [
        "",
        "Query()",
        "Query(ge=1)",
        "Path()",
        "Header()",
        "Body()",
        "Body(embed=True)",
        "Form()",
        "Cookie()",
        "File()",
        "Depends(limit)",
        "Depends()",
        "Depends(lasting, scope='function')",
    ],
    "default": ["", "", "= 3", "= None", "= Query(4)", "= Body()", "= Depends(lasting)"],
}


def drawn(rng: random.Random) -> tuple[str, str, str, dict[str, Any]]:
    """A path, parameters, what is returned, and options."""
    parameters = []
    for name in rng.sample(["one", "two", "three"], rng.randint(0, 3)):
        annotation, marker, default = (rng.choice(PIECES[piece]) for piece in ("annotation", "marker", "default"))
        said = f"Annotated[{annotation}, {marker}]" if marker else annotation
        parameters.append(f"{name}: {said} {default}".rstrip())
    returns = rng.choice(["Any", "Thing", "list[Thing]", "Alien", "Response", "None", "AsyncIterator[Thing]"])
    options = {"status_code": rng.choice([200, 200, 201, 204]), "methods": [rng.choice(["GET", "POST"])]}
    return rng.choice(["/", "/{one}"]), ", ".join(["*", *parameters] if parameters else []), returns, options


def outcome(case: tuple[str, str, str, dict[str, Any]]) -> Any:
    """What becomes of an endpoint: its facts, or what FastAPI raises."""
    path, parameters, returns, options = case
    try:
        return made(path, endpoint(parameters, returns), **options)
    except Exception as error:
        return type(error), str(error).partition(" at 0x")[0]


def test_random_endpoints_have_the_same_outcome(routes: Routes) -> None:
    """Of many drawn signatures each is refused, or not, at its second definition as FastAPI alone would do it."""
    rng = random.Random(7)
    cases = [drawn(rng) for _ in range(400)]
    with routes.sharing():
        for case in cases:
            outcome(case)
        again = [outcome(case) for case in cases]
    waited = sum(isinstance(one, APIRoute) and LATER in vars(one) for one in again)
    routes.uninstall()
    plain = [outcome(case) for case in cases]
    assert waited > 50
    assert sum(isinstance(one, tuple) for one in plain) > 50
    for case, ours, theirs in zip(cases, again, plain, strict=True):
        assert type(ours) is type(theirs), case
        both = (ours, theirs) if isinstance(ours, tuple) else (facts(ours), facts(theirs))
        assert both[0] == both[1], case
