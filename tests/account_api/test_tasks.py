"""Per-use work as tasks."""

import time
from typing import Any

import pytest

from logs import call_ids
from pricing import catalogue
from tests.account_api.conftest import Asker, Sold
from tests.metering.gateway import Gateway, call, sell

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(sold: Sold) -> list[dict[str, Any]]:
    """A picture, a song and a video that failed, oldest first; and alice's calls of text, which are no tasks."""
    for name, provider, kind, unit in (
        ("mj_fast_imagine", "midjourney", "image", "calls"),
        ("suno_music", "suno", "music", "calls"),
        ("ray-2", "luma", "video", "seconds"),
    ):
        model = sell(name, {unit: 50_000_000_000}, kind)
        model.provider_code = provider
        model.save()
    catalogue.forget()
    sent = [
        call(sold.issued.key, model="mj_fast_imagine", usage={"calls": 1}, endpoint="/mj/submit/imagine"),
        call(
            sold.issued.key, model="suno_music", usage={"calls": 1}, upstream_id="clip-7", latency_ms=93_000
        ),
        call(sold.issued.key, model="ray-2", usage={}, status="failed", endpoint="/v1/video/generations"),
    ]
    now_ms = int(time.time() * 1000)
    for age, each in enumerate(reversed(sent)):
        each["call_id"] = str(call_ids.new(now_ms - age))
    Gateway().record(*sent)
    return sent


def test_rows(asker: Asker, made: list[dict[str, Any]]) -> None:
    found = asker.data("/api/task/self")
    video, song, picture = found["items"]
    assert found["total"] == 3
    submitted = song.pop("submit_time")
    assert song == {
        "id": made[1]["call_id"],
        "created_at": call_ids.milliseconds(made[1]["call_id"]) // 1000,
        "platform": "suno",
        "task_id": "clip-7",
        "action": "",
        "status": "SUCCESS",
        "model_name": "suno_music",
        "progress": "100%",
        "quota": 25_000,
        "finish_time": submitted + 93,
    }
    assert (picture["platform"], picture["action"], picture["task_id"]) == (
        "mj",
        "imagine",
        made[0]["call_id"],
    )
    assert (video["status"], video["quota"], video["platform"]) == ("FAILURE", 0, "luma")


@pytest.mark.parametrize(
    ("parameters", "places"),
    [
        ({"platform": "mj"}, [0]),
        ({"platform": "midjourney"}, [0]),
        ({"platform": "suno"}, [1]),
        ({"platform": "kling"}, []),
        ({"status": "SUCCESS"}, [1, 0]),
        ({"status": "failure"}, [2]),
        ({"status": "IN_PROGRESS"}, []),
        ({"action": "imagine"}, [0]),
        ({"action": "%"}, []),
        ({"task_id": "clip-7"}, [1]),
        ({"task_id": "clip-8"}, []),
        ({"start_timestamp": 1, "end_timestamp": 2}, []),
        ({"start_timestamp": 1, "platform": "suno", "status": "SUCCESS"}, [1]),
        ({"p": 2, "page_size": 2}, [0]),
    ],
)
def test_filters(
    asker: Asker, made: list[dict[str, Any]], parameters: dict[str, Any], places: list[int]
) -> None:
    found = asker.data("/api/task/self", **parameters)
    assert [row["id"] for row in found["items"]] == [made[place]["call_id"] for place in places]
    assert found["total"] == (3 if "p" in parameters else len(places))


def test_by_the_id_of_its_call(asker: Asker, stranger: Asker, made: list[dict[str, Any]]) -> None:
    wanted = made[0]["call_id"]
    assert [row["id"] for row in asker.data("/api/task/self", task_id=wanted)["items"]] == [wanted]
    assert stranger.data("/api/task/self", task_id=wanted)["items"] == []
    assert stranger.data("/api/task/self", task_id="clip-7")["items"] == []
    assert stranger.data("/api/task/self")["total"] == 0


def test_what_makes_no_sense_is_refused_by_name(asker: Asker) -> None:
    assert asker.refused("/api/task/self", status="DONE").startswith("status must be one of FAILURE, ")
    assert asker.refused("/api/task/self", start_timestamp="x").startswith("start_timestamp")
