-- What requests to language models have cost on a day. The most that a request can cost is added
-- before it is made, and what it has not cost is taken off afterwards.

CREATE TABLE advisor_model_spending (
    day integer PRIMARY KEY,            -- UTC, days since the Unix epoch
    tokens bigint NOT NULL,
    cost numeric NOT NULL               -- in the currency of the settings
);
