-- Names for the channels and reasons that came later. Tickers, marks, candles and status are passed
-- on, not kept; what is missing of them is.

CREATE OR REPLACE VIEW gaps AS
SELECT
    venue,
    (ARRAY[
        'trades', 'quotes', 'book', 'tickers', 'marks', 'candles', 'status'
    ])[channel] AS channel,
    symbol,
    (ARRAY[
        'sequence', 'checksum', 'reconnect', 'restart', 'overflow', 'venue_reset', 'out_of_order',
        'cursor_expired', 'malformed', 'crossed', 'stale'
    ])[reason] AS reason,
    last_id_before,
    first_id_after,
    time_of(last_time_ns) AS last_time,
    time_of(first_time_ns) AS first_time,
    time_of(detected_time_ns) AS detected_time,
    last_time_ns,
    first_time_ns,
    detected_time_ns,
    detail,
    epoch,
    sequence
FROM gap_rows;
