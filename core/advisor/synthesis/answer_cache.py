"""Answers by the content of their requests: the same prompt is not paid for twice."""

from core.advisor.synthesis.chat_client import ModelEndpoint
from core.advisor.synthesis.completion import Completion
from core.advisor.synthesis.prompt import ModelPrompt


class AnswerCache:
    """The newest answers that passed every check; the oldest one leaves first."""

    def __init__(self, answers_max: int) -> None:
        self._answers_max = answers_max
        self._answers: dict[tuple[bytes, str, str], Completion] = {}

    def find(self, endpoint: ModelEndpoint, prompt: ModelPrompt) -> Completion | None:
        return self._answers.get(_key(endpoint, prompt))

    def put(self, endpoint: ModelEndpoint, prompt: ModelPrompt, answer: Completion) -> None:
        self._answers[_key(endpoint, prompt)] = answer
        if len(self._answers) > self._answers_max:
            del self._answers[next(iter(self._answers))]


def _key(endpoint: ModelEndpoint, prompt: ModelPrompt) -> tuple[bytes, str, str]:
    return prompt.hash, endpoint.model, endpoint.url
