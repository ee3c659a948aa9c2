-- Words with an @ and lines that end in a mark differ between the engines: see src/migrate.rs.
-- No body and no address stands here in the clear: `sealed`, `address` and the blind indexes are opaque bytes.
-- Moments are milliseconds since the Unix epoch.

-- What was taken in already.
CREATE TABLE seen (
    key @bytes NOT NULL PRIMARY KEY,
    at @integer NOT NULL
) @keyed;
CREATE INDEX seen_at ON seen (at);

CREATE TABLE sessions (
    connector TEXT NOT NULL,
    session @integer NOT NULL,
    started_at @integer NOT NULL,
    ended_at @integer,
    PRIMARY KEY (connector, session)
) @keyed;

-- `matched`: a later session's delivery was recognised as the repetition of this one.
CREATE TABLE deliveries (
    connector TEXT NOT NULL,
    digest @bytes NOT NULL,
    session @integer NOT NULL,
    sequence @integer NOT NULL,
    at @integer NOT NULL,
    matched @integer NOT NULL DEFAULT 0,
    PRIMARY KEY (connector, digest, session, sequence)
) @keyed;
CREATE INDEX deliveries_at ON deliveries (at);

CREATE TABLE inbox (
    id @id,
    sealed @bytes NOT NULL,
    received_at @integer NOT NULL
) @rows;

CREATE TABLE buried (
    id @integer NOT NULL PRIMARY KEY,
    sealed @bytes NOT NULL,
    received_at @integer NOT NULL,
    error TEXT NOT NULL
) @rows;

CREATE TABLE contacts (
    id @id,
    blind_index @bytes NOT NULL UNIQUE,
    address @bytes NOT NULL,
    ghost TEXT NOT NULL UNIQUE
) @rows;

CREATE TABLE conversations (
    id @id,
    line TEXT NOT NULL,
    contact @integer NOT NULL REFERENCES contacts (id),
    room TEXT UNIQUE,
    generation @integer NOT NULL,
    created_at @integer NOT NULL,
    last_at @integer NOT NULL
) @rows;

CREATE TABLE aliases (
    line TEXT NOT NULL,
    thread @bytes NOT NULL,
    conversation @integer NOT NULL REFERENCES conversations (id),
    PRIMARY KEY (line, thread)
) @keyed;

-- Rooms that belong to no conversation. `subject` is the user of a management room or the line of a space.
CREATE TABLE rooms (
    id @id,
    room TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    subject TEXT NOT NULL
) @rows;
CREATE INDEX rooms_role ON rooms (role, subject, id);

CREATE TABLE members (
    room TEXT NOT NULL,
    member TEXT NOT NULL,
    membership TEXT NOT NULL,
    PRIMARY KEY (room, member)
) @keyed;

CREATE TABLE messages (
    id @id,
    conversation @integer NOT NULL REFERENCES conversations (id),
    direction TEXT NOT NULL,
    event TEXT,
    sender TEXT,
    state TEXT NOT NULL,
    detail TEXT,
    segments @integer NOT NULL,
    encoding TEXT,
    created_at @integer NOT NULL,
    updated_at @integer NOT NULL
) @rows;
CREATE INDEX messages_event ON messages (event) WHERE event IS NOT NULL;
CREATE INDEX messages_out ON messages (conversation, id) WHERE direction = 'out';

CREATE TABLE parts (
    id @id,
    connector TEXT NOT NULL,
    network_id TEXT NOT NULL,
    message @integer NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    idx @integer NOT NULL,
    state TEXT NOT NULL
) @rows;
CREATE INDEX parts_network_id ON parts (network_id, connector, id);
CREATE INDEX parts_message ON parts (message, idx, id);

CREATE TABLE early_receipts (
    id @id,
    connector TEXT NOT NULL,
    network_id TEXT NOT NULL,
    sealed @bytes NOT NULL,
    received_at @integer NOT NULL
) @rows;
CREATE INDEX early_receipts_network_id ON early_receipts (network_id, connector, id);

CREATE TABLE assemblies (
    id @id,
    conversation @integer NOT NULL REFERENCES conversations (id),
    key TEXT NOT NULL,
    total @integer NOT NULL,
    message @integer,
    started_at @integer NOT NULL,
    UNIQUE (conversation, key)
) @rows;

CREATE TABLE assembly_parts (
    assembly @integer NOT NULL REFERENCES assemblies (id) ON DELETE CASCADE,
    idx @integer NOT NULL,
    sealed @bytes NOT NULL,
    PRIMARY KEY (assembly, idx)
) @keyed;

-- `connector` is null for what goes to the homeserver. An id is never given twice: transaction ids derive from it.
CREATE TABLE outbox (
    id @id,
    connector TEXT,
    lane_kind TEXT NOT NULL,
    lane TEXT NOT NULL,
    message @integer,
    state TEXT NOT NULL,
    attempts @integer NOT NULL DEFAULT 0,
    not_before @integer NOT NULL,
    created_at @integer NOT NULL,
    expires_at @integer,
    sealed @bytes NOT NULL
) @rows;
CREATE INDEX outbox_expires ON outbox (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX outbox_message ON outbox (message) WHERE message IS NOT NULL;

-- A timer is about a numbered thing, or about a network's id at a connector; what does not apply is 0 or ''.
CREATE TABLE timers (
    kind TEXT NOT NULL,
    number @integer NOT NULL,
    connector TEXT NOT NULL,
    network_id TEXT NOT NULL,
    due @integer NOT NULL,
    PRIMARY KEY (kind, number, connector, network_id)
) @keyed;
CREATE INDEX timers_due ON timers (due);

CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) @keyed;
