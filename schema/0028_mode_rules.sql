-- Limits that are compared with profit and orders over time, and the modes that they set.

-- The highest profit of each scope, in the currency of the policy.
CREATE TABLE inspector_equity_marks (
    scope text PRIMARY KEY,             -- "mesh", "venue:…", "account:…/…", "strategy:…"
    highest numeric NOT NULL,
    profit numeric NOT NULL,            -- the newest one that was known
    valuation text NOT NULL             -- currency and rates of both
);

-- The rules of the policy that have set a mode, and those that a person has released.
CREATE TABLE inspector_mode_rules (
    scope text NOT NULL,
    limit_name text NOT NULL,
    mode text NOT NULL,                 -- kit.risk.escalation.EscalatedMode
    is_active boolean NOT NULL,         -- false: a person has released it, it is still beyond
    value numeric NOT NULL,             -- the newest one beyond the limit
    looked_time_ns bigint NOT NULL,
    within_ns bigint,                   -- for how long it is within the limit; NULL: it is not
    PRIMARY KEY (scope, limit_name, mode)
);

ALTER TABLE inspector_modes
    ADD COLUMN rule text NOT NULL DEFAULT '',           -- that has set it; '': a person
    ADD COLUMN set_mode smallint NOT NULL DEFAULT 0;    -- as a person has set it

UPDATE inspector_modes SET set_mode = mode;

ALTER TABLE inspector_modes ALTER COLUMN set_mode DROP DEFAULT;

-- When an entry was approved, or amended last.
ALTER TABLE inspector_entries ADD COLUMN approved_time_ns bigint NOT NULL DEFAULT 0;

CREATE INDEX inspector_newest_entries ON inspector_entries (venue, symbol, approved_time_ns);
