//! What a message takes: one request, or several.

use super::account::Account;
use super::journal::Put;
use super::tapback;
use swingbridge_domain::connector::SendError;
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::message::{Body, Disposition, Media, Message as Said, Reference};

/// One request to be made.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Text {
        text: String,
        reply_to: Option<String>,
    },
    File {
        media: Media,
        reply_to: Option<String>,
    },
    /// With Apple's name, or that and a dash before it.
    React {
        target: String,
        reaction: String,
    },
    Edit {
        guid: String,
        text: String,
    },
    Unsend {
        guid: String,
    },
}

impl Account {
    /// What a message takes.
    pub(super) fn steps(&self, said: &Said) -> Result<Vec<Step>, SendError> {
        let private = self.is_private();
        let withdrawn = said.parts.iter().all(|part| part.body == Body::Null);
        let reacts = said
            .parts
            .first()
            .filter(|part| part.disposition == Disposition::Reaction);
        let answered = said.in_reply_to.as_ref().map(guid_of).transpose()?;
        let needs = |what: &str| match private {
            true => Ok(()),
            false => Err(rejected(
                Reason::NotAllowed,
                format!(
                    "{what} take the Private API of BlueBubbles, which is off on the Mac or not used here"
                ),
            )),
        };
        if let Some(replaced) = said.replaces.as_ref().map(guid_of).transpose()? {
            let put = self
                .state()
                .tapbacks
                .into_iter()
                .find(|put| put.guid == replaced && put.by.is_empty());
            return match (withdrawn, put) {
                (true, Some(put)) => {
                    needs("tapbacks")?;
                    Ok(vec![taken_back(&put)])
                }
                (true, None) => {
                    needs("unsends")?;
                    Ok(vec![Step::Unsend { guid: replaced }])
                }
                (false, _) => {
                    needs("edits")?;
                    let text = said.first_text().map(|text| text.plain.clone());
                    let text = text
                        .filter(|text| !text.trim().is_empty())
                        .ok_or_else(|| rejected(Reason::BadContent, "only texts can be edited"))?;
                    Ok(vec![Step::Edit { guid: replaced, text }])
                }
            };
        }
        if let Some(part) = reacts {
            needs("tapbacks")?;
            let target = answered.ok_or_else(|| rejected(Reason::BadContent, "a reaction to nothing"))?;
            return self.reaction(target, &part.body).map(|step| vec![step]);
        }
        let mut reply_to = answered.filter(|_| private);
        let mut steps = Vec::new();
        for part in &said.parts {
            match &part.body {
                Body::Null => {}
                Body::Text(text) if text.plain.trim().is_empty() => {}
                Body::Text(text) => steps.push(Step::Text {
                    text: text.plain.clone(),
                    reply_to: reply_to.take(),
                }),
                Body::Media(media) => {
                    steps.push(Step::File {
                        media: media.clone(),
                        reply_to: reply_to.take(),
                    });
                    let caption = media.caption.clone().filter(|caption| !caption.trim().is_empty());
                    steps.extend(caption.map(|text| Step::Text { text, reply_to: None }));
                }
                Body::Location { geo_uri, description } => steps.push(Step::Text {
                    text: format!("{description}\n{geo_uri}").trim().to_owned(),
                    reply_to: reply_to.take(),
                }),
                Body::Other {
                    fallback: Some(text), ..
                } => steps.push(Step::Text {
                    text: text.clone(),
                    reply_to: reply_to.take(),
                }),
                Body::RichCard(card) => steps.push(Step::Text {
                    text: card.words(),
                    reply_to: reply_to.take(),
                }),
                Body::Poll { .. } | Body::Other { .. } => {
                    return Err(rejected(
                        Reason::BadContent,
                        "Messages cannot be sent this kind of message; write it in words",
                    ));
                }
            }
        }
        match steps.is_empty() {
            true => Err(rejected(Reason::BadContent, "there is nothing in it to send")),
            false => Ok(steps),
        }
    }

    fn reaction(&self, target: String, body: &Body) -> Result<Step, SendError> {
        match body {
            Body::Text(text) => {
                let name = tapback::name(text.plain.trim()).ok_or_else(|| {
                    rejected(
                        Reason::BadContent,
                        "BlueBubbles sends six tapbacks only: ❤️ 👍 👎 😂 ‼️ ❓. Use one of them, or write it in words",
                    )
                })?;
                Ok(Step::React {
                    target,
                    reaction: name.to_owned(),
                })
            }
            Body::Null => {
                let state = self.state();
                let put = state
                    .tapbacks
                    .iter()
                    .find(|put| put.target == target && put.by.is_empty());
                put.map(taken_back).ok_or_else(|| {
                    rejected(
                        Reason::BadContent,
                        "no tapback of yours on that message is known here; take it back on the phone",
                    )
                })
            }
            _ => Err(rejected(Reason::BadContent, "a reaction is an emoji")),
        }
    }
}

fn guid_of(reference: &Reference) -> Result<String, SendError> {
    match reference {
        Reference::Network(id) => Ok(id.as_str().to_owned()),
        Reference::Event(_) => Err(rejected(
            Reason::BadContent,
            "the message that it is about is not known on the Mac",
        )),
    }
}

fn taken_back(put: &Put) -> Step {
    Step::React {
        target: put.target.clone(),
        reaction: format!("-{}", put.name),
    }
}

pub(super) fn rejected(reason: Reason, detail: impl Into<String>) -> SendError {
    SendError::Rejected {
        reason,
        detail: detail.into(),
    }
}
