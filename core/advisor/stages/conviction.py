"""Stage 4: combines the convictions of the strategy, the rules and the quality.

It is the conviction of the strategy, times the quality, times the rules, whose score from -1 to 1
counts as 0 to 1. So nothing raises it above what the strategy itself says.
"""

from dataclasses import replace

from core.advisor.decision_case import Assessment, DecisionCase, StageOutput


def run(case: DecisionCase, found: Assessment) -> StageOutput:
    said = case.signal.conviction
    is_number = 0.0 <= said <= 1.0
    conviction = said * found.quality * (1.0 + found.rules_score) / 2.0 if is_number else 0.0
    least = case.rules.conviction_min
    checks = [
        case.check("signal_conviction", is_number, said, "0 to 1"),
        case.check("conviction", conviction >= least, conviction, least),
    ]
    return StageOutput(replace(found, conviction=conviction), checks)
