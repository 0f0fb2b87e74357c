//! What is wrong with a TLS handshake, in words for people.

use std::io;
use std::path::Path;

use jiff::Timestamp;
use tokio_rustls::rustls::pki_types::UnixTime;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

use crate::net::explain;

/// For a person whose client does not get through to the server at `host`.
pub(super) fn explain_to_client(error: io::Error, host: &str) -> io::Error {
    let sentence = match tls_error(&error) {
        Some(Error::InvalidCertificate(problem)) => explain_certificate(problem, host),
        Some(Error::InvalidMessage(_) | Error::InappropriateMessage { .. }) => {
            "it does not speak TLS; without --tls everybody on the way could read along".to_owned()
        }
        Some(Error::AlertReceived(AlertDescription::ProtocolVersion)) => "it knows no TLS 1.3".to_owned(),
        Some(error) => format!("TLS failed: {error}"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "it closed the connection in the TLS handshake".to_owned()
        }
        None => return error,
    };
    io::Error::new(io::ErrorKind::InvalidData, sentence)
}

fn explain_certificate(problem: &CertificateError, host: &str) -> String {
    match problem {
        // The second is what it looks like when two authorities have the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is from an authority that is not trusted here; \
                                            --tls-ca names a file with the certificate of another"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; is the clock of this machine right?".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("its certificate is for another host than {host}")
        }
        problem if is_of_an_authority(problem) => {
            "its certificate is that of an authority, not of a server".to_owned()
        }
        problem => format!("its certificate cannot be trusted: {problem}"),
    }
}

/// For the operator of a server, about its own certificate, at the start. `None` if nothing is wrong with it.
pub(super) fn explain_to_operator(error: &Error, certificate: &Path) -> Option<String> {
    let certificate = certificate.display();
    let Error::InvalidCertificate(problem) = error else {
        return Some(format!("clients will not trust the certificate {certificate}: {error}"));
    };
    Some(match problem {
        CertificateError::UnknownIssuer => return None,
        CertificateError::ExpiredContext { not_after, .. } => format!(
            "the certificate {certificate} expired on {}: clients will not connect; \
             have a new one issued, and restart the server with it",
            date(*not_after)
        ),
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "the certificate {certificate} is not valid before {}: clients will not connect until then; \
             is the clock of this machine right?",
            date(*not_before)
        ),
        problem if is_of_an_authority(problem) => format!(
            "the certificate {certificate} is that of an authority, not of a server: clients will not connect; \
             have that authority issue one for this server, and start the server with it"
        ),
        problem => format!("clients will not trust the certificate {certificate}: {problem}"),
    })
}

/// `openssl req -x509` makes such a certificate unless it is told otherwise.
fn is_of_an_authority(problem: &CertificateError) -> bool {
    matches!(problem, CertificateError::Other(error) if error.to_string() == "CaUsedAsEndEntity")
}

/// In UTC, as certificates have it.
fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).strftime("%Y-%m-%d").to_string()
}

/// For the operator of a server, about a client.
pub(super) fn explain_to_server(error: &io::Error) -> String {
    match tls_error(error) {
        Some(Error::InvalidMessage(_) | Error::InappropriateMessage { .. }) => {
            "it does not speak TLS".to_owned()
        }
        Some(Error::PeerIncompatible(_)) => "it knows no TLS 1.3".to_owned(),
        Some(Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::DecryptError
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown,
        )) => "it does not trust the certificate".to_owned(),
        Some(error) => error.to_string(),
        None if error.kind() == io::ErrorKind::UnexpectedEof => "it left in the handshake".to_owned(),
        None => explain(error),
    }
}

fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}
