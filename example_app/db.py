"""The SQLite database: its engine, its sessions, and its tables kept in step with the models."""

import zlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

from fastapi import Depends
from models import Entry, now
from settings import DATABASE
from sqlalchemy.schema import CreateTable
from sqlmodel import Session, SQLModel, col, create_engine, inspect, select, text

engine = create_engine(f"sqlite:///{DATABASE}")

SAMPLES = [
    (0.2, "outdoors", "Walked along the canal before work. Two herons, both pretending not to notice me."),
    (1.1, "work", "Paired on the import tracker. The bug was a comma."),
    (3.4, "food", "Lentil soup, second try. More lemon than you would think."),
    (26, "people", "Long call with Mara about the move. She has already named the new plants."),
    (29, "reading", "Finished the chapter on tides. The moon does less than I believed and more than I knew."),
    (51, "rest", "Nap. No notes."),
    (74, "work", "Deleted four hundred lines and nobody could tell, which was the point."),
    (98, "food", "Sourdough rose. Everyone was told."),
    (121, "outdoors", "First frost on the bridge."),
]


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]


def prepare_database() -> None:
    """Create the table and a few entries; rebuild it, rows included, when the model's columns have changed."""
    table = SQLModel.metadata.tables["entry"]
    fingerprint = zlib.crc32(str(CreateTable(table)).encode()) & 0x7FFFFFFF
    with Session(engine) as session:
        if session.connection().scalar(text("PRAGMA user_version")) == fingerprint:
            return
        rows: list[Entry] = []
        if inspect(session.connection()).has_table("entry"):
            found = session.connection().execute(text("SELECT * FROM entry")).mappings()
            rows = [Entry.model_validate({name: row[name] for name in row if name in table.c}) for row in found]
        SQLModel.metadata.drop_all(session.connection())
        SQLModel.metadata.create_all(session.connection())
        session.add_all(rows or samples())
        session.connection().execute(text(f"PRAGMA user_version = {fingerprint}"))
        session.commit()


def samples() -> list[Entry]:
    return [Entry(text=words, tag=tag, written=now() - timedelta(hours=hours)) for hours, tag, words in SAMPLES]


def entries_after(last_id: int | None) -> list[Entry]:
    """For the live feed: what has been written since; nothing, if nobody asked."""
    if last_id is None:
        return []
    with Session(engine) as session:
        return list(session.exec(select(Entry).where(col(Entry.id) > last_id).order_by(col(Entry.id))))
