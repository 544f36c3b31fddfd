"""Stripe's events at the webhook: each signed, and sent once. What counts is the answer, which means that it is stored.

Beside it dj-stripe, the package that most Django sites take events with, in an environment of its own (bench/dj_stripe.py).
"""

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings

from bench import Failed, dj_stripe, measures
from bench.events import event, posted
from bench.load import Load
from bench.results import Round, Sample
from cometsite.quickstart import StartError
from wallet.models import StripeEvent

if TYPE_CHECKING:
    from bench.measures import Lab, Measure

PATH = "/wallet/stripe/webhook/"
CONNECTIONS = 8
PACE_PER_S = 100.0
STUB_SECONDS = 0.5
# To render at first; later windows render what the one before reached, and more.
FIRST_PER_S = 2_500
RESERVE = 1.5


def every(lab: "Lab") -> list["Measure"]:
    most = Receiving(lab, "webhook")
    paced = Receiving(lab, "webhook-paced", per_second=PACE_PER_S)
    beside = Beside(lab)
    return [
        measures.Measure(most.name, {most.name: "Webhook, 8 conn.: events stored"}, most),
        measures.Measure(paced.name, {paced.name: "Webhook, 100 events/s: events stored"}, paced),
        measures.Measure(
            beside.name,
            {
                beside.name: "dj-stripe's webhook, 8 conn.: events handled",
                beside.stub: "The stub that dj-stripe takes for Stripe, 8 conn.: answers",
            },
            beside,
        ),
    ]


@dataclass(slots=True)
class Receiving:
    """New events, as fast as they are answered or at a pace. Raises Failed where not each of them is in the table."""

    lab: "Lab"
    name: str
    per_second: float = 0.0
    reached_per_s: float = FIRST_PER_S / RESERVE

    def __call__(self, seconds: float) -> Round:
        wanted = round((self.per_second or self.reached_per_s * RESERVE) * seconds) + CONNECTIONS
        requests = [
            posted(PATH, json.dumps(event()).encode(), settings.STRIPE_WEBHOOK_SECRET) for _ in range(wanted)
        ]
        before = StripeEvent.objects.count()
        load = Load(self.lab.machine.port, requests, CONNECTIONS, seconds, per_second=self.per_second)
        (outcome,), watch = self.lab.drive(load)
        stored = StripeEvent.objects.count() - before
        if stored != outcome.sent - outcome.refused.total():
            raise Failed(f"{outcome.sent} events were sent, and {stored} are stored.")
        sample = self.lab.sample(outcome, watch, calls=False)
        self.reached_per_s = sample.per_second
        return {self.name: sample}


@dataclass(slots=True)
class Beside:
    """dj-stripe's webhook; nothing, said once, where it can't be installed or does not run."""

    lab: "Lab"
    name: str = "dj-stripe"
    stub: str = "dj-stripe-stub"
    peer: "dj_stripe.Peer | None" = None
    is_missing: bool = False
    reached_per_s: float = 100.0

    def __call__(self, seconds: float) -> Round:
        peer = self._started()
        if peer is None:
            return {}
        requests = peer.requests(round(self.reached_per_s * 2 * seconds) + CONNECTIONS)
        (outcome,), watch = self.lab.drive(Load(peer.port, requests, CONNECTIONS, seconds))
        sample = self.lab.sample(outcome, watch, calls=False)
        self.reached_per_s = sample.per_second
        return {self.name: sample, self.stub: self._alone(peer)}

    def _alone(self, peer: dj_stripe.Peer) -> Sample:
        """The stub without dj-stripe, so that everybody sees what dj-stripe waits for."""
        asking = Load(peer.stub, [peer.question()], CONNECTIONS, STUB_SECONDS, repeat=True)
        (outcome,), watch = self.lab.drive(asking)
        return self.lab.sample(outcome, watch, calls=False)

    def _started(self) -> "dj_stripe.Peer | None":
        if self.peer is None and not self.is_missing:
            made = dj_stripe.Peer(self.lab.machine)
            try:
                made.start()
                self.peer = made
            except (dj_stripe.NotInstalled, Failed, StartError) as error:
                self.is_missing = True
                print(f"{error}\nThere is nothing to compare the webhook with.", file=sys.stderr)
        return self.peer
