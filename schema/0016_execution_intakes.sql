-- How far the ledger has read the executions of each account.
CREATE TABLE execution_intakes (
    venue text NOT NULL,
    account text NOT NULL,
    epoch bigint NOT NULL,              -- cursor of the last execution that was read; 0: none
    sequence bigint NOT NULL,
    fills_time_ns bigint NOT NULL,      -- venue time up to which fills were listed
    cash_flows_time_ns bigint NOT NULL, -- venue time up to which cash flows were listed
    PRIMARY KEY (venue, account)
);
