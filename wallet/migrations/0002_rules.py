"""What the database itself refuses, and what it writes by itself.

Balances follow transfers: a trigger on each statement that inserts transfers moves the cached balances, and nothing else
may. So a transfer without its balance, or a balance without its transfer, cannot exist, whoever wrote it.
"""

from django.db import migrations

SLOTS = 32

REFUSE = """
CREATE FUNCTION wallet_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: the ledger only grows', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', HINT = 'A mistake is corrected by a new transfer that names it.';
END $$;

CREATE TRIGGER transfer_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON wallet_transfer
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_refuse();
CREATE TRIGGER account_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON wallet_account
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_refuse();
CREATE TRIGGER wallet_stays BEFORE DELETE OR TRUNCATE ON wallet_wallet
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_refuse();
CREATE TRIGGER funds_stay BEFORE DELETE OR TRUNCATE ON wallet_funds
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_refuse();
CREATE TRIGGER house_balance_stays BEFORE DELETE OR TRUNCATE ON wallet_housebalance
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_refuse();
"""

OPENING = f"""
CREATE FUNCTION wallet_open_accounts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO wallet_account (wallet_id, kind) VALUES (NEW.id, 'promotional'), (NEW.id, 'paid');
    INSERT INTO wallet_funds (wallet_id, promotional_nanousd, paid_nanousd, held_nanousd) VALUES (NEW.id, 0, 0, 0);
    RETURN NULL;
END $$;
CREATE TRIGGER wallet_has_accounts AFTER INSERT ON wallet_wallet
    FOR EACH ROW EXECUTE FUNCTION wallet_open_accounts();

CREATE FUNCTION wallet_open_house_slots() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.wallet_id IS NULL THEN
        INSERT INTO wallet_housebalance (account_id, slot, balance_nanousd)
            SELECT NEW.id, slot, 0 FROM generate_series(0, {SLOTS - 1}) AS slot;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER house_account_has_slots AFTER INSERT ON wallet_account
    FOR EACH ROW EXECUTE FUNCTION wallet_open_house_slots();
"""

# Rows are locked in the order of their keys before they are written, so that two statements never wait for each other.
BALANCES = f"""
CREATE FUNCTION wallet_move_balances() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    my_slot smallint := pg_backend_pid() % {SLOTS};
BEGIN
    IF EXISTS (
        SELECT FROM new_transfers t
            JOIN wallet_account d ON d.id = t.debit_account_id
            JOIN wallet_account c ON c.id = t.credit_account_id
        WHERE t.wallet_id IS DISTINCT FROM coalesce(d.wallet_id, c.wallet_id) OR d.wallet_id <> c.wallet_id
    ) THEN
        RAISE EXCEPTION 'a transfer must name the wallet of its accounts' USING ERRCODE = 'check_violation';
    END IF;

    PERFORM FROM wallet_funds WHERE wallet_id IN (SELECT wallet_id FROM new_transfers) ORDER BY wallet_id FOR UPDATE;
    UPDATE wallet_funds f
        SET promotional_nanousd = f.promotional_nanousd + m.promotional, paid_nanousd = f.paid_nanousd + m.paid
        FROM (
            SELECT a.wallet_id,
                   coalesce(sum(s.amount) FILTER (WHERE a.kind = 'promotional'), 0)::bigint AS promotional,
                   coalesce(sum(s.amount) FILTER (WHERE a.kind = 'paid'), 0)::bigint AS paid
            FROM (SELECT credit_account_id AS account_id, amount_nanousd AS amount FROM new_transfers
                  UNION ALL SELECT debit_account_id, -amount_nanousd FROM new_transfers) s
                JOIN wallet_account a ON a.id = s.account_id
            WHERE a.wallet_id IS NOT NULL
            GROUP BY a.wallet_id
        ) m
        WHERE f.wallet_id = m.wallet_id;

    PERFORM FROM wallet_housebalance
        WHERE slot = my_slot AND account_id IN (
            SELECT credit_account_id FROM new_transfers UNION SELECT debit_account_id FROM new_transfers)
        ORDER BY account_id FOR UPDATE;
    UPDATE wallet_housebalance h
        SET balance_nanousd = h.balance_nanousd + m.amount
        FROM (
            SELECT s.account_id, sum(s.amount)::bigint AS amount
            FROM (SELECT credit_account_id AS account_id, amount_nanousd AS amount FROM new_transfers
                  UNION ALL SELECT debit_account_id, -amount_nanousd FROM new_transfers) s
            GROUP BY s.account_id
        ) m
        WHERE h.account_id = m.account_id AND h.slot = my_slot;
    RETURN NULL;
END $$;
CREATE TRIGGER transfer_moves_balances AFTER INSERT ON wallet_transfer
    REFERENCING NEW TABLE AS new_transfers
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_move_balances();

CREATE FUNCTION wallet_balance_needs_transfer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'a balance is written only together with its transfers'
            USING ERRCODE = 'restrict_violation', HINT = 'Insert a transfer; the balance follows.';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER funds_follow_transfers BEFORE INSERT OR UPDATE OF wallet_id, promotional_nanousd, paid_nanousd ON wallet_funds
    FOR EACH ROW EXECUTE FUNCTION wallet_balance_needs_transfer();
CREATE TRIGGER house_balance_follows_transfers BEFORE INSERT OR UPDATE ON wallet_housebalance
    FOR EACH ROW EXECUTE FUNCTION wallet_balance_needs_transfer();
"""

# Holds and funds are rewritten all the time: room on the page keeps the new version beside the old one, without index work.
STORAGE = """
ALTER TABLE wallet_funds SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE wallet_housebalance SET (fillfactor = 50);
ALTER TABLE wallet_hold SET (autovacuum_vacuum_scale_factor = 0.05);
"""

HOUSE = """
INSERT INTO wallet_account (wallet_id, kind)
    SELECT NULL, kind FROM unnest(ARRAY['stripe_clearing', 'revenue', 'promotions', 'refunds_pending', 'disputes',
        'stripe_fees', 'tax_payable', 'bank', 'adjustments']) AS kind;
"""

UNDO = """
DROP TRIGGER wallet_has_accounts ON wallet_wallet;
DROP FUNCTION wallet_refuse, wallet_open_accounts, wallet_open_house_slots, wallet_move_balances,
    wallet_balance_needs_transfer CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [("wallet", "0001_initial")]

    operations = [migrations.RunSQL(REFUSE + OPENING + BALANCES + STORAGE + HOUSE, UNDO)]
