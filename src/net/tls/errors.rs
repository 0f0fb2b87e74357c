//! Errors of TLS, described in plain words.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tokio_rustls::rustls::pki_types::UnixTime;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

use crate::net::explain;

/// Why a certificate or a key cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum CredentialsError {
    /// A file cannot be read.
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// A file holds no certificate.
    NoCertificate {
        /// The file.
        file: PathBuf,
    },
    /// A file holds no private key, or one with a passphrase.
    NoPrivateKey {
        /// The file.
        file: PathBuf,
    },
    /// A private key is not that of the certificate.
    WrongPrivateKey {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// A certificate and its private key cannot be used for another reason.
    Unusable {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What the TLS library said.
        error: Box<dyn StdError + Send + Sync>,
    },
    /// The certificate of an authority cannot be used.
    UnusableAuthority {
        /// The file of the certificate.
        file: PathBuf,
        /// What the TLS library said.
        error: Box<dyn StdError + Send + Sync>,
    },
    /// This machine trusts no authorities.
    NoAuthorities,
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, error } => {
                write!(formatter, "cannot read {}: {}", file.display(), explain(error))
            }
            Self::NoCertificate { file } => {
                write!(formatter, "{} holds no certificate in PEM", file.display())
            }
            Self::NoPrivateKey { file } => {
                write!(formatter, "{} holds no private key in PEM, or one with a passphrase", file.display())
            }
            Self::WrongPrivateKey { certificate, key } => {
                let (certificate, key) = (certificate.display(), key.display());
                write!(formatter, "the key {key} is not that of the certificate {certificate}")
            }
            Self::Unusable { certificate, key, error } => {
                let (certificate, key) = (certificate.display(), key.display());
                write!(formatter, "the certificate {certificate} and the key {key} cannot be used: {error}")
            }
            Self::UnusableAuthority { file, error } => {
                write!(formatter, "the certificate {} cannot be used: {error}", file.display())
            }
            Self::NoAuthorities => formatter.write_str("this machine trusts no authorities"),
        }
    }
}

impl StdError for CredentialsError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Unreadable { error, .. } => Some(error),
            Self::Unusable { error, .. } | Self::UnusableAuthority { error, .. } => Some(error.as_ref()),
            _ => None,
        }
    }
}

/// Why a client does not get through to a server over TLS. [`TlsClient`](crate::net::TlsClient) returns it
/// inside an [`io::Error`].
#[derive(Debug)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The authority that issued the server's certificate is not trusted.
    UntrustedAuthority,
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The certificate is for another host than this one.
    OtherHost(String),
    /// The certificate is that of an authority, not of a server.
    CertificateOfAuthority,
    /// The certificate cannot be trusted for another reason, in the words of the TLS library.
    Untrusted(String),
    /// The server does not speak TLS.
    NotTls,
    /// The server does not speak TLS 1.3.
    OldVersion,
    /// The server closed the connection in the handshake.
    Closed,
    /// The handshake failed for another reason.
    Failed(Box<dyn StdError + Send + Sync>),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UntrustedAuthority => "its certificate is from an authority that is not trusted here",
            Self::Expired => "its certificate has expired",
            Self::NotYetValid => "its certificate is not valid yet; is the clock of this machine right?",
            Self::OtherHost(host) => {
                return write!(formatter, "its certificate is for another host than {host}");
            }
            Self::CertificateOfAuthority => "its certificate is that of an authority, not of a server",
            Self::Untrusted(problem) => {
                return write!(formatter, "its certificate cannot be trusted: {problem}");
            }
            Self::NotTls => "it does not speak TLS",
            Self::OldVersion => "it knows no TLS 1.3",
            Self::Closed => "it closed the connection in the TLS handshake",
            Self::Failed(error) => return write!(formatter, "TLS failed: {error}"),
        })
    }
}

impl StdError for HandshakeError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Failed(error) => Some(error.as_ref()),
            _ => None,
        }
    }
}

/// Turns an error of TLS with the server at `host` into a [`HandshakeError`]. Errors of the network stay as
/// they are.
pub(super) fn explain_to_client(error: io::Error, host: &str) -> io::Error {
    let explained = match tls_error(&error) {
        Some(Error::InvalidCertificate(problem)) => explain_certificate(problem, host),
        Some(Error::InvalidMessage(_) | Error::InappropriateMessage { .. }) => HandshakeError::NotTls,
        Some(Error::AlertReceived(AlertDescription::ProtocolVersion)) => HandshakeError::OldVersion,
        Some(error) => HandshakeError::Failed(error.clone().into()),
        None if error.kind() == io::ErrorKind::UnexpectedEof => HandshakeError::Closed,
        None => return error,
    };
    io::Error::new(io::ErrorKind::InvalidData, explained)
}

fn explain_certificate(problem: &CertificateError, host: &str) -> HandshakeError {
    match problem {
        // Two authorities of the same name look like a bad signature.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            HandshakeError::UntrustedAuthority
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => HandshakeError::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            HandshakeError::NotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            HandshakeError::OtherHost(host.to_owned())
        }
        problem if is_of_an_authority(problem) => HandshakeError::CertificateOfAuthority,
        problem => HandshakeError::Untrusted(problem.to_string()),
    }
}

/// For the operator at the start of a server, about its own certificate. `None` if nothing is wrong with it.
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

/// By default `openssl req -x509` issues such a certificate.
fn is_of_an_authority(problem: &CertificateError) -> bool {
    matches!(problem, CertificateError::Other(error) if error.to_string() == "CaUsedAsEndEntity")
}

/// In UTC, as in certificates.
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
