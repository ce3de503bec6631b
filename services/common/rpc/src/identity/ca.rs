//! The cluster's certificate authority, derived from the secret, and the leaves it signs.

use std::net::{IpAddr, Ipv4Addr};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use cairn_types::{ClusterId, Entropy as _, StoreId, SystemEntropy};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ED25519, SanType, SerialNumber, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::{IdentityError, PeerRole, SERVER_NAME, uri};
use crate::ClusterSecret;

/// Generation of the CA's key: rises when it is rotated under the same secret.
const CA_GENERATION: u32 = 1;
const SERIAL_LEN: usize = 16;

/// The cluster's CA. Its key exists only while a process signs for itself.
pub(super) struct Authority {
    cluster: ClusterId,
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// A certificate and its own key.
pub(super) struct Leaf {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: PrivatePkcs8KeyDer<'static>,
}

impl Authority {
    /// The same bytes for the same secret, everywhere and at all times.
    pub(super) fn derive(secret: &ClusterSecret) -> Result<Self, IdentityError> {
        let seed = secret.subkey::<32>("ca key", CA_GENERATION);
        let key = key_pair(&seed)?;
        let serial = secret.subkey::<SERIAL_LEN>("ca serial", CA_GENERATION);

        let mut params = lasting();
        params.serial_number = Some(serial_number(*serial));
        let key_hash = <sha2::Sha256 as sha2::Digest>::digest(key.public_key_raw());
        params.distinguished_name.push(DnType::CommonName, format!("cairn {}", hex::encode(&key_hash[..8])));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Self { cluster: secret.cluster_id(), issuer: Issuer::new(params, key), certificate })
    }

    pub(super) const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    pub(super) const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A certificate with a new key. It may be shown by servers and by clients.
    pub(super) fn issue(
        &self,
        roles: &[(PeerRole, Option<StoreId>)],
        addresses: &[String],
    ) -> Result<Leaf, IdentityError> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let mut serial = [0; SERIAL_LEN];
        SystemEntropy.fill(&mut serial);

        let mut params = lasting();
        params.serial_number = Some(serial_number(serial));
        params.distinguished_name.push(DnType::CommonName, SERVER_NAME);
        params.subject_alt_names = names(addresses)?;
        for (role, store) in roles {
            params.subject_alt_names.push(SanType::URI(uri(self.cluster, *role, *store).try_into()?));
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?.der().clone();
        Ok(Leaf { certificate, key: PrivatePkcs8KeyDer::from(key.serialize_der()) })
    }
}

/// Valid 1970 to 9999: trust ends by rotation, not by a clock.
fn lasting() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(1970, 1, 1);
    params.not_after = date_time_ymd(9999, 12, 31);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
}

/// A positive number of constant length: no leading zero, no sign bit.
fn serial_number(mut bytes: [u8; SERIAL_LEN]) -> SerialNumber {
    bytes[0] = bytes[0] & 0x3f | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn key_pair(seed: &[u8; 32]) -> Result<KeyPair, IdentityError> {
    let key = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| IdentityError::Key)?;
    debug_assert_eq!(key.public_key().as_ref().len(), 32);
    let document: Pkcs8V1Der<'static> = key.as_der().map_err(|_| IdentityError::Key)?;
    let der = Zeroizing::new(document.as_ref().to_vec());
    Ok(KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(der.as_slice()), &PKCS_ED25519)?)
}

/// What a server may be called: the name all clients ask for, loopback, and what is advertised.
fn names(addresses: &[String]) -> Result<Vec<SanType>, IdentityError> {
    let mut names = vec![
        SanType::DnsName(SERVER_NAME.try_into()?),
        SanType::DnsName("localhost".try_into()?),
        SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    ];
    for address in addresses {
        let host = host_of(address);
        let name = match host.parse::<IpAddr>() {
            Ok(ip) => SanType::IpAddress(ip),
            Err(_) => SanType::DnsName(host.try_into()?),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// The host in `host`, `host:port`, `[v6]:port` or `v6`.
fn host_of(address: &str) -> &str {
    if let Some(rest) = address.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match address.rsplit_once(':') {
        Some((host, _)) if !host.contains(':') => host,
        Some(_) | None => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(byte: u8) -> Authority {
        Authority::derive(&ClusterSecret::from_bytes(&[byte; 32]).unwrap()).unwrap()
    }

    #[test]
    fn ca_is_the_same_everywhere() {
        // Made once by this code; a change of it locks running clusters out of themselves.
        let golden = include_str!("ca_of_secret_07.hex").trim();
        assert_eq!(hex::encode(authority(7).certificate()), golden);
    }

    #[test]
    fn other_secrets_make_other_authorities() {
        let (one, other) = (authority(1), authority(2));
        assert_ne!(one.certificate(), other.certificate());
        assert_ne!(one.cluster(), other.cluster());
    }

    #[test]
    fn leaves_are_new_each_time() {
        let authority = authority(1);
        let (one, other) = (authority.issue(&[], &[]).unwrap(), authority.issue(&[], &[]).unwrap());
        assert_ne!(one.certificate, other.certificate);
        assert_ne!(one.key.secret_pkcs8_der(), other.key.secret_pkcs8_der());
    }

    #[test]
    fn hosts_are_taken_from_addresses() {
        for (address, host) in
            [("a:1", "a"), ("a", "a"), ("[::1]:70", "::1"), ("::1", "::1"), ("10.0.0.1:9", "10.0.0.1")]
        {
            assert_eq!(host_of(address), host, "{address}");
        }
    }
}
