-- Positions whose stop follows the best price.

ALTER TABLE inspector_positions
    ADD COLUMN trailing_offset text NOT NULL DEFAULT '',    -- its distance; '': it follows nothing
    ADD COLUMN trailed_price text NOT NULL DEFAULT '';      -- where it triggered when stored last
