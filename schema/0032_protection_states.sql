-- What the newest look at a position has found of its stop.

ALTER TABLE inspector_protections
    ADD COLUMN state smallint NOT NULL DEFAULT 0,           -- as ProtectionState; 0: not looked yet
    ADD COLUMN state_problem text NOT NULL DEFAULT '',      -- what is wrong; '': nothing
    ADD COLUMN state_size text NOT NULL DEFAULT '',         -- what is held; '': not known
    ADD COLUMN state_time_ns bigint NOT NULL DEFAULT 0;     -- since when all is so
