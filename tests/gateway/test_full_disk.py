"""What a client has whole is told, also where the journal can't be written; and nobody is let in until it can."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

from gateway import call_ids
from gateway.gateway import Gateway
from gateway.journal import Journal
from gateway.metering import Admission
from gateway.requests import Said
from gateway.settings import Settings
from tests.gateway.dashboards import Dashboard


async def _never(*_: object) -> dict[str, Any]:
    raise AssertionError("no form was sent")


def test_a_report_that_can_not_be_written_is_told_at_once(tmp_path: Path) -> None:
    async def told() -> tuple[bool, list[str], bool, int]:
        dashboard, call_id = Dashboard(), call_ids.new()
        settings = Settings("http://dashboard", "gateway-key", tmp_path)
        with Journal(tmp_path) as journal:
            async with dashboard.metering() as metering:
                gateway = Gateway(settings, metering, journal, _never)
                other = sqlite3.connect(tmp_path / "journal.sqlite3", isolation_level=None)
                other.execute("BEGIN IMMEDIATE")
                await gateway.end({"call_id": call_id})
                seen = gateway.is_broken, list(dashboard.recorded)
                other.execute("ROLLBACK")
                other.close()
                while gateway.is_broken:
                    await asyncio.sleep(0.05)
                return *seen, seen[1] == [call_id], len(await journal.to_tell(10))

    was_broken, recorded, is_this_one, left = asyncio.run(told())
    assert was_broken
    assert len(recorded) == 1
    assert is_this_one
    # It is told once more, as a duplicate.
    assert left == 1


def test_nobody_is_let_in_after_a_call_that_could_not_be_written_until_one_ended(tmp_path: Path) -> None:
    async def told() -> list[bool]:
        dashboard, seen = Dashboard(), []
        settings = Settings("http://dashboard", "gateway-key", tmp_path)
        with Journal(tmp_path) as journal:
            async with dashboard.metering() as metering:
                gateway = Gateway(settings, metering, journal, _never)
                said = Said("gpt-4o", False, 1, 1, {})
                seen.append(gateway.is_broken)
                other = sqlite3.connect(tmp_path / "journal.sqlite3", isolation_level=None)
                other.execute("BEGIN IMMEDIATE")
                call = gateway.begin(
                    Admission(call_ids.new(), 1, 1, 1, 1), said, endpoint="/", client_ip=None
                )
                while not gateway.is_broken:
                    await asyncio.sleep(0.05)
                other.execute("ROLLBACK")
                other.close()
                seen.append(gateway.is_broken)
                await call.succeeded({"input_tokens": 1})
                seen.append(gateway.is_broken)
                assert [report["status"] for report in await journal.to_tell(10)] == ["succeeded"]
        return seen

    assert asyncio.run(told()) == [False, True, False]
