-- The ledger. Amounts are atoms: 10^-18 of an asset's unit. A balance is debits minus credits.
-- Groups and entries are never changed.

-- The newest group. A writer locks the row until its commit, so groups are numbered in the order of
-- the commits, without holes, and the entries of an account are, too.
CREATE TABLE ledger_head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    group_number bigint NOT NULL,
    booked_time_ns bigint NOT NULL,     -- never falls
    chain_hash bytea NOT NULL,          -- SHA-256 of the one before and the content of the group
    cost_method text NOT NULL           -- how profit is computed; '': nothing was computed yet
);

INSERT INTO ledger_head VALUES (true, 0, 0, '', '');

CREATE TABLE ledger_accounts (
    account_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code smallint NOT NULL,             -- venuemesh.ledger.v1.AccountCode
    venue text NOT NULL,
    account text NOT NULL,
    asset text NOT NULL,
    symbol text NOT NULL,
    strategy text NOT NULL,
    debits numeric(38, 0) NOT NULL DEFAULT 0,
    credits numeric(38, 0) NOT NULL DEFAULT 0,
    entries bigint NOT NULL DEFAULT 0,
    newest_time_ns bigint NOT NULL DEFAULT 0,
    UNIQUE (venue, account, code, asset, symbol, strategy)
) WITH (fillfactor = 50);

CREATE TABLE ledger_groups (
    group_number bigint PRIMARY KEY,
    group_id text NOT NULL UNIQUE,
    kind smallint NOT NULL,             -- venuemesh.ledger.v1.PostingKind
    time_ns bigint NOT NULL,
    booked_time_ns bigint NOT NULL,
    event_id bytea NOT NULL,            -- empty: a caller has posted it
    caller text NOT NULL,
    detail text NOT NULL,
    content_hash bytea NOT NULL
);

-- Two entries for each posting, one for each of its accounts.
CREATE TABLE ledger_entries (
    account_id bigint NOT NULL,
    number bigint NOT NULL,             -- of the account, from 1, without holes
    group_number bigint NOT NULL,
    ordinal smallint NOT NULL,          -- of the posting in its group, from 0
    other_account_id bigint NOT NULL,
    amount numeric(38, 0) NOT NULL,     -- a debit is positive, a credit negative
    balance numeric(38, 0) NOT NULL,    -- of the account, after this entry
    time_ns bigint NOT NULL,
    newest_time_ns bigint NOT NULL,     -- of this entry and all before it
    PRIMARY KEY (account_id, number)
);

CREATE INDEX ledger_entries_by_group ON ledger_entries (group_number, ordinal);

-- The balance at a time is that of the last entry up to which nothing is newer, and those late
-- entries after it that are not newer.
CREATE INDEX ledger_entries_by_time ON ledger_entries (account_id, newest_time_ns, number);

CREATE INDEX ledger_late_entries ON ledger_entries (account_id, time_ns)
    WHERE time_ns < newest_time_ns;

-- The terms of the instruments that positions are computed with, as they were first known.
CREATE TABLE ledger_contracts (
    venue text NOT NULL,
    symbol text NOT NULL,
    base text NOT NULL,
    quote text NOT NULL,
    settle text NOT NULL,               -- '': spot
    multiplier numeric NOT NULL,
    PRIMARY KEY (venue, symbol)
);

-- What has changed the positions in an instrument, in the order of the venue. The id is ordered by
-- its length first, so that numbers are in their order.
CREATE TABLE ledger_position_changes (
    venue text NOT NULL,
    account text NOT NULL,
    symbol text NOT NULL,
    time_ns bigint NOT NULL,
    kind smallint NOT NULL,             -- core.ledger.position_history.ChangeKind
    change_id text COLLATE "C" NOT NULL,
    event_id bytea NOT NULL,
    strategy text NOT NULL,
    price numeric(38, 0) NOT NULL,      -- in 10^-18
    size numeric(38, 0) NOT NULL,       -- in 10^-18; a sale is negative
    base_fee numeric(38, 0) NOT NULL,   -- fee in the base asset of a spot instrument
    amount numeric(38, 0) NOT NULL      -- funding or settlement, paid to the account
);

CREATE UNIQUE INDEX ledger_position_changes_in_order ON ledger_position_changes
    (venue, account, symbol, time_ns, kind, length(change_id), change_id);

-- The positions in an instrument after some of its changes, so that not all changes must be read
-- when one comes late. Those after a late change are removed.
CREATE TABLE ledger_position_states (
    venue text NOT NULL,
    account text NOT NULL,
    symbol text NOT NULL,
    time_ns bigint NOT NULL,
    kind smallint NOT NULL,
    change_id text COLLATE "C" NOT NULL,
    state text NOT NULL                 -- JSON, see core.ledger.position_history
);

CREATE UNIQUE INDEX ledger_position_states_in_order ON ledger_position_states
    (venue, account, symbol, time_ns, kind, length(change_id), change_id);
