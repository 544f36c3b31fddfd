"""What the gateway adds: the requests, LiteLLM's configuration without us, and a run with the real LiteLLM."""

import json
from pathlib import Path

import pytest

from bench import litellm_alone, plan
from bench.results import Report, Sample
from gateway.__main__ import configuration
from tests.bench.test_bench import bench
from tests.gateway import environments
from tests.gateway.environments import Absent

MODELS = [{"model_name": "m", "litellm_params": {"model": "openai/m"}}]


def test_litellm_alone_is_set_up_as_behind_the_gateway_but_for_the_gateway() -> None:
    with_us, alone = configuration(MODELS, litellm_alone.UPSTREAM_TIMEOUT_S), litellm_alone.alone(MODELS)
    assert "gateway." not in json.dumps(alone)
    assert with_us["litellm_settings"].pop("callbacks") == ["gateway.adapter.outcomes"]
    assert with_us["general_settings"].pop("custom_auth") == "gateway.adapter.admitted"
    assert alone == with_us


def test_the_gateway_is_measured_where_it_is_named_only() -> None:
    chosen = plan.chosen(["gateway"])
    assert {"authorize-1", "litellm-chat-1", "gateway-stream-4", "remembering-messages-1"} <= chosen
    assert plan.chosen(["gateway-chat-1"]) == {"gateway-chat-1"}
    assert not {"litellm-chat-1", "gateway-chat-1"} & plan.chosen([])


def test_what_is_added_is_a_difference_of_medians_and_has_its_target() -> None:
    one = {"litellm-chat-1": Sample(1, p50_ms=20.0), "gateway-chat-1": Sample(1, p50_ms=31.0)}
    added, times = [(ratio, spread.median) for ratio, spread in Report({}, rounds=[one]).ratios()]
    assert added[1] == 11.0
    assert added[0].target == 10
    assert added[0].is_reached(added[1]) is False
    assert times[1] == 31 / 20


@pytest.mark.stack
def test_a_machine_without_litellm_says_so_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_PYTHON", str(tmp_path / "nowhere"))
    code, output, report = bench(tmp_path, "empty-1", "gateway-chat-1", "litellm-chat-1")
    assert code == 0, output
    assert report["measured"].keys() == {"empty-1"}
    assert output.count("What the gateway adds is not measured.") == 1


@pytest.mark.stack
@pytest.mark.timeout(1_500)
def test_each_call_that_was_answered_is_in_the_books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        monkeypatch.setenv("GATEWAY_PYTHON", str(environments.gateway_python()))
    except Absent as why:
        pytest.skip(f"THE GATEWAY WAS NOT MEASURED: {why}")
    code, output, report = bench(tmp_path, "gateway-stream-1", within_s=700)
    assert code == 0, output
    assert report["measured"].keys() == {"gateway-stream-1", "gateway-stream-first-1"}
    first, whole = (
        report["measured"][name]["rounds"][0] for name in ("gateway-stream-first-1", "gateway-stream-1")
    )
    assert 0 < first["p50_ms"] < whole["p50_ms"]
    # Those that it was warmed up with too.
    assert report["books"][0]["calls"] >= 4
    assert report["books"][0]["problems"] == []
