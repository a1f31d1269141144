-- Positions whose missing stop has raised an alarm.

CREATE TABLE inspector_protections (
    position_id bytea PRIMARY KEY,
    alarm_time_ns bigint NOT NULL,      -- of the alarm; 0: it has ended
    problem text NOT NULL,              -- what is wrong with its stop; '': nothing any more
    changes bigint NOT NULL,            -- how many alarms have begun and ended
    exits_given boolean NOT NULL        -- whether it got new exits: the next time it is closed
);
