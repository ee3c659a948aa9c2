//! The tables of chat.db that a reader meets, by release of macOS. Facts of public schema dumps (12, 13 and 26); tables that
//! only Apple's own programs use are left out.

/// A release of macOS whose schema is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// 12, 2021.
    Monterey,
    /// 13, 2022: edits and unsends.
    Ventura,
    /// 26, 2025: RCS, satellite, tapbacks with any emoji.
    Tahoe,
}

impl Release {
    pub const ALL: [Release; 3] = [Release::Monterey, Release::Ventura, Release::Tahoe];

    /// The statements that make an empty database.
    pub fn schema(self) -> String {
        let table = |name: &str, columns: &[(Release, &str)], rest: &str| {
            let kept: Vec<&str> = columns
                .iter()
                .filter(|(since, _)| *since <= self)
                .flat_map(|(_, columns)| columns.split(';'))
                .map(str::trim)
                .filter(|column| !column.is_empty())
                .collect();
            format!("CREATE TABLE {name} ({}{rest});\n", kept.join(", "))
        };
        let mut sql = String::new();
        sql += &table("message", MESSAGE, "");
        sql += &table("chat", CHAT, "");
        sql += &table("handle", HANDLE, ", UNIQUE(id, service)");
        sql += &table("attachment", ATTACHMENT, "");
        sql += &table(
            "chat_message_join",
            CHAT_MESSAGE,
            ", PRIMARY KEY(chat_id, message_id)",
        );
        sql += "CREATE TABLE chat_handle_join (chat_id INTEGER, handle_id INTEGER, UNIQUE(chat_id, handle_id));\n";
        sql += "CREATE TABLE message_attachment_join (message_id INTEGER, attachment_id INTEGER, UNIQUE(message_id, attachment_id));\n";
        sql += "CREATE TABLE deleted_messages (ROWID INTEGER PRIMARY KEY AUTOINCREMENT UNIQUE, guid TEXT NOT NULL);\n";
        sql += INDEXES;
        sql
    }
}

const MESSAGE: &[(Release, &str)] = &[
    (
        Release::Monterey,
        "ROWID INTEGER PRIMARY KEY AUTOINCREMENT; guid TEXT UNIQUE NOT NULL; text TEXT; replace INTEGER DEFAULT 0;
        service_center TEXT; handle_id INTEGER DEFAULT 0; subject TEXT; country TEXT; attributedBody BLOB;
        version INTEGER DEFAULT 0; type INTEGER DEFAULT 0; service TEXT; account TEXT; account_guid TEXT;
        error INTEGER DEFAULT 0; date INTEGER; date_read INTEGER; date_delivered INTEGER;
        is_delivered INTEGER DEFAULT 0; is_finished INTEGER DEFAULT 0; is_emote INTEGER DEFAULT 0;
        is_from_me INTEGER DEFAULT 0; is_empty INTEGER DEFAULT 0; is_delayed INTEGER DEFAULT 0;
        is_auto_reply INTEGER DEFAULT 0; is_prepared INTEGER DEFAULT 0; is_read INTEGER DEFAULT 0;
        is_system_message INTEGER DEFAULT 0; is_sent INTEGER DEFAULT 0; has_dd_results INTEGER DEFAULT 0;
        is_service_message INTEGER DEFAULT 0; is_forward INTEGER DEFAULT 0; was_downgraded INTEGER DEFAULT 0;
        is_archive INTEGER DEFAULT 0; cache_has_attachments INTEGER DEFAULT 0; cache_roomnames TEXT;
        was_data_detected INTEGER DEFAULT 0; was_deduplicated INTEGER DEFAULT 0; is_audio_message INTEGER DEFAULT 0;
        is_played INTEGER DEFAULT 0; date_played INTEGER; item_type INTEGER DEFAULT 0; other_handle INTEGER DEFAULT 0;
        group_title TEXT; group_action_type INTEGER DEFAULT 0; share_status INTEGER DEFAULT 0;
        share_direction INTEGER DEFAULT 0; is_expirable INTEGER DEFAULT 0; expire_state INTEGER DEFAULT 0;
        message_action_type INTEGER DEFAULT 0; message_source INTEGER DEFAULT 0; associated_message_guid TEXT;
        associated_message_type INTEGER DEFAULT 0; balloon_bundle_id TEXT; payload_data BLOB;
        expressive_send_style_id TEXT; associated_message_range_location INTEGER DEFAULT 0;
        associated_message_range_length INTEGER DEFAULT 0; time_expressive_send_played INTEGER;
        message_summary_info BLOB; ck_sync_state INTEGER DEFAULT 0; ck_record_id TEXT; ck_record_change_tag TEXT;
        destination_caller_id TEXT; is_corrupt INTEGER DEFAULT 0; reply_to_guid TEXT; sort_id INTEGER;
        is_spam INTEGER DEFAULT 0; has_unseen_mention INTEGER DEFAULT 0; thread_originator_guid TEXT;
        thread_originator_part TEXT; syndication_ranges TEXT; synced_syndication_ranges TEXT;
        was_delivered_quietly INTEGER DEFAULT 0; did_notify_recipient INTEGER DEFAULT 0",
    ),
    (
        Release::Ventura,
        "date_retracted INTEGER; date_edited INTEGER; was_detonated INTEGER DEFAULT 0; part_count INTEGER",
    ),
    (
        Release::Tahoe,
        "is_stewie INTEGER DEFAULT 0; is_sos INTEGER DEFAULT 0; is_critical INTEGER DEFAULT 0; bia_reference_id TEXT;
        is_kt_verified INTEGER DEFAULT 0; fallback_hash TEXT; associated_message_emoji TEXT DEFAULT NULL;
        is_pending_satellite_send INTEGER DEFAULT 0; needs_relay INTEGER DEFAULT 0; schedule_type INTEGER DEFAULT 0;
        schedule_state INTEGER DEFAULT 0; sent_or_received_off_grid INTEGER DEFAULT 0;
        date_recovered INTEGER DEFAULT 0; is_time_sensitive INTEGER DEFAULT 0; ck_chat_id TEXT;
        index_state INTEGER DEFAULT 0",
    ),
];

const CHAT: &[(Release, &str)] = &[
    (
        Release::Monterey,
        "ROWID INTEGER PRIMARY KEY AUTOINCREMENT; guid TEXT UNIQUE NOT NULL; style INTEGER; state INTEGER;
        account_id TEXT; properties BLOB; chat_identifier TEXT; service_name TEXT; room_name TEXT; account_login TEXT;
        is_archived INTEGER DEFAULT 0; last_addressed_handle TEXT; display_name TEXT; group_id TEXT;
        is_filtered INTEGER DEFAULT 0; successful_query INTEGER; engram_id TEXT; server_change_token TEXT;
        ck_sync_state INTEGER DEFAULT 0; original_group_id TEXT; last_read_message_timestamp INTEGER DEFAULT 0;
        cloudkit_record_id TEXT; last_addressed_sim_id TEXT; is_blackholed INTEGER DEFAULT 0;
        syndication_date INTEGER DEFAULT 0; syndication_type INTEGER DEFAULT 0",
    ),
    (
        Release::Tahoe,
        "is_recovered INTEGER DEFAULT 0; is_deleting_incoming_messages INTEGER DEFAULT 0;
        is_pending_review INTEGER DEFAULT 0",
    ),
];

const HANDLE: &[(Release, &str)] = &[(
    Release::Monterey,
    "ROWID INTEGER PRIMARY KEY AUTOINCREMENT UNIQUE; id TEXT NOT NULL; country TEXT; service TEXT NOT NULL;
    uncanonicalized_id TEXT; person_centric_id TEXT",
)];

const ATTACHMENT: &[(Release, &str)] = &[
    (
        Release::Monterey,
        "ROWID INTEGER PRIMARY KEY AUTOINCREMENT; guid TEXT UNIQUE NOT NULL; created_date INTEGER DEFAULT 0;
        start_date INTEGER DEFAULT 0; filename TEXT; uti TEXT; mime_type TEXT; transfer_state INTEGER DEFAULT 0;
        is_outgoing INTEGER DEFAULT 0; user_info BLOB; transfer_name TEXT; total_bytes INTEGER DEFAULT 0;
        is_sticker INTEGER DEFAULT 0; sticker_user_info BLOB; attribution_info BLOB;
        hide_attachment INTEGER DEFAULT 0; ck_sync_state INTEGER DEFAULT 0; ck_server_change_token_blob BLOB;
        ck_record_id TEXT; original_guid TEXT UNIQUE NOT NULL; is_commsafety_sensitive INTEGER DEFAULT 0",
    ),
    (
        Release::Tahoe,
        "emoji_image_content_identifier TEXT DEFAULT NULL; emoji_image_short_description TEXT DEFAULT NULL;
        preview_generation_state INTEGER DEFAULT 0",
    ),
];

const CHAT_MESSAGE: &[(Release, &str)] = &[
    (
        Release::Monterey,
        "chat_id INTEGER; message_id INTEGER; message_date INTEGER DEFAULT 0",
    ),
    (Release::Tahoe, "index_state INTEGER NOT NULL DEFAULT 0"),
];

/// Those that a reader's speed depends on.
const INDEXES: &str = "
CREATE INDEX message_idx_date ON message(date);
CREATE INDEX message_idx_handle ON message(handle_id, date);
CREATE INDEX message_idx_thread_originator_guid ON message(thread_originator_guid);
CREATE INDEX chat_idx_chat_identifier ON chat(chat_identifier);
CREATE INDEX chat_idx_group_id ON chat(group_id);
CREATE INDEX chat_handle_join_idx_handle_id ON chat_handle_join(handle_id);
CREATE INDEX chat_message_join_idx_message_id_only ON chat_message_join(message_id);
CREATE INDEX chat_message_join_idx_message_date_id_chat_id ON chat_message_join(chat_id, message_date, message_id);
CREATE INDEX message_attachment_join_idx_message_id ON message_attachment_join(message_id);
CREATE TRIGGER after_insert_on_message_attachment_join AFTER INSERT ON message_attachment_join BEGIN
  UPDATE message SET cache_has_attachments = 1 WHERE message.ROWID = NEW.message_id;
END;
";

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    #[test]
    fn releases_have_as_many_columns_as_apple_gives_them() {
        for (release, message, chat) in [
            (Release::Monterey, 75, 26),
            (Release::Ventura, 79, 26),
            (Release::Tahoe, 95, 29),
        ] {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch(&release.schema()).unwrap();
            let count = |table: &str| {
                connection
                    .query_row("SELECT COUNT(*) FROM pragma_table_info(?)", [table], |row| {
                        row.get::<_, i64>(0)
                    })
                    .unwrap()
            };
            assert_eq!((count("message"), count("chat")), (message, chat), "{release:?}");
        }
    }
}
