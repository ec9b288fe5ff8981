"""Two live connections: the pulse (server-sent events) and tag suggestions while you type (WebSocket)."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

from db import entries_after
from fastapi import APIRouter, Request, WebSocket, WebSocketDisconnect
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from routers.pages import templates

router = APIRouter(prefix="/live", include_in_schema=False)


def event(name: str, data: str) -> str:
    return f"event: {name}\n" + "".join(f"data: {line}\n" for line in data.splitlines()) + "\n"


@router.get("/pulse")
async def pulse(request: Request, after: int | None = None) -> StreamingResponse:
    """Once a second: who serves you and since when, and the entries written after the given one, as HTML."""
    state = request.app.state
    hmr = getattr(state, "hmr", None)

    async def events() -> AsyncIterator[str]:
        last_id = after
        while True:
            beat = {"up": int(time.monotonic() - state.started), "generation": hmr.number if hmr else None}
            yield event("pulse", json.dumps(beat))
            for entry in await run_in_threadpool(entries_after, last_id):
                last_id = entry.id or last_id
                yield event("entry", templates.get_template("_entry.html").render(entry=entry))
            await asyncio.sleep(1)

    return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.websocket("/suggest")
async def suggest(websocket: WebSocket) -> None:
    """Answers each text with the tag that the model would give it."""
    await websocket.accept()
    try:
        while True:
            text = await websocket.receive_text()
            await websocket.send_json({"tag": websocket.app.state.tagger.suggest(text), "words": len(text.split())})
    except WebSocketDisconnect:
        return
