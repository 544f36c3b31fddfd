"""What the database itself refuses, whoever asks."""

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from accounts.models import User
from tests.books import assert_books
from tests.metering.gateway import Gateway, call, give, sell
from tokens import keys
from wallet import ledger
from wallet.models import Account, Code, Funds, HouseBalance, Transfer, Wallet
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def wallet(alice: User) -> Wallet:
    sell()
    wallet = give(alice, 1_000_000_000)
    Gateway().record(call(keys.issue(wallet, "k").key))
    return wallet


REFUSED = [
    "UPDATE wallet_transfer SET amount_nanousd = 1",
    "DELETE FROM wallet_transfer",
    "TRUNCATE wallet_transfer CASCADE",
    "UPDATE wallet_account SET kind = 'bank'",
    "DELETE FROM wallet_account",
    "DELETE FROM wallet_wallet",
    "DELETE FROM wallet_funds",
    "TRUNCATE wallet_wallet CASCADE",
    "TRUNCATE accounts_user CASCADE",
    "UPDATE wallet_funds SET paid_nanousd = paid_nanousd + 1",
    "UPDATE wallet_funds SET promotional_nanousd = 0, paid_nanousd = paid_nanousd + promotional_nanousd",
    "UPDATE wallet_housebalance SET balance_nanousd = 0",
    "INSERT INTO wallet_funds (wallet_id, promotional_nanousd, paid_nanousd, held_nanousd) VALUES (0, 0, 0, 0)",
    "UPDATE logs_call SET charged_nanousd = 0",
    "DELETE FROM logs_call",
    "TRUNCATE logs_call",
]


@pytest.mark.parametrize("statement", REFUSED)
def test_history_and_balances_cannot_be_written(wallet: Wallet, statement: str) -> None:
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert_books()


def test_a_partition_refuses_what_its_table_refuses(wallet: Wallet) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'logs_call'::regclass"
        )
        partitions = [name for (name,) in cursor.fetchall()]
    assert len(partitions) >= 5
    for name in partitions:
        for statement in (f"DELETE FROM {name}", f"TRUNCATE {name}", f"UPDATE {name} SET stream = true"):
            with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(statement)


def test_deleting_a_person_by_cascade_is_refused(wallet: Wallet) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        wallet.owner.delete()
    assert Wallet.objects.filter(pk=wallet.pk).exists()


def test_a_wallet_is_born_with_its_two_accounts_and_funds(charlie: User) -> None:
    wallet = wallet_of(charlie)
    assert set(wallet.accounts.values_list("kind", flat=True)) == {"promotional", "paid"}
    assert Funds.objects.get(wallet=wallet).balance_nanousd == 0


def test_a_transfer_written_past_the_ledger_still_moves_the_balances(wallet: Wallet) -> None:
    Transfer.objects.create(
        code=Code.GRANT,
        reference="raw",
        debit_account=ledger.house("promotions"),
        credit_account=ledger.promotional(wallet),
        wallet=wallet,
        amount_nanousd=5,
    )
    assert ledger.balances(wallet).promotional_nanousd == 5
    assert_books()


@pytest.mark.parametrize("amount", [0, -1, 10**18 + 1])
def test_only_positive_bounded_amounts_move(wallet: Wallet, amount: int) -> None:
    with pytest.raises(ValueError, match="A transfer moves"):
        ledger.post(
            code=Code.GRANT,
            reference="r",
            debit=ledger.house("promotions"),
            credit=ledger.paid(wallet),
            amount_nanousd=amount,
        )
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO wallet_transfer (code, reference, debit_account_id, credit_account_id, wallet_id, amount_nanousd,"
            " details) VALUES ('grant', 'r', %s, %s, %s, %s, '{}')",
            [ledger.house_id("promotions"), ledger.paid(wallet).pk, wallet.pk, min(amount, 0)],
        )
    assert_books()


def test_a_reference_moves_money_once(wallet: Wallet) -> None:
    def post(amount_nanousd: int) -> Transfer:
        return ledger.post(
            code=Code.GRANT,
            reference="once",
            debit=ledger.house("promotions"),
            credit=ledger.paid(wallet),
            amount_nanousd=amount_nanousd,
        )

    assert post(7) == post(7)
    with pytest.raises(ledger.ReferenceConflict):
        post(8)
    assert Transfer.objects.filter(reference="once").count() == 1
    assert_books()


def test_a_transfer_between_two_wallets_is_refused(wallet: Wallet, charlie: User) -> None:
    other = wallet_of(charlie)
    with pytest.raises(IntegrityError), transaction.atomic():
        Transfer.objects.create(
            code=Code.CORRECTION,
            reference="across",
            debit_account=ledger.paid(wallet),
            credit_account=ledger.paid(other),
            wallet=wallet,
            amount_nanousd=1,
        )
    assert_books()


def test_a_transfer_that_names_another_wallet_is_refused(wallet: Wallet, charlie: User) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Transfer.objects.create(
            code=Code.GRANT,
            reference="wrong",
            debit_account=ledger.house("promotions"),
            credit_account=ledger.paid(wallet),
            wallet=wallet_of(charlie),
            amount_nanousd=1,
        )


def test_a_transfer_is_corrected_once(wallet: Wallet) -> None:
    wrong = Transfer.objects.filter(code=Code.GRANT).earliest("id")

    def correct(reference: str) -> Transfer:
        return ledger.post(
            code=Code.CORRECTION,
            reference=reference,
            debit=ledger.paid(wallet),
            credit=ledger.house("adjustments"),
            amount_nanousd=wrong.amount_nanousd,
            corrects=wrong,
        )

    correct("fix-1")
    with pytest.raises(IntegrityError), transaction.atomic():
        correct("fix-2")
    assert_books()


def test_all_accounts_sum_to_zero(wallet: Wallet) -> None:
    house = sum(HouseBalance.objects.values_list("balance_nanousd", flat=True))
    assert house + ledger.balances(wallet).balance_nanousd == 0
    assert Account.objects.filter(wallet=None).count() == 9
