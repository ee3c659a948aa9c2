-- What people were told and asked of who can read their messages, and what they said.

-- A document of a conversation's own: how well it was protected last, its rule, the open question.
ALTER TABLE conversations ADD COLUMN trust TEXT;
-- The way of each message, in short.
ALTER TABLE messages ADD COLUMN path TEXT;

-- `conversation` is 0 for all of the line.
CREATE TABLE consents (
    member TEXT NOT NULL,
    line TEXT NOT NULL,
    conversation @integer NOT NULL,
    version TEXT NOT NULL,
    readers TEXT NOT NULL,
    given @integer NOT NULL,
    at @integer NOT NULL,
    PRIMARY KEY (member, line, conversation)
) @keyed;
CREATE INDEX consents_line ON consents (line, conversation, version, at);

-- Events that people may react to with an answer.
CREATE TABLE questions (
    event TEXT NOT NULL PRIMARY KEY,
    about TEXT NOT NULL,
    at @integer NOT NULL
) @keyed;
CREATE INDEX questions_at ON questions (at);

CREATE TABLE pins (
    contact @integer NOT NULL REFERENCES contacts (id),
    scheme TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    connector TEXT NOT NULL,
    at @integer NOT NULL,
    changed TEXT,
    rejected @integer NOT NULL,
    PRIMARY KEY (contact, scheme)
) @keyed;

CREATE INDEX outbox_held ON outbox (id) WHERE state = 'held';
