-- The scoring models of strategies and their use. It changes in the transaction that stores the
-- event of the change.

CREATE TABLE advisor_scoring_models (
    model_id bytea PRIMARY KEY,
    strategy text NOT NULL,
    use smallint NOT NULL,              -- ScoringModelUse
    changed_time_ns bigint NOT NULL,    -- of the newest change by a caller
    change bytea NOT NULL               -- the ScoringModelChanged of that change, encoded
);

-- One model of a strategy is in force.
CREATE UNIQUE INDEX ON advisor_scoring_models (strategy) WHERE use = 1;
