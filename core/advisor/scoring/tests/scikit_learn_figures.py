"""Writes sklearn_figures.json, the weights of scikit-learn's logistic regression. The project does
not need scikit-learn otherwise: run this in an environment of its own.

    python core/advisor/scoring/tests/scikit_learn_figures.py
"""

import json
from pathlib import Path

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

FEATURES = 10
CASES = (("weak", 120, 0.2), ("strong", 120, 1.5), ("separable", 80, 50.0))
"""Name, outcomes, size of the true weights."""


def main() -> None:
    random = np.random.default_rng(18)
    cases = []
    for name, count, size in CASES:
        values = np.round(random.normal(2, 3, (count, FEATURES)), 2)
        truth = random.normal(0, size, FEATURES)
        inputs = np.clip(StandardScaler().fit_transform(values), -4, 4)
        chances = 1 / (1 + np.exp(-(inputs @ truth - 0.4)))
        wins = (random.uniform(0, 1, count) < chances).astype(int)
        fitted = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-12).fit(inputs, wins)
        cases.append(
            {
                "name": name,
                "values": values.tolist(),
                "wins": wins.tolist(),
                "weights": fitted.coef_[0].tolist(),
                "intercept": float(fitted.intercept_[0]),
                "probabilities": fitted.predict_proba(inputs)[:20, 1].tolist(),
            }
        )
    figures = {"source": f"scikit-learn {sklearn.__version__}", "cases": cases}
    Path(__file__).with_name("sklearn_figures.json").write_text(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
