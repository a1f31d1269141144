-- Strategies that follow their bars and open no position, as a person has paused them.

ALTER TABLE detector_strategies ADD COLUMN is_paused boolean NOT NULL DEFAULT false;
