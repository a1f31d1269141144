"""Writes sklearn_figures.json, the probabilities by the calibrators of scikit-learn. The project
does not need scikit-learn otherwise: run this in an environment of its own.

    python core/advisor/calibration/tests/scikit_learn_figures.py
"""

import json
from pathlib import Path

import numpy as np
import sklearn
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression

CASES = (
    ("overconfident", 400, lambda x: 0.5 + (x - 0.5) * 0.4, 3),
    ("a step", 300, lambda x: np.where(x < 0.6, 0.2, 0.75), 3),
    ("too high, with equal convictions", 300, lambda x: x * 0.7, 1),
    ("few wins", 60, lambda x: x * 0.15, 2),
)
"""Name, outcomes, true probability, decimals of the convictions."""


def main() -> None:
    random = np.random.default_rng(18)
    cases = []
    for name, count, truth, decimals in CASES:
        convictions = np.clip(np.round(random.uniform(0, 1, count), decimals), 0.01, 0.99)
        wins = (random.uniform(0, 1, count) < truth(convictions)).astype(int)
        asked = np.round(np.linspace(0.01, 0.99, 21), 3)
        sigmoid = _SigmoidCalibration().fit(odds(convictions), wins)
        isotonic = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        isotonic.fit(convictions, wins)
        cases.append(
            {
                "name": name,
                "convictions": convictions.tolist(),
                "wins": wins.tolist(),
                "asked": asked.tolist(),
                "sigmoid": sigmoid.predict(odds(asked)).tolist(),
                "isotonic": isotonic.predict(asked).tolist(),
            }
        )
    figures = {"source": f"scikit-learn {sklearn.__version__}", "cases": cases}
    Path(__file__).with_name("sklearn_figures.json").write_text(json.dumps(figures) + "\n")


def odds(probabilities):
    return np.log(probabilities / (1 - probabilities))


if __name__ == "__main__":
    main()
