-- Matrix events that were taken in already, by when they were sent: what comes together lies together.
CREATE TABLE events (
    sent_at @integer NOT NULL,
    key @bytes NOT NULL,
    at @integer NOT NULL,
    PRIMARY KEY (sent_at, key)
) @keyed;
