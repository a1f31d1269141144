-- What limits by scope are compared with.

-- Where entries were approved.
ALTER TABLE inspector_submissions
    ADD COLUMN venue text NOT NULL DEFAULT '',
    ADD COLUMN account text NOT NULL DEFAULT '',
    ADD COLUMN strategy text NOT NULL DEFAULT '';       -- '': of a person

-- The approved orders that may open or enlarge a position.
CREATE TABLE inspector_entries (
    venue text NOT NULL,
    account text NOT NULL,
    client_order_id text NOT NULL,
    symbol text NOT NULL,
    strategy text NOT NULL,             -- '': of a person
    is_buy boolean NOT NULL,
    size numeric NOT NULL,              -- the largest one that was approved
    price numeric,                      -- NULL: at market
    is_final boolean NOT NULL DEFAULT false,
    filled_size numeric NOT NULL DEFAULT 0,     -- as the venue's process reports it
    fills_size numeric NOT NULL DEFAULT 0,      -- sum of the fills that the ledger has booked
    PRIMARY KEY (venue, account, client_order_id)
);

CREATE INDEX inspector_open_entries ON inspector_entries (venue)
    WHERE NOT is_final OR fills_size < filled_size;

-- What a size of an instrument is worth, as its venue has stated it for the newest entry.
CREATE TABLE inspector_terms (
    venue text NOT NULL,
    symbol text NOT NULL,
    asset text NOT NULL,                -- of values
    is_inverse boolean NOT NULL,        -- the value does not depend on the price
    multiplier numeric,                 -- NULL: not known
    PRIMARY KEY (venue, symbol)
);
