"""The one table, and what goes in and comes out of the API."""

from datetime import UTC, datetime

from sqlalchemy import DateTime
from sqlmodel import Field, SQLModel


def now() -> datetime:
    """SQLite keeps no time zone, so everything stored is UTC."""
    return datetime.now(UTC).replace(tzinfo=None)


class EntryBase(SQLModel):
    text: str = Field(min_length=1, max_length=500)
    tag: str = Field(default="", max_length=20)


class Entry(EntryBase, table=True):
    id: int | None = Field(default=None, primary_key=True)
    written: datetime = Field(default_factory=now, index=True, sa_type=DateTime)

    @property
    def local(self) -> datetime:
        """When it was written, by the clock on the wall."""
        return self.written.replace(tzinfo=UTC).astimezone()


class EntryCreate(EntryBase):
    pass


class EntryRead(EntryBase):
    id: int
    written: datetime
