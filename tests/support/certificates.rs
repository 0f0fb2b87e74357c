//! Certificates for tests: an authority, and the certificates that it issues.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;

/// A year in the far future.
pub const FAR_AWAY: i32 = 4_000;

/// An authority, with a directory for its certificate and those that it has issued.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

/// Files in PEM.
pub struct Issued {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, key()).expect("a certificate");
        let directory = tempfile::tempdir().expect("a temporary directory");
        write(&directory.path().join("ca.pem"), &issuer.pem());
        Self { issuer, directory }
    }

    /// The certificate of the authority, for a client to trust.
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// A certificate for a server on `host`, valid until the end of a year.
    pub fn issue(&self, host: &str, last_year: i32) -> Issued {
        self.issue_with(&format!("{host}-{last_year}"), host, |params| {
            params.not_after = date_time_ymd(last_year, 12, 31);
        })
    }

    /// A valid certificate with a change, under the file name `name`.
    pub fn issue_with(&self, name: &str, host: &str, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let mut params = CertificateParams::new([host.to_owned()]).expect("a host name");
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(FAR_AWAY, 12, 31);
        change(&mut params);
        let key = key();
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let file = |kind: &str| self.directory.path().join(format!("{name}.{kind}"));
        let issued = Issued { certificate: file("pem"), key: file("key") };
        write(&issued.certificate, &certificate.pem());
        write(&issued.key, &key.serialize_pem());
        issued
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn write(path: &Path, pem: &str) {
    std::fs::write(path, pem).expect("a writable directory");
}
