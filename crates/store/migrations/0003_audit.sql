-- The audit log. `mac` binds an entry and the one before it under a key that is not in the database, and a setting says where the log
-- begins and ends, bound likewise. `entry` is JSON, kept as the bytes that were bound: no body and no
-- address stands in it.
CREATE TABLE audit (
    number @integer NOT NULL PRIMARY KEY,
    entry @bytes NOT NULL,
    mac @bytes NOT NULL
) @rows;
