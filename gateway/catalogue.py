"""What the dashboard sells: which units a model has a price for, and the list of models that LiteLLM is given."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from gateway.metering import Away, Metering
from gateway.settings import PROVIDERS

log = logging.getLogger("gateway.catalogue")

READ_EVERY_S = 30.0
# In whose format the echo is asked, and where; all others speak OpenAI's.
ECHOED = {"anthropic": ("anthropic", ""), "google": ("gemini", "/v1beta")}


class Catalogue:
    """The price list, read again and again; a failure keeps what was read last.

    `served` are the codes of the providers that can be called; where there are none an echo answers for all.
    """

    def __init__(self, metering: Metering, served: Collection[str] = ()) -> None:
        self._metering, self._served = metering, served
        self._units: Mapping[str, frozenset[str]] = {}
        self._providers: Mapping[str, str] = {}
        self._tiered: frozenset[str] = frozenset()
        self._told: set[tuple[str, str]] = set()
        self.on_change: Callable[[list[dict[str, Any]]], None] | None = None
        """Told of the list where other models are for sale than before, or from another provider; again if it fails."""

    def units_of(self, model: str) -> frozenset[str]:
        """Units that it has a price for; none where it is not known."""
        return self._units.get(model, frozenset())

    def provider_of(self, model: str) -> str:
        """The code of who serves it."""
        return self._providers.get(model, "")

    def can_serve(self, model: str) -> bool:
        """Whether its provider can be called. So it is for a model that is not known: others say that."""
        provider = self.provider_of(model)
        return not self._served or not provider or provider in self._served

    def has_tiers(self, model: str) -> bool:
        """Whether a long prompt has prices of its own."""
        return model in self._tiered

    async def read(self) -> list[dict[str, Any]]:
        """All models for sale. Raises Away."""
        listed = await self._metering.prices()
        self._units = {model["id"]: units_of(model) for model in listed}
        self._providers = {model["id"]: model["provider_code"] for model in listed}
        self._tiered = frozenset(model["id"] for model in listed if len(_tiers(model)) > 1)
        offered = {(model["id"], model["provider_code"]) for model in listed}
        if self.on_change and offered != self._told:
            self.on_change(listed)
        self._told = offered
        return listed

    async def keep(self) -> None:
        while True:
            await asyncio.sleep(READ_EVERY_S)
            try:
                await self.read()
            except Away as away:
                log.info("The price list was not read: %s", away)
            except Exception:
                log.exception("The price list can't be understood.")


def units_of(model: Mapping[str, Any]) -> frozenset[str]:
    """The units with a price in force, of a model in /api/pricing."""
    return frozenset(unit for tier in _tiers(model) for unit in tier.get("prices", ()))


def _tiers(model: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (model.get("price") or {}).get("tiers") or []


def model_list(
    listed: Sequence[Mapping[str, Any]], environment: Mapping[str, str], echo_url: str
) -> list[dict[str, Any]]:
    """What LiteLLM may call, in the form of its configuration: each model at its provider, by the key in the environment.

    A model whose provider has no key is left out, or answered by the echo at this address where one is given.
    """
    found = []
    for model in listed:
        variable, prefix = PROVIDERS.get(model["provider_code"], ("", ""))
        if variable and environment.get(variable):
            called = {"model": f"{prefix}/{model['id']}", "api_key": f"os.environ/{variable}"}
        elif echo_url:
            prefix, path = ECHOED.get(model["provider_code"], ("openai", "/v1"))
            called = {"model": f"{prefix}/{model['id']}", "api_base": echo_url + path, "api_key": "echo"}
        else:
            continue
        found.append({"model_name": model["id"], "litellm_params": called})
    return found
