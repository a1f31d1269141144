"""History: what was recorded."""

from typing import Any

import grpc
from venuemesh.history.v1 import history_pb2, history_pb2_grpc

from core.recorder.queries import Queries

Context = grpc.aio.ServicerContext[Any, Any]


class HistoryServicer(history_pb2_grpc.HistoryServicer):
    """Answers History from the database."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def ListTrades(
        self, request: history_pb2.ListTradesRequest, context: Context
    ) -> history_pb2.ListTradesResponse:
        trades, token = await self._queries.trades(request)
        return history_pb2.ListTradesResponse(trades=trades, next_page_token=token)

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
