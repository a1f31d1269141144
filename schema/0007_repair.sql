-- What Repair knows: holes in the recorded trades, the jobs that mend them, how our bars compare
-- with the venues' own candles, and how good the record is. Times are ns since the Unix epoch, at
-- the venue unless it says otherwise.

-- A span of an instrument's trades in which some are, or may be, missing.
CREATE TABLE holes (
    hole_id text PRIMARY KEY,
    venue text NOT NULL,
    symbol text NOT NULL,
    -- As HoleSource and HoleState in the contract.
    source smallint NOT NULL,
    state smallint NOT NULL,
    -- The recorded trades on both sides. Ids are 0 where they say nothing.
    start_time_ns bigint NOT NULL,
    end_time_ns bigint NOT NULL,
    last_id_before bigint NOT NULL,
    first_id_after bigint NOT NULL,
    -- As GapReason in the contract, where a gap was recorded; otherwise 0.
    reason integer NOT NULL,
    -- By our clock, as is when it may be tried again without being told to.
    found_time_ns bigint NOT NULL,
    not_before_ns bigint NOT NULL DEFAULT 0,
    attempt_count integer NOT NULL DEFAULT 0,
    -- The venue has told its trades up to this id, and they were published.
    told_id bigint NOT NULL DEFAULT 0,
    -- Trades that were recorded within it when a job first took it up.
    known_count bigint,
    -- Trades that were missing and are recorded now.
    trade_count bigint NOT NULL DEFAULT 0,
    -- The job that is, or was last, at it.
    repair_id text,
    detail text NOT NULL
);
CREATE INDEX holes_by_instrument ON holes (venue, symbol, end_time_ns);
CREATE INDEX holes_by_job ON holes (repair_id);
CREATE INDEX holes_open ON holes (venue, symbol) WHERE state = 1;

CREATE TABLE repair_jobs (
    repair_id text PRIMARY KEY,
    venue text NOT NULL,
    symbol text NOT NULL,
    -- As RepairState in the contract.
    state smallint NOT NULL,
    -- Whether Repair began it by itself.
    automatic boolean NOT NULL,
    -- Holes that lie in this time; 0 is open.
    start_time_ns bigint NOT NULL,
    end_time_ns bigint NOT NULL,
    hole_count integer NOT NULL DEFAULT 0,
    filled_count integer NOT NULL DEFAULT 0,
    unavailable_count integer NOT NULL DEFAULT 0,
    trade_count bigint NOT NULL DEFAULT 0,
    call_count bigint NOT NULL DEFAULT 0,
    -- By our clock; 0: not yet.
    created_time_ns bigint NOT NULL,
    started_time_ns bigint NOT NULL DEFAULT 0,
    ended_time_ns bigint NOT NULL DEFAULT 0,
    detail text NOT NULL
);
CREATE INDEX repair_jobs_by_time ON repair_jobs (created_time_ns, repair_id);
CREATE INDEX repair_jobs_live ON repair_jobs (venue) WHERE state IN (1, 2);

-- How far the search for holes has got.
CREATE TABLE hole_scans (
    venue text NOT NULL,
    symbol text NOT NULL,
    -- Trades up to this time were looked at for jumps of their ids.
    scanned_time_ns bigint NOT NULL DEFAULT 0,
    -- Bars that begin before this time were compared with the venue's candles.
    checked_time_ns bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (venue, symbol)
);

-- Our bars of one minute beside the venue's candles.
CREATE TABLE bar_checks (
    venue text NOT NULL,
    symbol text NOT NULL,
    open_time_ns bigint NOT NULL,
    -- 0 equal, 1 ours is missing or has less volume, 2 ours has more, 3 other prices.
    verdict smallint NOT NULL,
    -- Why they differ, where that is known; otherwise empty.
    explanation text NOT NULL,
    PRIMARY KEY (venue, symbol, open_time_ns)
);

-- How good the record of an instrument was over a window, of an hour or a day. Parts are from 0,
-- bad, to 1, good; the score is their product.
CREATE TABLE quality_rows (
    venue text NOT NULL,
    symbol text NOT NULL,
    -- By our clock.
    computed_time_ns bigint NOT NULL,
    window_start_ns bigint NOT NULL,
    window_end_ns bigint NOT NULL,
    score double precision NOT NULL,
    coverage double precision NOT NULL,
    freshness double precision NOT NULL,
    agreement double precision NOT NULL,
    open_hole_count integer NOT NULL,
    PRIMARY KEY (venue, symbol, computed_time_ns, window_start_ns)
);
CREATE INDEX quality_rows_by_time ON quality_rows (computed_time_ns);

-- For people.

CREATE VIEW trade_holes AS
SELECT
    venue,
    symbol,
    (ARRAY['trade_ids', 'gap', 'candles'])[source] AS source,
    (ARRAY['open', 'in_repair', 'filled', 'unavailable'])[state] AS state,
    time_of(start_time_ns) AS start_time,
    time_of(end_time_ns) AS end_time,
    last_id_before,
    first_id_after,
    trade_count,
    time_of(found_time_ns) AS found_time,
    repair_id,
    detail,
    hole_id,
    start_time_ns,
    end_time_ns
FROM holes;

CREATE VIEW repairs AS
SELECT
    repair_id,
    venue,
    symbol,
    (ARRAY['queued', 'running', 'done', 'incomplete', 'cancelled'])[state] AS state,
    automatic,
    hole_count,
    filled_count,
    unavailable_count,
    trade_count,
    call_count,
    time_of(created_time_ns) AS created_time,
    time_of(started_time_ns) AS started_time,
    time_of(ended_time_ns) AS ended_time,
    detail
FROM repair_jobs;

CREATE VIEW quality AS
SELECT
    venue,
    symbol,
    time_of(computed_time_ns) AS computed_time,
    time_of(window_start_ns) AS window_start,
    time_of(window_end_ns) AS window_end,
    score,
    coverage,
    freshness,
    agreement,
    open_hole_count,
    computed_time_ns,
    window_start_ns,
    window_end_ns
FROM quality_rows;
