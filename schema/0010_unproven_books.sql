-- A name for the reason of gaps in which a book had no snapshot yet.
CREATE OR REPLACE VIEW gaps AS
SELECT
    venue,
    (ARRAY[
        'trades', 'quotes', 'book', 'tickers', 'marks', 'candles', 'status', 'repairs', 'frames'
    ])[channel] AS channel,
    symbol,
    (ARRAY[
        'sequence', 'checksum', 'reconnect', 'restart', 'overflow', 'venue_reset', 'out_of_order',
        'cursor_expired', 'malformed', 'crossed', 'stale', 'unproven'
    ])[reason] AS reason,
    last_id_before, first_id_after,
    time_of(last_time_ns) AS last_time,
    time_of(first_time_ns) AS first_time,
    time_of(detected_time_ns) AS detected_time,
    (ARRAY['complete', 'partial', 'unavailable'])[fill_outcome] AS fill_outcome,
    time_of(filled_time_ns) AS filled_time,
    repair_id, last_time_ns, first_time_ns, detected_time_ns, filled_time_ns, detail, epoch,
    sequence
FROM gap_rows;
