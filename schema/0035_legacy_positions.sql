-- Positions in derivatives that no strategy has opened, as they were announced last.

CREATE TABLE inspector_legacy_positions (
    venue text NOT NULL,
    account text NOT NULL,
    symbol text NOT NULL,
    size text NOT NULL,                 -- negative if short; '0': it is gone, or adopted
    since_time_ns bigint NOT NULL,      -- since when it is held on this side
    PRIMARY KEY (venue, account, symbol)
);
