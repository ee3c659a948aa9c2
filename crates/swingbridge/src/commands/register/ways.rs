//! The ways to an account.

use super::homeserver::{Answer, Homeserver, Silence};
use super::{Outcome, Wanted};
use crate::exit::{Exit, Failure};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha1::Sha1;
use swingbridge_domain::secret::Secret;

/// <https://element-hq.github.io/synapse/latest/admin_api/register_api.html>; Dendrite has the same.
const SHARED_SECRET: &str = "_synapse/admin/v1/register";
const REGISTER: &str = "_matrix/client/v3/register";
const TOKEN_STAGE: &str = "m.login.registration_token";
const DUMMY_STAGE: &str = "m.login.dummy";

/// By the secret that the homeserver's configuration holds for this.
pub async fn shared_secret(
    homeserver: &Homeserver,
    wanted: &Wanted<'_>,
    secret: &Secret,
) -> Result<Outcome, Failure> {
    let answer = asked(homeserver, homeserver.get(SHARED_SECRET, None).await)?;
    let Some(nonce) = answer.text("nonce").filter(|_| answer.status == 200) else {
        return Ok(Outcome::NotOffered(format!(
            "the homeserver does not offer it at this address ({})",
            answer.told()
        )));
    };
    let body = json!({
        "nonce": nonce,
        "username": wanted.username,
        "password": wanted.password.expose(),
        "admin": wanted.admin,
        "mac": mac(secret, nonce, wanted),
    });
    let answer = match homeserver.post(SHARED_SECRET, &body).await {
        Ok(answer) => answer,
        Err(silence) => return lost(homeserver, silence),
    };
    match answer.status {
        200 => made(&answer, wanted, "the shared secret"),
        403 => Err(Failure::msg(
            Exit::Token,
            format!(
                "the homeserver does not take the shared secret ({}): it is `registration_shared_secret` in homeserver.yaml or \
                 dendrite.yaml",
                answer.told()
            ),
        )),
        _ => refused(&answer, wanted),
    }
}

/// HMAC-SHA1, the parts divided by zero bytes.
fn mac(secret: &Secret, nonce: &str, wanted: &Wanted<'_>) -> String {
    let role = if wanted.admin { "admin" } else { "notadmin" };
    let text = [nonce, wanted.username, wanted.password.expose(), role].join("\0");
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes()).expect("a key of any length");
    mac.update(text.as_bytes());
    data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes())
}

/// By Synapse's admin API, with the access token of an admin
/// (<https://element-hq.github.io/synapse/latest/admin_api/user_admin_api.html>).
pub async fn admin_api(
    homeserver: &Homeserver,
    wanted: &Wanted<'_>,
    token: &Secret,
) -> Result<Outcome, Failure> {
    if delegated(homeserver).await {
        return Ok(Outcome::NotOffered(
            "the homeserver leaves its accounts to an authentication service, which would not know the password".into(),
        ));
    }
    let answer = asked(
        homeserver,
        homeserver
            .get("_matrix/client/v3/account/whoami", Some(token))
            .await,
    )?;
    let server = match answer.text("user_id").and_then(|id| id.split_once(':')) {
        Some((_, server)) if answer.status == 200 => server,
        _ => return Err(refused_token(&answer)),
    };
    let user = format!("@{}:{server}", wanted.username);
    let path = format!("_synapse/admin/v2/users/{}", escaped(&user));
    // The request that makes an account would change one that is there.
    let answer = asked(homeserver, homeserver.get(&path, Some(token)).await)?;
    match (answer.status, answer.code()) {
        (200, _) => return Ok(Outcome::Exists),
        (404, "M_NOT_FOUND") => {}
        (401 | 403, _) => return Err(refused_token(&answer)),
        _ => {
            return Ok(Outcome::NotOffered(format!(
                "the homeserver does not offer Synapse's admin API at this address ({})",
                answer.told()
            )));
        }
    }
    let body = json!({ "password": wanted.password.expose(), "admin": wanted.admin });
    let answer = match homeserver.put(&path, token, &body).await {
        Ok(answer) => answer,
        Err(silence) => return lost(homeserver, silence),
    };
    match answer.status {
        200 | 201 => Ok(Outcome::Made {
            user,
            way: "the admin API",
        }),
        401 | 403 => Err(refused_token(&answer)),
        _ => refused(&answer, wanted),
    }
}

fn refused_token(answer: &Answer) -> Failure {
    Failure::msg(
        Exit::Token,
        format!(
            "the homeserver does not take the admin's token ({}): give the access token of a user who is a server admin",
            answer.told()
        ),
    )
}

/// As anybody may who has a registration token, or where registration is open (Client-Server API, "Account registration").
pub async fn registration(
    homeserver: &Homeserver,
    wanted: &Wanted<'_>,
    token: Option<&Secret>,
) -> Result<Outcome, Failure> {
    let body = |auth: Option<Value>| {
        let mut body = json!({
            "username": wanted.username,
            "password": wanted.password.expose(),
            // The device logs in by itself, later.
            "inhibit_login": true,
        });
        if let Some(auth) = auth {
            body["auth"] = auth;
        }
        body
    };
    let mut answer = match homeserver.post(REGISTER, &body(None)).await {
        // Where nothing more is asked, the account is made by this already.
        Err(silence @ Silence::Lost(_)) => return lost(homeserver, silence),
        answer => asked(homeserver, answer)?,
    };
    if answer.status == 401 && answer.body["flows"].is_array() {
        let stages = match stages(&answer.body["flows"], token.is_some()) {
            Ok(stages) => stages,
            Err(why) => return Ok(Outcome::NotOffered(why)),
        };
        let session = answer.body["session"].clone();
        for stage in stages {
            let auth = match (stage, token) {
                (TOKEN_STAGE, Some(token)) => {
                    json!({ "type": stage, "session": session, "token": token.expose() })
                }
                _ => json!({ "type": stage, "session": session }),
            };
            answer = match homeserver.post(REGISTER, &body(Some(auth))).await {
                Ok(answer) => answer,
                Err(silence) => return lost(homeserver, silence),
            };
            // 401 without an error leads to the next stage.
            if answer.status != 401 || !answer.code().is_empty() {
                break;
            }
        }
        if answer.status == 401 && !answer.code().is_empty() {
            return Err(Failure::msg(
                Exit::Token,
                format!(
                    "the homeserver does not take the registration token ({}): it may be used up or expired; ask its admin for another",
                    answer.told()
                ),
            ));
        }
    }
    match answer.status {
        200 => made(&answer, wanted, "registration"),
        401 => Ok(Outcome::NotOffered(
            "the homeserver asks for more than a program can answer".into(),
        )),
        403..=405 => Ok(Outcome::NotOffered(format!(
            "the homeserver does not offer it ({})",
            answer.told()
        ))),
        _ => refused(&answer, wanted),
    }
}

/// The stages of the first flow that a program can go, one with a token first where we have one.
fn stages(flows: &Value, token: bool) -> Result<Vec<&'static str>, String> {
    let flows: Vec<Vec<&str>> = flows
        .as_array()
        .into_iter()
        .flatten()
        .map(|flow| {
            flow["stages"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect()
        })
        .collect();
    let known = |stages: &Vec<&str>| -> Option<Vec<&'static str>> {
        let known = |stage: &&str| match *stage {
            TOKEN_STAGE => Some(TOKEN_STAGE),
            DUMMY_STAGE => Some(DUMMY_STAGE),
            _ => None,
        };
        stages.iter().map(known).collect()
    };
    let passable: Vec<Vec<&'static str>> = flows.iter().filter_map(known).collect();
    let with_token = |stages: &&Vec<&'static str>| stages.contains(&TOKEN_STAGE);
    if token && let Some(stages) = passable.iter().find(with_token) {
        return Ok(stages.clone());
    }
    if let Some(stages) = passable.iter().find(|stages| !with_token(stages)) {
        return Ok(stages.clone());
    }
    if !passable.is_empty() {
        return Err(
            "the homeserver asks for a registration token: get one from its admin, and give it with \
                    --registration-token-file"
                .into(),
        );
    }
    Err("the homeserver asks for more than a program can answer, such as a captcha or a mail address".into())
}

/// Whether an authentication service (OAuth 2.0) keeps the accounts.
pub async fn delegated(homeserver: &Homeserver) -> bool {
    for path in [
        "_matrix/client/v1/auth_metadata",
        "_matrix/client/unstable/org.matrix.msc2965/auth_metadata",
    ] {
        if let Ok(answer) = homeserver.get(path, None).await
            && answer.status == 200
            && answer.text("issuer").is_some()
        {
            return true;
        }
    }
    false
}

fn asked(homeserver: &Homeserver, answer: Result<Answer, Silence>) -> Result<Answer, Failure> {
    let answer = answer.map_err(|silence| homeserver.unreached(silence))?;
    match answer.status {
        429 => Err(wait(&answer)),
        300..=399 => Err(Failure::msg(
            Exit::Homeserver,
            format!(
                "{} sends us elsewhere (HTTP {}): give the address of the client API itself",
                homeserver.address(),
                answer.status
            ),
        )),
        500.. => Err(Failure::msg(
            Exit::Homeserver,
            format!(
                "{} is in trouble ({}): try again later",
                homeserver.address(),
                answer.told()
            ),
        )),
        _ => Ok(answer),
    }
}

fn wait(answer: &Answer) -> Failure {
    let time = match answer.body["retry_after_ms"].as_u64() {
        Some(millis) => format!("in {} seconds", millis.div_ceil(1000)),
        None => "in a few minutes".into(),
    };
    Failure::msg(
        Exit::Homeserver,
        format!("the homeserver has had too many requests from here: try again {time}"),
    )
}

fn lost(homeserver: &Homeserver, silence: Silence) -> Result<Outcome, Failure> {
    match silence {
        Silence::Unreached(_) => Err(homeserver.unreached(silence)),
        Silence::Lost(why) => Ok(Outcome::Unknown(why)),
    }
}

fn made(answer: &Answer, wanted: &Wanted<'_>, way: &'static str) -> Result<Outcome, Failure> {
    let user = answer.text("user_id").unwrap_or(wanted.username);
    let user = user.chars().filter(|c| !c.is_control()).collect();
    Ok(Outcome::Made { user, way })
}

/// What every way has in common when the homeserver says no.
fn refused(answer: &Answer, wanted: &Wanted<'_>) -> Result<Outcome, Failure> {
    let by_hand = |text: String| Err(Failure::msg(Exit::ByHand, text));
    match (answer.status, answer.code()) {
        (_, "M_USER_IN_USE") => Ok(Outcome::Exists),
        (_, "M_EXCLUSIVE") => by_hand(format!(
            "the name {} is kept for an application service ({}): choose another --username",
            wanted.username,
            answer.told()
        )),
        (_, "M_INVALID_USERNAME") => by_hand(format!(
            "the homeserver does not take the name {} ({}): choose another --username",
            wanted.username,
            answer.told()
        )),
        (
            _,
            "M_WEAK_PASSWORD"
            | "M_PASSWORD_TOO_SHORT"
            | "M_PASSWORD_NO_DIGIT"
            | "M_PASSWORD_NO_SYMBOL"
            | "M_PASSWORD_NO_UPPERCASE"
            | "M_PASSWORD_NO_LOWERCASE"
            | "M_PASSWORD_IN_DICTIONARY",
        ) => by_hand(format!(
            "the homeserver does not take the password ({}): put a stronger one into the --password-file",
            answer.told()
        )),
        (429, _) => Err(wait(answer)),
        (500.., _) => Ok(Outcome::Unknown(format!(
            "the homeserver is in trouble ({})",
            answer.told()
        ))),
        _ => by_hand(format!("the homeserver refuses the account: {}", answer.told())),
    }
}

/// A user id as one part of a path.
fn escaped(user: &str) -> String {
    url::form_urlencoded::byte_serialize(user.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mac_is_that_of_synapses_own_script() {
        let password = Secret::new("wonderland");
        let mut wanted = Wanted {
            username: "phone-alice",
            password: &password,
            admin: false,
        };
        let secret = Secret::new("shared");
        let plain = mac(&secret, "thisisanonce", &wanted);
        wanted.admin = true;
        let admin = mac(&secret, "thisisanonce", &wanted);
        assert_eq!(
            [plain.as_str(), admin.as_str()],
            [
                "0437f2b9a38d1d4e09d8a4c19d9d9a300b53c557",
                "756d7b206932fad499595b80286e91a62d42305d"
            ]
        );
    }

    #[test]
    fn the_flow_that_a_program_can_go_is_chosen() {
        let flows =
            |list: &[&[&str]]| Value::from_iter(list.iter().map(|stages| json!({ "stages": stages })));
        let open = flows(&[&["m.login.recaptcha", DUMMY_STAGE], &[DUMMY_STAGE]]);
        assert_eq!(stages(&open, false).unwrap(), [DUMMY_STAGE]);
        let token = flows(&[&[TOKEN_STAGE, DUMMY_STAGE]]);
        assert_eq!(stages(&token, true).unwrap(), [TOKEN_STAGE, DUMMY_STAGE]);
        assert!(
            stages(&token, false)
                .unwrap_err()
                .contains("--registration-token-file")
        );
        let both = flows(&[&[DUMMY_STAGE], &[TOKEN_STAGE]]);
        assert_eq!(stages(&both, true).unwrap(), [TOKEN_STAGE]);
        assert_eq!(stages(&both, false).unwrap(), [DUMMY_STAGE]);
        assert!(
            stages(&flows(&[&["m.login.email.identity"]]), true)
                .unwrap_err()
                .contains("captcha")
        );
        assert!(stages(&json!("nonsense"), true).is_err());
    }
}
