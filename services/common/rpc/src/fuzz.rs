//! Fuzz targets: what a peer sends before anything has judged it. How to run and replay them: `gateway/s3/src/fuzz.rs`.

use bolero::{check, produce};
use bytes::Bytes;
use cairn_proto::common::v1;
use cairn_testkit::fuzz::protobuf::message;
use cairn_testkit::fuzz::{bytes, damaged, text};
use cairn_types::{ClusterId, StoreId};
use prost::Message as _;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tonic::{Code, Status};

use crate::identity::{ClientCredentials, PeerIdentity, PeerRole, parse_uri, uri};
use crate::status::{from_wire, to_wire};
use crate::{CallError, ClusterSecret, status};

/// An error means the same at the caller and at the caller's caller, whoever made it.
#[test]
fn errors_keep_their_meaning() {
    let damage = produce::<Vec<(u16, u8)>>().with().len(0_usize..3);
    check!().with_generator((message("cairn.common.v1.Error"), damage, 0_i32..20)).for_each(|(bytes, damage, code)| {
        let details = Bytes::from(damaged(bytes, damage));
        let error = CallError::from(Status::with_details(Code::from(*code), "why", details.clone()));
        let again = CallError::from(status(&error));
        // Nobody else's connection is ours: what cannot be reached from there is an unknown outcome here.
        let expected = match error {
            CallError::Unreachable(why) => CallError::Internal(why),
            other => other,
        };
        assert_eq!(format!("{again:?}"), format!("{expected:?}"));
        if let Ok(wire) = v1::Error::decode(details) {
            let error = from_wire(wire);
            assert_eq!(format!("{:?}", from_wire(to_wire(&error))), format!("{error:?}"));
        }
    });
}

#[test]
fn names_in_certificates_are_of_this_cluster_or_nothing() {
    let words = &[
        "cairn://",
        "/",
        "membership",
        "table",
        "gateway",
        "admin",
        "join",
        "-",
        "a",
        "07070707070707070707070707070707",
        "08080808080808080808080808080808",
        "0G",
    ];
    check!().with_generator(text(words, 8)).for_each(|text| {
        let (ours, theirs) = (ClusterId([7; 16]), ClusterId([8; 16]));
        for text in [text.clone(), format!("cairn://{ours}/{text}")] {
            if let Some((role, store)) = parse_uri(&text, ours) {
                assert!(uri(ours, role, store).eq_ignore_ascii_case(&text), "{text}");
                assert_eq!(parse_uri(&text, theirs), None);
            }
        }
    });
}

/// A damaged certificate never gives more than the whole one did, and never panics: TLS verifies it before, this does not
/// rely on it.
#[test]
fn damaged_certificates_are_not_somebody_else() {
    let secret = ClusterSecret::from_bytes(&[7; 32]).unwrap();
    let store = StoreId([9; 16]);
    let credentials = ClientCredentials::issue_for(&secret, PeerRole::Join, Some(store)).unwrap();
    let der = CertificateDer::from_pem_slice(credentials.certificate_pem.as_bytes()).unwrap();
    let damage = produce::<Vec<(u16, u8)>>().with().len(0_usize..3);
    let cluster = secret.cluster_id();
    check!().with_generator((damage, produce::<Option<u16>>(), bytes(&["0", "0\u{82}"], 9))).for_each(
        |(damage, cut, other)| {
            let mut changed = damaged(&der, damage);
            changed.truncate(cut.map_or(usize::MAX, usize::from));
            let peer = PeerIdentity::of_certificate(&CertificateDer::from(changed), cluster);
            assert!(!damage.is_empty() || cut.is_some() || peer.is_some());
            assert!(peer.is_none_or(|peer| peer.roles().len() == 1));
            assert!(PeerIdentity::of_certificate(&CertificateDer::from(other.to_vec()), cluster).is_none());
        },
    );
}

/// What was sealed opens as it was, and nothing else does.
#[test]
fn sealed_text_is_opened_whole_or_not_at_all() {
    let secret = ClusterSecret::from_bytes(&[7; 32]).unwrap();
    let plain = produce::<Vec<u8>>().with().len(0_usize..40);
    let damage = produce::<Vec<(u16, u8)>>().with().len(0_usize..3);
    check!().with_generator((plain, damage, 0_usize..80)).for_each(|(plain, damage, length)| {
        let sealed = secret.seal("label", 1, b"context", plain, &cairn_types::SystemEntropy).unwrap();
        let mut changed = damaged(&sealed, damage);
        changed.truncate(*length);
        match secret.open("label", 1, b"context", &changed) {
            Ok(opened) => assert_eq!((&changed, opened.as_slice()), (&sealed, plain.as_slice())),
            Err(_) => assert_ne!(changed, sealed),
        }
        for (label, generation, context) in
            [("other", 1, b"context"), ("label", 2, b"context"), ("label", 1, b"another")]
        {
            assert!(secret.open(label, generation, context, &sealed).is_err());
        }
    });
}
