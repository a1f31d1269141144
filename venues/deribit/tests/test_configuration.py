"""What Deribit's answers about an account mean."""

import pytest

from venues.deribit.configuration import margin_mode_of


@pytest.mark.parametrize(
    ("models", "mode"),
    [
        (["segregated_sm", "segregated_sm"], "cross"),
        (["cross_sm"], "cross"),
        (["segregated_pm"], "portfolio"),
        (["cross_pm", "cross_pm"], "portfolio"),
        (["segregated_sm", "segregated_pm"], None),
        (["segregated_sm", None], None),
        (["new_model"], None),
        ([], None),
    ],
)
def test_margin_mode_is_known_if_all_currencies_have_it(models, mode):
    assert margin_mode_of(models) == mode
