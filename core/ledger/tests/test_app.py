import asyncio

import grpc
import pytest
import redis.asyncio as redis
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.events.v1 import event_pb2
from venuemesh.ledger.v1 import equity_pb2, ledger_pb2, ledger_pb2_grpc, postings_pb2
from venuemesh.registry.v1 import registry_pb2

from core.ledger.postings import message_of
from core.ledger.tests.postings import UNIT, cash, deposit
from core.ledger.tests.process import ledger_process
from core.ledger.tests.stores import stores_of
from kit.base import errors, rpc
from kit.base.database import Database
from kit.events import event_log
from kit.events.streams import redis_key
from tests.support.waiting import WAIT_SECONDS_MAX


@pytest.fixture
async def process(postgres_url, valkey_url, store_address):
    process = ledger_process(postgres_url, valkey_url, store_address)
    process.start()
    yield process
    process.kill()


@pytest.fixture
async def channel(process):
    async with rpc.channel(process.address) as channel:
        request = admin_pb2.GetStatusRequest()
        await admin_pb2_grpc.AdminStub(channel).GetStatus(request, wait_for_ready=True, timeout=30)
        yield channel


@pytest.fixture
def ledger(channel):
    return ledger_pb2_grpc.LedgerStub(channel)


def posting(*groups: postings_pb2.TransferGroup) -> ledger_pb2.PostTransfersRequest:
    return ledger_pb2.PostTransfersRequest(groups=groups)


def message(group_id: str, **changes: str) -> postings_pb2.TransferGroup:
    """The group of a deposit; ``changes`` are texts of its first transfer."""
    found = message_of(deposit(group_id))
    for name, value in changes.items():
        part: object = found.transfers[0]
        *path, field = name.split("__")
        for step in path:
            part = getattr(part, step)
        setattr(part, field, value)
    return found


async def published(valkey_url, count):
    """The events of stream "ledger" in Redis, once there are so many."""
    async with redis.Redis.from_url(valkey_url) as client, asyncio.timeout(WAIT_SECONDS_MAX):
        while len(entries := await client.xrange(redis_key(event_pb2.EVENT_STREAM_LEDGER))) < count:
            await asyncio.sleep(0.01)
    return [fields[b"b"] for _, fields in entries]


async def refusal(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    info = errors.error_info(caught.value)
    return caught.value.code().name, info.reason, info.metadata.get("field", "")


async def test_what_is_posted_is_booked_read_and_published(
    process, channel, ledger, postgres_url, valkey_url
):
    request = posting(message("a"), message("b", amount="0.000000000000000001"))
    answer = await ledger.PostTransfers(request)
    assert [(one.group_id, one.group_number) for one in answer.groups] == [("a", 1), ("b", 2)]
    answer = await ledger.PostTransfers(request)
    assert [one.repeated_request for one in answer.groups] == [True, True]

    chosen = ledger_pb2.AccountFilter(code=postings_pb2.ACCOUNT_CODE_CASH)
    found = await ledger.GetBalances(ledger_pb2.GetBalancesRequest(filter=chosen))
    assert [(one.account, one.balance) for one in found.balances] == [
        (cash().message(), "1.000000000000000001")
    ]
    assert found.group_number == 2
    past = await ledger.GetBalances(ledger_pb2.GetBalancesRequest(filter=chosen, time_ns=999))
    assert [one.balance for one in past.balances] == ["0"]

    pages = []
    listed = ledger_pb2.ListEntriesRequest(account=cash().message(), page_size=1)
    while not pages or listed.page_token:
        page = await ledger.ListEntries(listed)
        pages += page.entries
        listed.page_token = page.next_page_token
    assert [(one.number, one.group_id, one.balance) for one in pages] == [
        (1, "a", "1"),
        (2, "b", "1.000000000000000001"),
    ]
    listed.newest_first = True
    newest = await ledger.ListEntries(listed)
    assert [one.number for one in newest.entries] == [2]
    named = await ledger.GetGroups(ledger_pb2.GetGroupsRequest(group_ids=["b", "none"]))
    assert [(one.group_number, one.group.group_id) for one in named.groups] == [(2, "b")]
    asked = equity_pb2.GetEquityHistoryRequest(end_time_ns=2_000, points=2)
    (history,) = (await ledger.GetEquityHistory(asked)).histories
    assert history.asset == "USDT"
    assert [(one.time_ns, one.equity_at_cost, one.net_profit) for one in history.points] == [
        *((1_000, "1.000000000000000001", "0"), (2_000, "1.000000000000000001", "0"))
    ]
    accounts = await ledger.ListLedgerAccounts(ledger_pb2.ListLedgerAccountsRequest())
    assert [one.entries for one in accounts.accounts] == [2, 2]
    trial = await ledger.GetTrialBalance(ledger_pb2.GetTrialBalanceRequest())
    assert trial.balanced
    assert [(one.debits, one.credits) for one in trial.assets] == [
        ("1.000000000000000001", "1.000000000000000001")
    ]

    database = Database(postgres_url)
    async with database.transaction() as connection:
        stored = await event_log.read(connection, event_pb2.EVENT_STREAM_LEDGER, 0)
    await database.close()
    assert [one.event().postings_booked.group_id for one in stored] == ["a", "b"]
    assert await published(valkey_url, len(stored)) == [one.body for one in stored]
    status = (
        await admin_pb2_grpc.AdminStub(channel).GetStatus(admin_pb2.GetStatusRequest())
    ).status
    assert status.state == registry_pb2.SERVICE_STATE_SERVING
    assert process.stop() == 0


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"debit__asset": "BTC"}, "GROUP_UNBALANCED", ".transfers[0]"),
        ({"amount": "0"}, "AMOUNT_OUT_OF_BOUNDS", ".transfers[0].amount"),
        ({"amount": "-1"}, "AMOUNT_OUT_OF_BOUNDS", ".transfers[0].amount"),
        ({"amount": "1e-19"}, "AMOUNT_OUT_OF_BOUNDS", ".transfers[0].amount"),
        ({"amount": "1" + "0" * 18}, "AMOUNT_OUT_OF_BOUNDS", ".transfers[0].amount"),
        ({"amount": "NaN"}, "AMOUNT_OUT_OF_BOUNDS", ".transfers[0].amount"),
        ({"amount": ""}, "AMOUNT_OUT_OF_BOUNDS", ".transfers[0].amount"),
        ({"credit__code": 77}, "ACCOUNT_INVALID", ".transfers[0].credit.code"),
        ({"credit__code": 2}, "ACCOUNT_INVALID", ".transfers[0].credit.code"),
        ({"debit__venue": ""}, "ACCOUNT_INVALID", ".transfers[0].debit.venue"),
        ({"debit__account": "a\nb"}, "ACCOUNT_INVALID", ".transfers[0].debit.account"),
        ({"debit__code": 7}, "ACCOUNT_INVALID", ".transfers[0].debit"),
    ],
)
async def test_a_wrong_transfer_books_nothing_of_the_request(ledger, changes, reason, field):
    call = ledger.PostTransfers(posting(message("good"), message("bad", **changes)))
    assert await refusal(call) == ("INVALID_ARGUMENT", reason, f"groups[1]{field}")
    balances = await ledger.GetBalances(ledger_pb2.GetBalancesRequest())
    assert not balances.balances


async def test_a_wrong_request_is_refused(ledger):
    for request, field in (
        (posting(), "groups"),
        (posting(message("")), "groups[0].group_id"),
        (posting(message("ev-00")), "groups[0].group_id"),
        (posting(postings_pb2.TransferGroup(group_id="a", kind=9)), "groups"),
        (
            posting(message("a"), postings_pb2.TransferGroup(group_id="b", kind=9)),
            "groups[1].transfers",
        ),
    ):
        assert await refusal(ledger.PostTransfers(request)) == (
            "INVALID_ARGUMENT",
            "BAD_REQUEST",
            field,
        )
    for asked, field in (
        (equity_pb2.GetEquityHistoryRequest(points=1), "points"),
        (equity_pb2.GetEquityHistoryRequest(start_time_ns=5, end_time_ns=5), "start_time_ns"),
    ):
        assert (await refusal(ledger.GetEquityHistory(asked)))[2] == field
    many = ledger_pb2.GetGroupsRequest(group_ids=["a"] * 101)
    assert (await refusal(ledger.GetGroups(many)))[2] == "group_ids"
    kind = message("a")
    kind.kind = postings_pb2.POSTING_KIND_FILL
    assert (await refusal(ledger.PostTransfers(posting(kind))))[2] == "groups[0].kind"
    listed = ledger_pb2.ListEntriesRequest(account=cash().message(), page_token="x")
    assert (await refusal(ledger.ListEntries(listed)))[1] == "BAD_PAGE_TOKEN"


async def test_a_used_id_with_other_content_is_refused(ledger):
    await ledger.PostTransfers(posting(message("a")))
    call = ledger.PostTransfers(posting(message("b"), message("a", amount="2")))
    assert await refusal(call) == ("ALREADY_EXISTS", "GROUP_ID_REUSED", "")
    chosen = ledger_pb2.AccountFilter(code=postings_pb2.ACCOUNT_CODE_CASH)
    found = await ledger.GetBalances(ledger_pb2.GetBalancesRequest(filter=chosen))
    assert [one.balance for one in found.balances] == [str(UNIT // UNIT)]


async def test_a_stream_has_all_balances_and_then_each_group(ledger):
    await ledger.PostTransfers(posting(message("a"), message("b")))
    stream = ledger.StreamEntries(ledger_pb2.StreamEntriesRequest(), timeout=30)
    first = await stream.read()
    assert (first.group_number, first.snapshot.complete) == (2, True)
    assert [one.balance for one in first.snapshot.balances] == ["2", "-2"]
    await ledger.PostTransfers(posting(message("c")))
    second = await stream.read()
    assert (second.group_number, second.group.group.group_id) == (3, "c")
    assert second.group.group.transfers == message("c").transfers

    resumed = ledger.StreamEntries(
        ledger_pb2.StreamEntriesRequest(resume_after_group=1), timeout=30
    )
    assert [(await resumed.read()).group.group.group_id for _ in range(2)] == ["b", "c"]
    whole = ledger.StreamEntries(ledger_pb2.StreamEntriesRequest(skip_snapshot=True), timeout=30)
    assert [(await whole.read()).group.group_number for _ in range(3)] == [1, 2, 3]


async def test_the_ledger_is_verified_over_grpc(ledger):
    await ledger.PostTransfers(posting(message("a")))
    found = await ledger.VerifyLedger(ledger_pb2.VerifyLedgerRequest())
    assert (found.correct, found.groups, found.entries) == (True, 1, 2)
    equity = await ledger.GetEquity(ledger_pb2.GetEquityRequest())
    assert [(one.cash, one.equity) for one in equity.equities] == [("1", "1")]
    profit = await ledger.GetProfit(ledger_pb2.GetProfitRequest())
    assert not profit.profits


async def test_a_killed_ledger_has_whole_groups_and_all_that_it_confirmed(
    process, ledger, postgres_url, store_address
):
    confirmed: set[str] = set()

    async def post(caller: int) -> None:
        for number in range(10_000):
            group_id = f"{caller}-{number}"
            transfers = [transfer for _ in range(5) for transfer in message(group_id).transfers]
            group = message(group_id)
            group.transfers.extend(transfers)
            answer = await ledger.PostTransfers(posting(group))
            confirmed.update(one.group_id for one in answer.groups)

    callers = [asyncio.create_task(post(caller)) for caller in range(4)]
    while len(confirmed) < 40:
        await asyncio.sleep(0.001)
    process.kill()
    await asyncio.gather(*callers, return_exceptions=True)

    database = Database(postgres_url)
    async with stores_of(database, store_address) as stores:
        found = await stores.queries.verify()
        groups = {one.group.group_id: one for one in await stores.queries.groups(0, 10**6)}
    await database.close()
    assert found.texts == []
    assert confirmed <= groups.keys()
    assert {len(one.group.postings) for one in groups.values()} == {6}
