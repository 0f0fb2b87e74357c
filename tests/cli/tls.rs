//! TLS on the real binaries, with generated certificates.

use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

use assert_cmd::assert::Assert;
use predicates::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, date_time_ymd};

use super::support::certificates::{Authority, FAR_AWAY, Issued};
use super::support::{Peer, Server, assert};

const HOST: &str = "127.0.0.1";

fn start(issued: &Issued) -> Server {
    Server::start_with(&["--tls-cert", text(&issued.certificate), "--tls-key", text(&issued.key)])
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}

/// A `chat-client` that says one line to a server.
fn say_hello(address: &str, arguments: &[&str]) -> Assert {
    assert("chat-client").args([address, "--nickname", "bot"]).args(arguments).write_stdin("hello\n").assert()
}

#[track_caller]
fn assert_refused(server: &Server, arguments: &[&str], reason: &str) {
    let address = server.address.to_string();
    say_hello(&address, arguments)
        .code(1)
        .stdout("")
        .stderr(format!("chat-client: Cannot connect to {address}: {reason}\n"));
}

#[test]
fn people_and_scripts_chat_over_tls() {
    let authority = Authority::new("ours");
    let server = start(&authority.issue(HOST, FAR_AWAY));
    let ca = authority.file();
    let mut dinesh = server.client(&["--nickname", "Dinesh", "--tls-ca", text(&ca)]);
    dinesh.stdout.expect("Dinesh joined the chat!");
    say_hello(&server.address.to_string(), &["--tls", "--tls-ca", text(&ca)])
        .code(0)
        .stdout("bot joined the chat!\nbot: hello\n")
        .stderr("");
    for line in ["bot joined the chat!", "bot: hello", "bot left the chat."] {
        assert_eq!(dinesh.stdout.next().as_deref(), Some(line));
    }
    server.wait_for_log("INFO - bot disconnected\n");
}

#[test]
#[cfg(target_os = "linux")]
fn without_a_file_the_authorities_of_the_machine_are_trusted() {
    let authority = Authority::new("ours");
    let server = start(&authority.issue(HOST, FAR_AWAY));
    let address = server.address.to_string();
    let say_hello = |trusted: &Path| {
        let mut client = assert("chat-client");
        client.args([&address, "--nickname", "bot", "--tls"]).env("SSL_CERT_FILE", trusted);
        client.env_remove("SSL_CERT_DIR").write_stdin("hello\n").assert()
    };
    say_hello(&authority.file()).code(0);
    say_hello(&Authority::new("theirs").file()).code(1).stderr(predicate::str::contains("not trusted here"));
    say_hello(Path::new("/nowhere")).code(1).stderr(
        "chat-client: this machine trusts no authorities; --tls-ca names a file with the certificate of one\n",
    );
}

#[test]
fn nothing_can_be_read_in_transit() {
    let authority = Authority::new("ours");
    let server = start(&authority.issue(HOST, FAR_AWAY));
    // A relay that keeps a copy of everything.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let tap = std::thread::spawn(move || {
        let (client, upstream) = (listener.accept().unwrap().0, server.connect().stream.into_inner());
        let (mut client_copy, mut upstream_copy) =
            (client.try_clone().unwrap(), upstream.try_clone().unwrap());
        let back = std::thread::spawn(move || copy(&mut upstream_copy, &mut client_copy));
        [copy(&mut { client }, &mut { upstream }), back.join().unwrap()].concat()
    });
    let ca = authority.file();
    say_hello(&address, &["--tls-ca", text(&ca)]).code(0).stdout("bot joined the chat!\nbot: hello\n");
    let copied = String::from_utf8_lossy(&tap.join().unwrap()).into_owned();
    assert!(copied.len() > 500);
    for word in ["NICK", "bot", "hello"] {
        assert!(!copied.contains(word), "{word}");
    }
}

fn copy(from: &mut std::net::TcpStream, to: &mut std::net::TcpStream) -> Vec<u8> {
    let mut copied = Vec::new();
    let mut buffer = [0; 4_096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        copied.extend_from_slice(&buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // The other end may be gone already.
    let _ = to.shutdown(std::net::Shutdown::Write);
    copied
}

#[test]
fn a_server_that_cannot_authenticate_itself_is_not_talked_to() {
    let authority = Authority::new("ours");
    let stranger = Authority::new("theirs");
    let namesake = Authority::new("ours");
    let ca = authority.file();

    let server = start(&authority.issue(HOST, FAR_AWAY));
    let untrusted = "its certificate is from an authority that is not trusted here; \
                     --tls-ca names a file with the certificate of another";
    for other in [stranger, namesake] {
        assert_refused(&server, &["--tls-ca", text(&other.file())], untrusted);
    }
    server.wait_for_log("): it does not trust the certificate\n");

    let elsewhere = start(&authority.issue("chat.example", FAR_AWAY));
    let other_host = "its certificate is for another host than 127.0.0.1";
    assert_refused(&elsewhere, &["--tls-ca", text(&ca)], other_host);

    let expired = start(&authority.issue(HOST, 2_001));
    assert_refused(&expired, &["--tls-ca", text(&ca)], "its certificate has expired");
}

#[test]
fn a_client_that_does_not_speak_tls_is_closed_and_the_log_says_why() {
    let authority = Authority::new("ours");
    let mut server = start(&authority.issue(HOST, FAR_AWAY));
    let mut plain = server.connect();
    plain.send("Dinesh\n");
    let mut answer = Vec::new();
    // The end may come as a reset, because the server does not read all of the input.
    let _ = plain.stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"NICK"));
    server.wait_for_log("): it does not speak TLS\n");

    let mut lost = server.connect();
    lost.send_bytes(b"\x16\x03\x01");
    drop(lost);
    server.wait_for_log("): it left in the handshake\n");

    let ca = authority.file();
    say_hello(&server.address.to_string(), &["--tls-ca", text(&ca)]).code(0);
    #[cfg(unix)]
    {
        let log = server.stop();
        let refused = "TIME - WARNING - No TLS with ('127.0.0.1', PORT): it does not speak TLS\n\
                       TIME - WARNING - ('127.0.0.1', PORT) left without a nickname\n";
        assert!(log.contains(refused), "{log}");
    }
    server.running.kill();
}

#[test]
fn a_server_that_does_not_speak_tls_is_not_talked_to() {
    let server = Server::start();
    let authority = Authority::new("ours");
    let ca = authority.file();
    let reason = "it does not speak TLS; without --tls everybody on the way could read along";
    assert_refused(&server, &["--tls-ca", text(&ca)], reason);
}

#[test]
fn a_truncated_connection_is_no_orderly_end() {
    let authority = Authority::new("ours");
    let server = start(&authority.issue(HOST, FAR_AWAY));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let ca = authority.file();
    let mut bot = super::support::Running::start(super::support::command("chat-client").args([
        &address,
        "--nickname",
        "bot",
        "--tls-ca",
        text(&ca),
        // Without a session the member leaves at once.
        "--no-reconnect",
    ]));
    let (client, upstream) = (listener.accept().unwrap().0, server.connect().stream.into_inner());
    for (from, to) in [(&client, &upstream), (&upstream, &client)] {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        std::thread::spawn(move || copy(&mut from, &mut to));
    }
    bot.stdout.expect("bot joined the chat!");
    // To TCP this is an orderly end, but TLS lacks its close_notify.
    client.shutdown(std::net::Shutdown::Write).unwrap();
    bot.stderr.expect("chat-client: Connection lost!");
    assert_eq!(bot.wait().code(), Some(1));
    // The client sends no close_notify either.
    server.wait_for_log("bot disconnected (connection reset)\n");
}

#[test]
fn unusable_files_are_reported_in_one_line() {
    let authority = Authority::new("ours");
    let (good, other, ca) =
        (authority.issue(HOST, FAR_AWAY), authority.issue("other", FAR_AWAY), authority.file());
    let missing = ca.with_file_name("missing.pem");
    let garbage = ca.with_file_name("garbage.pem");
    std::fs::write(&garbage, "-----BEGIN CERTIFICATE-----\nnot base64\n").unwrap();
    let [cert, key, missing, garbage] =
        [&good.certificate, &good.key, &missing, &garbage].map(|path| text(path));
    for (cert, key, reason) in [
        (missing, key, format!("cannot read {missing}: ")),
        (cert, missing, format!("cannot read {missing}: ")),
        (garbage, key, format!("{garbage} holds no certificate in PEM")),
        (key, key, format!("{key} holds no certificate in PEM")),
        (cert, cert, format!("{cert} holds no private key in PEM, or one with a passphrase")),
        (
            cert,
            text(&other.key),
            format!("the key {} is not that of the certificate {cert}", text(&other.key)),
        ),
    ] {
        assert("chat-server")
            .args(["--listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key])
            .assert()
            .code(1)
            .stdout("")
            .stderr(predicate::str::starts_with(format!("chat-server: {reason}")))
            .stderr(predicate::str::contains("\n").count(1));
    }
    for (ca, reason) in [(missing, "cannot read "), (garbage, garbage)] {
        say_hello("127.0.0.1:1", &["--tls-ca", ca])
            .code(1)
            .stderr(predicate::str::starts_with(format!("chat-client: {reason}")));
    }
    assert("chat-server").args(["--tls-cert", cert]).assert().code(2);
}

#[test]
fn a_certificate_that_no_client_will_trust_is_reported_at_the_start() {
    let authority = Authority::new("ours");
    let later = |params: &mut CertificateParams| params.not_before = date_time_ymd(3_000, 1, 1);
    let an_authority =
        |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let cases = [
        (authority.issue(HOST, 2_001), Some("expired on 2001-12-31: clients will not connect")),
        (
            authority.issue_with("later", HOST, later),
            Some("is not valid before 3000-01-01: clients will not"),
        ),
        (
            authority.issue_with("authority", HOST, an_authority),
            Some("is that of an authority, not of a server: clients will not"),
        ),
        (authority.issue(HOST, FAR_AWAY), None),
    ];
    for (issued, wanted) in cases {
        let mut server = start(&issued);
        // The server runs all the same, and clients do what it has foretold.
        let client = say_hello(&server.address.to_string(), &["--tls-ca", text(&authority.file())]);
        client.code(i32::from(wanted.is_some()));
        server.running.kill();
        let said = server.running.stderr.rest();
        let prefix = format!("chat-server: the certificate {} ", issued.certificate.display());
        match wanted {
            Some(wanted) => assert!(said.len() == 1 && said[0].starts_with(&(prefix + wanted)), "{said:?}"),
            None => assert_eq!(said, [""; 0]),
        }
    }
}

#[test]
#[cfg(unix)]
fn a_server_that_others_can_reach_without_tls_or_without_a_password_warns_its_operator() {
    let warned = |address: &str, arguments: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("server.log");
        let mut running = super::support::Running::start(
            super::support::command("chat-server")
                .args(["--listen", address, "--log", text(&log)])
                .args(arguments),
        );
        running.stdout.expect("Server running on");
        running.signal(rustix::process::Signal::TERM);
        running.wait();
        running.stderr.seen.join("\n")
    };
    let authority = Authority::new("ours");
    let issued = authority.issue(HOST, FAR_AWAY);
    let tls = ["--tls-cert", text(&issued.certificate), "--tls-key", text(&issued.key)];
    let warning = warned("0.0.0.0:0", &[]);
    assert!(warning.contains("can be reached from other machines, and there is no encryption"), "{warning}");
    assert!(!warned("0.0.0.0:0", &tls).contains("encryption"));
    assert!(warning.contains(" and no password (--password-file)"), "{warning}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "open sesame\n").unwrap();
    let password = ["--password-file", text(file.path())];
    assert!(!warned("0.0.0.0:0", &password).contains("no password"));
    assert_eq!(warned("0.0.0.0:0", &[&tls[..], &password].concat()), "");
    assert_eq!(warned("127.0.0.1:0", &[]), "");
}

#[test]
fn every_setting_of_tls_can_come_from_the_environment() {
    let authority = Authority::new("ours");
    let issued = authority.issue(HOST, FAR_AWAY);
    let directory = tempfile::tempdir().unwrap();
    let mut running = super::support::Running::start(
        super::support::command("chat-server")
            .current_dir(&directory)
            .env("CHAT_LISTEN", "127.0.0.1:0")
            .env("CHAT_TLS_CERT", &issued.certificate)
            .env("CHAT_TLS_KEY", &issued.key),
    );
    let line = running.stdout.expect("Server running on ");
    assert("chat-client")
        .env("CHAT_ADDRESS", line.trim_start_matches("Server running on "))
        .env("CHAT_NICKNAME", "bot")
        .env("CHAT_TLS", "true")
        .env("CHAT_TLS_CA", authority.file())
        .write_stdin("hello\n")
        .assert()
        .success();
    let mut plain = Peer::connect(line.trim_start_matches("Server running on ").parse().unwrap());
    plain.send("Dinesh\n");
    let mut rest = Vec::new();
    let _ = BufReader::new(plain.stream).read_to_end(&mut rest);
    assert!(!rest.starts_with(b"NICK"));
}
