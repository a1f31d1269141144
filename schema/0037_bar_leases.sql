-- Which aggregator makes the bars of a shard is a lease like others (table leases). An aggregator
-- of an earlier version finds its table missing and stores nothing until it is replaced.
DROP TABLE bar_shards;
