//! What the homeserver's admin has to do where the program cannot.

use super::Wanted;
use super::homeserver::Homeserver;
use super::ways::delegated;

/// Why nothing worked, and the commands for the homeserver that it is; for all of them when it does not say which.
pub async fn page(homeserver: &Homeserver, wanted: &Wanted<'_>, reasons: &[String]) -> String {
    let mut page = format!("The account {} cannot be made from here:\n", wanted.username);
    for reason in reasons {
        page.push_str(&format!("  - {reason}\n"));
    }
    page.push_str("\nGive --shared-secret-file, --admin-token-file or --registration-token-file, or let the homeserver's admin do this:\n");
    let software = match delegated(homeserver).await {
        true => Some(Software::AuthenticationService),
        false => software(homeserver).await,
    };
    for (which, text) in commands(homeserver.address(), wanted) {
        if software.is_none_or(|software| software == which) {
            page.push_str(&text);
        }
    }
    page.push_str("\nThen: swingbridge device login, with the password that was chosen there.");
    page
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Software {
    Synapse,
    AuthenticationService,
    Dendrite,
    Conduit,
    /// conduwuit, continuwuity, tuwunel.
    ConduitFork,
}

/// What the homeserver calls itself (Server-Server API, `GET /_matrix/federation/v1/version`).
async fn software(homeserver: &Homeserver) -> Option<Software> {
    let answer = homeserver.get("_matrix/federation/v1/version", None).await.ok()?;
    let name = answer.body["server"]["name"].as_str()?.to_lowercase();
    match name.as_str() {
        "synapse" => Some(Software::Synapse),
        "dendrite" => Some(Software::Dendrite),
        "conduit" => Some(Software::Conduit),
        "conduwuit" | "continuwuity" | "tuwunel" => Some(Software::ConduitFork),
        _ => None,
    }
}

fn commands(address: &str, wanted: &Wanted<'_>) -> [(Software, String); 5] {
    let name = wanted.username;
    let (synapse, service, dendrite) = match wanted.admin {
        true => ("--admin", "--admin", " -admin"),
        false => ("--no-admin", "--no-admin", ""),
    };
    let promote = match wanted.admin {
        true => format!("\n    !admin users make-user-admin {name}"),
        false => String::new(),
    };
    [
        (
            Software::Synapse,
            format!(
                "
  Synapse, on its machine (asks for a password):
    register_new_matrix_user -u {name} {synapse} -c /etc/matrix-synapse/homeserver.yaml {address}
"
            ),
        ),
        (
            Software::AuthenticationService,
            format!(
                "
  Matrix Authentication Service, on its machine (asks for a password):
    mas-cli manage register-user {name} {service}
"
            ),
        ),
        (
            Software::Dendrite,
            format!(
                "
  Dendrite, on its machine (asks for a password; needs registration_shared_secret in dendrite.yaml):
    create-account -config dendrite.yaml -username {name} -url {address}{dendrite}
"
            ),
        ),
        (
            Software::Conduit,
            format!(
                "
  Conduit, in its admin room (answers with a password):
    @conduit:SERVER_NAME: create-user {name}
"
            ),
        ),
        (
            Software::ConduitFork,
            format!(
                "
  continuwuity, tuwunel, conduwuit, in the admin room (answers with a password):
    !admin users create-user {name}{promote}
"
            ),
        ),
    ]
}
