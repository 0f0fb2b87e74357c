//! What is wrong with a TLS handshake, in words for people.

use std::io;

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
        // What `openssl req -x509` makes unless it is told otherwise.
        CertificateError::Other(error) if error.to_string() == "CaUsedAsEndEntity" => {
            "its certificate is that of an authority, not of a server".to_owned()
        }
        problem => format!("its certificate cannot be trusted: {problem}"),
    }
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
