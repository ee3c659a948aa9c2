-- Who wishes no texts from an address of ours, which stands here as a keyed index.
CREATE TABLE suppressions (
    own @bytes NOT NULL,
    contact @integer NOT NULL REFERENCES contacts (id),
    by_whom TEXT NOT NULL,
    at @integer NOT NULL,
    PRIMARY KEY (own, contact)
) @keyed;
CREATE INDEX suppressions_at ON suppressions (at);

-- How much was sent in a period. What is counted is a keyed digest.
CREATE TABLE tallies (
    what @bytes NOT NULL,
    at @integer NOT NULL,
    amount @integer NOT NULL,
    PRIMARY KEY (what, at)
) @keyed;
CREATE INDEX tallies_at ON tallies (at);
