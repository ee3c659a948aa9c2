//! The phones of a group: what each of them shows.

use super::PEOPLE;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use swingbridge_domain::clock::Clock;
use swingbridge_lab::smsc::SystemClock;
use swingbridge_lab::telnyx::{NUMBER, Telnyx};
use tokio::time::sleep;

/// How often it is looked whether something is to be brought to the phones.
const OFTEN: Duration = Duration::from_millis(50);

/// Something that was said in the group, or to one of it.
#[derive(Clone, Debug)]
pub struct Said {
    pub from: String,
    pub to: BTreeSet<String>,
    pub text: String,
    /// Places in [`Phones::picture`].
    pub pictures: Vec<usize>,
}

pub struct Phones {
    pub telnyx: Telnyx,
    http: reqwest::Client,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    said: Vec<Said>,
    /// MIME type and octets.
    pictures: Vec<(String, Vec<u8>)>,
}

impl Phones {
    pub fn new(telnyx: Telnyx) -> Self {
        Self {
            telnyx,
            http: reqwest::Client::new(),
            shown: Mutex::default(),
        }
    }

    /// A phone writes to the others and to the line.
    pub fn write(&self, from: &str, text: &str, picture: Option<(String, Vec<u8>)>) {
        let others: Vec<&str> = PEOPLE
            .iter()
            .map(|(number, _)| *number)
            .filter(|number| *number != from)
            .collect();
        let files: Vec<(String, Vec<u8>)> = picture.into_iter().collect();
        {
            let mut shown = self.shown();
            let pictures = files.iter().map(|file| shown.keep(file.clone())).collect();
            shown.said.push(Said {
                from: from.to_owned(),
                to: others.iter().map(|&number| number.to_owned()).collect(),
                text: text.to_owned(),
                pictures,
            });
        }
        self.telnyx.is_now(SystemClock.now().millis() / 1000);
        self.telnyx.receives_group_mms(from, &others, text, files);
    }

    /// All that was said, in order.
    pub fn said(&self) -> Vec<Said> {
        self.shown().said.clone()
    }

    /// A picture that a phone shows.
    pub fn picture(&self, at: usize) -> Option<(String, Vec<u8>)> {
        self.shown().pictures.get(at).cloned()
    }

    /// Brings what the gateway sends to the phones, until it is dropped.
    pub async fn listen(phones: Arc<Self>) {
        let mut brought = 0;
        loop {
            for sent in phones.telnyx.sent().into_iter().skip(brought) {
                brought += 1;
                let mut pictures = Vec::new();
                for link in &sent.media {
                    if let Ok(file) = phones.fetch(link).await {
                        pictures.push(phones.shown().keep(file));
                    }
                }
                phones.shown().said.push(Said {
                    from: NUMBER.to_owned(),
                    to: sent.to.iter().map(|(number, _)| number.clone()).collect(),
                    text: sent.text.clone(),
                    pictures,
                });
                phones.telnyx.is_now(SystemClock.now().millis() / 1000);
                phones.telnyx.reaches(&sent.id, None, "delivered", None);
            }
            sleep(OFTEN).await;
        }
    }

    async fn fetch(&self, link: &str) -> reqwest::Result<(String, Vec<u8>)> {
        let answer = self.http.get(link).send().await?.error_for_status()?;
        let mime = answer
            .headers()
            .get(reqwest::header::CONTENT_TYPE)
            .and_then(|mime| mime.to_str().ok())
            .unwrap_or("application/octet-stream")
            .to_owned();
        Ok((mime, answer.bytes().await?.to_vec()))
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    fn keep(&mut self, picture: (String, Vec<u8>)) -> usize {
        self.pictures.push(picture);
        self.pictures.len() - 1
    }
}
