"""What happens by itself at a time: a session expires, a bank debit settles. Kept in the store, run once."""

from collections.abc import Callable

from .context import Context

type Job = Callable[[Context, str], None]
# Filled by the modules that own the work; called with the id of the object.
JOBS: dict[str, Job] = {}


def plan(ctx: Context, kind: str, object_id: str, *, due_at: float) -> None:
    ctx.store.run("INSERT INTO jobs (due_at, kind, object_id) VALUES (?, ?, ?)", (due_at, kind, object_id))
    ctx.wake.set()


def cancel(ctx: Context, kind: str, object_id: str) -> None:
    ctx.store.run("DELETE FROM jobs WHERE kind = ? AND object_id = ?", (kind, object_id))


def run_due(ctx: Context) -> None:
    """Do what is due by the stand-in's clock, oldest first, in the transaction that is open."""
    sql = "SELECT id, kind, object_id FROM jobs WHERE due_at <= ? ORDER BY due_at, id"
    for job_id, kind, object_id in ctx.store.query(sql, (ctx.clock.time(),)):
        if ctx.store.run("DELETE FROM jobs WHERE id = ?", (job_id,)):
            JOBS[kind](ctx, object_id)


def next_due_at(ctx: Context) -> float | None:
    rows = ctx.store.query("SELECT min(due_at) FROM jobs")
    return None if rows[0][0] is None else float(rows[0][0])
