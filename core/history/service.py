"""The gRPC service History."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
from venuemesh.history.v1 import history_pb2, history_pb2_grpc, order_costs_pb2

from core.history.book_store import HistoricalBookStore
from core.history.column_responses import ColumnResponses
from core.history.coverage_store import CoverageStore, channel_of
from core.history.list_store import ListStore
from core.history.order_cost_store import OrderCostStore
from kit.base.paging import page_of

Context = grpc.aio.ServicerContext[Any, Any]


class HistoryServicer(history_pb2_grpc.HistoryServicer):
    """Answers History from the database. Read and ReadBars yield serialised responses."""

    def __init__(
        self,
        queries: ListStore,
        books: HistoricalBookStore,
        coverage: CoverageStore,
        reading: ColumnResponses,
        order_costs: OrderCostStore,
    ) -> None:
        self._queries = queries
        self._books = books
        self._coverage = coverage
        self._reading = reading
        self._order_costs = order_costs

    async def ListTrades(
        self, request: history_pb2.ListTradesRequest, context: Context
    ) -> history_pb2.ListTradesResponse:
        trades, token = await self._queries.trades(request)
        return history_pb2.ListTradesResponse(trades=trades, next_page_token=token)

    async def ListQuotes(
        self, request: history_pb2.ListQuotesRequest, context: Context
    ) -> history_pb2.ListQuotesResponse:
        quotes, token = await self._queries.quotes(request)
        return history_pb2.ListQuotesResponse(quotes=quotes, next_page_token=token)

    async def ListBars(
        self, request: history_pb2.ListBarsRequest, context: Context
    ) -> history_pb2.ListBarsResponse:
        bars, token = await self._queries.bars(request)
        return history_pb2.ListBarsResponse(bars=bars, next_page_token=token)

    async def ListGaps(
        self, request: history_pb2.ListGapsRequest, context: Context
    ) -> history_pb2.ListGapsResponse:
        gaps, token = await self._queries.gaps(request)
        return history_pb2.ListGapsResponse(gaps=gaps, next_page_token=token)

    async def GetOrderBookAt(
        self, request: history_pb2.GetOrderBookAtRequest, context: Context
    ) -> history_pb2.GetOrderBookAtResponse:
        return await self._books.at(request)

    async def Read(  # type: ignore[override]  # responses are serialised already
        self, request: history_pb2.ReadRequest, context: Context
    ) -> AsyncIterator[bytes]:
        async with aclosing(self._reading.batches(request)) as responses:
            async for response in responses:
                yield response

    async def ReadBars(  # type: ignore[override]  # responses are serialised already
        self, request: history_pb2.ReadBarsRequest, context: Context
    ) -> AsyncIterator[bytes]:
        async with aclosing(self._reading.bars(request)) as responses:
            async for response in responses:
                yield response

    async def ListCoverage(
        self, request: history_pb2.ListCoverageRequest, context: Context
    ) -> history_pb2.ListCoverageResponse:
        days = await self._coverage.days(request)
        page, token = page_of(request, days, lambda day: [day.day_start_ns])
        return history_pb2.ListCoverageResponse(
            days=page, channel=channel_of(request), next_page_token=token
        )

    async def ListQuality(
        self, request: history_pb2.ListQualityRequest, context: Context
    ) -> history_pb2.ListQualityResponse:
        scores, token = await self._queries.quality(request)
        return history_pb2.ListQualityResponse(scores=scores, next_page_token=token)

    async def ListOrderCosts(
        self, request: order_costs_pb2.ListOrderCostsRequest, context: Context
    ) -> order_costs_pb2.ListOrderCostsResponse:
        return await self._order_costs.page(request)

    async def SummarizeOrderCosts(
        self, request: order_costs_pb2.SummarizeOrderCostsRequest, context: Context
    ) -> order_costs_pb2.SummarizeOrderCostsResponse:
        return await self._order_costs.summary(request)
