"""Tasks that a person starts with one choice: the prompts of the protocol."""

from collections.abc import Mapping
from dataclasses import dataclass
from string import Template

from gateway.mcp.call_errors import InvalidCall
from kit.base.outside_text import cleaned
from kit.base.suggestions import did_you_mean

ARGUMENT_LENGTH_MAX = 128


@dataclass(frozen=True, slots=True)
class Task:
    """One task, and what it asks for."""

    name: str
    title: str
    required: Mapping[str, str]
    """Arguments and their meanings."""
    text: Template


TASKS = {
    task.name: task
    for task in (
        Task(
            "investigate_gap",
            "Investigate missing data of a venue",
            {"venue": "Venue id, for example binance."},
            Template(
                "Find out which data of the venue $venue is missing, why, and whether it is "
                "repaired.\n"
                "1. history_list_gaps with venue and start_time -1d: count gaps by reason, channel "
                "and symbol.\n"
                "2. history_list_holes and history_list_repairs of the venue: which holes are "
                "open, filled or unavailable.\n"
                "3. mesh_get_status of service_id $venue, and mesh_list_services: reconnects, "
                "state and detail of the processes.\n"
                "4. The resource venuemesh://runbooks/gaps-frequent if there are many.\n"
                "Answer with the cause, what is lost for good, and what a person should do. State "
                "what you could not find out."
            ),
        ),
        Task(
            "explain_fill",
            "Explain why a fill happened",
            {
                "venue": "Venue id.",
                "account": "Account at the venue.",
                "symbol": "Native symbol, for example BTCUSDT.",
                "fill_id": "Id of the fill, as orders_list_fills has it.",
            },
            Template(
                "Explain the fill $fill_id of $symbol, account $account at $venue.\n"
                "1. mesh_why with venue, account, symbol and fill_id: the chain of its causes.\n"
                "2. From the last event to the first: the order and its fill, the verdict with "
                "its limits, the decision with its facts, the signal with its rules and its bar.\n"
                "3. history_list_bars around the bar of the signal.\n"
                "Answer in the order signal, decision, limits, order, fill, postings, with times "
                "and amounts. Say which links are missing: an order of a person has no signal."
            ),
        ),
        Task(
            "morning_check",
            "Check the mesh before the day",
            {},
            Template(
                "Check whether the mesh is fit to trade.\n"
                "1. mesh_list_services: processes that are not SERVING, and their details.\n"
                "2. For each venue that runs: history_list_gaps with start_time -1d, and "
                "history_list_holes.\n"
                "3. risk_get_state: modes that are not ACTIVE, positions with a problem.\n"
                "4. For each venue: orders_list_accounts, then orders_list_open_orders of each "
                "account.\n"
                "5. ledger_get_equity, and ledger_get_profit by strategy.\n"
                "Answer with one line for each finding, the most urgent first, and the runbook of "
                "each (resources venuemesh://runbooks/…)."
            ),
        ),
    )
}


def text_of(name: str, arguments: Mapping[str, str]) -> str:
    """The text of a task. Raises InvalidCall for a wrong name or argument."""
    task = TASKS.get(name)
    if task is None:
        shown = name[:ARGUMENT_LENGTH_MAX]
        raise InvalidCall(f"there is no prompt {shown!r}{did_you_mean(shown, TASKS)}")
    if arguments.keys() != task.required.keys():
        needed = ", ".join(task.required) or "none"
        raise InvalidCall(f"{name} has these arguments, each required: {needed}")
    for argument, value in arguments.items():
        if len(value) > ARGUMENT_LENGTH_MAX:
            allowed = f"at most {ARGUMENT_LENGTH_MAX} characters"
            raise InvalidCall(f"{name}: {argument} has {len(value)} characters; {allowed}")
    return task.text.substitute({name: cleaned(value) for name, value in arguments.items()})
