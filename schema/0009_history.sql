-- What was imported from files: runs of trades of which none is missing, as their ids join. One row
-- for each run and UTC day. Times are ns since the Unix epoch, at the venue.
CREATE TABLE imported_spans (
    instrument_id integer NOT NULL,
    -- From the first trade of the run on that day to just after the last.
    start_time_ns bigint NOT NULL,
    end_time_ns bigint NOT NULL,
    first_trade_id bigint NOT NULL,
    last_trade_id bigint NOT NULL,
    -- Trades that were not recorded before.
    trade_count bigint NOT NULL,
    file_name text NOT NULL,
    imported_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (instrument_id, start_time_ns, end_time_ns, first_trade_id)
);
