use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

const GOOD: &str = r#"
homeserver:
  address: http://127.0.0.1:8008
  domain: example.org
site_key: 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
appservice:
  as_token: as
  hs_token: hs
connectors:
  carrier:
    type: smpp
    host: smsc.example.net
    port: 2775
    system_id: gateway
    password: "secret"
lines:
  main:
    connector: carrier
    address: "+447700900000"
    region: GB
    users: ["@alice:example.org"]
permissions:
  "example.org": user
"#;

fn load_text(text: &str, variables: &[(&str, &str)]) -> Result<Config, LoadError> {
    let folder = TempDir::new().unwrap();
    load_in(&folder, text, variables)
}

fn load_in(folder: &TempDir, text: &str, variables: &[(&str, &str)]) -> Result<Config, LoadError> {
    let config = folder.path().join("config.yaml");
    fs::write(&config, text).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    load(&Sources {
        config,
        registration: None,
        variables: variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    })
}

/// The problems alone, without the folder's name.
fn problems(text: &str, variables: &[(&str, &str)]) -> String {
    let folder = TempDir::new().unwrap();
    match load_in(&folder, text, variables) {
        Ok(_) => "no problem".into(),
        Err(error) => error
            .to_string()
            .replace(&format!("{}/", folder.path().display()), ""),
    }
}

/// The good configuration with one line replaced.
fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replace(from, to)
}

#[test]
fn a_good_configuration_is_understood() {
    let config = load_text(GOOD, &[]).unwrap();
    assert_eq!(config.homeserver.domain, "example.org");
    assert_eq!(config.appservice.as_token.expose(), "as");
    assert_eq!(config.lines.len(), 1);
    assert_eq!(config.lines[0].address.full(), "+447700900000");
    assert_eq!(config.messages.validity, duration::Span::hours(24));
    assert_eq!(config.site_key.0[..2], [0x00, 0x11]);
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn a_line_has_the_limits_of_all_lines_but_for_its_own() {
    let text = format!(
        "{}\nlimits:\n  user: {{ minute: 10, day: 500 }}\n  spend: {{ day: 20 }}\n  prices: {{ \"+44\": 0.04, default: 0.12 }}\n  \
         media_prices: {{ \"+1\": 0.02 }}\n  long_texts: parts\n  countries: [GB]\n  quiet_hours: \"22:30-07:00\"\nopt_out:\n  help: Example Ltd\n",
        with(
            "    region: GB",
            "    region: GB\n    bulk: true\n    limits: { user: { day: 9 }, loops: { within: 1h } }\n    opt_out: { rule: enforce }"
        )
    );
    let config = load_text(&text, &[]).unwrap();
    let limits = &config.lines[0].limits;
    assert_eq!((limits.user.minute, limits.user.day), (Some(10), Some(9)));
    assert_eq!(
        limits.spend_day.map(|price| price.to_string()).as_deref(),
        Some("20.00")
    );
    let to = |number: &str| limits.price_to(number).map(|price| price.to_string());
    assert_eq!(to("+447700900456").as_deref(), Some("0.04"));
    assert_eq!(to("+12125550123").as_deref(), Some("0.12"));
    let file_to = |number: &str| limits.media_price_to(number).map(|price| price.to_string());
    assert_eq!(file_to("+447700900456").as_deref(), Some("0.04"));
    assert_eq!(file_to("+12125550123").as_deref(), Some("0.02"));
    assert_eq!(limits.long_texts, swingbridge_domain::limits::LongTexts::Parts);
    assert_eq!(limits.countries.as_ref().map(Vec::len), Some(1));
    assert!(limits.bulk && limits.quiet.holds(6 * 60) && !limits.quiet.holds(22 * 60));
    assert_eq!(limits.loops.within.as_secs(), 3600);
    let rules = &config.lines[0].opt_out;
    assert_eq!(rules.rule, swingbridge_domain::limits::OptOutRule::Enforce);
    assert_eq!(rules.help.as_deref(), Some("Example Ltd"));
    // A line of one person shows, unless it is told otherwise.
    let plain = load_text(GOOD, &[]).unwrap();
    assert_eq!(
        plain.lines[0].opt_out.rule,
        swingbridge_domain::limits::OptOutRule::Show
    );
}

#[test]
fn limits_that_make_no_sense_are_told() {
    let text = format!(
        "{GOOD}\nlimits:\n  user: {{ day: 0 }}\n  spend: {{ day: 1 }}\n  prices: {{ \"44\": 0.04 }}\n  media_prices: {{ \"45\": 0.04 }}\n  quiet_hours: night\n  countries: []\n  \
         denied_prefixes: [\"x\"]\n"
    );
    let told = problems(&text, &[]);
    for part in [
        "limits.user.day",
        "`44` is no beginning of a number",
        "limits.media_prices",
        "limits.quiet_hours",
        "limits.countries",
        "`x` is no beginning of a number",
        "there is no `default` price",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let wrong = format!("{GOOD}\nlimits:\n  spend: {{ day: -1 }}\n");
    assert!(
        problems(&wrong, &[]).contains("is no amount"),
        "{}",
        problems(&wrong, &[])
    );
}

#[test]
fn every_wrong_setting_is_told_with_its_place_and_cure() {
    let mut told = String::new();
    for (name, text) in [
        ("misspelt section", with("homeserver:", "homserver:")),
        ("misspelt setting", with("  domain:", "  domian:")),
        ("misspelt setting of a connector", with("system_id:", "systemid:")),
        ("foreign setting", with("  domain:", "  colour: blue\n  domain:")),
        ("unquoted number", with("\"+447700900000\"", "+447700900000")),
        ("unquoted password", with("\"secret\"", "123456")),
        ("port out of range", with("port: 2775", "port: 70000")),
        ("port in words", with("port: 2775", "port: many")),
        (
            "section is a text",
            with(
                "homeserver:\n  address: http://127.0.0.1:8008\n  domain: example.org",
                "homeserver: here",
            ),
        ),
        ("no YAML", with("homeserver:", "homeserver: [")),
        ("unknown kind of connector", with("type: smpp", "type: smtp")),
        ("unknown region", with("region: GB", "region: England")),
        (
            "unknown connector",
            with("connector: carrier", "connector: carier"),
        ),
        ("emergency number as line", with("+447700900000", "999")),
        (
            "nobody's line",
            with("users: [\"@alice:example.org\"]", "users: []"),
        ),
        ("no user id", with("[\"@alice:example.org\"]", "[alice]")),
        (
            "user without permission",
            with("\"example.org\": user", "\"other.org\": user"),
        ),
        ("unknown permission", with(": user", ": usr")),
        ("admin for all", with("\"example.org\": user", "\"*\": admin")),
        (
            "homeserver without scheme",
            with("http://127.0.0.1:8008", "127.0.0.1:8008"),
        ),
        (
            "short site key",
            with(
                "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
                "\"0011\"",
            ),
        ),
        (
            "no site key",
            with(
                "site_key: 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
                "",
            ),
        ),
        ("time without unit", format!("{GOOD}messages:\n  validity: 24\n")),
        (
            "time with a strange unit",
            format!("{GOOD}messages:\n  validity: 24 hours\n"),
        ),
        (
            "link without address",
            format!("{GOOD}messages:\n  media: link\n"),
        ),
        ("misspelt choice", format!("{GOOD}logging:\n  format: jsn\n")),
        (
            "short secret",
            format!("{GOOD}provisioning:\n  shared_secret: hunter2\n"),
        ),
        (
            "postgres without uri",
            format!("{GOOD}database:\n  type: postgres\n"),
        ),
        (
            "two files of one secret",
            with("site_key:", "site_key_file: site.key\nsite_key:"),
        ),
        (
            "missing secret file",
            with("password: \"secret\"", "password_file: nowhere"),
        ),
        ("duplicate setting", with("  domain:", "  domain: a\n  domain:")),
        ("everything empty", String::new()),
        (
            "several at once",
            with("port: 2775", "port: x\n    hots: y").replace("domain:", "domian:") + "loging: {}\n",
        ),
    ] {
        told.push_str(&format!("== {name}\n{}\n\n", problems(&text, &[])));
    }
    insta::assert_snapshot!(told);
}

#[test]
fn secrets_do_not_stand_in_error_texts() {
    for text in [
        with("\"secret\"", "98765432"),
        with("\"secret\"", "[sesame]"),
        with("site_key: 0011", "site_key: opensesame-0011"),
        format!("{GOOD}provisioning:\n  shared_secret: sesame\n"),
    ] {
        let told = problems(&text, &[]);
        assert_ne!(told, "no problem");
        assert!(!told.contains("sesame") && !told.contains("98765432"), "{told}");
    }
}

#[test]
fn variables_go_over_the_file() {
    let config = load_text(
        GOOD,
        &[
            ("SWINGBRIDGE_HOMESERVER__DOMAIN", "other.org"),
            ("SWINGBRIDGE_APPSERVICE__PORT", "4000"),
            ("SWINGBRIDGE_APPSERVICE__BOT__USERNAME", "phones"),
            (
                "SWINGBRIDGE_LINES__MAIN__USERS",
                "@bob:example.org, @carol:example.org",
            ),
            ("SWINGBRIDGE_CONNECTORS__CARRIER__PASSWORD", "12345"),
            ("SWINGBRIDGE_MESSAGES__VALIDITY", "1h"),
        ],
    )
    .unwrap();
    assert_eq!(config.homeserver.domain, "other.org");
    assert_eq!(config.appservice.port, 4000);
    assert_eq!(config.appservice.bot.username, "phones");
    assert_eq!(config.lines[0].access.users.len(), 2);
    assert_eq!(config.messages.validity, duration::Span::hours(1));
    assert_eq!(smpp(&config).1.password.expose(), "12345");
}

fn smpp(config: &Config) -> (&str, &swingbridge_connectors::smpp::Config) {
    match &config.connectors[0] {
        (id, Account::Smpp(smpp)) => (id, smpp),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_variable_that_names_no_setting_is_told() {
    let told = problems(
        GOOD,
        &[
            ("SWINGBRIDGE_HOMESERVER__DOMIAN", "x"),
            ("SWINGBRIDGE_APPSERVICE__PORT", "x"),
            ("SWINGBRIDGE___PORT", "1"),
            ("SWINGBRIDGE_HOMESERVER_DOMAIN", "1"),
        ],
    );
    insta::assert_snapshot!(told);
}

#[test]
fn the_secrets_of_commands_are_no_settings() {
    let told = problems(
        GOOD,
        &[
            ("SWINGBRIDGE_PASSPHRASE", "x"),
            ("SWINGBRIDGE_REGISTER__SHARED_SECRET", "x"),
        ],
    );
    assert_eq!(told, "no problem");
    assert_ne!(problems(GOOD, &[("SWINGBRIDGE_PASSPHRASES", "x")]), "no problem");
}

#[test]
fn the_names_for_a_single_account_set_it_up() {
    let without = with("    type: smpp\n    host: smsc.example.net\n    port: 2775\n    system_id: gateway\n    password: \"secret\"\n", "")
        .replace("connectors:\n  carrier:\n", "")
        .replace("connector: carrier", "connector: smpp");
    let account = [
        ("BRIDGE_SMPP_HOST", "127.0.0.1"),
        ("BRIDGE_SMPP_PORT", "2776"),
        ("BRIDGE_SMPP_SYSTEM_ID", "me"),
        ("BRIDGE_SMPP_PASSWORD", "0123"),
    ];
    let config = load_text(&without, &account).unwrap();
    let (id, smpp) = smpp(&config);
    assert_eq!((id, smpp.host.as_str(), smpp.port), ("smpp", "127.0.0.1", 2776));
    assert_eq!((smpp.system_id.as_str(), smpp.password.expose()), ("me", "0123"));
}

#[test]
fn the_names_for_a_single_account_go_over_the_only_one() {
    let config = load_text(GOOD, &[("BRIDGE_SMPP_PORT", "2776")]).unwrap();
    let (id, smpp) = smpp(&config);
    assert_eq!(
        (id, smpp.port, smpp.host.as_str()),
        ("carrier", 2776, "smsc.example.net")
    );
}

#[test]
fn the_names_for_a_single_account_pass_over_connectors_of_other_kinds() {
    let other = "  acme:\n    type: telnyx\n    api_key: KEY\n    public_key: key\nlines:";
    let beside = GOOD.replace("lines:", other);
    let config = load_text(&beside, &[("BRIDGE_SMPP_PORT", "2776")]);
    // What is wrong with the other one is its own affair.
    let told = match config {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    assert!(
        !told.contains("BRIDGE_SMPP") && !told.contains("acme.port"),
        "{told}"
    );

    let mut root = Node::parse("connectors:\n  acme: {type: telnyx}\n").unwrap();
    let variables = [("BRIDGE_SMPP_HOST".to_owned(), "h".to_owned())].into();
    let mut problems = Vec::new();
    environment::apply(&mut root, &variables, &mut problems);
    assert!(problems.is_empty());
    assert!(root.find("connectors.smpp.host").is_some() && root.find("connectors.acme.host").is_none());

    let mut root = Node::parse("connectors:\n  one: {type: smpp}\n  acme: {type: telnyx}\n").unwrap();
    environment::apply(&mut root, &variables, &mut problems);
    assert!(root.find("connectors.one.host").is_some() && problems.is_empty());

    let mut root = Node::parse("connectors:\n  one: {}\n  two: {type: smpp}\n").unwrap();
    environment::apply(&mut root, &variables, &mut problems);
    assert!(problems.iter().any(|problem| problem.path == "BRIDGE_SMPP_HOST"));
}

#[test]
fn what_kubernetes_tells_of_a_service_of_our_name_is_no_setting() {
    let told = [
        ("SWINGBRIDGE_SERVICE_HOST", "10.0.0.1"),
        ("SWINGBRIDGE_SERVICE_PORT", "29318"),
        ("SWINGBRIDGE_SERVICE_PORT_HTTP", "29318"),
        ("SWINGBRIDGE_PORT", "tcp://10.0.0.1:29318"),
        ("SWINGBRIDGE_PORT_29318_TCP", "tcp://10.0.0.1:29318"),
        ("SWINGBRIDGE_PORT_29318_TCP_ADDR", "10.0.0.1"),
    ];
    assert_eq!(problems(GOOD, &told), "no problem");
    assert_ne!(problems(GOOD, &[("SWINGBRIDGE_PORTS", "1")]), "no problem");
}

#[test]
fn the_guides_example_of_rcs_loads_with_its_secrets_in_files() {
    let guide = include_str!("../../../../docs/guide/rcs.md");
    let (_, example) = guide.split_once("```yaml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let yaml = |text: &str| serde_yaml_ng::from_str::<serde_yaml_ng::Mapping>(text).unwrap();
    let mut whole = yaml(GOOD);
    for (section, shown) in yaml(example) {
        match (whole.get_mut(&section), shown) {
            (Some(serde_yaml_ng::Value::Mapping(is)), serde_yaml_ng::Value::Mapping(shown)) => {
                is.extend(shown)
            }
            (_, shown) => drop(whole.insert(section, shown)),
        }
    }
    let folder = TempDir::new().unwrap();
    for (name, secret) in [
        (
            "service-account.json",
            swingbridge_lab::rbm::service_account("https://oauth2.googleapis.com/token"),
        ),
        ("client-token", "hunter2\n".to_owned()),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, secret).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let config = load_in(&folder, &serde_yaml_ng::to_string(&whole).unwrap(), &[]).unwrap();
    assert_eq!(config.warnings, Vec::<String>::new());
    let google = config.connectors.iter().find(|(id, _)| id == "google");
    let Some((_, Account::Rbm(google))) = google else {
        panic!("{google:?}");
    };
    assert_eq!(google.client_token.expose(), "hunter2");
}

#[test]
fn a_secret_comes_from_its_file_and_others_must_not_read_it() {
    let folder = TempDir::new().unwrap();
    let secret = folder.path().join("smpp.password");
    fs::write(&secret, "from the file\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o640)).unwrap();
    let text = with("password: \"secret\"", "password_file: smpp.password");
    let config = load_in(&folder, &text, &[]).unwrap();
    assert_eq!(smpp(&config).1.password.expose(), "from the file");
    assert_eq!(config.warnings.len(), 1);
    assert!(config.warnings[0].contains("smpp.password") && config.warnings[0].contains("0640"));

    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(
        load_in(&folder, &text, &[]).unwrap().warnings,
        Vec::<String>::new()
    );
    // A variable goes over the file's `…_file`, in both forms.
    let config = load_in(&folder, &text, &[("BRIDGE_SMPP_PASSWORD", "direct")]).unwrap();
    assert_eq!(smpp(&config).1.password.expose(), "direct");
    let path = secret.display().to_string();
    let config = load_in(&folder, GOOD, &[("BRIDGE_SMPP_PASSWORD_FILE", &path)]).unwrap();
    assert_eq!(smpp(&config).1.password.expose(), "from the file");
}

#[test]
fn tokens_come_from_the_registration() {
    let folder = TempDir::new().unwrap();
    let text = with("appservice:\n  as_token: as\n  hs_token: hs\n", "");
    fs::write(
        folder.path().join("registration.yaml"),
        "id: swingbridge\nurl: http://127.0.0.1:1\nas_token: one\nhs_token: two\nsender_localpart: x\nnamespaces: {}\n",
    )
    .unwrap();
    let config = load_in(&folder, &text, &[]).unwrap();
    assert_eq!(config.appservice.as_token.expose(), "one");
    assert_eq!(config.appservice.hs_token.expose(), "two");
    fs::remove_file(folder.path().join("registration.yaml")).unwrap();
    let told = load_in(&folder, &text, &[]).unwrap_err().to_string();
    assert!(
        told.contains("appservice.registration") && told.contains("--generate-registration"),
        "{told}"
    );
}

#[test]
fn no_printed_configuration_holds_a_secret() {
    let printed = format!("{:?}", load_text(GOOD, &[]).unwrap());
    for secret in ["\"secret\"", "\"as\"", "\"hs\"", "00112233"] {
        assert!(!printed.contains(secret), "{secret}");
    }
}
