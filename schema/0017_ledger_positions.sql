-- The positions as they are now: of each strategy in each instrument. They follow from
-- ledger_position_changes, and are written in the same transaction.
CREATE TABLE ledger_positions (
    venue text NOT NULL,
    account text NOT NULL,
    symbol text NOT NULL,
    strategy text NOT NULL,
    size numeric(38, 0) NOT NULL,       -- in 10^-18; a short position is negative
    cost numeric(38, 0) NOT NULL,       -- in atoms; of a short position negative
    PRIMARY KEY (venue, account, symbol, strategy)
) WITH (fillfactor = 50);
