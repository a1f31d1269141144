"""What was changed in the database is found."""

import pytest

from core.ledger.tests.executions import random_events

CHANGES = {
    "its totals are not the sums": (
        "UPDATE ledger_accounts SET debits = debits + 1 WHERE account_id = 1"
    ),
    "its balance is not the sum": (
        "UPDATE ledger_entries SET balance = balance + 1 WHERE account_id = 1 AND number = 2"
    ),
    "its two sides differ": "DELETE FROM ledger_entries WHERE account_id = 1 AND number = 2",
    "it is of another asset": "UPDATE ledger_accounts SET asset = 'other' WHERE account_id = 1",
    "its group is not there": "DELETE FROM ledger_groups WHERE group_number = 5",
    "group 5: it is not there": "DELETE FROM ledger_groups WHERE group_number = 5",
    "its content was changed": "UPDATE ledger_groups SET detail = 'other' WHERE group_number = 5",
    "are not those of which the head has the hash": (
        "UPDATE ledger_groups SET content_hash = 'other' WHERE group_number = 5"
    ),
}


async def test_an_untouched_ledger_is_correct(books):
    events = random_events(seed=4, count=700)
    await books.book(*events[:350])
    await books.restarted().book(*events[350:])
    found = await books.queries.verify()
    assert found.texts == []
    assert found.groups == 700
    assert found.entries > 1_400


@pytest.mark.parametrize("text", CHANGES)
async def test_a_change_is_found(books, text):
    await books.book(*random_events(seed=5, count=30))
    async with books.database.transaction() as connection:
        await connection.execute(CHANGES[text].encode())
    found = await books.queries.verify()
    assert [one for one in found.texts if text in one], found.texts
