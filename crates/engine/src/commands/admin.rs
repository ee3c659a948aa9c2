//! What admins see of what waits and of what could not be processed.

use super::run::ago;
use crate::step::Scene;
use std::fmt::Write;

pub(super) fn queues(scene: &Scene<'_>) -> String {
    let mut text = String::from("Waiting:");
    for queue in &scene.state.survey.queues {
        let age = queue
            .oldest
            .map(|at| format!(", the oldest for {}", ago(scene.now, at)))
            .unwrap_or_default();
        let _ = write!(text, "\n• {}: {}{age}", queue.queue, queue.rows);
    }
    if scene.state.survey.queues.is_empty() {
        text.push_str(" nothing.");
    }
    text
}

pub(super) fn buried(scene: &Scene<'_>) -> String {
    let mut text = String::new();
    for buried in &scene.state.survey.buried {
        let _ = write!(
            text,
            "\n• {} ago: {}",
            ago(scene.now, buried.row.received_at),
            buried.error
        );
    }
    match text.is_empty() {
        true => "Nothing is buried.".to_owned(),
        false => format!("Arrived and not processed; `requeue` tries again:{text}"),
    }
}
