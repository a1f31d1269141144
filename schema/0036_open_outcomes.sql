-- Decisions whose outcome is not known yet. A row is removed by the transaction that stores the
-- event of the outcome.

CREATE TABLE advisor_open_outcomes (
    decision_id bytea PRIMARY KEY,      -- of the event of the decision
    limit_ns bigint NOT NULL            -- its time limit
);
