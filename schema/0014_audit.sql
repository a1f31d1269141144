-- The log of all events as a Merkle tree (RFC 9162), and its signed roots.
-- compatible_from: 12

-- The order in which the log has taken the events in. The hash is that of the leaf.
CREATE TABLE audit_leaves (
    index bigint PRIMARY KEY,           -- from 0, without holes
    stream text NOT NULL,
    sequence bigint NOT NULL,
    hash bytea NOT NULL,
    UNIQUE (stream, sequence)
);

-- The complete subtrees above the leaves: of the leaves from index << level on, 1 << level of them.
-- They never change, and every proof is made of O(log n) of them.
CREATE TABLE audit_nodes (
    level smallint NOT NULL,            -- from 1
    index bigint NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (level, index)
);

CREATE TABLE audit_checkpoints (
    size bigint PRIMARY KEY,
    signed_time_ns bigint NOT NULL,
    root bytea NOT NULL,
    note text NOT NULL                  -- C2SP tlog-checkpoint
);

-- The newest fills of an instrument: their subjects but for the id of the fill.
CREATE INDEX events_by_instrument_of_fill
    ON events (regexp_replace(subject, '/[^/]*$', ''), sequence) WHERE subject LIKE 'fill:%';
