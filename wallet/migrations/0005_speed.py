"""The same rules with less work a row: what the trigger on transfers looks at anyway is not looked at twice.

The trigger reads both accounts of every transfer, so it refuses one that does not exist; accounts and wallets can never
be deleted. Foreign keys, which look up and lock a row for each of these columns, add nothing to that.
"""

import django.db.models.deletion
from django.db import migrations, models

BALANCES = """
CREATE OR REPLACE FUNCTION wallet_move_balances() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    my_slot smallint := pg_backend_pid() % 32;
    misfits bigint;
BEGIN
    PERFORM FROM wallet_housebalance
        WHERE slot = my_slot AND account_id IN (
            SELECT credit_account_id FROM new_transfers UNION SELECT debit_account_id FROM new_transfers)
        ORDER BY account_id FOR UPDATE;
    WITH moved AS MATERIALIZED (
        SELECT t.wallet_id AS named_id, t.amount_nanousd AS amount, d.id AS debit_id, d.wallet_id AS debit_wallet_id,
               d.kind AS debit_kind, c.id AS credit_id, c.wallet_id AS credit_wallet_id, c.kind AS credit_kind
        FROM new_transfers t
            LEFT JOIN wallet_account d ON d.id = t.debit_account_id
            LEFT JOIN wallet_account c ON c.id = t.credit_account_id
    ),
    sides AS (
        SELECT debit_id AS account_id, debit_wallet_id AS wallet_id, debit_kind AS kind, -amount AS amount FROM moved
        UNION ALL
        SELECT credit_id, credit_wallet_id, credit_kind, amount FROM moved
    ),
    funds AS (
        UPDATE wallet_funds f
        SET promotional_nanousd = f.promotional_nanousd + m.promotional, paid_nanousd = f.paid_nanousd + m.paid
        FROM (
            SELECT wallet_id,
                   coalesce(sum(amount) FILTER (WHERE kind = 'promotional'), 0)::bigint AS promotional,
                   coalesce(sum(amount) FILTER (WHERE kind = 'paid'), 0)::bigint AS paid
            FROM sides WHERE wallet_id IS NOT NULL GROUP BY wallet_id
        ) m
        WHERE f.wallet_id = m.wallet_id
    ),
    house AS (
        UPDATE wallet_housebalance h SET balance_nanousd = h.balance_nanousd + m.amount
        FROM (
            SELECT account_id, sum(amount)::bigint AS amount FROM sides WHERE wallet_id IS NULL GROUP BY account_id
        ) m
        WHERE h.account_id = m.account_id AND h.slot = my_slot
    )
    SELECT count(*) INTO misfits FROM moved
        WHERE debit_id IS NULL OR credit_id IS NULL OR debit_wallet_id <> credit_wallet_id
            OR named_id IS DISTINCT FROM coalesce(debit_wallet_id, credit_wallet_id);
    IF misfits > 0 THEN
        RAISE EXCEPTION 'a transfer must name two accounts that exist, and their wallet' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

DROP TRIGGER funds_follow_transfers ON wallet_funds;
CREATE TRIGGER funds_follow_transfers BEFORE INSERT OR UPDATE OF wallet_id, promotional_nanousd, paid_nanousd ON wallet_funds
    FOR EACH ROW WHEN (pg_trigger_depth() < 1) EXECUTE FUNCTION wallet_balance_needs_transfer();
DROP TRIGGER house_balance_follows_transfers ON wallet_housebalance;
CREATE TRIGGER house_balance_follows_transfers BEFORE INSERT OR UPDATE ON wallet_housebalance
    FOR EACH ROW WHEN (pg_trigger_depth() < 1) EXECUTE FUNCTION wallet_balance_needs_transfer();
"""


class Migration(migrations.Migration):
    dependencies = [("wallet", "0004_proposals")]

    operations = [
        migrations.AlterField(
            "transfer",
            "reference",
            models.CharField(max_length=200, help_text="The same reference moves money once."),
        ),
        migrations.AddConstraint(
            "transfer", models.UniqueConstraint(fields=["reference"], name="transfer_reference_once")
        ),
        *(
            migrations.AlterField(
                "transfer",
                name,
                models.ForeignKey(
                    "wallet.account",
                    on_delete=django.db.models.deletion.PROTECT,
                    db_constraint=False,
                    db_index=False,
                    related_name=related,
                ),
            )
            for name, related in (("debit_account", "debits"), ("credit_account", "credits"))
        ),
        migrations.AlterField(
            "transfer",
            "wallet",
            models.ForeignKey(
                "wallet.wallet",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                db_constraint=False,
                db_index=False,
                related_name="transfers",
            ),
        ),
        migrations.AlterField(
            "hold",
            "wallet",
            models.ForeignKey(
                "wallet.wallet",
                on_delete=django.db.models.deletion.PROTECT,
                db_constraint=False,
                db_index=False,
                related_name="holds",
            ),
        ),
        migrations.RunSQL(BALANCES, migrations.RunSQL.noop),
    ]
