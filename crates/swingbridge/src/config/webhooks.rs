use super::problem::Problem;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Where providers bring what came from phones. Each connector has an address of its own that only its provider knows: `swingbridge
/// webhooks` shows them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Webhooks {
    /// Address and port to listen on, behind a proxy that speaks TLS; `off` turns it off.
    pub address: String,
    /// Where providers reach this listener: `https://hooks.example.org`. Some of them sign it, so it must be exact.
    pub public_url: Option<String>,
    /// Proxies whose `X-Forwarded-For` is believed, as networks: `["10.0.0.0/8"]`. Loopback is always one.
    pub proxies: Vec<String>,
    /// For each connector the networks that its provider calls from, where it tells of them; requests from elsewhere are refused.
    pub allow: BTreeMap<String, Vec<String>>,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:29373".into(),
            public_url: None,
            proxies: Vec::new(),
            allow: BTreeMap::new(),
        }
    }
}

impl Webhooks {
    pub fn listen(&self) -> Option<SocketAddr> {
        self.address.parse().ok()
    }

    /// From where requests may come.
    pub fn doors(&self, connector: &str) -> Doors {
        Doors {
            proxies: networks(&self.proxies),
            allowed: self.allow.get(connector).map(|given| networks(given)),
        }
    }

    pub fn check<'a>(
        &self,
        connectors: impl Iterator<Item = &'a str> + Clone,
        needed: bool,
        problems: &mut Vec<Problem>,
    ) {
        if self.address != "off" && self.listen().is_none() {
            problems.push(
                Problem::new("webhooks.address", "is no address with a port")
                    .cure("write it as 127.0.0.1:29373, or `off`"),
            );
        }
        if needed && self.public_url.is_none() {
            problems.push(
                Problem::new("webhooks.public_url", "is not set")
                    .cure("say where providers reach the listener: \"https://hooks.example.org\""),
            );
        }
        if let Some(url) = &self.public_url
            && !(url.starts_with("https://") || url.starts_with("http://"))
        {
            problems.push(
                Problem::new("webhooks.public_url", "is no address of the web")
                    .cure("write it as \"https://hooks.example.org\""),
            );
        }
        let named = std::iter::once(("proxies".to_owned(), &self.proxies));
        let allowed = self
            .allow
            .iter()
            .map(|(name, given)| (format!("allow.{name}"), given));
        for (key, given) in named.chain(allowed) {
            for text in given {
                if network(text).is_none() {
                    problems.push(
                        Problem::new(format!("webhooks.{key}"), format!("`{text}` is no network"))
                            .cure("write networks as 192.0.2.0/24 or 2001:db8::/32"),
                    );
                }
            }
        }
        for name in self.allow.keys() {
            if !connectors.clone().any(|known| known == name) {
                problems.push(
                    Problem::new(
                        format!("webhooks.allow.{name}"),
                        format!("there is no connector `{name}`"),
                    )
                    .cure("name one of `connectors`"),
                );
            }
        }
    }
}

/// From where requests to a connector may come.
#[derive(Clone, Debug, Default)]
pub struct Doors {
    proxies: Vec<IpNet>,
    allowed: Option<Vec<IpNet>>,
}

impl Doors {
    /// Whether a request may come in that `peer` made, and of which proxies say that it is `forwarded_for`. The nearest address that is
    /// no proxy of ours counts: what stands before it anybody may have written.
    pub fn admit(&self, peer: IpAddr, forwarded_for: &[&str]) -> bool {
        let Some(allowed) = &self.allowed else {
            return true;
        };
        let is_proxy = |address: &IpAddr| {
            address.is_loopback() || self.proxies.iter().any(|network| network.contains(address))
        };
        let mut from = peer.to_canonical();
        let told = forwarded_for.iter().flat_map(|line| line.split(',')).rev();
        for text in told {
            if !is_proxy(&from) {
                break;
            }
            match text.trim().parse::<IpAddr>() {
                Ok(address) => from = address.to_canonical(),
                Err(_) => return false,
            }
        }
        allowed.iter().any(|network| network.contains(&from))
    }
}

fn networks(given: &[String]) -> Vec<IpNet> {
    given.iter().filter_map(|text| network(text)).collect()
}

/// A network, or a single address.
fn network(text: &str) -> Option<IpNet> {
    let single = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(single)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors(proxies: &[&str], allowed: &[&str]) -> Doors {
        let all = |given: &[&str]| given.iter().filter_map(|text| network(text)).collect();
        Doors {
            proxies: all(proxies),
            allowed: Some(all(allowed)),
        }
    }

    #[test]
    fn only_the_providers_networks_come_in() {
        let doors = doors(&["10.0.0.0/8"], &["198.51.100.0/24", "2001:db8::1"]);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (peer, forwarded, expected) in [
            ("198.51.100.7", &[][..], true),
            ("203.0.113.7", &[], false),
            ("::ffff:198.51.100.7", &[], true),
            ("2001:db8::1", &[], true),
            // By our proxies.
            ("127.0.0.1", &["198.51.100.7"], true),
            ("10.1.2.3", &["198.51.100.7, 10.4.4.4"], true),
            // What a stranger wrote in front of it is not believed.
            ("127.0.0.1", &["198.51.100.7, 203.0.113.7"], false),
            ("203.0.113.7", &["198.51.100.7"], false),
            ("127.0.0.1", &["nonsense"], false),
            ("127.0.0.1", &[], false),
        ] {
            assert_eq!(doors.admit(ip(peer), forwarded), expected, "{peer} {forwarded:?}");
        }
        assert!(Doors::default().admit(ip("203.0.113.7"), &[]), "nothing is said");
    }
}
