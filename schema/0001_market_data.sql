-- How far each consumer of the streams has got. Moved in the same transaction as what the consumer
-- makes of the entries.
CREATE TABLE stream_positions (
    consumer text NOT NULL,
    stream text NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (consumer, stream)
);
