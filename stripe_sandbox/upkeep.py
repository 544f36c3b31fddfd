"""What the passing of time takes away, and moving the clock forward so that it does so at once."""

from . import events, idempotency, schedule
from .context import Context


def prune(ctx: Context) -> None:
    """Forget idempotency keys after a day and events after 30 days."""
    idempotency.prune(ctx)
    events.prune(ctx)


def advance(ctx: Context, seconds: int) -> int:
    """Move the clock; everything that falls due on the way is done. Returns the time it then is."""
    ctx.clock.advance(seconds)
    # What the jobs do happens now and not when this request began.
    ctx.now = int(ctx.clock.time())
    schedule.run_due(ctx)
    prune(ctx)
    ctx.wake.set()
    return ctx.now
